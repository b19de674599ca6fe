"""Integration keys: what each may do, making one, knowing it again, and revoking it."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, OperationalError, transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from circulation import personal_data
from circulation.keys import IntegrationKey
from circulation.readers import Reader

MARK = "carrel_"
"""Begins every key, so that one that got out is recognised, by people and by scanners."""
SECRET_BYTES = 32
SHOWN = 8
"""Characters of the secret that are kept, to tell keys apart."""
A_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Scope:
    """Something that a key can be made for; `allows` are Django's permissions."""

    name: str
    sentence: Any
    allows: frozenset[str]


SCOPES: dict[str, Scope] = {
    scope.name: scope
    for scope in (
        Scope(
            "notices",
            gettext_lazy("See which loans need a notice, and say that one was sent."),
            frozenset({"circulation.view_loan", "circulation.mark_notified", personal_data.SEE}),
        ),
        Scope(
            "loans",
            gettext_lazy("See all loans and holds."),
            frozenset({"circulation.view_loan", "circulation.view_hold"}),
        ),
        Scope(
            "catalogue",
            gettext_lazy("See, add and change books and how many copies there are."),
            frozenset(
                f"catalog.{act}_{model}"
                for act in ("view", "add", "change")
                for model in ("book", "copy")
            ),
        ),
        Scope(
            "payments",
            gettext_lazy("See all payments."),
            frozenset({"billing.view_payment"}),
        ),
    )
}


class KeyRefusedError(Exception):
    """The key opens nothing; the message says why."""


class NameTakenError(Exception):
    """No key was made; the message says which one has the name."""


class AlreadyRevokedError(Exception):
    """Nothing was done; the message says when the key was revoked."""


@dataclass(frozen=True)
class Caller:
    """Another system, signed in by its key: what `request.user` is while it is served.

    It counts as staff with the permissions of its scopes, and is no Reader.
    """

    key: IntegrationKey
    pk: None = None
    id: None = None
    is_authenticated: bool = True
    is_anonymous: bool = False
    is_active: bool = True
    is_staff: bool = True
    is_superuser: bool = False

    def has_perm(self, permission: str, obj: object = None) -> bool:
        return any(
            permission in SCOPES[scope].allows for scope in self.key.scopes if scope in SCOPES
        )

    def has_perms(self, permissions: Iterable[str], obj: object = None) -> bool:
        return all(self.has_perm(permission) for permission in permissions)

    def __str__(self) -> str:
        return self.key.name


def make(
    name: str,
    scopes: Iterable[str],
    *,
    by: Reader,
    at: datetime,
    expires_at: datetime | None = None,
) -> tuple[IntegrationKey, str]:
    """Make a key; return it with the text that is handed out now and can never be shown again.

    Raises NameTakenError.
    """
    secret = secrets.token_urlsafe(SECRET_BYTES)
    text = f"{MARK}{secret}"
    key = IntegrationKey(
        name=name,
        prefix=f"{MARK}{secret[:SHOWN]}",
        digest=_digest(text),
        scopes=[scope for scope in SCOPES if scope in set(scopes)],
        expires_at=expires_at,
        made_by=by,
        made_at=at,
    )
    key._history_user = by
    try:
        with transaction.atomic():
            key.save()
    except IntegrityError:
        message = _("A key that is not revoked is called “%(name)s” already.")
        raise NameTakenError(message % {"name": name}) from None
    return key, text


def recognise(text: str, *, at: datetime) -> Caller:
    """Return whose key this is, and note that it was used. Raises KeyRefusedError."""
    key = IntegrationKey.objects.filter(digest=_digest(text)).first()
    if key is None:
        raise KeyRefusedError(_("This integration key is not known here."))
    if key.revoked_at is not None:
        raise KeyRefusedError(_("This integration key was revoked. Ask the library for another."))
    if key.expires_at is not None and key.expires_at <= at:
        raise KeyRefusedError(_("This integration key has expired. Ask the library for another."))
    _note_use(key, at=at)
    return Caller(key)


@transaction.atomic
def revoke(key: IntegrationKey, *, by: Reader, at: datetime) -> None:
    """Make the key useless from now on. Raises AlreadyRevokedError."""
    key = IntegrationKey.objects.select_for_update().get(pk=key.pk)
    if key.revoked_at is not None:
        raise AlreadyRevokedError(_("This key is revoked already."))
    key.revoked_at, key.revoked_by = at, by
    key._history_user = by
    key.save(update_fields=["revoked_at", "revoked_by"])


def _digest(text: str) -> str:
    # A slow, salted hash protects what people choose. Nobody guesses 256 random bits, and every
    # request pays for the hash.
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _note_use(key: IntegrationKey, *, at: datetime) -> None:
    """Write the time of use, once a minute at most, and never at the cost of the request."""
    before = at - A_MINUTE
    if key.last_used_at is not None and key.last_used_at > before:
        return
    unnoted = Q(last_used_at=None) | Q(last_used_at__lte=before)
    try:
        with transaction.atomic():
            IntegrationKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=at)
    except OperationalError:
        return
