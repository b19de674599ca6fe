"""The reader at the desk: found by card or name, and what the page shows of him or her."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.db import connection
from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL

from billing import charges
from catalog.text import fold
from circulation import blocks, fines, holds
from circulation.models import Hold, Loan, Reader
from circulation.refusals import Block, RefusedError

MOST_PICKS = 9  # so that one digit picks a reader
MOST_LOANS = 50


@dataclass(frozen=True)
class ShownLoan:
    loan: Loan
    is_overdue: bool


@dataclass(frozen=True)
class Panel:
    """All that the page shows of a reader; `blocks` are what would stop lending now."""

    reader: Reader
    is_expired: bool
    blocks: Sequence[Block]
    owes: Decimal
    loans: Sequence[ShownLoan]
    number_of_loans: int
    holds: Sequence[Hold]


def by_card(number: str) -> Reader | None:
    return Reader.objects.select_related("category").filter(card_number=number).first()


def by_name(text: str) -> QuerySet[Reader]:
    """Return the readers each of whose typed words begins a word of the name, whatever the accents.

    A text with a digit in it is a code that nobody has, not a name.
    """
    words = fold(text).split()
    if not words or any(character.isdigit() for character in text):
        return Reader.objects.none()
    found = Reader.objects.select_related("category")
    if connection.vendor == "postgresql":
        found = found.filter(_has_words(words))
    for word in words:
        found = found.filter(Q(search_name__startswith=word) | Q(search_name__contains=f" {word}"))
    return found.order_by("search_name", "pk")


def _has_words(words: Sequence[str]) -> RawSQL:
    """Return the condition that PostgreSQL looks up in the index of words of names.

    Folded words are letters only, so that quoting them is enough.
    """
    every = " & ".join(f"'{word}':*" for word in words)
    return RawSQL(
        "to_tsvector('simple', search_name) @@ to_tsquery('simple', %s)",
        (every,),
        output_field=BooleanField(),
    )


def owed(reader: Reader, *, on: date) -> Decimal:
    """Return what the reader owes, with the fines of overdue loans grown up to `on`."""
    return charges.balance(reader) + fines.growth(reader, on=on)


def panel(reader: Reader, *, on: date) -> Panel:
    out = Loan.objects.unreturned().filter(reader=reader)
    loans = list(
        out.select_related("copy__book").order_by("expected_return_date", "pk")[: MOST_LOANS + 1]
    )
    number_of_loans = len(loans) if len(loans) <= MOST_LOANS else out.count()
    owes = owed(reader, on=on)
    return Panel(
        reader=reader,
        is_expired=reader.is_expired(on=on),
        blocks=_against_lending(reader, on=on, loans=number_of_loans, owes=owes),
        owes=owes,
        loans=[ShownLoan(loan, loan.is_overdue(on=on)) for loan in loans[:MOST_LOANS]],
        number_of_loans=number_of_loans,
        holds=_holds(reader),
    )


def _against_lending(reader: Reader, *, on: date, loans: int, owes: Decimal) -> list[Block]:
    """Return what stands against lending anything to the reader, before a copy is scanned.

    Only some of the loans and of the debt count: where all of them are within the limit, the
    rules need not be asked.
    """
    found = blocks.against_reader(reader, on=on)
    try:
        rule = blocks.rule_for(reader, None, refusal=RefusedError)
    except RefusedError as refusal:
        return [*found, *refusal.blocks]
    if loans >= rule.max_loans:
        found += blocks.against_number_of_loans(reader, rule)
    if rule.debt_limit is not None and owes > rule.debt_limit:
        found += blocks.against_debt(reader, rule, on=on)
    return found


def _holds(reader: Reader) -> list[Hold]:
    """Return the reader's holds, those on the hold shelf first and of them the most urgent."""
    active = holds.with_position(Hold.objects.active().filter(reader=reader))
    found = active.select_related("book", "copy").order_by("placed_at", "pk")
    return sorted(found, key=lambda hold: hold.pickup_until or date.max)
