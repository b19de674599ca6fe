"""What the Stripe gateway says when Stripe is down, refuses or is set up wrongly; no secrets."""

import logging
import traceback

import pytest
from pytest_django import Settings

from billing.gateways.base import RejectedError, UnreachableError
from tests.scripted_stripe import SECRET_KEY, ScriptedStripe
from tests.stripe_orders import GATEWAY, ORDER, look_up


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "idempotency_key_in_use"),
        (429, "rate_limit"),
        (429, "lock_timeout"),
        (500, ""),
        (503, ""),
    ],
)
def test_what_may_work_later_is_unreachable(
    stripe_server: ScriptedStripe, status: int, code: str
) -> None:
    stripe_server.fail_next(status, code=code)
    with pytest.raises(UnreachableError, match=str(status)):
        GATEWAY.open(ORDER)

    assert len(stripe_server.calls) == 1
    assert GATEWAY.open(ORDER).id in stripe_server.sessions


def test_a_server_that_is_down_is_unreachable_and_back_later(stripe_server: ScriptedStripe) -> None:
    stripe_server.down()
    with pytest.raises(UnreachableError, match="cannot be reached"):
        GATEWAY.open(ORDER)

    stripe_server.up()
    assert GATEWAY.open(ORDER).id in stripe_server.sessions


def test_an_answer_that_is_no_session_is_unreachable(stripe_server: ScriptedStripe) -> None:
    session = GATEWAY.open(ORDER)
    del stripe_server.sessions[session.id]["amount_total"]

    with pytest.raises(UnreachableError, match="amount_total"):
        look_up(session.id)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404])
def test_what_stripe_refuses_for_good_is_rejected(
    stripe_server: ScriptedStripe, status: int
) -> None:
    stripe_server.fail_next(status)
    with pytest.raises(RejectedError):
        GATEWAY.open(ORDER)


def test_without_a_key_nothing_is_sent(stripe_server: ScriptedStripe, settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = ""

    assert GATEWAY.missing() == ["STRIPE_SECRET_KEY"]
    with pytest.raises(RejectedError, match="STRIPE_SECRET_KEY"):
        GATEWAY.open(ORDER)
    assert not stripe_server.calls


@pytest.mark.parametrize("status", [400, 401, 403])
def test_nothing_of_a_key_is_in_messages_tracebacks_or_logs(
    stripe_server: ScriptedStripe, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    stripe_server.fail_next(status, message="Wrong: sk_test_********WXYZ, and whsec_WXYZ too")

    with pytest.raises(RejectedError) as caught:
        GATEWAY.open(ORDER)

    told = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert "WXYZ" not in told
    assert SECRET_KEY not in told


def test_a_key_that_stripe_does_not_accept_is_named_by_its_setting(
    stripe_server: ScriptedStripe, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.STRIPE_SECRET_KEY = "sk_test_of_somebody_else_WXYZ"

    with pytest.raises(RejectedError, match="STRIPE_SECRET_KEY") as caught:
        GATEWAY.open(ORDER)

    assert "WXYZ" not in "".join(traceback.format_exception(caught.value)) + caplog.text


def test_the_library_keeps_no_number_of_this_machine(stripe_server: ScriptedStripe) -> None:
    GATEWAY.open(ORDER)
    GATEWAY.open(ORDER)

    for call in stripe_server.calls:
        assert "telemetry" not in str(call.headers).lower()


@pytest.mark.parametrize(
    ("changes", "debug", "ids"),
    [
        ({}, False, []),
        ({"STRIPE_SECRET_KEY": "rk_live_x"}, False, []),
        ({"STRIPE_SECRET_KEY": ""}, False, []),
        ({}, True, ["billing.E002"]),
        ({"STRIPE_SECRET_KEY": "rk_live_x"}, True, ["billing.E002"]),
        ({"STRIPE_SECRET_KEY": "sk_test_x"}, True, []),
        ({"STRIPE_SECRET_KEY": "sk_test_x"}, False, ["billing.W001"]),
        ({"STRIPE_SECRET_KEY": "pk_live_x"}, False, ["billing.E001"]),
        ({"STRIPE_WEBHOOK_SECRET": []}, False, ["billing.E003"]),
        ({"STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRET": []}, True, []),
        ({"STRIPE_API_BASE": "http://stripe.test"}, False, ["billing.E004"]),
    ],
)
def test_dangerous_settings_are_named_with_what_to_do(
    settings: Settings, changes: dict[str, object], debug: bool, ids: list[str]
) -> None:
    settings.STRIPE_SECRET_KEY = "sk_live_x"
    settings.STRIPE_WEBHOOK_SECRET = ["whsec_x"]
    settings.STRIPE_API_BASE = "https://api.stripe.com"
    for name, value in changes.items():
        setattr(settings, name, value)

    messages = GATEWAY.check(debug=debug)

    assert [message.id for message in messages] == ids
    assert all(message.hint for message in messages)
