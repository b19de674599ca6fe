"""PayPal's webhooks, checked through PayPal, and what the system checks say of its settings."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from billing.gateways import paypal_events
from billing.gateways.base import BadSignatureError, ProviderEvent, UnreachableError
from billing.gateways.paypal import PayPal
from tests.scripted_paypal import ScriptedPayPal

VERIFY = "/v1/notifications/verify-webhook-signature"
APPROVED = {"id": "5O1", "purchase_units": [{"custom_id": "7"}]}
CAPTURE = {
    "id": "3C2",
    "custom_id": "7",
    "supplementary_data": {"related_ids": {"order_id": "5O1"}},
    "links": [
        {"rel": "self", "href": "https://api.paypal.com/v2/payments/captures/3C2"},
        {"rel": "up", "href": "https://api.paypal.com/v2/checkout/orders/5O1"},
    ],
}
REFUND = {
    "id": "1R3",
    "custom_id": "7",
    "links": [
        {"rel": "self", "href": "https://api.paypal.com/v2/payments/refunds/1R3"},
        {"rel": "up", "href": "https://api.paypal.com/v2/payments/captures/3C2"},
    ],
}

paypal = PayPal()


def test_an_event_is_checked_by_paypal_over_the_bytes_that_came(
    paypal_server: ScriptedPayPal,
) -> None:
    body, headers = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    assert json.dumps(json.loads(body)).encode() != body, "written anew, it would be another"
    event = paypal.read_event(body, headers)
    assert event.id == json.loads(body)["id"]
    [asked] = paypal_server.asked("POST", VERIFY)
    assert body in asked.raw
    assert asked.body["webhook_id"] == paypal_server.webhook_id


@pytest.mark.parametrize(
    ("kind", "resource", "expected"),
    [
        ("CHECKOUT.ORDER.APPROVED", APPROVED, {"session_id": "5O1", "reference": "7"}),
        ("CHECKOUT.ORDER.COMPLETED", {"id": "5O1"}, {"session_id": "5O1"}),
        (
            "PAYMENT.CAPTURE.COMPLETED",
            CAPTURE,
            {"session_id": "5O1", "transaction_id": "3C2", "reference": "7"},
        ),
        ("PAYMENT.CAPTURE.DENIED", {"id": "3C2"}, {"transaction_id": "3C2"}),
        ("PAYMENT.CAPTURE.REFUNDED", REFUND, {"transaction_id": "3C2"}),
        ("PAYMENT.CAPTURE.REVERSED", REFUND, {"transaction_id": "3C2"}),
        ("PAYMENT.REFUND.FAILED", REFUND, {"transaction_id": "3C2"}),
        ("CUSTOMER.DISPUTE.CREATED", {"id": "PP-D-1"}, {}),
        ("CHECKOUT.ORDER.APPROVED", {"id": 1, "purchase_units": [None]}, {}),
        ("PAYMENT.CAPTURE.COMPLETED", {"links": [0, {"rel": "up"}]}, {}),
        ("PAYMENT.CAPTURE.COMPLETED", {"links": 0, "supplementary_data": []}, {}),
    ],
)
def test_an_event_hints_at_an_order_or_a_capture(
    paypal_server: ScriptedPayPal, kind: str, resource: Any, expected: dict[str, str]
) -> None:
    body, headers = paypal_server.event(kind, resource)
    seen = paypal.read_event(body, headers)
    assert seen == ProviderEvent(id=json.loads(body)["id"], kind=kind, **expected)


def test_the_server_tells_of_its_own_captures_and_refunds(paypal_server: ScriptedPayPal) -> None:
    """Its events lead back to its orders, or the tests that use it would show nothing."""
    from tests.test_paypal_gateway import KEY, make_order  # noqa: PLC0415

    order_id = paypal.open(make_order()).id
    paypal_server.approve(order_id)
    capture_id = paypal.look_up(order_id, key=KEY).transaction_id
    capture = paypal_server.capture_of(order_id)
    seen = paypal.read_event(*paypal_server.event("PAYMENT.CAPTURE.COMPLETED", capture))
    assert (seen.session_id, seen.transaction_id) == (order_id, capture_id)
    refund = paypal_server.refund_in_dashboard(order_id, "1.00")
    seen = paypal.read_event(*paypal_server.event("PAYMENT.CAPTURE.REFUNDED", refund))
    assert seen.transaction_id == capture_id


# What is not PayPal's


def refused(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(BadSignatureError):
        paypal.read_event(body, headers)


def test_a_body_changed_by_a_byte_is_refused(paypal_server: ScriptedPayPal) -> None:
    body, headers = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    refused(body.replace(b"5O1", b"5O2"), headers)
    refused(body.replace(b" :", b" : "), headers)
    assert len(paypal_server.asked("POST", VERIFY)) == 2


def test_an_event_for_another_webhook_is_refused(
    paypal_server: ScriptedPayPal, settings: Settings
) -> None:
    body, headers = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    settings.PAYPAL_WEBHOOK_ID = "ANOTHER0WEBHOOK"
    refused(body, headers)


@pytest.mark.parametrize("name", paypal_events.HEADERS.values())
def test_without_one_of_the_headers_paypal_is_not_even_asked(
    paypal_server: ScriptedPayPal, name: str
) -> None:
    body, headers = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    refused(body, {key: value for key, value in headers.items() if key.lower() != name})
    assert not paypal_server.requests


def test_header_names_may_be_in_any_case(paypal_server: ScriptedPayPal) -> None:
    body, headers = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    paypal.read_event(body, {name.upper(): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Paypal-Cert-Url", "http://api.paypal.com/v1/notifications/certs/CERT-1"),
        ("Paypal-Cert-Url", "https://api.paypal.com.evil.example/CERT-1"),
        ("Paypal-Cert-Url", "https://evilpaypal.com/CERT-1"),
        ("Paypal-Cert-Url", "https://api.paypal.com@evil.example/CERT-1"),
        ("Paypal-Cert-Url", "https://evil@api.paypal.com/CERT-1"),
        ("Paypal-Cert-Url", "https://api.paypal.com:8443/CERT-1"),
        ("Paypal-Cert-Url", "https://[api.paypal.com/CERT-1"),
        ("Paypal-Cert-Url", "CERT-1"),
        ("Paypal-Auth-Algo", "none, really"),
        ("Paypal-Transmission-Time", "yesterday"),
        ("Paypal-Transmission-Time", "2026-03-02T09:00:00"),
    ],
)
def test_headers_that_paypal_would_not_send_are_refused_without_asking(
    paypal_server: ScriptedPayPal, name: str, value: str
) -> None:
    body, headers = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    refused(body, {**headers, name: value})
    assert not paypal_server.requests


@pytest.mark.parametrize(
    ("age", "is_believed"),
    [
        (timedelta(minutes=-6), False),
        (timedelta(minutes=-4), True),
        (timedelta(days=3), True),
        (timedelta(days=3, minutes=6), False),
    ],
)
def test_an_event_is_believed_as_long_as_paypal_repeats_it(
    paypal_server: ScriptedPayPal, age: timedelta, is_believed: bool
) -> None:
    body, _ = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    headers = paypal_server.sign(body, at=datetime.now(UTC) - age)
    if is_believed:
        assert paypal.read_event(body, headers).session_id == "5O1"
    else:
        refused(body, headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"[]",
        b"{}",
        b'{"id": "WH-1"}',
        b'{"id": 1, "event_type": "X"}',
        b'{"id": "WH-1", "event_type": "X"}, "webhook_id": "MINE"',
        b'{"id": "\xff", "event_type": "X"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_event_is_refused_without_asking(
    paypal_server: ScriptedPayPal, body: bytes
) -> None:
    refused(body, paypal_server.sign(body))
    assert not paypal_server.requests


def test_without_a_webhook_id_no_event_is_believed(
    paypal_server: ScriptedPayPal, settings: Settings
) -> None:
    assert paypal.can_check_events
    settings.PAYPAL_WEBHOOK_ID = ""
    assert not paypal.can_check_events
    refused(*paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED))
    assert not paypal_server.requests


def test_a_check_that_paypal_calls_malformed_is_a_bad_signature(
    paypal_server: ScriptedPayPal,
) -> None:
    body, headers = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    refused(body, {**headers, "Paypal-Transmission-Id": "x" * 51})


def test_an_event_that_cannot_be_checked_now_is_for_later(
    paypal_server: ScriptedPayPal, settings: Settings
) -> None:
    body, headers = paypal_server.event("CHECKOUT.ORDER.APPROVED", APPROVED)
    for status in (403, 503):
        paypal_server.fail_next(status)
        with pytest.raises(UnreachableError):
            paypal.read_event(body, headers)
    assert paypal.read_event(body, headers).session_id == "5O1"
    paypal_server.forget_tokens()
    settings.PAYPAL_CLIENT_SECRET = "another"
    with pytest.raises(UnreachableError, match="PAYPAL_CLIENT_SECRET"):
        paypal.read_event(body, headers)


# The settings

LIVE = "https://api-m.paypal.com"
SANDBOX = "https://api-m.sandbox.paypal.com"


@pytest.fixture
def configured(settings: Settings) -> Settings:
    settings.PAYPAL_CLIENT_ID = settings.PAYPAL_CLIENT_SECRET = settings.PAYPAL_WEBHOOK_ID = "X"
    settings.PAYPAL_API_BASE = LIVE
    settings.CURRENCY = "USD"
    return settings


def found(*, debug: bool = False) -> list[str | None]:
    return [message.id for message in paypal.check(debug=debug)]


@pytest.mark.usefixtures("configured")
def test_a_site_for_readers_that_is_complete_has_nothing_to_mend() -> None:
    assert paypal.missing() == []
    assert found() == []


def test_a_site_without_paypal_has_nothing_to_mend(configured: Settings) -> None:
    configured.PAYPAL_CLIENT_ID = configured.PAYPAL_CLIENT_SECRET = ""
    configured.CURRENCY = "XAF"
    assert paypal.missing() == ["PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET"]
    assert found() == found(debug=True) == []


@pytest.mark.parametrize(
    ("changes", "debug", "expected"),
    [
        ({"PAYPAL_CLIENT_SECRET": ""}, False, "billing.E011"),
        ({"PAYPAL_API_BASE": "http://api-m.paypal.com"}, False, "billing.E012"),
        ({}, True, "billing.E013"),
        ({"PAYPAL_API_BASE": SANDBOX}, False, "billing.W011"),
        ({"PAYPAL_WEBHOOK_ID": ""}, False, "billing.E014"),
        ({"CURRENCY": "KWD"}, False, "billing.E015"),
        ({"CURRENCY": "HUF"}, False, "billing.W012"),
    ],
)
def test_each_mistake_in_the_settings_is_named_with_what_to_do(
    configured: Settings, changes: dict[str, str], debug: bool, expected: str
) -> None:
    for name, value in changes.items():
        setattr(configured, name, value)
    [message] = paypal.check(debug=debug)
    assert message.id == expected
    assert message.hint


def test_the_sandbox_is_right_for_debugging(configured: Settings) -> None:
    configured.PAYPAL_API_BASE = SANDBOX
    configured.PAYPAL_WEBHOOK_ID = ""
    assert found(debug=True) == []
