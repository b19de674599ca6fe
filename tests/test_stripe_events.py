"""Stripe's webhooks: whose signature is believed, and what an event is about."""

import time

import pytest
from pytest_django import Settings

from billing.gateways.base import BadSignatureError, ProviderEvent
from tests.scripted_stripe import ScriptedStripe
from tests.stripe_orders import GATEWAY, ORDER


def test_an_event_of_a_session_says_which_session_money_and_payment(
    stripe_server: ScriptedStripe,
) -> None:
    session = GATEWAY.open(ORDER)
    intent = stripe_server.pay(session.id)["payment_intent"]
    body, headers = stripe_server.event("checkout.session.completed", session.id, event_id="evt_a")

    assert GATEWAY.read_event(body, headers) == ProviderEvent(
        "evt_a", "checkout.session.completed", session.id, intent, "41"
    )


def test_events_of_intents_and_refunds_say_which_money(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)
    intent = stripe_server.pay(session.id)["payment_intent"]
    made = stripe_server.refund_in_dashboard(session.id)
    charge = {"id": "ch_1", "object": "charge", "payment_intent": {"id": intent}}
    about: list[tuple[str, str | dict[str, object]]] = [
        ("payment_intent.succeeded", intent),
        ("refund.created", made["id"]),
        ("charge.refund.updated", made["id"]),
        ("charge.refunded", charge),
    ]
    for kind, subject in about:
        event = GATEWAY.read_event(*stripe_server.event(kind, subject))
        assert (event.kind, event.transaction_id, event.session_id) == (kind, intent, "")


def test_an_event_of_an_unknown_kind_has_only_its_id_and_kind(
    stripe_server: ScriptedStripe,
) -> None:
    body, headers = stripe_server.event("customer.created", {"id": "cus_1"}, event_id="evt_b")

    assert GATEWAY.read_event(body, headers) == ProviderEvent("evt_b", "customer.created")


def test_headers_are_found_in_any_case(stripe_server: ScriptedStripe) -> None:
    body, headers = stripe_server.event("customer.created", {})
    GATEWAY.read_event(body, {name.lower(): value for name, value in headers.items()})


def test_either_secret_is_good_while_they_are_being_changed(
    stripe_server: ScriptedStripe, settings: Settings
) -> None:
    settings.STRIPE_WEBHOOK_SECRET = ["whsec_new", "whsec_old"]
    for secret in settings.STRIPE_WEBHOOK_SECRET:
        GATEWAY.read_event(*stripe_server.event("customer.created", {}, secret=secret))


def test_one_good_signature_of_two_is_enough(stripe_server: ScriptedStripe) -> None:
    body, headers = stripe_server.event("customer.created", {})
    stamp, good = headers["Stripe-Signature"].split(",")

    GATEWAY.read_event(body, {"Stripe-Signature": f"{stamp},v1={'0' * 64},{good}"})


@pytest.mark.parametrize("seconds", [-299, 299])
def test_an_event_is_believed_for_five_minutes(stripe_server: ScriptedStripe, seconds: int) -> None:
    at = time.time() + seconds
    GATEWAY.read_event(*stripe_server.event("customer.created", {}, at=at))


@pytest.mark.parametrize("seconds", [-302, 302, 10**12])
def test_an_event_too_old_or_from_the_future_is_refused(
    stripe_server: ScriptedStripe, seconds: int
) -> None:
    at = time.time() + seconds
    with pytest.raises(BadSignatureError):
        GATEWAY.read_event(*stripe_server.event("customer.created", {}, at=at))


def test_a_body_changed_by_a_byte_is_refused(stripe_server: ScriptedStripe) -> None:
    body, headers = stripe_server.event("customer.created", {})
    with pytest.raises(BadSignatureError):
        GATEWAY.read_event(body.replace(b"created", b"creatad"), headers)


@pytest.mark.parametrize(
    "header",
    ["", "t=,v1=", "v1=00", "t=1", f"t={'9' * 5000},v1=00", "t=1,v1=ż", "t=1,v0=00", ",,=,=="],
)
def test_a_signature_that_is_none_is_refused(stripe_server: ScriptedStripe, header: str) -> None:
    body, _headers = stripe_server.event("customer.created", {})
    with pytest.raises(BadSignatureError):
        GATEWAY.read_event(body, {"Stripe-Signature": header})


def test_an_event_without_the_header_is_refused(stripe_server: ScriptedStripe) -> None:
    with pytest.raises(BadSignatureError):
        GATEWAY.read_event(stripe_server.event("customer.created", {})[0], {})


def test_a_body_that_is_no_text_is_refused(stripe_server: ScriptedStripe) -> None:
    _body, headers = stripe_server.event("customer.created", {})
    with pytest.raises(BadSignatureError):
        GATEWAY.read_event(b"\xff\xfe", headers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "[]",
        "7",
        "null",
        "{}",
        '{"id": "evt_1"}',
        '{"id": "", "type": "x.y", "data": {"object": {}}}',
        '{"id": 7, "type": "x.y", "data": {"object": {}}}',
        '{"id": "evt_1", "type": null, "data": {"object": {}}}',
        '{"id": "evt_1", "type": "x.y", "data": {"object": []}}',
        '{"id": "evt_1", "type": "x.y", "data": 7}',
        "[" * 100_000,
    ],
)
def test_what_is_signed_and_no_event_is_refused(stripe_server: ScriptedStripe, text: str) -> None:
    with pytest.raises(BadSignatureError, match="no event"):
        GATEWAY.read_event(text.encode(), stripe_server.signature(text))


def test_without_a_secret_no_event_is_believed(
    stripe_server: ScriptedStripe, settings: Settings
) -> None:
    assert GATEWAY.can_check_events
    settings.STRIPE_WEBHOOK_SECRET = ["", " "]

    assert not GATEWAY.can_check_events
    with pytest.raises(BadSignatureError):
        GATEWAY.read_event(*stripe_server.event("customer.created", {}, secret=""))
