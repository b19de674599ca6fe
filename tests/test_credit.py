"""Credit: what was paid beyond what is owed stays the reader's, and staff apply or refund it."""

from decimal import Decimal

import pytest

from billing import accounts, charges, credit, ledger, payments
from billing.models import Charge, ChargeKind, Payment, PaymentStatus
from circulation import deletion, desk, fines, undo
from circulation.models import DeskAct, Loan, Reader
from tests.factories import (
    MONDAY,
    lend,
    lend_until,
    make_book,
    make_charge,
    make_copy,
    march,
    pay_cash,
    take_back,
)
from tests.paying import again, in_session, owed, parts, session_of, waiting
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("rule", "books_balance")


def pay_all(loan: Loan, by: Reader) -> None:
    for charge in Charge.objects.open().filter(loan=loan):
        pay_cash(charge, str(round(charge.owed, 2)), by=by)


class TestComesFrom:
    def test_a_growing_fine_that_was_paid_and_fell_with_the_book_drop(
        self, anna: Reader, maria: Reader
    ) -> None:
        loan = lend_until(march(2), anna)
        fines.accrue(on=march(12))
        pay_all(loan, maria)
        take_back(loan.copy, on=march(12), dated=march(5))
        fine = loan.charges.get()
        assert (fine.amount, owed(fine)) == (Decimal("1.50"), 0)
        assert accounts.credit(anna) == Decimal("3.00")

    def test_a_growing_fine_that_was_paid_goes_on_growing(
        self, anna: Reader, maria: Reader
    ) -> None:
        loan = lend_until(march(2), anna)
        fines.accrue(on=march(5))
        pay_all(loan, maria)
        take_back(loan.copy, on=march(7))
        fine = loan.charges.get()
        assert owed(fine) == waiting(fine).money_to_pay == Decimal("1.00")
        assert accounts.credit(anna) == 0

    def test_a_check_out_whose_fee_was_paid_and_that_is_undone(
        self, anna: Reader, maria: Reader
    ) -> None:
        done = desk.check_out(anna, make_copy(make_book(daily_fee="0.10")), on=MONDAY)
        pay_all(done.loan, maria)
        undo.undo(done.act, on=MONDAY)
        assert accounts.balance(anna) == Decimal("-1.40")

    def test_a_copy_that_is_found_after_it_was_paid_for(self, anna: Reader, maria: Reader) -> None:
        loan = lend(anna, make_copy(price="25.00"))
        desk.mark_lost(loan, on=march(3))
        pay_all(loan, maria)
        take_back(loan.copy, on=march(4))
        assert accounts.balance(anna) == Decimal("-25.00")

    def test_until_the_find_is_undone_and_the_copy_is_owed_for_again(
        self, anna: Reader, maria: Reader
    ) -> None:
        loan = lend(anna, make_copy(price="25.00"))
        desk.mark_lost(loan, on=march(3))
        pay_all(loan, maria)
        take_back(loan.copy, on=march(4))
        undo.undo(DeskAct.objects.latest("pk"), on=march(4))
        charge = Charge.objects.open().get(loan=loan, kind=ChargeKind.LOST)
        assert accounts.balance(anna) == 0
        credit.spend(charge, Decimal("25.00"), by=maria)
        assert (owed(charge), accounts.credit(anna)) == (0, 0)

    def test_a_charge_that_was_paid_in_parts_loses_the_last_part_first(
        self, anna: Reader, maria: Reader
    ) -> None:
        fine = make_charge(anna)
        first, second = (pay_cash(fine, amount, by=maria) for amount in ("2.00", "3.00"))
        fine.amount = Decimal("1.50")
        fine.save()
        credit.release_overpaid(fine)
        assert parts(first) == {fine.pk: Decimal("1.50")}
        assert parts(second) == {fine.pk: 0}
        assert accounts.credit(anna) == Decimal("3.50")

    def test_a_waived_charge_only_as_far_as_it_was_paid(self, anna: Reader, maria: Reader) -> None:
        fine = make_charge(anna)
        pay_cash(fine, "2.00", by=maria)
        charges.waive(fine, Decimal("1.00"), by=maria, reason="Ill")
        charges.void(fine, by=maria, reason="Wrong reader")
        assert accounts.balance(anna) == Decimal("-2.00")


class TestIsApplied:
    @pytest.fixture
    def overpaid(self, anna: Reader, maria: Reader) -> list[Payment]:
        """2.00 and 3.00, of two payments."""
        paid = []
        for amount in ("2.00", "3.00"):
            charge = make_charge(anna, amount)
            paid.append(pay_cash(charge, amount, by=maria))
            charges.void(charge, by=maria, reason="Wrong reader")
        return paid

    def test_the_oldest_first(self, anna: Reader, maria: Reader, overpaid: list[Payment]) -> None:
        fine = make_charge(anna, "2.50")
        credit.spend(fine, Decimal("2.50"), by=maria)
        assert owed(fine) == 0
        assert [parts(payment).get(fine.pk) for payment in overpaid] == [2, Decimal("0.50")]
        assert accounts.credit(anna) == Decimal("2.50")
        applied = fine.allocations.filter(amount__gt=0)
        assert {each.history.first().history_user for each in applied} == {maria}

    def test_in_part_and_again(self, anna: Reader, maria: Reader, overpaid: list[Payment]) -> None:
        fine = make_charge(anna, "2.50")
        for _ in range(2):
            credit.spend(fine, Decimal("0.50"), by=maria)
        assert owed(fine) == waiting(fine).money_to_pay == Decimal("1.50")
        assert parts(overpaid[0])[fine.pk] == Decimal("1.00")

    @pytest.mark.parametrize("amount", ["5.01", "8.00", "0.00", "-1.00"])
    def test_never_beyond_what_there_is_or_what_is_owed(
        self, anna: Reader, maria: Reader, overpaid: list[Payment], amount: str
    ) -> None:
        fine = make_charge(anna, "7.00")
        with pytest.raises(ledger.OvertakenError):
            credit.spend(fine, Decimal(amount), by=maria)
        assert (owed(fine), accounts.credit(anna)) == (Decimal("7.00"), Decimal("5.00"))

    def test_gives_up_the_session_for_the_same(
        self, anna: Reader, maria: Reader, overpaid: list[Payment], stripe_server: ScriptedStripe
    ) -> None:
        fine = make_charge(anna, "2.50")
        session = in_session(fine)
        credit.spend(fine, Decimal("2.00"), by=maria)
        assert (again(session).status, again(session).must_close) == (PaymentStatus.EXPIRED, True)
        assert waiting(fine).money_to_pay == Decimal("0.50")

    def test_to_what_a_fine_has_grown_to_since_it_was_looked_at(
        self, maria: Reader, anna: Reader, overpaid: list[Payment]
    ) -> None:
        loan = lend_until(march(2), anna)
        fines.accrue(on=march(5))
        stale = loan.charges.get()
        fines.accrue(on=march(7))
        credit.spend(stale, Decimal("1.00"), by=maria)
        assert owed(stale) == waiting(stale).money_to_pay == Decimal("1.50")

    def test_not_from_money_that_is_to_be_reviewed(
        self, anna: Reader, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        fine = make_charge(anna)
        session = in_session(fine)
        stripe_server.change(session_of(session), amount_total=700)
        stripe_server.pay(session_of(session))
        payments.settle(session)
        with pytest.raises(ledger.OvertakenError):
            credit.spend(fine, Decimal("1.00"), by=maria)


def test_a_balance_is_debt_less_credit(anna: Reader, maria: Reader) -> None:
    fine = make_charge(anna)
    pay_cash(fine, "5.00", by=maria)
    charges.void(fine, by=maria, reason="Wrong reader")
    make_charge(anna, "1.20")
    assert accounts.debt(anna) == Decimal("1.20")
    assert accounts.credit(anna) == Decimal("5.00")
    assert str(accounts.balance(anna)) == "-3.80"


def test_who_has_credit_is_not_deleted(anna: Reader, maria: Reader) -> None:
    fine = make_charge(anna)
    pay_cash(fine, "5.00", by=maria)
    charges.void(fine, by=maria, reason="Wrong reader")
    with pytest.raises(deletion.DeletionRefusedError):
        deletion.delete_reader(anna)
