"""Signing in with email and password, in the admin and for a token alike."""

import unicodedata
from collections.abc import Mapping

from axes.utils import reset as unlock
from django.contrib.auth import authenticate
from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest
from django.utils import timezone

from circulation.accounts import may_sign_in
from circulation.models import Reader

LONGEST_EMAIL = 254


class ReaderBackend(ModelBackend):
    """Lets in whom `may_sign_in` does; rights are Django's own."""

    def user_can_authenticate(self, user: object) -> bool:
        return isinstance(user, Reader) and may_sign_in(user)


def account(_request: HttpRequest, credentials: Mapping[str, str | None] | None) -> str:
    """Return what the lock-out counts failures by, however the email was typed."""
    return known_as((credentials or {}).get("username") or "")


def names_nobody(request: HttpRequest, credentials: Mapping[str, str | None] | None) -> bool:
    """Tell whether the sign-in is of another kind, without an email that could be locked."""
    return not account(request, credentials)


def known_as(email: str) -> str:
    return unicodedata.normalize("NFKC", email).strip().lower()[:LONGEST_EMAIL]


def sign_in(request: HttpRequest, email: str, password: str) -> Reader | None:
    """Return who has this email and password; None for all else, locked accounts too.

    The lock-out watches this, and answers in the view's place where an account is locked.
    """
    reader = authenticate(request, username=email, password=password)
    if not isinstance(reader, Reader):
        return None
    unlock(ip=request.axes_ip_address, username=known_as(email))  # type: ignore[attr-defined]
    # Not saved through the model: signing in changes nothing that the history keeps.
    Reader.objects.filter(pk=reader.pk).update(last_login=timezone.now())
    return reader
