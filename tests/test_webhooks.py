"""The door for providers' events: who gets in, and that whatever comes is settled once."""

import json
import time
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from django.test import Client
from pytest_django import Settings
from stripe import WebhookSignature

from alerts.models import Event
from billing import accounts, ledger, payments, refunds
from billing.models import Payment, PaymentEvent, PaymentStatus
from circulation.models import Reader
from tests.factories import make_charge
from tests.paying import in_session, session_of
from tests.scripted_paypal import ScriptedPayPal
from tests.scripted_stripe import WEBHOOK_SECRET, ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")

STRIPE = "/api/payments/webhook/stripe/"
PAYPAL = "/api/payments/webhook/paypal/"
COMPLETED = "checkout.session.completed"
SUCCEEDED = "checkout.session.async_payment_succeeded"
FAILED = "checkout.session.async_payment_failed"
EXPIRED = "checkout.session.expired"
CAPTURED = "PAYMENT.CAPTURE.COMPLETED"
APPROVED = "CHECKOUT.ORDER.APPROVED"
SIGNED = "Stripe-Signature"

Signed = tuple[bytes, dict[str, str]]


class Provider:
    """Delivers events as a provider does: over HTTP, without session, CSRF token or JWT."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.client = Client(enforce_csrf_checks=True)

    def deliver(self, signed: Signed) -> int:
        body, headers = signed
        given = {name: value for name, value in headers.items() if name != "Content-Type"}
        answer = self.client.post(self.address, body, "application/json", headers=given)
        assert answer["Content-Type"] == "application/json"
        assert not answer.cookies
        return answer.status_code


stripe = Provider(STRIPE)
paypal = Provider(PAYPAL)


@pytest.fixture
def payment(stripe_server: ScriptedStripe, anna: Reader) -> Payment:
    return in_session(make_charge(anna, "5.00"))


@pytest.fixture
def paid(stripe_server: ScriptedStripe, payment: Payment) -> Signed:
    """The event that tells of the payment's session, which the reader has paid."""
    stripe_server.pay(session_of(payment))
    return stripe_server.event(COMPLETED, session_of(payment))


def status_of(payment: Payment) -> str:
    payment.refresh_from_db()
    return payment.status


def settlements() -> int:
    return Event.objects.filter(kind="PAYMENT_COMPLETED").count()


def refused(signed: Signed) -> None:
    """Expect that an event gets no further than the door."""
    assert stripe.deliver(signed) == 400
    assert not PaymentEvent.objects.exists()
    assert not settlements()


def resigned(body: bytes, *, stamp: int | None = None, secret: str = WEBHOOK_SECRET) -> str:
    at = int(time.time()) if stamp is None else stamp
    return WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=at)


# Who gets in.


def test_a_signed_event_needs_no_sign_in_and_settles_the_payment(
    paid: Signed, payment: Payment, anna: Reader
) -> None:
    assert stripe.deliver(paid) == 200
    assert status_of(payment) == PaymentStatus.PAID
    assert accounts.debt(anna) == 0
    event = PaymentEvent.objects.get()
    assert (event.payment, event.outcome) == (payment, "Paid")
    assert event.handled_at is not None
    assert settlements() == 1


@pytest.mark.parametrize(
    "address", [STRIPE, STRIPE.removesuffix("/"), STRIPE.replace("stripe", "Stripe")]
)
def test_the_door_is_found_without_its_last_slash_and_in_capitals(
    paid: Signed, payment: Payment, address: str
) -> None:
    assert Provider(address).deliver(paid) == 200
    assert status_of(payment) == PaymentStatus.PAID


@pytest.mark.parametrize("signature", [None, "", "t=1", "v1=abc", "t=x,v1=abc", "ż", "t=1,v1="])
def test_without_a_signature_nothing_is_stored(paid: Signed, signature: str | None) -> None:
    refused((paid[0], {} if signature is None else {SIGNED: signature}))


def test_a_body_changed_by_a_byte_is_refused(paid: Signed) -> None:
    body, headers = paid
    refused((body.replace(b"500", b"501"), headers))
    refused((body + b" ", headers))


def test_an_event_signed_with_another_secret_is_refused(paid: Signed) -> None:
    refused((paid[0], {SIGNED: resigned(paid[0], secret="whsec_of_somebody_else")}))


@pytest.mark.parametrize("seconds", [-310, 310])
def test_an_event_of_another_time_is_refused(
    stripe_server: ScriptedStripe, payment: Payment, seconds: int
) -> None:
    refused(stripe_server.event(COMPLETED, session_of(payment), at=time.time() + seconds))


@pytest.mark.parametrize("seconds", [-280, 280])
def test_clocks_may_differ_by_minutes(
    stripe_server: ScriptedStripe, payment: Payment, seconds: int
) -> None:
    event = stripe_server.event(COMPLETED, session_of(payment), at=time.time() + seconds)
    assert stripe.deliver(event) == 200


def test_of_two_signatures_one_good_one_is_enough(paid: Signed, payment: Payment) -> None:
    body, headers = paid
    stamp, good = headers[SIGNED].split(",")
    _stamp, old = resigned(body, secret="whsec_before").split(",")
    assert stripe.deliver((body, {SIGNED: f"{stamp},{old},{good}"})) == 200
    assert status_of(payment) == PaymentStatus.PAID


def test_while_the_secret_is_changed_both_are_good(
    stripe_server: ScriptedStripe, payment: Payment, settings: Settings
) -> None:
    settings.STRIPE_WEBHOOK_SECRET = ["whsec_new", WEBHOOK_SECRET]
    for secret in settings.STRIPE_WEBHOOK_SECRET:
        event = stripe_server.event(COMPLETED, session_of(payment), secret=secret)
        assert stripe.deliver(event) == 200


def test_without_a_webhook_secret_nothing_is_processed(
    paid: Signed, payment: Payment, settings: Settings
) -> None:
    settings.STRIPE_WEBHOOK_SECRET = []
    assert stripe.deliver(paid) == 503
    assert status_of(payment) == PaymentStatus.PENDING
    assert not PaymentEvent.objects.exists()


def test_without_the_providers_keys_nothing_is_processed(paid: Signed, settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = ""
    assert stripe.deliver(paid) == 503
    assert paypal.deliver(paid) == 503
    assert not PaymentEvent.objects.exists()


@pytest.mark.parametrize("provider", ["cash", "unknown", "stripe2", "STRIPE_", "-"])
def test_there_is_no_door_for_others(paid: Signed, provider: str) -> None:
    assert Provider(f"/api/payments/webhook/{provider}/").deliver(paid) == 404


@pytest.mark.parametrize("address", [STRIPE, PAYPAL, "/api/payments/webhook/unknown/"])
def test_nothing_can_be_read_there(client: Client, address: str) -> None:
    for method in (client.get, client.head, client.put, client.delete, client.options):
        assert method(address).status_code == 405
        assert method(address.removesuffix("/")).status_code == 405


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"not JSON", b'{"id": "evt_1"}', b"[" * 50_000],
)
def test_what_is_no_event_is_refused_even_if_it_is_signed(
    stripe_server: ScriptedStripe, body: bytes
) -> None:
    signature = resigned(body) if body.isascii() else "t=1,v1=x"
    refused((body, {SIGNED: signature}))


def test_an_event_that_is_too_large_is_refused(
    stripe_server: ScriptedStripe, settings: Settings
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    body = json.dumps({"id": "evt_1", "type": "x" * 2000, "data": {"object": {}}}).encode()
    assert stripe.deliver((body, {SIGNED: resigned(body)})) == 413
    assert not PaymentEvent.objects.exists()


def test_an_event_that_breaks_off_is_refused(
    stripe_server: ScriptedStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_request: HttpRequest) -> bytes:
        raise UnreadablePostError

    monkeypatch.setattr(HttpRequest, "body", property(broken))
    assert stripe.deliver((b"{}", {})) == 400


# Once, whatever comes.


def test_ten_deliveries_of_an_event_settle_once(paid: Signed, payment: Payment) -> None:
    assert [stripe.deliver(paid) for _time in range(10)] == [200] * 10
    assert PaymentEvent.objects.get().deliveries == 10
    assert settlements() == 1
    assert payment.history.filter(status=PaymentStatus.PAID).count() == 1


def test_different_events_of_one_payment_settle_it_once(
    stripe_server: ScriptedStripe, paid: Signed, payment: Payment
) -> None:
    payment.refresh_from_db()
    intent = stripe_server.sessions[session_of(payment)]["payment_intent"]
    assert stripe.deliver(paid) == 200
    assert stripe.deliver(stripe_server.event("payment_intent.succeeded", intent)) == 200
    assert stripe.deliver(stripe_server.event(SUCCEEDED, session_of(payment))) == 200
    assert PaymentEvent.objects.filter(payment=payment).count() == 3
    assert settlements() == 1


def test_the_success_page_and_an_event_settle_once(
    client: Client, paid: Signed, payment: Payment
) -> None:
    client.get("/api/payments/success/", {"session_id": session_of(payment)})
    assert stripe.deliver(paid) == 200
    assert settlements() == 1
    assert PaymentEvent.objects.get().outcome == "Paid"


@pytest.mark.parametrize(
    "kinds",
    [
        (COMPLETED, EXPIRED, SUCCEEDED),
        (EXPIRED, COMPLETED, SUCCEEDED),
        (SUCCEEDED, COMPLETED, EXPIRED),
        (SUCCEEDED, FAILED, COMPLETED),
    ],
)
def test_events_in_any_order_end_with_what_the_provider_says(
    stripe_server: ScriptedStripe, paid: Signed, payment: Payment, kinds: tuple[str, ...]
) -> None:
    for kind in kinds:
        assert stripe.deliver(stripe_server.event(kind, session_of(payment))) == 200
    assert status_of(payment) == PaymentStatus.PAID
    assert settlements() == 1


def test_money_that_takes_days_is_paid_when_it_has_come(
    stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.pay_later(session_of(payment))
    stripe.deliver(stripe_server.event(COMPLETED, session_of(payment)))
    assert status_of(payment) == PaymentStatus.PROCESSING
    assert not settlements()
    stripe_server.succeed_later(session_of(payment))
    stripe.deliver(stripe_server.event(SUCCEEDED, session_of(payment)))
    assert status_of(payment) == PaymentStatus.PAID
    assert settlements() == 1


def test_money_that_does_not_come_leaves_the_debt_for_another_attempt(
    stripe_server: ScriptedStripe, payment: Payment, anna: Reader
) -> None:
    stripe_server.pay_later(session_of(payment))
    stripe_server.fail_later(session_of(payment))
    stripe.deliver(stripe_server.event(FAILED, session_of(payment)))
    assert status_of(payment) == PaymentStatus.FAILED
    assert accounts.debt(anna) == Decimal("5.00")
    assert Payment.objects.drafts().get().money_to_pay == Decimal("5.00")


def test_an_event_of_expiry_ends_an_open_session_alone(
    stripe_server: ScriptedStripe, payment: Payment
) -> None:
    event = stripe_server.event(EXPIRED, session_of(payment))
    stripe.deliver(event)
    assert status_of(payment) == PaymentStatus.PENDING, "an event is a hint, Stripe says open"
    stripe_server.expire(session_of(payment))
    stripe.deliver(stripe_server.event(EXPIRED, session_of(payment)))
    assert status_of(payment) == PaymentStatus.EXPIRED


def test_an_event_is_no_proof_that_a_session_was_paid(
    stripe_server: ScriptedStripe, payment: Payment
) -> None:
    session = stripe_server.sessions[session_of(payment)]
    told = {**session, "status": "complete", "payment_status": "paid"}
    assert stripe.deliver(stripe_server.event(COMPLETED, told)) == 200
    assert status_of(payment) == PaymentStatus.PENDING
    assert not settlements()


def test_a_refund_made_at_the_provider_is_written_down_once(
    stripe_server: ScriptedStripe, paid: Signed, payment: Payment
) -> None:
    stripe.deliver(paid)
    refund = stripe_server.refund_in_dashboard(session_of(payment), 200)
    for _time in range(3):
        assert stripe.deliver(stripe_server.event("refund.created", refund["id"])) == 200
    payment.refresh_from_db()
    assert payment.refunded_amount == Decimal("2.00")
    assert payment.refunds.count() == 1


def test_an_event_that_comes_before_our_own_note_of_the_session_settles_it(
    stripe_server: ScriptedStripe, anna: Reader
) -> None:
    """The process was killed between Stripe's answer and the commit; then the reader paid."""
    frozen = ledger.freeze(anna.pk, [make_charge(anna).pk], provider="STRIPE")
    session = payments.open_session(frozen).session_id
    Payment.objects.filter(pk=frozen.pk).update(session_id=None, session_url="")
    stripe_server.pay(session or "")
    assert stripe.deliver(stripe_server.event(COMPLETED, session or "")) == 200
    assert status_of(frozen) == PaymentStatus.PAID
    assert frozen.session_id == session
    assert len(stripe_server.sessions) == 1


# What is not ours, or unknown.


def test_an_event_of_an_unknown_kind_is_stored_and_taken(stripe_server: ScriptedStripe) -> None:
    event = stripe_server.event("invoice.finalized", {"id": "in_1", "object": "invoice"})
    assert stripe.deliver(event) == 200
    stored = PaymentEvent.objects.get()
    assert (stored.kind, stored.payment) == ("invoice.finalized", None)
    assert stored.handled_at is not None
    assert "no payment of this library" in stored.outcome


def test_a_session_that_was_not_opened_here_is_stored_and_pays_nothing(
    stripe_server: ScriptedStripe, payment: Payment
) -> None:
    """Another shop on the same account counts its orders as we do."""
    foreign = {"id": "cs_foreign", "object": "checkout.session", "payment_status": "paid"}
    for metadata in ({}, {"payment": str(payment.pk)}, {"payment": "12x"}, {"payment": "9" * 50}):
        event = stripe_server.event(COMPLETED, {**foreign, "metadata": metadata})
        assert stripe.deliver(event) == 200
    assert PaymentEvent.objects.filter(handled_at=None).count() == 0
    assert PaymentEvent.objects.exclude(payment=None).count() == 0
    assert status_of(payment) == PaymentStatus.PENDING
    assert payment.session_id != "cs_foreign"


def test_the_same_number_at_another_provider_is_another_event(
    stripe_server: ScriptedStripe, paid: Signed, payment: Payment
) -> None:
    PaymentEvent.objects.create(provider="PAYPAL", event_id=json.loads(paid[0])["id"], kind="x")
    assert stripe.deliver(paid) == 200
    assert status_of(payment) == PaymentStatus.PAID


def test_overlong_words_of_a_signed_event_are_cut(stripe_server: ScriptedStripe) -> None:
    session = {"id": "cs_" + "x" * 500, "metadata": {"payment": "7" * 500}}
    assert stripe.deliver(stripe_server.event("checkout.session." + "x" * 500, session)) == 200
    stored = PaymentEvent.objects.get()
    stored.full_clean(exclude=["payment"])


# When it cannot be handled.


def test_while_the_provider_is_away_the_event_stays_and_the_next_delivery_settles(
    stripe_server: ScriptedStripe, paid: Signed, payment: Payment
) -> None:
    stripe_server.down()
    assert stripe.deliver(paid) == 500
    event = PaymentEvent.objects.get()
    assert (event.handled_at, event.outcome) == (None, "Stripe cannot be reached.")
    assert status_of(payment) == PaymentStatus.PENDING
    stripe_server.up()
    assert stripe.deliver(paid) == 200
    event = PaymentEvent.objects.get()
    assert (event.outcome, event.deliveries) == ("Paid", 2)
    assert status_of(payment) == PaymentStatus.PAID
    assert settlements() == 1


def test_what_breaks_while_it_is_written_down_is_undone_and_done_again(
    paid: Signed, payment: Payment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_arguments: Any) -> None:
        raise IntegrityError("Failing row contains (Anna Nowak, R00001)")

    with monkeypatch.context() as patch:
        patch.setattr(refunds, "record_seen", breaks)
        assert stripe.deliver(paid) == 500
    event = PaymentEvent.objects.get()
    assert event.handled_at is None
    assert "IntegrityError" in event.outcome
    assert "Anna" not in event.outcome
    assert status_of(payment) == PaymentStatus.PENDING
    assert not settlements()
    assert stripe.deliver(paid) == 200
    assert status_of(payment) == PaymentStatus.PAID
    assert settlements() == 1


def test_a_failure_after_it_was_handled_leaves_it_handled(
    stripe_server: ScriptedStripe, paid: Signed
) -> None:
    assert stripe.deliver(paid) == 200
    stripe_server.down()
    assert stripe.deliver(paid) == 200


def test_nothing_secret_and_nothing_of_the_person_is_stored_or_logged(
    stripe_server: ScriptedStripe,
    payment: Payment,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="billing")
    person = {
        "customer_details": {"email": "payer@example.org", "name": "Payer Payerska"},
        "customer_email": "payer@example.org",
        "payment_method_details": {"card": {"last4": "4242"}},
    }
    session = {**stripe_server.pay(session_of(payment)), **person}
    event = stripe_server.event(COMPLETED, session)
    stripe_server.fail_next(500)
    assert [stripe.deliver(event) for _time in range(2)] == [500, 200]
    assert stripe.deliver((event[0] + b" ", event[1])) == 400
    assert caplog.records
    kept = json.dumps([*PaymentEvent.objects.values(), *Payment.history.values()], default=str)
    for text in (kept, caplog.text):
        for secret in (
            "payer",
            "Payer",
            "4242",
            settings.STRIPE_SECRET_KEY,
            WEBHOOK_SECRET,
            event[1][SIGNED],
        ):
            assert secret not in text


# PayPal.


@pytest.fixture
def order(paypal_server: ScriptedPayPal, anna: Reader) -> Payment:
    return in_session(make_charge(anna, "5.00"))


def test_an_approval_at_paypal_is_captured_once_by_its_event(
    paypal_server: ScriptedPayPal, order: Payment
) -> None:
    paypal_server.approve(session_of(order))
    approved = paypal_server.event(APPROVED, paypal_server.orders[session_of(order)])
    assert [paypal.deliver(approved) for _time in range(3)] == [200] * 3
    captured = paypal_server.event(CAPTURED, paypal_server.capture_of(session_of(order)))
    assert paypal.deliver(captured) == 200
    assert status_of(order) == PaymentStatus.PAID
    assert paypal_server.captures[session_of(order)] == 1
    assert PaymentEvent.objects.filter(payment=order).count() == 2
    assert settlements() == 1


def test_what_paypal_did_not_sign_is_not_stored(
    paypal_server: ScriptedPayPal, order: Payment
) -> None:
    paypal_server.approve(session_of(order))
    body, headers = paypal_server.event(APPROVED, paypal_server.orders[session_of(order)])
    assert paypal.deliver((body, {})) == 400
    assert paypal.deliver((body.replace(b"CHECKOUT", b"checkout"), headers)) == 400
    assert stripe.deliver((body, headers)) == 503
    assert not PaymentEvent.objects.exists()
    assert status_of(order) == PaymentStatus.PENDING


def test_without_paypals_webhook_id_nothing_is_processed(
    paypal_server: ScriptedPayPal, settings: Settings, order: Payment
) -> None:
    event = paypal_server.event(APPROVED, paypal_server.orders[session_of(order)])
    settings.PAYPAL_WEBHOOK_ID = ""
    assert paypal.deliver(event) == 503
    assert not PaymentEvent.objects.exists()


def test_an_event_that_paypal_cannot_check_now_is_delivered_again(
    paypal_server: ScriptedPayPal, order: Payment
) -> None:
    paypal_server.approve(session_of(order))
    event = paypal_server.event(APPROVED, paypal_server.orders[session_of(order)])
    paypal_server.fail_next(503)
    assert paypal.deliver(event) == 500
    assert not PaymentEvent.objects.exists(), "nobody has said yet that it is PayPal's"
    assert paypal.deliver(event) == 200
    assert status_of(order) == PaymentStatus.PAID
