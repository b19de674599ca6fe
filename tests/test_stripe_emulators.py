"""The Stripe gateway against Stripes that others wrote: `emulate` for Checkout, localstripe."""

import re
from decimal import Decimal

import pytest
import requests
import stripe
from django.conf import settings

from billing.gateways.base import BadSignatureError, RejectedError, State
from tests import emulators
from tests.emulators import checkout
from tests.emulators.checkout import EmulatedStripe
from tests.stripe_orders import GATEWAY, ORDER, close, look_up, refund

pytestmark = pytest.mark.emulator


def test_a_session_is_opened_paid_on_the_emulators_page_and_seen_as_paid(
    emulated_stripe: EmulatedStripe,
) -> None:
    session = GATEWAY.open(ORDER)
    seen = look_up(session.id)
    assert (seen.state, seen.reference, seen.amount) == (State.OPEN, "41", Decimal("19.99"))

    page = requests.get(session.url, timeout=20).text
    assert "Fine, loan 7" in page
    assert "19.99" in page
    where = emulated_stripe.pay(session.id)

    assert where == f"{ORDER.success_url}?session_id={session.id}"
    seen = look_up(session.id)
    assert (seen.state, seen.reference, seen.currency) == (State.PAID, "41", "USD")
    assert re.fullmatch(r"pi_\S+", seen.transaction_id)


def test_an_open_session_is_closed_at_the_emulator(emulated_stripe: EmulatedStripe) -> None:
    session = GATEWAY.open(ORDER)

    assert close(session.id).state is State.EXPIRED
    assert "expired" in requests.get(session.url, timeout=20).text


def test_what_the_emulator_will_not_close_any_more_is_seen_as_it_is(
    emulated_stripe: EmulatedStripe,
) -> None:
    session = GATEWAY.open(ORDER)
    emulated_stripe.pay(session.id)

    assert close(session.id).state is State.PAID


def test_a_session_that_the_emulator_does_not_know_is_rejected(
    emulated_stripe: EmulatedStripe,
) -> None:
    with pytest.raises(RejectedError, match="No such checkout session"):
        look_up("cs_unknown")


def test_the_emulators_events_are_signed_as_stripes_are(emulated_stripe: EmulatedStripe) -> None:
    session = GATEWAY.open(ORDER)
    emulated_stripe.pay(session.id)
    delivery = emulated_stripe.delivered("checkout.session.completed")

    signature = delivery.raw_headers["Stripe-Signature"]
    assert stripe.WebhookSignature.verify_header(
        delivery.raw, signature, checkout.WEBHOOK_SECRET, tolerance=300
    )
    # It has no id, and would be taken for a repetition of every other one without.
    with pytest.raises(BadSignatureError, match="no event"):
        GATEWAY.read_event(delivery.raw, delivery.raw_headers)

    event = GATEWAY.read_event(delivery.body, delivery.headers)
    assert (event.kind, event.reference) == ("checkout.session.completed", "41")
    assert (event.session_id, event.transaction_id) == (
        session.id,
        look_up(session.id).transaction_id,
    )


def test_the_emulator_tells_of_a_session_that_expired(emulated_stripe: EmulatedStripe) -> None:
    session = GATEWAY.open(ORDER)
    close(session.id)
    delivery = emulated_stripe.delivered("checkout.session.expired")

    assert GATEWAY.read_event(delivery.body, delivery.headers).session_id == session.id


@pytest.fixture
def client(localstripe: str) -> stripe.StripeClient:
    return stripe.StripeClient(settings.STRIPE_SECRET_KEY, base_addresses={"api": localstripe})


def pay(client: stripe.StripeClient, card: str = "4242424242424242") -> str:
    """Pay 19.99 by card without Checkout; return the PaymentIntent's id."""
    kept = {"number": card, "exp_month": 12, "exp_year": 2040, "cvc": "123"}
    method = client.v1.payment_methods.create({"type": "card", "card": kept})
    asked = {"amount": 1999, "currency": "usd", "payment_method": method.id, "confirm": True}
    return client.v1.payment_intents.create(asked).id


def test_localstripe_refunds_in_part_and_in_full(client: stripe.StripeClient) -> None:
    intent = pay(client)

    first = refund(intent, "5.00")
    rest = refund(intent, "14.99", key="r2")

    assert (first.amount, first.state, first.reference) == (Decimal("5.00"), State.PAID, "3")
    kept = client.v1.refunds.list({"payment_intent": intent})
    assert {(each.id, each.amount) for each in kept.data} == {(first.id, 500), (rest.id, 1499)}
    charge = client.v1.payment_intents.retrieve(intent, {"expand": ["latest_charge"]}).latest_charge
    assert isinstance(charge, stripe.Charge)
    assert (charge.amount_refunded, charge.refunded) == (1999, True)


def test_localstripe_refuses_to_refund_what_it_does_not_know(client: stripe.StripeClient) -> None:
    with pytest.raises(RejectedError):
        refund("pi_unknown", "5.00")


def test_localstripe_refuses_to_refund_what_was_never_paid(client: stripe.StripeClient) -> None:
    asked = {"amount": 1999, "currency": "usd"}
    intent = client.v1.payment_intents.create(asked).id

    with pytest.raises(RejectedError, match="Cannot refund a failed payment"):
        refund(intent, "5.00")


def test_installing_the_emulators_again_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulators, "node", lambda: pytest.fail("npm was started"))

    emulators.install()


def test_the_lock_names_no_host_to_download_from() -> None:
    assert "resolved" not in emulators.LOCK.read_text()
