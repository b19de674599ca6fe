"""A small library with one of everybody who can call the API, and things of two readers in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.db import transaction
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from billing.models import Payment
from catalog.models import Book
from circulation import accounts, holds, integration_keys
from circulation.integration_keys import SCOPES
from circulation.models import Hold, Loan, Reader
from config.roles import ROLES
from tests.factories import (
    lend,
    make_book,
    make_charge,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    march,
    noon,
    set_policy,
)
from tests.paying import waiting

NOW = noon(march(3))
PASSWORD = "seven grey herons"
ANONYMOUS = "anonymous"
READER, OTHER_READER = "reader", "other reader"
SUPERUSER = "superuser"
DEACTIVATED = "deactivated"


@dataclass(frozen=True)
class Things:
    """What belongs to one reader."""

    loan: Loan
    hold: Hold
    payment: Payment


@dataclass(frozen=True)
class World:
    """Who calls, by the header that each sends, and what they call for."""

    people: dict[str, Reader]
    headers: dict[str, str]
    things: dict[str, Things]
    book: Book
    """Never lent, with one free copy."""
    refresh: str
    reset: dict[str, str]

    def credentials(self, caller: str) -> dict[str, str]:
        header = self.headers[caller]
        return {"Authorization": header} if header else {}


def make_world() -> World:
    set_policy()

    people = {
        READER: make_reader("Anna", password=PASSWORD),
        OTHER_READER: make_reader("Bartek", password=PASSWORD),
        **{role: make_member(role, password=PASSWORD) for role in ROLES},
        SUPERUSER: make_staff("Root", is_superuser=True, password=PASSWORD),
        DEACTIVATED: make_staff("Gone", is_superuser=True, password=PASSWORD),
    }
    headers = {ANONYMOUS: "", **{name: _token(person) for name, person in people.items()}}
    Reader.objects.filter(pk=people[DEACTIVATED].pk).update(is_active=False)
    for scope in SCOPES:
        _key, text = integration_keys.make(scope, [scope], by=people[SUPERUSER], at=NOW)
        headers[f"key: {scope}"] = f"Bearer {text}"
    anna, bartek = people[READER], people[OTHER_READER]
    uid, token = accounts.reset_link(anna).split("/")[-3:-1]
    things = {READER: _things(anna), OTHER_READER: _things(bartek)}
    book = make_book("Fiasco")
    make_copy(book)
    return World(
        people,
        headers,
        things,
        book,
        str(RefreshToken.for_user(anna)),
        {"uid": uid, "token": token},
    )


@contextmanager
def undone() -> Iterator[None]:
    """Take back what is done inside, so that the next call finds the same library."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def _token(person: Reader) -> str:
    return f"Bearer {AccessToken.for_user(person)}"


def _things(reader: Reader) -> Things:
    """Lend the reader a book, and let him or her wait for one that somebody else has."""
    copy, lent_out = make_copy(), make_copy()
    lend(make_reader("Celina"), lent_out)
    charge = make_charge(reader, "1.00")
    return Things(lend(reader, copy), holds.place(reader, lent_out.book), waiting(charge))
