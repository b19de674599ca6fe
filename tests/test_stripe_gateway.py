"""The Stripe gateway, by Stripe's own library, against a scripted server on loopback."""

import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.gateways import stripe
from billing.gateways.base import RejectedError, State, UnreachableError
from tests.emulators import ROOT
from tests.scripted_stripe import ScriptedStripe
from tests.stripe_orders import GATEWAY, ORDER, SESSIONS, close, look_up, refund


def test_a_session_asks_for_the_amount_and_names_the_payment(stripe_server: ScriptedStripe) -> None:
    before = datetime.now(UTC)
    session = GATEWAY.open(ORDER)

    (call,) = stripe_server.sent("POST", SESSIONS)
    assert call.params == {
        "mode": "payment",
        "line_items": {
            "0": {
                "quantity": "1",
                "price_data": {
                    "currency": "usd",
                    "unit_amount": "1999",
                    "product_data": {"name": "Fine, loan 7"},
                },
            }
        },
        "client_reference_id": "41",
        "metadata": {"payment": "41"},
        "payment_intent_data": {"metadata": {"payment": "41"}},
        "success_url": ("http://testserver/api/payments/success/?session_id={CHECKOUT_SESSION_ID}"),
        "cancel_url": "http://testserver/api/payments/cancel/",
    }
    assert call.key == ORDER.key
    assert session.url == stripe_server.sessions[session.id]["url"]
    assert session.expires_at
    lasts = session.expires_at - before
    assert abs(lasts - timedelta(days=1)) < timedelta(minutes=1)


def test_a_success_address_that_has_a_query_gets_the_session_added(
    stripe_server: ScriptedStripe,
) -> None:
    GATEWAY.open(replace(ORDER, success_url="http://testserver/done/?lang=pl"))

    (call,) = stripe_server.sent("POST", SESSIONS)
    assert call.params["success_url"] == (
        "http://testserver/done/?lang=pl&session_id={CHECKOUT_SESSION_ID}"
    )


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("19.99", "USD", "1999"),
        ("1.15", "USD", "115"),
        ("500", "JPY", "500"),
        ("500.00", "JPY", "500"),
        ("1.15", "KWD", "1150"),
        ("500", "ISK", "50000"),
        ("500", "UGX", "50000"),
        ("500", "MGA", "500"),
        ("500", "HUF", "50000"),
        ("500", "TWD", "50000"),
    ],
)
def test_amounts_are_sent_in_the_units_that_stripe_counts(
    stripe_server: ScriptedStripe, amount: str, currency: str, minor: str
) -> None:
    session = GATEWAY.open(replace(ORDER, amount=Decimal(amount), currency=currency))

    (call,) = stripe_server.sent("POST", SESSIONS)
    assert call.params["line_items"]["0"]["price_data"]["unit_amount"] == minor
    seen = look_up(session.id)
    assert (seen.amount, seen.currency) == (Decimal(amount), currency)


@pytest.mark.parametrize("currency", ["JPY", "ISK", "UGX"])
def test_fractions_of_a_currency_without_any_are_refused_before_stripe_is_asked(
    stripe_server: ScriptedStripe, currency: str
) -> None:
    with pytest.raises(RejectedError, match="cannot be paid online"):
        GATEWAY.open(replace(ORDER, amount=Decimal("500.50"), currency=currency))

    assert not stripe_server.calls


@pytest.mark.parametrize(
    ("currency", "smallest"),
    [("USD", "0.50"), ("GBP", "0.30"), ("HUF", "175"), ("JPY", "50"), ("ILS", "0.50")],
)
def test_the_smallest_amount_is_the_one_that_stripe_publishes(currency: str, smallest: str) -> None:
    assert GATEWAY.smallest(currency) == Decimal(smallest)


def test_an_amount_under_stripes_minimum_is_rejected_in_stripes_words(
    stripe_server: ScriptedStripe,
) -> None:
    with pytest.raises(RejectedError, match=r"must add up to at least \$0.50.*req_"):
        GATEWAY.open(replace(ORDER, amount=Decimal("0.49")))


def test_asking_twice_with_the_same_key_makes_one_session(stripe_server: ScriptedStripe) -> None:
    assert GATEWAY.open(ORDER) == GATEWAY.open(ORDER)
    assert len(stripe_server.sessions) == 1


def test_a_key_cannot_be_used_for_another_amount(stripe_server: ScriptedStripe) -> None:
    GATEWAY.open(ORDER)
    with pytest.raises(RejectedError, match="same parameters"):
        GATEWAY.open(replace(ORDER, amount=Decimal("20.00")))


def test_a_session_made_just_before_the_connection_broke_is_the_one_a_retry_gets(
    stripe_server: ScriptedStripe,
) -> None:
    stripe_server.answer_after_accepting_then_drop()
    with pytest.raises(UnreachableError):
        GATEWAY.open(ORDER)

    session = GATEWAY.open(ORDER)

    assert list(stripe_server.sessions) == [session.id]
    assert len(stripe_server.sent("POST", SESSIONS)) == 2


def test_a_session_made_before_the_time_ran_out_is_the_one_a_retry_gets(
    stripe_server: ScriptedStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stripe, "TIMEOUT_SECONDS", 0.3)
    stripe_server.hang(20)
    with pytest.raises(UnreachableError):
        GATEWAY.open(ORDER)

    assert list(stripe_server.sessions) == [GATEWAY.open(ORDER).id]


def test_a_process_started_later_gets_the_same_session_for_the_key(
    stripe_server: ScriptedStripe,
) -> None:
    stripe_server.answer_after_accepting_then_drop()
    with pytest.raises(UnreachableError):
        GATEWAY.open(ORDER)

    code = (
        "import django; django.setup();"
        "from tests.stripe_orders import GATEWAY, ORDER; print(GATEWAY.open(ORDER).id)"
    )
    environment = {**os.environ, **stripe_server.environment()}
    environment |= {"DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(
        command, env=environment, cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert list(stripe_server.sessions) == [printed.stdout.strip()]


def test_an_open_session_is_open(stripe_server: ScriptedStripe) -> None:
    seen = look_up(GATEWAY.open(ORDER).id)

    assert (seen.state, seen.reference) == (State.OPEN, "41")
    assert (seen.amount, seen.currency) == (Decimal("19.99"), "USD")
    assert (seen.transaction_id, list(seen.refunds)) == ("", [])


def test_a_paid_session_is_paid_and_names_the_money(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)
    intent = stripe_server.pay(session.id)["payment_intent"]

    seen = look_up(session.id)

    assert (seen.state, seen.transaction_id) == (State.PAID, intent)
    assert stripe_server.intents[intent]["metadata"] == {"payment": "41"}


def test_what_was_paid_is_told_even_where_it_is_not_what_was_asked_for(
    stripe_server: ScriptedStripe,
) -> None:
    session = GATEWAY.open(ORDER)
    stripe_server.pay(session.id)
    stripe_server.change(session.id, amount_total=5, currency="eur", metadata={})

    seen = look_up(session.id)

    assert (seen.amount, seen.currency, seen.reference) == (Decimal("0.05"), "EUR", "")


def test_a_slow_method_is_processing_until_the_money_comes(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)
    stripe_server.pay_later(session.id)
    assert look_up(session.id).state is State.PROCESSING

    stripe_server.succeed_later(session.id)
    assert look_up(session.id).state is State.PAID


def test_a_slow_method_fails_where_the_money_does_not_come(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)
    stripe_server.pay_later(session.id)
    stripe_server.fail_later(session.id)

    assert look_up(session.id).state is State.FAILED


def test_an_expired_session_is_expired(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)
    stripe_server.expire(session.id)

    assert look_up(session.id).state is State.EXPIRED


def test_a_session_that_stripe_does_not_know_is_rejected(stripe_server: ScriptedStripe) -> None:
    with pytest.raises(RejectedError, match="No such checkout"):
        look_up("cs_test_unknown")


def test_closing_an_open_session_expires_it(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)

    assert close(session.id).state is State.EXPIRED
    assert stripe_server.sessions[session.id]["status"] == "expired"


def test_closing_a_paid_session_returns_that_it_is_paid(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)
    stripe_server.pay(session.id)

    assert close(session.id).state is State.PAID


def test_a_session_that_stripe_will_not_close_is_not_taken_for_closed(
    stripe_server: ScriptedStripe,
) -> None:
    session = GATEWAY.open(ORDER)
    stripe_server.fail_next(400, message="Not this one.")

    with pytest.raises(RejectedError, match="Not this one"):
        close(session.id)


def test_refunds_are_made_in_part_and_in_full(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)
    intent = stripe_server.pay(session.id)["payment_intent"]

    first = refund(intent, "5.00")
    assert (first.amount, first.state, first.reference) == (Decimal("5.00"), State.PAID, "3")
    refund(intent, "14.99", key="r2")

    assert [seen.amount for seen in look_up(session.id).refunds] == [
        Decimal("14.99"),
        Decimal("5.00"),
    ]


def test_a_refund_asked_for_twice_with_one_key_is_made_once(stripe_server: ScriptedStripe) -> None:
    intent = stripe_server.pay(GATEWAY.open(ORDER).id)["payment_intent"]
    stripe_server.answer_after_accepting_then_drop()
    with pytest.raises(UnreachableError):
        refund(intent, "5.00")

    assert [refund(intent, "5.00").id] == list(stripe_server.refunds)


def test_more_than_was_paid_is_not_refunded(stripe_server: ScriptedStripe) -> None:
    intent = stripe_server.pay(GATEWAY.open(ORDER).id)["payment_intent"]
    refund(intent, "15.00")

    with pytest.raises(RejectedError, match="greater than what is left"):
        refund(intent, "5.00", key="r2")


def test_a_refund_made_in_the_dashboard_is_seen_without_a_reference(
    stripe_server: ScriptedStripe,
) -> None:
    session = GATEWAY.open(ORDER)
    stripe_server.pay(session.id)
    stripe_server.refund_in_dashboard(session.id, 500)

    (seen,) = look_up(session.id).refunds
    assert (seen.amount, seen.reference) == (Decimal("5.00"), "")


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("succeeded", State.PAID),
        ("pending", State.PROCESSING),
        ("requires_action", State.PROCESSING),
        ("failed", State.FAILED),
        ("canceled", State.FAILED),
    ],
)
def test_a_refund_stands_as_stripe_says(
    stripe_server: ScriptedStripe, status: str, state: State
) -> None:
    session = GATEWAY.open(ORDER)
    intent = stripe_server.pay(session.id)["payment_intent"]
    stripe_server.refund_status = "pending"
    made = refund(intent, "5.00")
    assert made.state is State.PROCESSING

    stripe_server.finish_refund(made.id, status)

    assert [seen.state for seen in look_up(session.id).refunds] == [state]
