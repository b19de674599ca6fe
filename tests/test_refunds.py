"""Refunds: never more than was paid, sent once, and put back where they come to nothing."""

from decimal import Decimal
from typing import Any

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from billing import accounts, charges, credit, ledger, payments, refunds
from billing.models import AdjustmentKind, Charge, Payment, PaymentStatus, Refund, RefundStatus
from circulation.models import Reader
from tests.factories import make_charge, pay_cash
from tests.paying import again, in_session, owed, session_of, waiting, work_off_the_queue
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")

SEND = ("POST", "/v1/refunds")


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna)


@pytest.fixture
def paid(fine: Charge, stripe_server: ScriptedStripe) -> Payment:
    """5.00, paid online."""
    payment = in_session(fine)
    stripe_server.pay(session_of(payment))
    return payments.settle(payment)


def give_back(payment: Payment, amount: str, by: Reader, **options: Any) -> Refund:
    options.setdefault("reason", "Paid for another")
    return refunds.refund(payment, Decimal(amount), by=by, **options)


def refused(payment: Payment, amount: str, by: Reader, **options: Any) -> str:
    with pytest.raises(refunds.RefundRefusedError) as refusal:
        give_back(payment, amount, by, **options)
    return str(refusal.value)


def statuses(payment: Payment) -> tuple[str, Decimal]:
    now = again(payment)
    return now.status, now.refunded_amount


class TestARefund:
    def test_in_full_is_sent_by_a_job_after_the_commit(
        self,
        fine: Charge,
        paid: Payment,
        maria: Reader,
        stripe_server: ScriptedStripe,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            made = give_back(paid, "5.00", maria)
        assert made.status == RefundStatus.PENDING
        assert statuses(paid) == (PaymentStatus.PAID, Decimal("5.00"))
        assert stripe_server.refunds == {}
        assert work_off_the_queue() == ["Done"]
        made = again(made)
        assert (made.status, made.by, made.reason) == (RefundStatus.DONE, maria, "Paid for another")
        assert made.done_at is not None
        assert statuses(paid) == (PaymentStatus.REFUNDED, Decimal("5.00"))
        [sent] = stripe_server.refunds.values()
        assert (sent["amount"], sent["metadata"]) == (500, {"refund": str(made.pk)})

    def test_makes_what_was_paid_owed_again(
        self, fine: Charge, paid: Payment, maria: Reader
    ) -> None:
        give_back(paid, "2.00", maria)
        assert owed(fine) == waiting(fine).money_to_pay == Decimal("2.00")

    def test_in_parts_is_whole_with_the_last(self, paid: Payment, maria: Reader) -> None:
        for amount in ("1.15", "2.85"):
            refunds.send(give_back(paid, amount, maria))
            assert again(paid).status == PaymentStatus.PAID
        refunds.send(give_back(paid, "1.00", maria))
        assert statuses(paid) == (PaymentStatus.REFUNDED, Decimal("5.00"))

    def test_can_waive_what_would_be_owed_again(
        self, fine: Charge, paid: Payment, maria: Reader
    ) -> None:
        give_back(paid, "2.00", maria, waives=True)
        assert owed(fine) == 0
        waived = fine.adjustments.get()
        assert (waived.kind, waived.amount) == (AdjustmentKind.WAIVED, Decimal("2.00"))
        assert (waived.by, waived.reason) == (maria, "Paid for another")

    def test_of_several_charges_takes_the_last_first(
        self, anna: Reader, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        first, second = make_charge(anna), make_charge(anna, "3.00")
        payment = in_session(first, second)
        stripe_server.pay(session_of(payment))
        payments.settle(payment)
        give_back(payment, "4.00", maria)
        assert (owed(first), owed(second)) == (Decimal("1.00"), Decimal("3.00"))

    def test_of_cash_is_handed_over_at_once(self, fine: Charge, maria: Reader) -> None:
        payment = pay_cash(fine, "5.00", by=maria)
        made = give_back(payment, "5.00", maria)
        assert made.status == RefundStatus.DONE
        assert statuses(payment) == (PaymentStatus.REFUNDED, Decimal("5.00"))
        assert owed(fine) == Decimal("5.00")

    def test_of_credit_leaves_the_charges_paid(
        self, anna: Reader, fine: Charge, maria: Reader
    ) -> None:
        payment = pay_cash(fine, "5.00", by=maria)
        charges.void(fine, by=maria, reason="Wrong reader")
        other = make_charge(anna, "2.00")
        credit.spend(other, Decimal("2.00"), by=maria)
        give_back(payment, "3.00", maria)
        assert (owed(other), accounts.credit(anna)) == (0, 0)
        give_back(payment, "0.50", maria)
        assert owed(other) == Decimal("0.50")

    def test_of_a_payment_to_be_reviewed_touches_no_charge(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        payment = in_session(fine)
        stripe_server.change(session_of(payment), amount_total=700)
        stripe_server.pay(session_of(payment))
        payment = payments.settle(payment)
        made = give_back(payment, "7.00", maria)
        assert refunds.send(made).status == RefundStatus.DONE
        assert statuses(payment) == (PaymentStatus.REFUNDED, Decimal("7.00"))
        assert owed(fine) == Decimal("5.00")
        assert accounts.credit(fine.reader) == 0

    def test_of_a_part_of_it_keeps_it_to_be_reviewed(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        payment = in_session(fine)
        stripe_server.change(session_of(payment), amount_total=700)
        stripe_server.pay(session_of(payment))
        payment = payments.settle(payment)
        refunds.send(give_back(payment, "2.00", maria))
        assert again(payment).status == PaymentStatus.REVIEW
        with pytest.raises(ledger.OvertakenError):
            ledger.accept(payment, by=maria)


class TestIsRefused:
    @pytest.mark.parametrize(
        ("amount", "told"),
        [
            ("5.01", "Only 5.00 USD of this payment is left to give back; 5.01 USD is too much."),
            ("1E+30", "is too much"),
            ("0.00", "above zero"),
            ("-1", "above zero"),
            ("0.005", "whole cents"),
            ("NaN", "above zero"),
        ],
    )
    def test_for_more_than_was_paid_or_no_sum(
        self, paid: Payment, maria: Reader, amount: str, told: str
    ) -> None:
        assert told in refused(paid, amount, maria)
        assert statuses(paid) == (PaymentStatus.PAID, 0)

    def test_for_more_than_is_left(self, paid: Payment, maria: Reader) -> None:
        give_back(paid, "3.00", maria)  # on its way counts as given back
        assert "Only 2.00 USD" in refused(paid, "2.01", maria)

    def test_without_a_reason(self, paid: Payment, maria: Reader) -> None:
        assert refused(paid, "1.00", maria, reason=" ") == (
            "Give a reason: it is kept with the refund."
        )

    def test_for_what_was_not_received(self, fine: Charge, maria: Reader) -> None:
        assert "Nothing was received" in refused(waiting(fine), "1.00", maria)

    def test_where_nothing_was_paid_with_money(self, fine: Charge, maria: Reader) -> None:
        waived = waiting(fine)
        charges.waive(fine, Decimal("5.00"), by=maria, reason="Ill")
        assert "Only 0.00 USD" in refused(again(waived), "1.00", maria)

    def test_where_the_provider_is_not_set_up_any_more(
        self, paid: Payment, maria: Reader, settings: Settings
    ) -> None:
        settings.PAYMENT_GATEWAYS = ["billing.gateways.cash.Cash"]
        assert "does not list STRIPE" in refused(paid, "1.00", maria)
        assert statuses(paid) == (PaymentStatus.PAID, 0)
