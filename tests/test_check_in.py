"""Check-in: the loan closes with its fine, the copy goes where it is wanted, dates make sense."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from billing import charges
from billing.models import Charge, ChargeKind
from catalog.models import CopyStatus
from circulation import desk, fines, holds
from circulation.models import DeskAct, Loan, LoanPolicy, Reader
from tests.factories import (
    MONDAY,
    codes,
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

pytestmark = pytest.mark.usefixtures("rule")

UTC = ZoneInfo("UTC")
WARSAW = ZoneInfo("Europe/Warsaw")


def fined(loan: Loan) -> Decimal:
    return sum((c.amount for c in loan.charges.filter(kind=ChargeKind.FINE)), Decimal(0))


def test_a_returned_copy_is_free_again_and_the_loan_closed(anna: Reader, maria: Reader) -> None:
    loan = lend(anna, make_copy())
    done = desk.check_in(loan.copy, by=maria, today=march(9))
    loan.refresh_from_db()
    loan.copy.refresh_from_db()
    assert done.loan == loan
    assert (loan.actual_return_date, loan.taken_back_by) == (march(9), maria)
    assert loan.copy.status == CopyStatus.AVAILABLE
    assert done.fine is None
    assert done.shelved is None


def test_an_early_return_refunds_nothing_of_the_lending_fee(anna: Reader) -> None:
    loan = lend(anna, make_copy(make_book(daily_fee="1.00")))
    take_back(loan.copy, on=MONDAY)
    assert charges.balance(anna) == 14


@pytest.mark.parametrize(
    ("due", "returned", "amount"),
    [
        (march(2), march(2), "0"),
        (march(2), march(4), "0"),
        (march(2), march(5), "1.50"),
        (march(6), march(9), "0"),
        (march(6), march(10), "1.50"),
        (march(2), date(2026, 4, 7), "10.00"),
    ],
)
def test_a_late_return_is_fined_by_open_days(due: date, returned: date, amount: str) -> None:
    loan = lend_until(due)
    take_back(loan.copy, on=returned)
    assert fined(loan) == Decimal(amount)


def test_within_grace_there_is_no_charge_row_at_all() -> None:
    take_back(lend_until(march(2)).copy, on=march(4))
    assert not Charge.objects.exists()


def test_the_fine_explains_itself_and_is_final() -> None:
    fine = take_back(lend_until(march(6)).copy, on=march(10)).fine
    assert fine is not None
    assert fine.description == "3 open days × 0.50; Sunday not counted"
    assert (fine.due_date, fine.assessed_date) == (march(6), march(10))
    assert not fine.is_accruing


@pytest.mark.parametrize(
    ("instant", "late"),
    [
        (datetime(2026, 3, 2, 23, 30, tzinfo=WARSAW), False),
        (datetime(2026, 3, 3, 0, 30, tzinfo=WARSAW), True),  # still the 2nd in UTC
    ],
)
def test_the_due_day_ends_at_the_library_s_midnight(
    settings: Any, instant: datetime, late: bool
) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    set_policy(grace_days=0)
    loan = lend_until(march(2))
    with time_machine.travel(instant, tick=False):
        desk.check_in(loan.copy)
    assert fined(loan) == (Decimal("0.50") if late else 0)


@pytest.mark.parametrize(("changes", "offset"), [(date(2026, 3, 29), 2), (date(2026, 10, 25), 1)])
def test_the_days_on_which_clocks_change_count_once(
    settings: Any, changes: date, offset: int
) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    set_policy(grace_days=0)
    loan = lend_until(changes - timedelta(days=1))
    midnight = datetime(changes.year, changes.month, changes.day + 1, 23, 59, tzinfo=WARSAW)
    assert midnight.utcoffset() == timedelta(hours=offset)
    with time_machine.travel(midnight, tick=False):
        desk.check_in(loan.copy)
    assert fined(loan) == Decimal("0.50")  # the change is on a Sunday


def test_due_today_is_in_no_overdue_list_until_tomorrow() -> None:
    loan = lend_until(march(2))
    assert not Loan.objects.overdue(on=march(2)).exists()
    assert Loan.objects.due(on=march(2)).get() == loan
    assert Loan.objects.overdue(on=march(3)).get() == loan


class TestTheDate:
    @pytest.mark.parametrize(
        ("dated", "code"),
        [(march(11), "return_in_future"), (march(1), "return_before_loan")],
    )
    def test_an_impossible_date_is_refused(self, anna: Reader, dated: date, code: str) -> None:
        loan = lend(anna, make_copy())
        with pytest.raises(desk.CheckInRefusedError) as refused:
            take_back(loan.copy, on=march(10), dated=dated)
        assert codes(refused.value) == [code]
        loan.refresh_from_db()
        assert loan.is_open

    def test_a_book_drop_counts_from_the_day_the_copy_lay_in_it(self) -> None:
        loan = lend_until(march(2))
        done = take_back(loan.copy, on=march(10), dated=march(5))
        assert fined(loan) == Decimal("1.50")
        assert done.loan is not None
        assert done.loan.actual_return_date == march(5)

    def test_the_day_of_the_loan_itself_is_possible(self, anna: Reader) -> None:
        take_back(lend(anna, make_copy()).copy, on=march(10), dated=MONDAY)
        assert Loan.objects.get().actual_return_date == MONDAY

    def test_an_accrued_fine_goes_when_the_copy_was_in_time(self, anna: Reader) -> None:
        loan = lend_until(march(2), anna)
        fines.accrue(on=march(13))
        fine = loan.charges.get()
        assert fine.amount == Decimal("5.00")
        take_back(loan.copy, on=march(13), dated=march(2))
        fine.refresh_from_db()
        assert (fine.amount, fine.is_accruing) == (0, False)
        assert charges.balance(anna) == 0
        assert list(fine.history.values_list("amount", flat=True)) == [0, Decimal("5.00")]

    def test_a_shelf_hold_is_counted_from_today_and_not_from_the_book_drop(
        self, anna: Reader
    ) -> None:
        loan = lend_until(march(2))
        holds.place(anna, loan.copy.book, at=noon(march(2)))
        done = take_back(loan.copy, on=march(10), dated=march(5))
        assert done.shelved is not None
        assert done.shelved.hold.pickup_until == march(17)


class TestNotOnLoan:
    def test_a_second_scan_is_a_message_and_no_second_return(self) -> None:
        loan = lend_until(march(2))
        take_back(loan.copy, on=march(5))
        again = take_back(loan.copy, on=march(20))
        assert (again.loan, again.fine, again.act) == (None, None, None)
        assert again.message == "It is not checked out."
        loan.refresh_from_db()
        assert loan.actual_return_date == march(5)
        assert fined(loan) == Decimal("1.50")

    @pytest.mark.parametrize("status", [CopyStatus.IN_REPAIR, CopyStatus.WITHDRAWN])
    def test_a_copy_out_of_circulation_stays_there(self, anna: Reader, status: CopyStatus) -> None:
        copy = make_copy(status=status)
        make_copy(copy.book)
        holds.place(anna, copy.book, at=noon(MONDAY))
        done = take_back(copy, on=MONDAY)
        copy.refresh_from_db()
        assert copy.status == status
        assert str(status.label) in done.message

    def test_a_missing_copy_that_turns_up_is_back(self) -> None:
        copy = make_copy(status=CopyStatus.LOST)
        done = take_back(copy, on=MONDAY)
        copy.refresh_from_db()
        assert copy.status == CopyStatus.AVAILABLE
        assert done.was_lost

    def test_a_free_copy_goes_to_whoever_waits(self, anna: Reader) -> None:
        copy = make_copy()
        holds.place(anna, copy.book, at=noon(MONDAY))
        done = take_back(copy, on=MONDAY)
        assert done.shelved is not None
        assert done.shelved.hold.reader == anna


def test_a_failure_while_the_fine_is_made_leaves_the_loan_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loan = lend_until(march(2))

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(charges, "assess_fine", fail)
    with pytest.raises(RuntimeError):
        take_back(loan.copy, on=march(20))
    loan.refresh_from_db()
    loan.copy.refresh_from_db()
    assert loan.is_open
    assert loan.copy.status == CopyStatus.ON_LOAN


def test_a_failure_after_the_fine_rolls_the_fine_back(monkeypatch: pytest.MonkeyPatch) -> None:
    loan = lend_until(march(2))

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(holds, "put_on_shelf", fail)
    with pytest.raises(RuntimeError):
        take_back(loan.copy, on=march(20))
    loan.refresh_from_db()
    assert loan.is_open
    assert not Charge.objects.exists()
    assert not DeskAct.objects.filter(kind=DeskAct.Kind.CHECK_IN).exists()


def test_a_return_is_never_refused_because_a_setting_is_wrong(anna: Reader) -> None:
    loan = lend_until(march(2))
    holds.place(anna, loan.copy.book, at=noon(march(2)))
    LoanPolicy.objects.all().delete()
    done = take_back(loan.copy, on=march(5))
    assert done.shelved is not None
    assert done.shelved.hold.pickup_until == march(12)


def test_a_check_in_asks_the_database_the_same_however_long_the_history(anna: Reader) -> None:
    book = make_book()
    set_policy(max_loans=100, debt_limit=None)

    def queries() -> int:
        loan = lend(anna, make_copy(book), on=march(2))
        with CaptureQueriesContext(connection) as captured:
            take_back(loan.copy, on=march(30))
        return len(captured)

    first = queries()
    for _ in range(10):
        take_back(lend(make_reader(), make_copy(book)).copy, on=march(20))
        take_back(lend(anna, make_copy(book)).copy, on=march(20))
        lend(anna, make_copy(book))
    assert queries() == first
    assert first <= 27
