"""What a provider says of a payment is written down once, and doubtful money is never just PAID."""

from decimal import Decimal

import pytest

from alerts.events import EventKind
from billing import accounts, gateways, payments, webhooks
from billing.gateways.base import UnreachableError
from billing.models import Charge, Payment, PaymentEvent, PaymentStatus
from circulation.models import Reader
from tests.factories import make_charge, pay_cash
from tests.paying import (
    again,
    in_session,
    owed,
    session_of,
    told,
    waiting,
)
from tests.scripted_paypal import ScriptedPayPal
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")

COMPLETED = "checkout.session.completed"
EXPIRED = "checkout.session.expired"
SUCCEEDED = "checkout.session.async_payment_succeeded"
FAILED = "checkout.session.async_payment_failed"


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna)


@pytest.fixture
def session(fine: Charge, stripe_server: ScriptedStripe) -> Payment:
    """A session for the fine of 5.00."""
    return in_session(fine)


def deliver(stripe: ScriptedStripe, kind: str, payment: Payment, **options: str) -> PaymentEvent:
    return webhooks.receive(
        gateways.called("STRIPE"), *stripe.event(kind, session_of(payment), **options)
    )


def status(payment: Payment) -> str:
    return again(payment).status


def is_paid_once(payment: Payment) -> bool:
    paid = again(payment)
    return (
        paid.status == PaymentStatus.PAID
        and told(EventKind.PAYMENT_COMPLETED, paid) == 1
        and told(EventKind.PAYMENT_NEEDS_REVIEW, paid) == 0
        and all(owed(allocation.charge) == 0 for allocation in paid.allocations.all())
    )


class TestPaid:
    def test_by_success_page_and_webhook_it_is_paid_once_with_one_alert(
        self, session: Payment, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.pay(session_of(session))
        payments.settle(session)
        deliver(stripe_server, COMPLETED, session)
        payments.settle(again(session))
        assert is_paid_once(session)
        paid = again(session)
        assert (paid.paid_amount, paid.paid_currency) == (Decimal("5.00"), "USD")
        assert paid.transaction_id in stripe_server.intents
        assert paid.paid_at is not None
        assert paid.history.filter(status=PaymentStatus.PAID).count() >= 1

    def test_an_event_that_comes_ten_times_is_one(
        self, session: Payment, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.pay(session_of(session))
        for _ in range(10):
            deliver(stripe_server, COMPLETED, session, event_id="evt_same")
        event = PaymentEvent.objects.get()
        assert (event.deliveries, event.payment) == (10, session)
        assert is_paid_once(session)

    def test_an_event_alone_is_no_proof(
        self, session: Payment, stripe_server: ScriptedStripe
    ) -> None:
        deliver(stripe_server, COMPLETED, session)
        assert status(session) == PaymentStatus.PENDING

    def test_several_charges_at_once(self, anna: Reader, stripe_server: ScriptedStripe) -> None:
        first, second = make_charge(anna), make_charge(anna, "3.00")
        payment = in_session(first, second)
        stripe_server.pay(session_of(payment))
        payments.settle(payment)
        assert is_paid_once(payment)
        assert accounts.balance(anna) == 0

    def test_before_our_own_note_of_the_session(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.answer_after_accepting_then_drop()
        with pytest.raises(payments.ProviderAwayError):
            in_session(fine)
        [made] = stripe_server.sessions
        stripe_server.pay(made)
        webhooks.receive(gateways.called("STRIPE"), *stripe_server.event(COMPLETED, made))
        assert is_paid_once(Payment.objects.get())

    def test_after_the_handler_failed_by_the_next_delivery(
        self, session: Payment, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.pay(session_of(session))
        stripe_server.fail_next(500)
        with pytest.raises(UnreachableError):
            deliver(stripe_server, COMPLETED, session, event_id="evt_1")
        event = PaymentEvent.objects.get()
        assert event.handled_at is None
        assert "HTTP 500" in event.outcome
        deliver(stripe_server, COMPLETED, session, event_id="evt_1")
        assert again(event).handled_at is not None
        assert again(event).outcome == "Paid"
        assert is_paid_once(session)


class TestSlowMethods:
    def test_completed_but_unpaid_is_on_its_way(
        self, session: Payment, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.pay_later(session_of(session))
        deliver(stripe_server, COMPLETED, session)
        assert status(session) == PaymentStatus.PROCESSING
        stripe_server.succeed_later(session_of(session))
        deliver(stripe_server, SUCCEEDED, session)
        assert is_paid_once(session)

    def test_money_that_does_not_come_is_failed_and_a_new_attempt_may_start(
        self, fine: Charge, session: Payment, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.pay_later(session_of(session))
        deliver(stripe_server, COMPLETED, session)
        stripe_server.fail_later(session_of(session))
        deliver(stripe_server, FAILED, session)
        assert status(session) == PaymentStatus.FAILED
        assert waiting(fine).money_to_pay == Decimal("5.00")
        assert in_session(fine) != session

    @pytest.mark.parametrize(
        "order",
        [
            (COMPLETED, SUCCEEDED, EXPIRED),
            (SUCCEEDED, COMPLETED, EXPIRED),
            (EXPIRED, SUCCEEDED, COMPLETED),
            (EXPIRED, FAILED, COMPLETED),
        ],
    )
    def test_events_in_any_order_end_the_same(
        self, session: Payment, stripe_server: ScriptedStripe, order: tuple[str, ...]
    ) -> None:
        stripe_server.pay_later(session_of(session))
        stripe_server.succeed_later(session_of(session))
        for kind in order:
            deliver(stripe_server, kind, session)
        assert is_paid_once(session)

    def test_expired_after_paid_changes_nothing(
        self, session: Payment, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.pay(session_of(session))
        deliver(stripe_server, COMPLETED, session)
        stripe_server.change(session_of(session), status="expired", payment_status="unpaid")
        deliver(stripe_server, EXPIRED, session)
        payments.settle(again(session))
        assert is_paid_once(session)


class TestPayPal:
    """An order is created, approved, and captured once; one that was given up never is."""

    @pytest.fixture
    def order(self, fine: Charge, paypal_server: ScriptedPayPal) -> Payment:
        return in_session(fine)

    def test_it_is_captured_once_however_often_it_is_settled(
        self, order: Payment, paypal_server: ScriptedPayPal
    ) -> None:
        payments.settle(order)
        assert status(order) == PaymentStatus.PENDING
        paypal_server.approve(session_of(order))
        for _ in range(3):
            payments.settle(again(order))
        assert paypal_server.captures == {order.session_id: 1}
        assert is_paid_once(order)

    def test_a_capture_that_was_not_answered_is_found(
        self, order: Payment, paypal_server: ScriptedPayPal
    ) -> None:
        paypal_server.approve(session_of(order))
        original = paypal_server.capture

        def lose_the_answer(*given: object) -> object:
            paypal_server.capture = original  # type: ignore[method-assign]
            paypal_server._drop_next = True
            return original(*given)  # type: ignore[arg-type]

        paypal_server.capture = lose_the_answer  # type: ignore[method-assign,assignment]
        with pytest.raises(UnreachableError):
            payments.settle(order)
        assert status(order) == PaymentStatus.PENDING
        payments.settle(again(order))
        assert paypal_server.captures == {order.session_id: 1}
        assert is_paid_once(order)

    def test_an_order_that_was_given_up_is_never_captured(
        self, fine: Charge, order: Payment, paypal_server: ScriptedPayPal, maria: Reader
    ) -> None:
        paypal_server.approve(session_of(order))
        pay_cash(fine, "5.00", by=maria)
        for _ in range(2):
            payments.settle(again(order))
            payments.close(again(order))
        assert status(order) == PaymentStatus.EXPIRED
        assert paypal_server.captures == {}
        assert accounts.balance(fine.reader) == 0

    def test_an_order_that_was_captured_is_not_given_up(
        self, fine: Charge, order: Payment, paypal_server: ScriptedPayPal, maria: Reader
    ) -> None:
        paypal_server.approve(session_of(order))
        payments.settle(order)
        assert payments.close(again(order)).status == PaymentStatus.PAID
        with pytest.raises(payments.PaymentRefusedError):
            pay_cash(fine, "5.00", by=maria)

    def test_a_capture_of_money_that_is_yet_to_come_is_on_its_way(
        self, fine: Charge, order: Payment, paypal_server: ScriptedPayPal
    ) -> None:
        paypal_server.approve(session_of(order))
        paypal_server.pend_capture()
        payments.settle(order)
        assert status(order) == PaymentStatus.PROCESSING
        paypal_server.complete_pending(session_of(order), "DECLINED")
        payments.settle(again(order))
        assert status(order) == PaymentStatus.FAILED
        assert waiting(fine).money_to_pay == Decimal("5.00")
