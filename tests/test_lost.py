"""Lost and found: accrual stops, one replacement is charged, and finding the copy takes it back."""

from decimal import Decimal

import pytest

from billing import charges
from billing.models import Charge, ChargeKind
from catalog.models import CopyStatus
from circulation import blocks, desk, fines, holds, stock
from circulation.models import Loan, Reader
from tests.factories import (
    codes,
    lend,
    lend_until,
    make_copy,
    march,
    noon,
    set_policy,
    take_back,
)

pytestmark = pytest.mark.usefixtures("rule")


@pytest.fixture
def lost(anna: Reader) -> Loan:
    """Due on the 2nd, marked lost on the 12th."""
    loan = lend_until(march(2), anna, make_copy(price="25.00"))
    desk.mark_lost(loan, on=march(12))
    loan.refresh_from_db()
    return loan


def test_a_loss_charges_the_price_of_the_copy_and_ends_the_fine(lost: Loan) -> None:
    made = lost.charges.order_by("kind").values_list("kind", "amount", "is_accruing")
    assert list(made) == [("FINE", Decimal("4.50"), False), ("LOST", Decimal("25.00"), False)]
    lost.copy.refresh_from_db()
    assert lost.copy.status == CopyStatus.LOST
    assert lost.lost_date == march(12)


def test_a_copy_without_a_price_costs_what_the_policy_said_at_check_out(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    set_policy(lost_fee="99.00")
    charge = desk.mark_lost(loan, on=march(3))
    assert charge is not None
    assert charge.amount == Decimal("20.00")


def test_a_copy_of_no_price_costs_nothing(anna: Reader) -> None:
    loan = lend(anna, make_copy(price="0.00"))
    assert desk.mark_lost(loan, on=march(3)) is None
    assert not Charge.objects.exists()


def test_marking_it_lost_again_adds_nothing(lost: Loan) -> None:
    with pytest.raises(desk.LoanNotOpenError) as refused:
        desk.mark_lost(lost, on=march(13))
    assert codes(refused.value) == ["loan_lost"]
    assert lost.charges.filter(kind=ChargeKind.LOST).count() == 1


def test_a_returned_loan_cannot_be_marked_lost(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    take_back(loan.copy, on=march(3))
    with pytest.raises(desk.LoanNotOpenError):
        desk.mark_lost(loan, on=march(3))


def test_a_lost_loan_is_not_overdue(lost: Loan) -> None:
    assert not Loan.objects.overdue(on=march(30)).exists()
    assert not lost.is_overdue(on=march(30))


class TestFound:
    def test_the_charge_goes_and_the_copy_is_back(self, lost: Loan, anna: Reader) -> None:
        done = take_back(lost.copy, on=march(20))
        lost.refresh_from_db()
        lost.copy.refresh_from_db()
        assert done.was_lost
        assert lost.actual_return_date == march(20)
        assert lost.copy.status == CopyStatus.AVAILABLE
        assert charges.balance(anna) == Decimal("4.50")  # the fine stays as it was at the loss
        fines.accrue(on=march(30))
        assert charges.balance(anna) == Decimal("4.50")

    def test_what_is_voided_of_a_charge_waived_in_part_is_the_rest(
        self, lost: Loan, anna: Reader, maria: Reader
    ) -> None:
        charge = lost.charges.get(kind=ChargeKind.LOST)
        charges.waive(charge, Decimal("10.00"), by=maria, reason="Half")
        take_back(lost.copy, on=march(20))
        taken = charge.adjustments.values_list("kind", "amount")
        assert set(taken) == {("WAIVED", Decimal("10.00")), ("VOIDED", Decimal("15.00"))}

    def test_it_goes_to_whoever_waits(self, lost: Loan, bartek: Reader) -> None:
        other = make_copy(lost.copy.book, status=CopyStatus.IN_REPAIR)
        hold = holds.place(bartek, other.book, at=noon(march(13)))
        done = take_back(lost.copy, on=march(20))
        assert done.shelved is not None
        assert done.shelved.hold == hold

    def test_scanning_it_again_voids_nothing_more(self, lost: Loan) -> None:
        take_back(lost.copy, on=march(20))
        again = take_back(lost.copy, on=march(21))
        assert again.loan is None
        assert lost.charges.get(kind=ChargeKind.LOST).adjustments.count() == 1

    def test_a_book_drop_date_before_the_loss_is_the_day_of_the_loss(self, lost: Loan) -> None:
        done = take_back(lost.copy, on=march(20), dated=march(5))
        assert done.loan is not None
        assert done.loan.actual_return_date == march(12)

    def test_a_written_off_copy_stays_withdrawn(self, lost: Loan) -> None:
        stock.take_out(lost.copy, CopyStatus.WITHDRAWN)
        take_back(lost.copy, on=march(20))
        lost.refresh_from_db()
        lost.copy.refresh_from_db()
        assert lost.actual_return_date == march(20)
        assert lost.copy.status == CopyStatus.WITHDRAWN

    def test_only_a_scan_brings_back_what_a_reader_lost(self, lost: Loan) -> None:
        with pytest.raises(stock.StockRefusedError, match="Take it back at the desk"):
            stock.bring_back(lost.copy)


class TestTheNumberOfLoans:
    def test_a_lost_loan_counts_until_the_copy_is_found(self, lost: Loan, anna: Reader) -> None:
        assert blocks.loans_that_count(anna).get() == lost
        take_back(lost.copy, on=march(20))
        assert not blocks.loans_that_count(anna).exists()

    @pytest.mark.parametrize("parts", [["25.00"], ["0.10", "24.90"], ["8.30", "8.30", "8.40"]])
    def test_or_until_the_debt_is_settled(
        self, lost: Loan, anna: Reader, maria: Reader, parts: list[str]
    ) -> None:
        charge = lost.charges.get(kind=ChargeKind.LOST)
        for part in parts:
            assert blocks.loans_that_count(anna).exists()
            charges.waive(charge, Decimal(part), by=maria, reason="Brought a new one")
        assert not blocks.loans_that_count(anna).exists()

    def test_the_lost_loan_stops_lending_at_the_limit(self, anna: Reader) -> None:
        set_policy(max_loans=1, debt_limit=None)
        loan = lend(anna, make_copy())
        desk.mark_lost(loan, on=march(3))
        with pytest.raises(desk.CheckOutRefusedError) as refused:
            lend(anna, make_copy(), on=march(3))
        assert codes(refused.value) == ["too_many_loans"]
