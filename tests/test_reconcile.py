"""The reconcile job: it finishes what webhooks, workers and killed processes have left."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks

from billing import charges, gateways, ledger, payments, reconcile, refunds, tasks, webhooks
from billing.gateways.base import UnreachableError
from billing.models import (
    Charge,
    ChargeKind,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from circulation.models import Reader
from tests.factories import make_charge, pay_cash
from tests.paying import again, in_session, owed, session_of, waiting
from tests.scripted_paypal import ScriptedPayPal
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna)


def later(minutes: float = 10) -> datetime:
    return timezone.now() + timedelta(minutes=minutes)


def run(minutes: float = 10, **options: float) -> reconcile.Tally:
    return reconcile.run(at=later(minutes), **options)


def status(payment: Payment) -> str:
    return again(payment).status


class TestWithoutWebhooks:
    def test_what_was_paid_is_settled(self, fine: Charge, stripe_server: ScriptedStripe) -> None:
        payment = in_session(fine)
        stripe_server.pay(session_of(payment))
        assert run().sentence == "1 looked at, 0 could not be finished yet."
        assert status(payment) == PaymentStatus.PAID
        assert run() == reconcile.Tally()

    def test_what_expired_is_expired(self, fine: Charge, stripe_server: ScriptedStripe) -> None:
        payment = in_session(fine)
        stripe_server.expire(session_of(payment))
        run()
        assert status(payment) == PaymentStatus.EXPIRED
        assert waiting(fine).is_draft

    def test_what_was_on_its_way_has_arrived(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        payment = in_session(fine)
        stripe_server.pay_later(session_of(payment))
        run()
        assert status(payment) == PaymentStatus.PROCESSING
        stripe_server.succeed_later(session_of(payment))
        run(20)
        assert status(payment) == PaymentStatus.PAID

    def test_what_was_approved_is_captured(
        self, fine: Charge, paypal_server: ScriptedPayPal
    ) -> None:
        payment = in_session(fine)
        paypal_server.approve(session_of(payment))
        run()
        assert status(payment) == PaymentStatus.PAID
        assert paypal_server.captures == {payment.session_id: 1}

    def test_what_was_refunded_there_is_seen_within_a_day(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        payment = in_session(fine)
        stripe_server.pay(session_of(payment))
        payments.settle(payment)
        stripe_server.refund_in_dashboard(session_of(payment))
        run()
        assert status(payment) == PaymentStatus.PAID
        run(25 * 60)
        assert status(payment) == PaymentStatus.REFUNDED
        assert owed(fine) == Decimal("5.00")
        asked = len(stripe_server.calls)
        run(50 * 60)
        assert len(stripe_server.calls) == asked

    def test_what_is_younger_is_left_to_itself(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        payment = in_session(fine)
        stripe_server.pay(session_of(payment))
        assert run(1) == reconcile.Tally()
        assert status(payment) == PaymentStatus.PENDING


class TestAfterAKill:
    def test_before_the_session_was_written_down_it_is_asked_for_by_the_same_key(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        payment = ledger.freeze(fine.reader_id, [fine.pk], provider="STRIPE")
        run()
        assert again(payment).session_id in stripe_server.sessions
        assert [call.key for call in stripe_server.sent("POST", "/v1/checkout/sessions")] == [
            str(payment.key)
        ]

    def test_the_session_of_a_new_charge_is_opened(
        self, anna: Reader, stripe_server: ScriptedStripe
    ) -> None:
        fine = make_charge(anna)  # and no worker ever saw it
        run()
        assert waiting(fine).session_url
        stripe_server.expire(session_of(waiting(fine)))
        run(20)
        run(30)
        assert waiting(fine).is_draft  # once by itself, then by the pay link

    def test_a_session_that_was_given_up_is_closed(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        payment = in_session(fine)
        charges.waive(fine, Decimal("5.00"), by=maria, reason="Ill")
        run()
        assert stripe_server.sessions[session_of(payment)]["status"] == "expired"
        assert not again(payment).must_close

    def test_charges_without_a_payment_are_covered(self, anna: Reader, maria: Reader) -> None:
        bare = [
            Charge.objects.create(reader=anna, kind=ChargeKind.FINE, amount=amount)
            for amount in ("1.00", "2.00")
        ]
        settled = make_charge(anna)
        pay_cash(settled, "5.00", by=maria)
        run()
        assert [waiting(charge).money_to_pay for charge in bare] == [1, 2]

    def test_an_event_that_was_not_handled_is_handled(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        payment = in_session(fine)
        stripe_server.pay(session_of(payment))
        body, headers = stripe_server.event("checkout.session.completed", session_of(payment))
        stripe_server.fail_next(500)
        with pytest.raises(UnreachableError):
            webhooks.receive(gateways.called("STRIPE"), body, headers)
        payments.settle(payment)
        run()
        assert PaymentEvent.objects.get().outcome == "Paid"


class TestRefunds:
    @pytest.fixture
    def paid(self, fine: Charge, stripe_server: ScriptedStripe) -> Payment:
        payment = in_session(fine)
        stripe_server.pay(session_of(payment))
        return payments.settle(payment)

    def test_one_that_was_never_sent_is_sent(
        self, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = refunds.refund(paid, Decimal("2.00"), by=maria, reason="Twice")
        run()
        assert again(made).status == RefundStatus.DONE
        assert len(stripe_server.refunds) == 1

    def test_one_whose_answer_was_lost_is_found_and_not_sent_again(
        self, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = refunds.refund(paid, Decimal("2.00"), by=maria, reason="Twice")
        stripe_server.answer_after_accepting_then_drop()
        with pytest.raises(UnreachableError):
            refunds.send(made)
        # A provider keeps a key for a day or so; then the same request is a new one.
        Refund.objects.filter(pk=made.pk).update(key=uuid.uuid4())
        run(25 * 60)
        assert again(made).status == RefundStatus.DONE
        assert len(stripe_server.refunds) == 1

    def test_one_on_its_way_is_followed(
        self, paid: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.refund_status = "pending"
        made = refunds.send(refunds.refund(paid, Decimal("2.00"), by=maria, reason="Twice"))
        run()
        assert again(made).status == RefundStatus.PENDING
        assert made.provider_id
        stripe_server.finish_refund(made.provider_id, "succeeded")
        run(20)
        assert again(made).status == RefundStatus.DONE


def test_down_for_ten_minutes_and_all_is_settled_afterwards(
    anna: Reader,
    bartek: Reader,
    maria: Reader,
    stripe_server: ScriptedStripe,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    paid, other = in_session(make_charge(anna)), in_session(make_charge(bartek))
    stripe_server.pay(session_of(paid))
    stripe_server.down()
    with django_capture_on_commit_callbacks(execute=True):
        charged = make_charge(anna, "2.00")
        pay_cash(other.allocations.get().charge, "5.00", by=maria)
    tally = run()
    assert tally.done == 0
    assert (status(other), again(other).must_close) == (PaymentStatus.EXPIRED, True)
    stripe_server.up()
    run(20)
    assert status(paid) == PaymentStatus.PAID
    assert waiting(charged).session_url
    assert stripe_server.sessions[session_of(other)]["status"] == "expired"
    assert not Payment.objects.filter(must_close=True).exists()


def test_the_job_says_what_it_did(db: None) -> None:
    assert tasks.reconcile_payments() == "0 looked at, 0 could not be finished yet."


def work(name: str) -> Callable[..., str]:
    found: Callable[..., str] = getattr(tasks, name)
    return found


@pytest.mark.parametrize(
    ("name", "said"), [("open_session", "Nothing to open."), ("close_session", "Nothing to close.")]
)
def test_a_job_that_comes_too_late_does_nothing(db: None, name: str, said: str) -> None:
    assert work(name)(4711) == said
