"""Refunds on their way: sent once, followed to their end, and those made in the dashboard."""

from decimal import Decimal
from typing import Any

import pytest
from pytest_django import Settings

from billing import accounts, gateways, payments, refunds, tasks, webhooks
from billing.gateways.base import UnreachableError
from billing.models import Charge, Payment, PaymentStatus, Refund, RefundStatus
from circulation.models import Reader
from tests.factories import make_charge
from tests.paying import again, in_session, owed, parts, session_of
from tests.scripted_paypal import ScriptedPayPal
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


class TestSending:
    def test_twice_is_once(
        self, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = give_back(paid, "2.00", maria)
        tasks.send_refund(made.pk)
        tasks.send_refund(made.pk)
        refunds.send(made)
        assert len(stripe_server.refunds) == 1

    def test_again_after_a_lost_answer_is_once(
        self, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = give_back(paid, "2.00", maria)
        stripe_server.answer_after_accepting_then_drop()
        with pytest.raises(UnreachableError):
            refunds.send(made)
        assert "cannot be reached" in again(made).last_error
        assert refunds.send(again(made)).status == RefundStatus.DONE
        assert [call.key for call in stripe_server.sent(*SEND)] == [str(made.key)] * 2
        assert len(stripe_server.refunds) == 1
        assert again(made).last_error == ""

    def test_what_the_provider_refuses_is_put_back(
        self, fine: Charge, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = give_back(paid, "2.00", maria)
        stripe_server.fail_next(400, message="The charge is disputed.")
        assert refunds.send(made).status == RefundStatus.FAILED
        assert "disputed" in again(made).last_error
        assert statuses(paid) == (PaymentStatus.PAID, 0)
        assert owed(fine) == 0
        assert not Payment.objects.filter(status=PaymentStatus.PENDING).exists()

    def test_put_back_is_credit_where_the_debt_was_waived_or_paid_meanwhile(
        self, fine: Charge, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = give_back(paid, "3.00", maria, waives=True)
        stripe_server.fail_next(400)
        refunds.send(made)
        assert owed(fine) == 0
        assert accounts.balance(fine.reader) == Decimal("-3.00")

    def test_one_on_its_way_is_done_or_fails_later(
        self, fine: Charge, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.refund_status = "pending"
        done, failed = (refunds.send(give_back(paid, amount, maria)) for amount in ("1.00", "2.00"))
        assert (done.status, failed.status) == (RefundStatus.PENDING, RefundStatus.PENDING)
        assert done.provider_id
        assert failed.provider_id
        stripe_server.finish_refund(done.provider_id, "succeeded")
        stripe_server.finish_refund(failed.provider_id, "failed")
        for _ in range(2):
            payments.settle(again(paid))
        assert again(done).status == RefundStatus.DONE
        assert again(failed).status == RefundStatus.FAILED
        assert statuses(paid) == (PaymentStatus.PAID, Decimal("1.00"))
        assert owed(fine) == Decimal("1.00")

    def test_a_whole_one_that_fails_after_it_was_done_makes_the_payment_paid_again(
        self, fine: Charge, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = refunds.send(give_back(paid, "5.00", maria))
        assert made.provider_id
        stripe_server.finish_refund(made.provider_id, "failed")
        payments.settle(again(paid))
        assert statuses(paid) == (PaymentStatus.PAID, 0)
        assert owed(fine) == 0

    def test_one_that_was_thought_refused_and_was_sent_counts(
        self, fine: Charge, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = give_back(paid, "2.00", maria)
        stripe_server.answer_after_accepting_then_drop()
        with pytest.raises(UnreachableError):
            refunds.send(made)
        stripe_server.fail_next(403)
        assert refunds.send(again(made)).status == RefundStatus.FAILED
        payments.settle(again(paid))
        assert again(made).status == RefundStatus.DONE
        assert statuses(paid) == (PaymentStatus.PAID, Decimal("2.00"))
        assert owed(fine) == Decimal("2.00")
        assert len(stripe_server.refunds) == 1

    def test_by_a_provider_that_is_not_set_up_any_more_is_put_back(
        self, paid: Payment, maria: Reader, settings: Settings
    ) -> None:
        made = give_back(paid, "2.00", maria)
        settings.PAYMENT_GATEWAYS = ["billing.gateways.cash.Cash"]
        assert refunds.send(made).status == RefundStatus.FAILED
        assert statuses(paid) == (PaymentStatus.PAID, 0)


class TestInTheDashboard:
    def test_one_is_recorded_once_by_webhook_and_look_up(
        self, fine: Charge, paid: Payment, stripe_server: ScriptedStripe
    ) -> None:
        there = stripe_server.refund_in_dashboard(session_of(paid), 200)
        for _ in range(2):
            webhooks.receive(
                gateways.called("STRIPE"), *stripe_server.event("charge.refunded", there)
            )
            payments.settle(again(paid))
        made = Refund.objects.get()
        assert (made.amount, made.by, made.reason) == (Decimal("2.00"), None, "Made at Stripe.")
        assert made.status == RefundStatus.DONE
        assert statuses(paid) == (PaymentStatus.PAID, Decimal("2.00"))
        assert owed(fine) == Decimal("2.00")

    def test_of_all_makes_the_payment_refunded(
        self, paid: Payment, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.refund_in_dashboard(session_of(paid))
        payments.settle(again(paid))
        assert statuses(paid) == (PaymentStatus.REFUNDED, Decimal("5.00"))

    def test_one_on_its_way_is_reserved_and_ends_as_it_ends_there(
        self, fine: Charge, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.refund_status = "pending"
        there = stripe_server.refund_in_dashboard(session_of(paid), 400)
        payments.settle(again(paid))
        assert Refund.objects.get().status == RefundStatus.PENDING
        assert "Only 1.00 USD" in refused(paid, "2.00", maria)
        stripe_server.finish_refund(there["id"], "canceled")
        payments.settle(again(paid))
        assert statuses(paid) == (PaymentStatus.PAID, 0)
        assert owed(fine) == 0

    def test_ours_that_was_not_sent_gives_way_to_it(
        self, fine: Charge, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        ours = give_back(paid, "5.00", maria)
        stripe_server.refund_in_dashboard(session_of(paid), 300)
        payments.settle(again(paid))
        assert again(ours).status == RefundStatus.FAILED
        assert again(ours).last_error == "It was refunded at the provider in the meantime."
        assert statuses(paid) == (PaymentStatus.PAID, Decimal("3.00"))
        assert refunds.send(again(ours)).status == RefundStatus.FAILED
        assert len(stripe_server.refunds) == 1

    def test_ours_that_was_sent_unnoticed_stands_beside_it(
        self, fine: Charge, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        first, second = give_back(paid, "2.00", maria), give_back(paid, "2.00", maria)
        stripe_server.answer_after_accepting_then_drop()
        with pytest.raises(UnreachableError):
            refunds.send(first)
        stripe_server.refund_in_dashboard(session_of(paid), 300)
        payments.settle(again(paid))
        assert (again(first).status, again(second).status) == (
            RefundStatus.DONE,
            RefundStatus.FAILED,
        )
        assert statuses(paid) == (PaymentStatus.REFUNDED, Decimal("5.00"))
        assert owed(fine) == Decimal("5.00")

    def test_at_paypal_it_is_recorded_once_too(
        self, fine: Charge, paypal_server: ScriptedPayPal, maria: Reader
    ) -> None:
        order = in_session(fine)
        paypal_server.approve(session_of(order))
        payments.settle(order)
        refunds.send(give_back(order, "1.00", maria))
        paypal_server.refund_in_dashboard(session_of(order), "1.50")
        for _ in range(2):
            payments.settle(again(order))
        assert sorted(order.refunds.values_list("amount", flat=True)) == [
            Decimal("1.00"),
            Decimal("1.50"),
        ]
        assert statuses(order) == (PaymentStatus.PAID, Decimal("2.50"))
        assert parts(order) == {fine.pk: Decimal("5.00")}
        assert owed(fine) == Decimal("2.50")
