"""Letters about an account: confirm your email, set a new password, you have an account already.

A request only leaves the typed address to the workers, whether anybody has it or not: neither its
answer nor the time it takes tells. The links are made when the letter is sent.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from circulation import accounts
from circulation.models import Reader

log = logging.getLogger(__name__)

SEND = "circulation.tasks.send_account_mail"
CONFIRM, KNOWN, RESET = "confirm", "known", "reset"


@dataclass(frozen=True)
class Letter:
    subject: str
    text: str
    link: str
    button: str
    advice: str


def send_later(kind: str, email: str) -> None:
    """Hand the letter to the workers once the transaction stands."""
    if not settings.MAIL_IS_SET_UP:
        log.error("A letter about an account was not sent: there is no mail server (EMAIL_URL).")
        return
    transaction.on_commit(partial(_enqueue, kind, email), robust=True)


def send(kind: str, email: str) -> bool:
    """Send the letter where somebody has this address and may get it, in his or her language.

    Raises what the mail server refuses with.
    """
    reader = Reader.objects.filter(email=email).first()
    if reader is None or not accounts.may_reset_password(reader):
        return False
    with translation.override(reader.language or settings.LANGUAGE_CODE):
        _message(reader, LETTERS[kind](reader)).send()
    return True


def _enqueue(kind: str, email: str) -> None:
    try:
        async_task(SEND, kind, email)
    except Exception:
        log.exception("A letter about an account was not queued; the reader has to ask again.")


def _message(reader: Reader, letter: Letter) -> EmailMultiAlternatives:
    context: dict[str, Any] = {"letter": letter, "reader": reader, "library": settings.LIBRARY_NAME}
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=render_to_string("circulation/account_mail.txt", context),
        to=[reader.email or ""],
        headers={"Auto-Submitted": "auto-generated"},
    )
    html = render_to_string("circulation/account_mail.html", context)
    message.attach_alternative(html, "text/html")
    return message


def _confirm(reader: Reader) -> Letter:
    return Letter(
        subject=_("%(library)s: confirm your email address") % {"library": settings.LIBRARY_NAME},
        text=_("You have registered with this address. Confirm it, then you can sign in."),
        link=accounts.confirmation_link(reader),
        button=_("Confirm my address"),
        advice=_("If you have not registered, do nothing: nobody can sign in with your address."),
    )


def _known(reader: Reader) -> Letter:
    return Letter(
        subject=_("%(library)s: you have an account") % {"library": settings.LIBRARY_NAME},
        text=_(
            "Somebody has tried to register with this address, which has an account already. "
            "Sign in with the password that you have, or choose a new one."
        ),
        link=accounts.reset_link(reader),
        button=_("Choose a new password"),
        advice=_("If it was not you, do nothing: your account is as it was."),
    )


def _reset(reader: Reader) -> Letter:
    return Letter(
        subject=_("%(library)s: your new password") % {"library": settings.LIBRARY_NAME},
        text=_("You have asked for a new password. Choose it here:"),
        link=accounts.reset_link(reader),
        button=_("Choose a new password"),
        advice=_("If it was not you, do nothing: your password stays as it is."),
    )


LETTERS: dict[str, Callable[[Reader], Letter]] = {CONFIRM: _confirm, KNOWN: _known, RESET: _reset}
