"""The accounts that people sign in with: registering, confirming an email, and passwords.

Passwords are hashed before a transaction begins: it takes so long that others would wait for it.
"""

from axes.utils import reset as unlock
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.tokens import default_token_generator
from django.core import signing
from django.db import IntegrityError, transaction
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode
from django.utils.translation import gettext as _

from circulation.models import Reader

LONGEST_PASSWORD = 4096
"""Characters: beyond any passphrase, and little enough to hash without harm."""
_CONFIRM = "circulation.confirm-email"


class EmailTakenError(Exception):
    """Nothing was made: somebody signs in with this address already."""


class BadLinkError(Exception):
    """The link was not made here, is too old, has been used, or what it was for is gone."""


def register(
    email: str,
    password: str,
    *,
    first_name: str = "",
    last_name: str = "",
    phone: str = "",
    language: str = "",
) -> Reader:
    """Make an account without card and category, its email to be confirmed.

    Raises EmailTakenError.
    """
    reader = Reader(
        email=email,
        password=make_password(password),
        first_name=first_name,
        last_name=last_name,
        phone=phone,
        language=language,
        is_email_verified=False,
    )
    reader._history_user = reader
    reader._change_reason = _("Registered online.")
    try:
        with transaction.atomic():
            reader.save(force_insert=True)
    except IntegrityError as taken:
        raise EmailTakenError from taken
    return reader


def may_sign_in(reader: Reader) -> bool:
    """Tell whether the right password is enough, with the email confirmed where that is asked."""
    return reader.is_active and (reader.is_email_verified or not settings.EMAIL_VERIFICATION)


def confirmation_link(reader: Reader) -> str:
    """Return the address at which the reader confirms the email that it is mailed to."""
    token = signing.dumps([reader.pk, reader.email], salt=_CONFIRM)
    return f"{settings.SITE_URL}{reverse('confirm-email', args=[token])}"


def confirming(token: str) -> Reader:
    """Return whose email the link confirms, or has confirmed. Raises BadLinkError."""
    try:
        number, email = signing.loads(token, salt=_CONFIRM, max_age=settings.PASSWORD_RESET_TIMEOUT)
    except signing.BadSignature as bad:
        raise BadLinkError from bad
    reader = Reader.objects.filter(pk=number, email=email, is_active=True).first()
    if reader is None:
        raise BadLinkError
    return reader


@transaction.atomic
def confirm_email(token: str) -> Reader:
    """Note that the reader gets mail at this address. Raises BadLinkError."""
    reader = Reader.objects.select_for_update(no_key=True).get(pk=confirming(token).pk)
    if not reader.is_email_verified:
        reader.is_email_verified = True
        _save(reader, "is_email_verified", reason=_("By the link in a message."))
    return reader


def may_reset_password(reader: Reader) -> bool:
    """Staff without a password sign in elsewhere; a mailed link must not be a way around that."""
    is_staff = reader.is_staff or reader.is_superuser
    return reader.is_active and (reader.has_usable_password() or not is_staff)


def reset_link(reader: Reader) -> str:
    """Return the address at which a new password can be set once."""
    number = urlsafe_base64_encode(force_bytes(reader.pk))
    path = reverse("reset-password", args=[number, default_token_generator.make_token(reader)])
    return f"{settings.SITE_URL}{path}"


def resetting(uid: str, token: str) -> Reader:
    """Return whose password the link sets. Raises BadLinkError."""
    try:
        reader = Reader.objects.filter(pk=int(urlsafe_base64_decode(uid))).first()
    except (ValueError, OverflowError) as bad:
        raise BadLinkError from bad
    return _entitled(reader, token)


def reset_password(uid: str, token: str, password: str) -> Reader:
    """Set a new password; who got the link gets mail at that address. Raises BadLinkError."""
    found = resetting(uid, token)
    hashed = make_password(password)
    with transaction.atomic():
        locked = Reader.objects.select_for_update(no_key=True).filter(pk=found.pk).first()
        reader = _entitled(locked, token)
        reader.password, reader.is_email_verified = hashed, True
        _save(reader, "password", "is_email_verified", reason=_("Password reset by email."))
    unlock(username=reader.email)
    return reader


def change_password(reader: Reader, password: str) -> None:
    """Set another password: tokens and sessions of the old one are dead."""
    reader.password = make_password(password)
    _save(reader, "password", reason=_("Changed the password."))


def _entitled(reader: Reader | None, token: str) -> Reader:
    """Raises BadLinkError unless the link's token is for the reader as he or she is now."""
    if reader is None or not may_reset_password(reader):
        raise BadLinkError
    if not default_token_generator.check_token(reader, token):
        raise BadLinkError
    return reader


def _save(reader: Reader, *fields: str, reason: str) -> None:
    reader._history_user = reader
    reader._change_reason = reason
    reader.save(update_fields=fields)
