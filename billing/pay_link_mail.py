"""The pay link by email: whom it can be sent to, and what the message says."""

from typing import TYPE_CHECKING

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation
from django.utils.translation import gettext as _

from alerts.wording import money
from billing import accounts, gateways, links, queue

if TYPE_CHECKING:
    from circulation.models import Reader

SEND_PAY_LINK = "billing.tasks.send_pay_link"


class MailRefusedError(Exception):
    """Nothing was sent; the message says why, and what to do instead."""


def send_later(reader: "Reader") -> str:
    """Hand the message to the workers and return the address. Raises MailRefusedError."""
    if gateways.online() is None:
        raise MailRefusedError(_("This library takes payments at the desk only: there is no link."))
    if accounts.debt(reader) <= 0:
        raise MailRefusedError(_("Nothing is owed: there is nothing to pay by a link."))
    link = links.for_account(reader.pk)
    if not settings.MAIL_IS_SET_UP:
        raise MailRefusedError(
            _("This site has no mail server (EMAIL_URL). Give the reader this link: %(link)s")
            % {"link": link}
        )
    if not reader.notice_email:
        raise MailRefusedError(
            _("%(reader)s has no email address. Give the reader this link: %(link)s")
            % {"reader": reader, "link": link}
        )
    queue.after_commit(SEND_PAY_LINK, reader.pk)
    return reader.notice_email


def send(reader: "Reader") -> bool:
    """Send the link if something is still owed, in the reader's language.

    Raises what the mail server refuses with, to be tried again.
    """
    owed = accounts.debt(reader)
    if owed <= 0 or not reader.notice_email:
        return False
    with translation.override(reader.language or settings.LANGUAGE_CODE):
        message = EmailMessage(
            subject=_("%(library)s: %(sum)s to pay")
            % {"library": settings.LIBRARY_NAME, "sum": money(owed)},
            body=_(
                "%(reader)s,\n\n"
                "%(sum)s is open on your library account. You can pay it here:\n\n"
                "%(link)s\n\n"
                "The link stays valid and always asks for what is open when you follow it. "
                "If you have paid already, nothing is left to do.\n\n"
                "%(library)s\n"
            )
            % {
                "reader": reader,
                "sum": money(owed),
                "link": links.for_account(reader.pk),
                "library": settings.LIBRARY_NAME,
            },
            to=[reader.notice_email],
        )
    message.send()
    return True
