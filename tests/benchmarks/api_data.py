"""The library that the API is measured on: what is lent, what was, and what is owed for it."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from django.contrib.auth.models import Group
from django.db import connection

from billing import drafts
from billing.models import Charge, ChargeKind
from catalog.models import Book, Copy, CopyStatus
from circulation.models import Loan, LoanPolicy, Reader

COPIES_OF_A_BOOK, OPEN, OVERDUE = 5, 3, 2
"""Of the copies; of each reader's loans; of those, again."""
BATCH = 1000
FEE = Decimal("0.10")


@dataclass(frozen=True)
class Library:
    books: list[Book]
    readers: list[Reader]
    librarian: Reader


def fill(*, books: int, loans: int, asked: int, on: date) -> Library:
    """Make a library with as many readers as books; payments wait for what the first few owe."""
    _let_everything_be_lent()
    titles = [_book(number) for number in range(books)]
    Book.objects.bulk_create(titles, BATCH)
    copies = Copy.objects.bulk_create(
        (
            Copy(
                book=titles[number % books],
                barcode=f"API{number:06d}",
                status=CopyStatus.ON_LOAN if number < OPEN * books else CopyStatus.AVAILABLE,
            )
            for number in range(COPIES_OF_A_BOOK * books)
        ),
        BATCH,
    )
    readers = Reader.objects.bulk_create(_reader(number) for number in range(books))
    lent = [
        _loan(readers[number], copies, number, turn, on=on)
        for number in range(books)
        for turn in range(loans // books)
    ]
    Loan.objects.bulk_create(lent, BATCH)
    Charge.objects.bulk_create((_fee(loan) for loan in lent), BATCH)
    drafts.cover(
        list(Charge.objects.filter(reader__in=readers[:asked]).values_list("pk", flat=True))
    )
    librarian = Reader.objects.create(first_name="Maria", email="m@example.org", is_staff=True)
    librarian.groups.add(Group.objects.get(name="Librarian"))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return Library(titles, readers, librarian)


def _let_everything_be_lent() -> None:
    LoanPolicy.objects.update(
        max_loans=1000,
        debt_limit="9999.00",
        fine_factor=None,
        fine_per_day="0.50",
        fine_cap="10.00",
    )


def _book(number: int) -> Book:
    book = Book(
        title=f"A long enough title of a book, {number}",
        author=f"Lem, Stanisław; Kowalska, Anna {number}",
        publisher="Wydawnictwo Literackie",
        published_year=1950 + number % 70,
        language="pol",
        subjects="Science fiction; Poland",
        daily_fee=FEE,
    )
    book.normalise()
    return book


def _reader(number: int) -> Reader:
    return Reader(
        email=f"member{number}@example.org",
        first_name="Anna",
        last_name=f"Nowak {number}",
        card_number=f"M{number:06d}",
    )


def _loan(reader: Reader, copies: list[Copy], number: int, turn: int, *, on: date) -> Loan:
    """Return a loan of a reader; the first few turns are out still, and the first of them late."""
    first_free = len(copies) * OPEN // COPIES_OF_A_BOOK
    if turn < OPEN:
        copy, days = copies[number * OPEN + turn], 20 + turn if turn < OVERDUE else turn
    else:
        free = len(copies) - first_free
        copy, days = copies[first_free + (number * 47 + turn) % free], 20 * turn
    lent = on - timedelta(days=days)
    return Loan(
        copy=copy,
        reader=reader,
        borrow_date=lent,
        expected_return_date=lent + timedelta(days=14),
        actual_return_date=None if turn < OPEN else lent + timedelta(days=10),
        max_renewals=2,
        daily_fee=FEE,
        fine_per_day="0.50",
        fine_cap="10.00",
    )


def _fee(loan: Loan) -> Charge:
    return Charge(
        reader=loan.reader,
        loan=loan,
        kind=ChargeKind.PAYMENT,
        amount=14 * FEE,
        description="14 days",
    )
