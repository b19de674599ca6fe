"""Which optional notices a reader gets, and the signed links by which one kind is declined.

A link never expires and needs no sign-in: whoever has the message may stop such messages.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core import signing
from django.db import transaction
from django.urls import reverse

from alerts.events import KINDS, Audience, EventKind, for_audience

if TYPE_CHECKING:
    from circulation.models import Reader

_signer = signing.Signer(salt="alerts.unsubscribe")


class NotOptionalError(Exception):
    """Every reader gets the notices of this kind."""


class BadLinkError(Exception):
    """The link was not made here, or what it was for is gone."""


@dataclass(frozen=True)
class Choice:
    """What a link is for: a reader, and a kind of notices that he or she may decline."""

    reader: "Reader"
    kind: EventKind

    @property
    def is_declined(self) -> bool:
        return declines(self.reader, self.kind)


def optional_kinds() -> list[EventKind]:
    """Return the kinds that a reader may decline."""
    return [kind for kind in for_audience(Audience.READER) if KINDS[kind].is_optional]


def accepted_kinds(reader: "Reader") -> list[EventKind]:
    """Return the optional kinds that the reader gets."""
    return [kind for kind in optional_kinds() if not declines(reader, kind)]


def all_but(accepted: Container[str]) -> list[str]:
    """Return the optional kinds to decline for getting these alone."""
    return [kind.value for kind in optional_kinds() if kind not in accepted]


def declines(reader: "Reader", kind: EventKind) -> bool:
    return kind in reader.declined_notices and kind in optional_kinds()


def decline(
    reader: "Reader", kind: EventKind, *, by: "Reader | None" = None, reason: str = ""
) -> None:
    """Send the reader no more notices of this kind. Raises NotOptionalError."""
    _choose(reader, kind, is_declined=True, by=by, reason=reason)


def accept(
    reader: "Reader", kind: EventKind, *, by: "Reader | None" = None, reason: str = ""
) -> None:
    """Send the reader notices of this kind again. Raises NotOptionalError."""
    _choose(reader, kind, is_declined=False, by=by, reason=reason)


def link(reader: "Reader", kind: EventKind) -> str:
    """Return the address at which the reader declines the kind."""
    token = _signer.sign(f"{reader.pk}.{kind.value}")
    return f"{settings.SITE_URL}{reverse('unsubscribe', args=[token])}"


def choice(token: str) -> Choice:
    """Return what a link is for. Raises BadLinkError."""
    try:
        number, _dot, kind = _signer.unsign(token).partition(".")
    except signing.BadSignature as bad:
        raise BadLinkError from bad
    reader = get_user_model().objects.filter(pk=number).first()
    if reader is None or kind not in optional_kinds():
        raise BadLinkError
    return Choice(reader, EventKind(kind))


@transaction.atomic
def _choose(
    reader: "Reader", kind: EventKind, *, is_declined: bool, by: "Reader | None", reason: str
) -> None:
    if kind not in optional_kinds():
        raise NotOptionalError(kind)
    locked = get_user_model().objects.select_for_update(no_key=True).get(pk=reader.pk)
    if declines(locked, kind) != is_declined:
        others = [each for each in locked.declined_notices if each != kind]
        locked.declined_notices = [*others, kind.value] if is_declined else others
        locked._history_user = by
        locked._change_reason = reason
        locked.save(update_fields=["declined_notices"])
    reader.declined_notices = locked.declined_notices
