"""Many processes at the same moment: as if one after the other had acted, or a clean refusal.

The last tests are the control: with the guards off, the same acts do oversell.
"""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest
from django.db import connection

from billing import charges
from billing.models import Charge, ChargeKind
from catalog.models import Book, Copy, CopyStatus
from circulation import desk, holds
from circulation.models import DeskAct, Hold, HoldStatus, Loan, Reader
from config import integrity
from tests import race
from tests.factories import (
    MONDAY,
    forget,
    lend,
    lend_until,
    make_book,
    make_copy,
    make_reader,
    march,
    noon,
    set_policy,
    take_back,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

TODAY = MONDAY.isoformat()


@pytest.fixture(autouse=True)
def rules(transactional_db: None) -> Iterator[None]:
    """The rules of the case files; afterwards everything must agree, whoever won."""
    set_policy()
    yield
    assert {result.check.name: result.listed for result in integrity.run() if result.count} == {}


@pytest.fixture
def five_free(transactional_db: None) -> Book:
    book = make_book(daily_fee="0.10")
    for _ in range(5):
        make_copy(book)
    return book


def race_counted(acts: list[tuple[object, ...]]) -> Counter[str]:
    return Counter(race.run(acts))


def test_twenty_check_outs_of_five_copies_make_five_loans(five_free: Book) -> None:
    answers = race_counted(
        [("check_out", make_reader().pk, five_free.pk, TODAY) for _ in range(20)]
    )
    assert answers == {"lent": 5, "refused: no_copy_available": 15}
    assert Loan.objects.open().count() == 5
    assert Loan.objects.values("copy").distinct().count() == 5
    assert Charge.objects.filter(kind=ChargeKind.PAYMENT).count() == 5


def test_twenty_returns_of_one_loan_close_it_once() -> None:
    loan = lend_until(march(2))
    answers = race_counted([("check_in", loan.copy_id, "2026-03-12")] * 20)
    assert answers == {"closed": 1, "It is not checked out.": 19}
    assert loan.charges.get().amount == Decimal("5.00")


def test_of_two_readers_at_two_desks_one_gets_the_copy() -> None:
    copy = make_copy()
    answers = race_counted([("check_out_copy", make_reader().pk, copy.pk, TODAY) for _ in range(2)])
    assert answers == {"lent": 1, "refused: copy_on_loan": 1}


def test_a_double_click_makes_one_loan(anna: Reader) -> None:
    copy = make_copy()
    answers = race_counted([("check_out_copy", anna.pk, copy.pk, TODAY)] * 4)
    assert answers == {"lent": 1, "refused: already_borrowed": 3}
    assert Loan.objects.get().renewals == 0


def test_a_reader_at_many_desks_gets_no_more_than_is_allowed(anna: Reader) -> None:
    books = [make_copy().book for _ in range(8)]
    answers = race_counted([("check_out", anna.pk, book.pk, TODAY) for book in books])
    assert answers == {"lent": 5, "refused: too_many_loans": 3}


def test_cashiers_waive_no_more_than_is_owed(anna: Reader, maria: Reader) -> None:
    charge = charges.assess(anna, ChargeKind.FINE, Decimal("5.00"), description="Late")
    assert charge is not None
    answers = race_counted([("waive", charge.pk, maria.pk, "3.00")] * 6)
    assert answers["waived"] == 1
    assert sum(answers.values()) - answers["waived"] == sum(
        count
        for answer, count in answers.items()
        if answer.startswith("refused: Only 2.00 USD is left")
    )
    assert charges.balance(anna) == Decimal("2.00")


def test_the_last_renewal_is_given_once() -> None:
    set_policy(max_renewals=1)
    loan = lend_until(march(16))
    answers = race_counted([("renew", loan.pk, "2026-03-10")] * 6)
    assert answers == {"renewed": 1, "refused: too_many_renewals": 5}
    assert Loan.objects.get().renewals == 1


def test_a_hold_expires_or_is_picked_up_and_never_both(bartek: Reader, celina: Reader) -> None:
    copies, pairs = [], []
    for _ in range(4):
        copy, reader = make_copy(), make_reader()
        holds.place(reader, copy.book, at=noon(MONDAY))
        holds.place(make_reader(), copy.book, at=noon(MONDAY))
        take_back(copy, on=MONDAY)
        copies.append(copy)
        pairs.append(reader)
    pickups = [
        ("check_out_copy", reader.pk, copy.pk, "2026-03-10")
        for reader, copy in zip(pairs, copies, strict=True)
    ]
    answers = Counter(
        answer.split()[0] for answer in race.run([("expire", "2026-03-10"), *pickups])
    )
    lent = Loan.objects.open().count()
    assert answers["expired"] == 1
    assert answers["lent"] == lent == Hold.objects.filter(status=HoldStatus.FULFILLED).count()
    assert answers["refused:"] == 4 - lent == Hold.objects.filter(status=HoldStatus.EXPIRED).count()
    assert Hold.objects.ready().count() == 4 - lent


def test_a_return_and_the_nightly_job_leave_one_final_fine() -> None:
    loans = [lend_until(march(2)) for _ in range(4)]
    returns = [("check_in", loan.copy_id, "2026-03-12") for loan in loans]
    answers = race_counted([("accrue", "2026-03-12")] * 4 + returns)
    assert answers == {"accrued": 4, "closed": 4}
    assert (
        list(Charge.objects.values_list("amount", "is_accruing")) == [(Decimal("5.00"), False)] * 4
    )


def test_the_nightly_job_in_many_processes_makes_one_fine_each() -> None:
    for _ in range(5):
        lend_until(march(2))
    answers = race_counted([("accrue", "2026-03-12")] * 6)
    assert answers == {"accrued": 6}
    assert Charge.objects.count() == 5


def test_many_holds_of_one_reader_on_one_book_are_one(anna: Reader) -> None:
    book = make_copy().book
    answers = race_counted([("place_hold", anna.pk, book.pk)] * 6)
    assert answers == {"placed": 1, "refused: already_on_hold": 5}


def test_an_undo_that_many_ask_for_happens_once(anna: Reader) -> None:
    done = desk.check_out(anna, make_copy(make_book(daily_fee="0.10")), on=MONDAY)
    answers = race_counted([("undo", done.act.pk, TODAY)] * 4)
    assert answers == {"undone": 1, "refused: undone_already": 3}
    assert charges.balance(anna) == 0


def test_opposite_acts_on_the_same_readers_and_books_never_lock_each_other_up() -> None:
    """Lends, returns, holds and jobs cross over the same rows; a deadlock would be an error."""
    readers = [make_reader() for _ in range(4)]
    book, other = make_book(), make_book()
    out = [lend(reader, make_copy(book), on=march(2)).copy for reader in readers]
    for _ in range(4):
        make_copy(other)
    acts: list[tuple[object, ...]] = [("accrue", "2026-03-30"), ("expire", "2026-03-30")]
    for reader, copy in zip(readers, out, strict=True):
        acts += [
            ("check_in", copy.pk, "2026-03-30"),
            ("check_out", reader.pk, other.pk, "2026-03-30"),
            ("place_hold", reader.pk, other.pk),
            ("check_out", reader.pk, book.pk, "2026-03-30"),
        ]
    answers = race.run(acts)
    assert [answer for answer in answers if "Error" in answer] == []


class TestWithTheGuardsOff:
    """The control: were the races above not real, these would make five loans as well."""

    def oversell(self, book: Book) -> Counter[str]:
        acts = [("check_out_unguarded", make_reader().pk, book.pk, TODAY) for _ in range(20)]
        return Counter(answer.split(":")[0] for answer in race.run(acts))

    def test_without_locks_the_unique_constraint_is_what_stops_it(self, five_free: Book) -> None:
        answers = self.oversell(five_free)
        assert answers == {"lent": 1, "IntegrityError": 19}

    def test_without_locks_and_constraint_five_copies_make_twenty_loans(
        self, five_free: Book
    ) -> None:
        [constraint] = [
            made for made in Loan._meta.constraints if made.name == "loan_one_open_per_copy"
        ]
        with connection.cursor() as cursor:
            cursor.execute("DROP INDEX loan_one_open_per_copy")
        try:
            answers = self.oversell(five_free)
            loans = Loan.objects.open().count()
        finally:
            forget(Charge.objects.all())
            DeskAct.objects.all().delete()
            Loan.objects.all().delete()
            Copy.objects.update(status=CopyStatus.AVAILABLE)
            with connection.schema_editor() as editor:
                editor.add_constraint(Loan, constraint)
        assert answers == {"lent": 20}
        assert loans == 20
