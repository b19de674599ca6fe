"""The nightly accrual: it may run twice, late or never, and the sum is the same."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from alerts import doers
from billing import charges
from billing.models import Charge, ChargeKind
from circulation import desk, fines, undo
from circulation.models import Loan, Reader
from tests.factories import (
    close_on,
    forget,
    lend,
    lend_until,
    make_book,
    make_copy,
    make_reader,
    march,
    set_policy,
    take_back,
)

pytestmark = pytest.mark.usefixtures("rule")


def written(loan: Loan) -> list[tuple[Decimal, bool]]:
    return list(loan.charges.filter(kind=ChargeKind.FINE).values_list("amount", "is_accruing"))


def test_the_job_writes_down_what_an_overdue_loan_costs_today() -> None:
    loan = lend_until(march(2))
    assert fines.accrue(on=march(5)) == 1
    fine = loan.charges.get()
    assert (fine.amount, fine.is_accruing, fine.due_date) == (Decimal("1.50"), True, march(2))
    assert (fine.reader, fine.assessed_date) == (loan.reader, march(5))


def test_twice_in_a_day_is_once() -> None:
    loan = lend_until(march(2))
    fines.accrue(on=march(5))
    assert fines.accrue(on=march(5)) == 0
    assert written(loan) == [(Decimal("1.50"), True)]


def test_after_five_missed_nights_it_is_as_if_run_nightly() -> None:
    nightly, missed = lend_until(march(2)), lend_until(march(2))
    for day in range(3, 13):
        fines.accrue(on=march(day))
    forget(Charge.objects.filter(loan=missed))
    fines.accrue(on=march(12))
    assert written(missed) == written(nightly) == [(Decimal("4.50"), True)]


def test_an_earlier_date_takes_nothing_back() -> None:
    loan = lend_until(march(2))
    fines.accrue(on=march(12))
    assert fines.accrue(on=march(5)) == 0
    assert written(loan) == [(Decimal("4.50"), True)]


def test_a_loan_due_today_or_within_grace_gets_no_row() -> None:
    lend_until(march(5))
    lend_until(march(3))
    fines.accrue(on=march(5))
    assert not Charge.objects.exists()


def test_after_the_return_nothing_grows() -> None:
    loan = lend_until(march(2))
    fines.accrue(on=march(9))
    take_back(loan.copy, on=march(9))
    for day in range(10, 20):
        fines.accrue(on=march(day))
    assert written(loan) == [(Decimal("3.00"), False)]


def test_after_the_loss_nothing_grows() -> None:
    loan = lend_until(march(2))
    fines.accrue(on=march(12))
    desk.mark_lost(loan, on=march(12))
    fines.accrue(on=march(30))
    assert written(loan) == [(Decimal("4.50"), False)]


def test_a_fine_stops_at_the_cap() -> None:
    loan = lend_until(march(2))
    for day in range(0, 60, 7):
        fines.accrue(on=march(3) + timedelta(days=day))
    assert written(loan) == [(Decimal("10.00"), True)]


def test_a_closed_day_entered_later_is_not_charged_and_moves_no_due_date() -> None:
    loan = lend_until(march(2))
    fines.accrue(on=march(6))
    close_on(march(2), march(4))
    fines.accrue(on=march(7))
    loan.refresh_from_db()
    assert loan.expected_return_date == march(2)
    assert written(loan) == [(Decimal("2.00"), True)]  # the 3rd, 5th, 6th and 7th


def test_a_closure_entered_later_can_bring_a_fine_back_within_grace() -> None:
    loan = lend_until(march(2))
    fines.accrue(on=march(5))
    close_on(march(3), march(4))
    take_back(loan.copy, on=march(5))
    assert written(loan) == [(0, False)]


def test_a_rate_of_nothing_makes_no_row() -> None:
    set_policy(fine_per_day="0")
    lend_until(march(2))
    fines.accrue(on=march(30))
    assert not Charge.objects.exists()


def test_a_factor_of_a_book_without_daily_fee_makes_no_row() -> None:
    set_policy(fine_per_day=None, fine_factor="2")
    lend_until(march(2))
    fines.accrue(on=march(30))
    assert not Charge.objects.exists()


def test_a_factor_multiplies_the_daily_fee() -> None:
    set_policy(fine_per_day=None, fine_factor="1.5", grace_days=0, debt_limit=None)
    loan = lend_until(march(2), copy=make_copy(make_book(daily_fee="0.33")))
    fines.accrue(on=march(5))
    assert written(loan) == [(Decimal("1.49"), True)]  # 3 x 0.495


def test_what_was_waived_of_a_growing_fine_stays_waived(anna: Reader, maria: Reader) -> None:
    loan = lend_until(march(2), anna)
    fines.accrue(on=march(12))
    charges.waive(loan.charges.get(), Decimal("4.50"), by=maria, reason="Ill")
    fines.accrue(on=march(13))
    assert charges.balance(anna) == Decimal("0.50")


def test_a_fine_never_falls_below_what_was_waived_of_it(anna: Reader, maria: Reader) -> None:
    loan = lend_until(march(2), anna)
    fines.accrue(on=march(12))
    charges.waive(loan.charges.get(), Decimal("4.00"), by=maria, reason="Ill")
    take_back(loan.copy, on=march(12), dated=march(2))
    fine = loan.charges.get()
    assert (fine.amount, charges.owed(fine)) == (Decimal("4.00"), 0)


def test_a_day_that_changes_nothing_leaves_no_line_in_the_audit() -> None:
    loan = lend_until(march(6))
    fines.accrue(on=march(14))
    fines.accrue(on=march(15))  # a Sunday
    fine = loan.charges.get()
    assert fine.assessed_date == march(15)
    assert fine.history.count() == 1


def test_a_fine_is_the_same_whatever_the_order_of_days(anna: Reader) -> None:
    loan = lend_until(date(2025, 12, 24), anna)
    for day in (date(2025, 12, 30), date(2026, 1, 2), date(2025, 12, 31), date(2026, 1, 5)):
        fines.accrue(on=day)
    assert written(loan) == [(Decimal("5.00"), True)]  # ten open days over the new year


def test_all_loans_are_looked_at_in_few_queries_for_each() -> None:
    loans = [lend_until(march(2)) for _ in range(8)]
    fines.accrue(on=march(4))
    with CaptureQueriesContext(connection) as asked:
        assert fines.accrue(on=march(5)) == 8
    assert all(written(loan) == [(Decimal("1.50"), True)] for loan in loans)
    assert len(asked) <= 4 + 15 * len(loans)


def test_fines_at_their_cap_are_confirmed_together_and_the_audit_agrees() -> None:
    set_policy(fine_cap="1.00")
    loans = [lend_until(march(2)) for _ in range(8)]
    fines.accrue(on=march(10))
    with CaptureQueriesContext(connection) as asked, doers.acting(doers.JOB, "accrue_fines"):
        assert fines.accrue(on=march(11)) == 8
    assert len(asked) <= 12
    assert all(written(loan) == [(Decimal("1.00"), True)] for loan in loans)
    charge = Charge.objects.get(loan=loans[0])
    assert charge.assessed_date == march(11)
    assert "limited to 1.00" in charge.description
    assert charge.description == fines.quote(loans[0], on=march(11)).explanation
    line = charge.history.first()
    assert (line.description, line.amount) == (charge.description, charge.amount)
    assert line.history_change_reason == f"{doers.JOB}accrue_fines"
    take_back(loans[0].copy, on=march(12))
    assert written(loans[0]) == [(Decimal("1.00"), False)]


def test_one_loan_that_fails_does_not_undo_those_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = lend_until(march(2)), lend_until(march(2))
    real = charges.assess_fine

    def fail_on_the_second(loan: Loan, *args: Decimal, **options: object) -> Charge | None:
        if loan == second:
            raise RuntimeError
        return real(loan, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(charges, "assess_fine", fail_on_the_second)
    with pytest.raises(RuntimeError):
        fines.accrue(on=march(5))
    assert written(first) == [(Decimal("1.50"), True)]


def test_the_growth_since_the_last_run_is_told_without_writing_it_down(anna: Reader) -> None:
    lend_until(march(2), anna)
    lend_until(march(4), anna)
    lend_until(march(2), make_reader())
    fines.accrue(on=march(5))
    assert fines.growth(anna, on=march(5)) == 0
    assert fines.growth(anna, on=march(7)) == Decimal("1.00") + Decimal("1.50")
    assert charges.balance(anna) == Decimal("1.50")


def test_the_job_reads_the_calendar_once() -> None:
    for _ in range(5):
        lend_until(march(2))
    with CaptureQueriesContext(connection) as captured:
        fines.accrue(on=march(5))
    assert sum("closedday" in query["sql"] for query in captured) == 1


def test_an_undone_loan_is_not_fined(anna: Reader) -> None:
    done = desk.check_out(anna, make_copy(), on=march(2))
    undo.undo(done.act, on=march(2))
    fines.accrue(on=date(2026, 6, 1))
    assert not Charge.objects.exists()
    assert lend(anna, done.loan.copy, on=march(3))
