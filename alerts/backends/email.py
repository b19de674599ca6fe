"""Email, by Django's mail backend: as text and as HTML, with an unsubscribe link where there is."""

import contextlib
import smtplib
import ssl
import unicodedata
from collections.abc import Mapping
from email.utils import parseaddr
from typing import TYPE_CHECKING, Any

from django import forms
from django.conf import settings
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.backends.base import (
    Backend,
    DeliveryError,
    Message,
    Receipt,
    TryLaterError,
    UndeliverableError,
)
from alerts.backends.smtp import LimitedSmtp
from alerts.backends.wire import Limit

if TYPE_CHECKING:
    from circulation.models import Reader

SECONDS = 30.0
SMTP = "django.core.mail.backends.smtp.EmailBackend"


class EmailForm(forms.Form):
    to = forms.EmailField(
        label=gettext_lazy("to"),
        required=False,
        help_text=gettext_lazy(
            "Where messages for staff go. Readers get theirs at their own addresses, whatever "
            "stands here."
        ),
    )


class Email(Backend):
    name = "email"
    label = gettext_lazy("Email")
    form_class = EmailForm

    def missing(self) -> list[str]:
        return [] if settings.MAIL_IS_SET_UP else ["EMAIL_URL"]

    def address(self, config: Mapping[str, Any], recipient: "Reader | None") -> str:
        own = recipient.notice_email if recipient is not None else ""
        if recipient is not None and not recipient.is_staff:
            return own
        return config.get("to") or own

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        with Limit(SECONDS) as limit:
            try:
                _send(_email(message, to), _connection(limit))
            except Exception as problem:  # a mail backend may raise what it likes
                raise self._meaning(problem, limit) from None
        return Receipt(_("The mail server has taken it."))

    def _meaning(self, problem: Exception, limit: Limit) -> DeliveryError:
        """Say what a trouble means, without its own text: that names addresses and quotes mails."""
        if limit.is_over:
            message = _("The mail server did not finish within %(seconds)g seconds.")
            return TryLaterError(message % {"seconds": limit.seconds})
        if isinstance(problem, smtplib.SMTPException) and (said := _said(problem)):
            return said
        if isinstance(problem, ssl.SSLError):
            message = _("No safe connection to the mail server: %(problem)s.")
            return TryLaterError(message % {"problem": problem.reason or "TLS"})
        if isinstance(problem, ValueError):
            return UndeliverableError(_("This cannot be written as an email to this address."))
        message = _("The mail server cannot be reached (%(problem)s).")
        reached = message % {"problem": type(problem).__name__}
        unset = _("%(name)s is not set.")
        return TryLaterError(" ".join([reached, *(unset % {"name": n} for n in self.missing())]))


def _said(problem: smtplib.SMTPException) -> DeliveryError | None:
    """Return what the mail server said no to, or None where there was no mail server to say it."""
    match problem:
        case smtplib.SMTPRecipientsRefused():
            code = next((code for code, _text in problem.recipients.values()), 0)
            return _refusal(_("The mail server refuses the recipient (%(code)s)."), code)
        case smtplib.SMTPDataError(smtp_code=code):
            return _refusal(_("The mail server refuses the message (%(code)s)."), code)
        case smtplib.SMTPAuthenticationError(smtp_code=code):
            message = _("The mail server did not accept user and password (%(code)s).")
        case smtplib.SMTPSenderRefused(smtp_code=code):
            message = _("The mail server refuses the sender, DEFAULT_FROM_EMAIL (%(code)s).")
        case smtplib.SMTPNotSupportedError():
            code = 0
            message = _("The mail server has no STARTTLS or no login, which EMAIL_URL asks for.")
        case _:
            return None
    return TryLaterError(message % {"code": code})


def _refusal(message: str, code: int) -> DeliveryError:
    """Replies of 500 and more are for good (RFC 5321, 4.2.1)."""
    kind = UndeliverableError if code >= 500 else TryLaterError
    return kind(message % {"code": code})


def _connection(limit: Limit) -> BaseEmailBackend:
    if settings.EMAIL_BACKEND == SMTP:
        return LimitedSmtp(limit)
    connection: BaseEmailBackend = mail.get_connection()
    return connection


def _send(email: mail.EmailMultiAlternatives, connection: BaseEmailBackend) -> None:
    try:
        connection.open()
        connection.send_messages([email])
    finally:
        # A mail that was taken is not sent again because the server forgot to say goodbye.
        with contextlib.suppress(Exception):
            connection.close()


def _email(message: Message, to: str) -> mail.EmailMultiAlternatives:
    _name, sender = parseaddr(settings.DEFAULT_FROM_EMAIL)
    headers = {
        "Message-ID": f"<{message.id}@{sender.rpartition('@')[2] or 'localhost'}>",
        "X-Carrel-Id": str(message.id),
        "Auto-Submitted": "auto-generated",
    }
    if message.unsubscribe_url:
        headers["List-Unsubscribe"] = f"<{message.unsubscribe_url}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    email = mail.EmailMultiAlternatives(
        _one_line(message.subject), message.text, to=[to], headers=headers
    )
    if message.html:
        email.attach_alternative(message.html, "text/html")
    return email


def _one_line(text: str) -> str:
    """A title may hold what would begin another header."""
    shown = (" " if unicodedata.category(c) == "Cc" else c for c in text)
    return " ".join("".join(shown).split())
