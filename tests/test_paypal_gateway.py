"""The PayPal gateway against a PayPal of our own: case 22, amounts, time-outs, refusals."""

import copy
import logging
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from pytest_django import Settings

from billing.gateways import paypal_api
from billing.gateways.base import GatewayError, Order, RejectedError, State, UnreachableError
from billing.gateways.paypal import PayPal
from tests.paypal_account import errors_in
from tests.scripted_paypal import ScriptedPayPal

KEY = "0c7f2f5e-6c0b-4f0e-9d8e-2b1f6b1c9a01"
ORDERS = "/v2/checkout/orders"

paypal = PayPal()


def make_order(amount: str = "19.99", currency: str = "USD", **changes: str) -> Order:
    values = {
        "reference": "7",
        "key": KEY,
        "description": "Library fees",
        "success_url": "https://library.example/api/payments/success/",
        "cancel_url": "https://library.example/api/payments/cancel/",
    }
    return Order(amount=Decimal(amount), currency=currency, **{**values, **changes})


@pytest.fixture
def order_id(paypal_server: ScriptedPayPal) -> str:
    return paypal.open(make_order()).id


@pytest.fixture
def paid_id(paypal_server: ScriptedPayPal, order_id: str) -> str:
    paypal_server.approve(order_id)
    assert paypal.look_up(order_id, key=KEY).state is State.PAID
    return order_id


# Opening


def test_an_order_names_the_payment_and_neither_book_nor_reader(
    paypal_server: ScriptedPayPal,
) -> None:
    session = paypal.open(make_order())
    [request] = paypal_server.asked("POST", ORDERS)
    assert request.id == KEY
    assert request.body == {
        "intent": "CAPTURE",
        "purchase_units": [
            {
                "reference_id": "7",
                "custom_id": "7",
                "amount": {"currency_code": "USD", "value": "19.99"},
                "description": "Library fees",
            }
        ],
        "payment_source": {
            "paypal": {
                "experience_context": {
                    "return_url": "https://library.example/api/payments/success/",
                    "cancel_url": "https://library.example/api/payments/cancel/",
                    "user_action": "PAY_NOW",
                    "shipping_preference": "NO_SHIPPING",
                }
            }
        },
    }
    assert session.url == f"{paypal_server.url}/checkoutnow?token={session.id}"


def test_a_session_ends_three_hours_after_its_order_was_made(
    paypal_server: ScriptedPayPal, order_id: str
) -> None:
    paypal_server.orders[order_id]["create_time"] = "2026-03-02T09:00:00Z"
    session = paypal.open(make_order())
    assert session.id == order_id
    assert session.expires_at == datetime.fromisoformat("2026-03-02T12:00:00Z")


@pytest.mark.parametrize(
    ("amount", "currency", "value"),
    [
        ("19.99", "USD", "19.99"),
        ("1.15", "EUR", "1.15"),
        ("5", "GBP", "5.00"),
        ("0.01", "USD", "0.01"),
        ("9999999999.99", "USD", "9999999999.99"),
        ("500.00", "JPY", "500"),
        ("1200.00", "HUF", "1200"),
        ("35", "TWD", "35"),
    ],
)
def test_a_sum_is_written_with_the_decimals_that_paypal_takes(
    paypal_server: ScriptedPayPal, amount: str, currency: str, value: str
) -> None:
    session = paypal.open(make_order(amount, currency))
    unit = paypal_server.asked("POST", ORDERS)[0].body["purchase_units"][0]
    assert unit["amount"] == {"currency_code": currency, "value": value}
    assert paypal.look_up(session.id, key=KEY).amount == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency"), [("1.155", "USD"), ("0.50", "JPY"), ("1.5", "HUF")]
)
def test_a_fraction_that_the_currency_does_not_have_is_never_rounded(
    paypal_server: ScriptedPayPal, amount: str, currency: str
) -> None:
    with pytest.raises(RejectedError, match="cannot be paid online"):
        paypal.open(make_order(amount, currency))
    assert not paypal_server.requests


def test_the_smallest_sum_is_a_cent_or_one_whole_unit() -> None:
    assert paypal.smallest("USD") == Decimal("0.01")
    assert paypal.smallest("HUF") == Decimal(1)


def test_a_long_description_is_cut_at_127_bytes(paypal_server: ScriptedPayPal) -> None:
    paypal.open(make_order(description="ż" * 100))
    unit = paypal_server.asked("POST", ORDERS)[0].body["purchase_units"][0]
    assert unit["description"] == "ż" * 63


def wait_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypal_api, "TIMEOUT_SECONDS", 0.2)


@pytest.mark.parametrize("fault", ["hang", "drop"])
def test_an_order_whose_answer_was_lost_is_made_once(
    paypal_server: ScriptedPayPal, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    wait_briefly(monkeypatch)
    paypal_server.hang(5) if fault == "hang" else paypal_server.drop_after_accepting()
    with pytest.raises(UnreachableError):
        paypal.open(make_order())
    session = paypal.open(make_order())
    assert list(paypal_server.orders) == [session.id]


# Looking up and capturing


def test_an_order_is_open_until_it_is_approved_and_then_captured(
    paypal_server: ScriptedPayPal, order_id: str
) -> None:
    seen = paypal.look_up(order_id, key=KEY)
    assert (seen.state, seen.reference, seen.transaction_id) == (State.OPEN, "7", "")
    assert not paypal_server.captures

    paypal_server.approve(order_id)
    seen = paypal.look_up(order_id, key=KEY)
    assert (seen.state, seen.reference) == (State.PAID, "7")
    assert (seen.amount, seen.currency) == (Decimal("19.99"), "USD")
    assert seen.transaction_id == paypal_server.capture_of(order_id)["id"]


def test_looking_up_again_captures_nothing_more(
    paypal_server: ScriptedPayPal, paid_id: str
) -> None:
    for _ in range(3):
        assert paypal.look_up(paid_id, key=KEY).state is State.PAID
    assert paypal_server.captures == {paid_id: 1}
    [capture] = paypal_server.asked("POST", "/capture")
    assert capture.id == f"{KEY}-capture"


@pytest.mark.parametrize("fault", ["hang", "drop", "HTTP 500"])
def test_a_capture_that_fails_on_the_way_is_repeated_with_the_same_request_id(
    paypal_server: ScriptedPayPal, order_id: str, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    wait_briefly(monkeypatch)
    paypal_server.approve(order_id)
    stale = paypal_api.get(f"{ORDERS}/{order_id}")
    with monkeypatch.context() as patched:
        patched.setattr(paypal_api, "get", lambda path: stale)
        faults: dict[str, Callable[[], None]] = {
            "hang": lambda: paypal_server.hang(5),
            "drop": paypal_server.drop_after_accepting,
            "HTTP 500": lambda: paypal_server.fail_next(500),
        }
        faults[fault]()
        with pytest.raises(UnreachableError):
            paypal.look_up(order_id, key=KEY)
        assert paypal.look_up(order_id, key=KEY).state is State.PAID
    assert [each.id for each in paypal_server.asked("POST", "/capture")] == [f"{KEY}-capture"] * 2
    assert paypal_server.captures == {order_id: 1}


def test_eight_at_once_capture_once(paypal_server: ScriptedPayPal, order_id: str) -> None:
    paypal_server.approve(order_id)
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: PayPal().look_up(order_id, key=KEY), range(8)))
    assert {each.state for each in seen} == {State.PAID}
    assert paypal_server.captures == {order_id: 1}


def test_an_order_captured_by_somebody_else_in_between_is_read_again(
    paypal_server: ScriptedPayPal, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paypal_server.approve(order_id)
    answers = [paypal_api.get(f"{ORDERS}/{order_id}")]
    paypal.look_up(order_id, key="another")
    ask = paypal_api.get
    monkeypatch.setattr(paypal_api, "get", lambda path: answers.pop() if answers else ask(path))
    assert paypal.look_up(order_id, key=KEY).state is State.PAID
    assert paypal_server.captures == {order_id: 1}


def test_a_declined_card_leaves_the_order_open_for_another(
    paypal_server: ScriptedPayPal, order_id: str
) -> None:
    paypal_server.approve(order_id)
    paypal_server.decline_next_capture()
    assert paypal.look_up(order_id, key=KEY).state is State.OPEN
    paypal_server.approve(order_id)
    assert paypal.look_up(order_id, key=KEY).state is State.PAID


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("COMPLETED", State.PAID), ("DECLINED", State.FAILED), ("FAILED", State.FAILED)],
)
def test_a_pending_capture_is_on_its_way_until_it_comes_or_fails(
    paypal_server: ScriptedPayPal, order_id: str, outcome: str, state: State
) -> None:
    paypal_server.approve(order_id)
    paypal_server.pend_capture()
    assert paypal.look_up(order_id, key=KEY).state is State.PROCESSING
    paypal_server.complete_pending(order_id, outcome)
    assert paypal.look_up(order_id, key=KEY).state is state


def test_of_two_captures_the_one_with_the_money_counts(
    paypal_server: ScriptedPayPal, paid_id: str
) -> None:
    good = paypal_server.capture_of(paid_id)
    payments = paypal_server.orders[paid_id]["purchase_units"][0]["payments"]
    payments["captures"] = [{**good, "id": "9X", "status": "DECLINED"}, good]
    seen = paypal.look_up(paid_id, key=KEY)
    assert (seen.state, seen.transaction_id) == (State.PAID, good["id"])


def test_what_paypal_voided_or_forgot_is_expired(
    paypal_server: ScriptedPayPal, order_id: str
) -> None:
    paypal_server.void(order_id)
    assert paypal.look_up(order_id, key=KEY).state is State.EXPIRED
    paypal_server.forget(order_id)
    assert paypal.look_up(order_id, key=KEY).state is State.EXPIRED


def test_an_order_forgotten_before_its_capture_is_expired(
    paypal_server: ScriptedPayPal, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paypal_server.approve(order_id)
    stale = paypal_api.get(f"{ORDERS}/{order_id}")
    monkeypatch.setattr(paypal_api, "get", lambda path: stale)
    paypal_server.forget(order_id)
    assert paypal.look_up(order_id, key=KEY).state is State.EXPIRED


def test_a_session_id_reaches_no_other_part_of_the_api(paypal_server: ScriptedPayPal) -> None:
    paypal.look_up("../payments/captures/1", key=KEY)
    assert paypal_server.requests[-1].path == f"{ORDERS}/..%2Fpayments%2Fcaptures%2F1"


# Closing


def test_closing_never_captures(paypal_server: ScriptedPayPal, order_id: str) -> None:
    paypal_server.approve(order_id)
    seen = paypal.close(order_id, key=KEY)
    assert (seen.state, seen.reference) == (State.EXPIRED, "7")
    assert not paypal_server.asked("POST", "/capture")


def test_closing_an_order_nobody_approved_expires_it(order_id: str) -> None:
    assert paypal.close(order_id, key=KEY).state is State.EXPIRED


def test_closing_what_paypal_forgot_expires_it(
    paypal_server: ScriptedPayPal, order_id: str
) -> None:
    paypal_server.forget(order_id)
    assert paypal.close(order_id, key=KEY).state is State.EXPIRED


def test_closing_what_was_paid_returns_the_money(paid_id: str) -> None:
    seen = paypal.close(paid_id, key=KEY)
    assert (seen.state, seen.amount) == (State.PAID, Decimal("19.99"))


def test_closing_what_is_on_its_way_says_so(paypal_server: ScriptedPayPal, order_id: str) -> None:
    paypal_server.approve(order_id)
    paypal_server.pend_capture()
    paypal.look_up(order_id, key=KEY)
    assert paypal.close(order_id, key=KEY).state is State.PROCESSING


# Refunds


def give_back(paypal_server: ScriptedPayPal, order_id: str, amount: str, key: str = "R1") -> Any:
    capture = paypal_server.capture_of(order_id)["id"]
    return paypal.refund(capture, Decimal(amount), "USD", key=key, reference="7")


def test_a_refund_is_made_once_for_each_key(paypal_server: ScriptedPayPal, paid_id: str) -> None:
    first = give_back(paypal_server, paid_id, "5.00")
    assert (first.state, first.amount, first.reference) == (State.PAID, Decimal("5.00"), "7")
    assert give_back(paypal_server, paid_id, "5.00") == first
    assert give_back(paypal_server, paid_id, "5.00", key="R2").id != first.id
    seen = paypal.look_up(paid_id, key=KEY)
    assert seen.state is State.PAID
    assert [each.amount for each in seen.refunds] == [Decimal("5.00")] * 2


def test_a_refund_whose_answer_was_lost_is_made_once(
    paypal_server: ScriptedPayPal, paid_id: str
) -> None:
    paypal_server.drop_after_accepting()
    with pytest.raises(UnreachableError):
        give_back(paypal_server, paid_id, "19.99")
    give_back(paypal_server, paid_id, "19.99")
    assert len(paypal.look_up(paid_id, key=KEY).refunds) == 1


def test_no_more_is_given_back_than_was_paid(paypal_server: ScriptedPayPal, paid_id: str) -> None:
    with pytest.raises(RejectedError, match="REFUND_AMOUNT_EXCEEDED"):
        give_back(paypal_server, paid_id, "20.00")


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("COMPLETED", State.PAID), ("FAILED", State.FAILED), ("CANCELLED", State.FAILED)],
)
def test_a_refund_can_take_its_time_and_can_fail(
    paypal_server: ScriptedPayPal, paid_id: str, outcome: str, state: State
) -> None:
    paypal_server.pend_refund()
    assert give_back(paypal_server, paid_id, "5.00").state is State.PROCESSING
    paypal_server.complete_pending(paid_id, outcome)
    [seen] = paypal.look_up(paid_id, key=KEY).refunds
    assert (seen.state, seen.reference) == (state, "7")


def test_a_refund_from_the_dashboard_is_not_taken_for_one_of_ours(
    paypal_server: ScriptedPayPal, paid_id: str
) -> None:
    """It inherits the payment's number, which may be that of a refund of ours, too."""
    paypal_server.refund_in_dashboard(paid_id, "3.00")
    give_back(paypal_server, paid_id, "2.00")
    seen = paypal.look_up(paid_id, key=KEY).refunds
    assert [(each.amount, each.reference) for each in seen] == [
        (Decimal("3.00"), ""),
        (Decimal("2.00"), "7"),
    ]


# The token


def test_one_token_serves_many_calls(paypal_server: ScriptedPayPal, order_id: str) -> None:
    for _ in range(3):
        PayPal().look_up(order_id, key=KEY)
    assert len(paypal_server.asked("POST", "/oauth2/token")) == 1


def test_a_token_is_renewed_before_it_ends(
    paypal_server: ScriptedPayPal, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypal_api, "monotonic", lambda: monotonic() + 32400 - 59)
    paypal.look_up(order_id, key=KEY)
    assert len(paypal_server.asked("POST", "/oauth2/token")) == 2
    assert len(paypal_server.asked("GET", order_id)) == 1


def test_a_token_that_paypal_forgot_is_renewed_once(
    paypal_server: ScriptedPayPal, order_id: str
) -> None:
    paypal_server.forget_tokens()
    assert paypal.look_up(order_id, key=KEY).state is State.OPEN
    paypal_server.fail_next(401, times=2)
    with pytest.raises(RejectedError):
        paypal.look_up(order_id, key=KEY)
    assert len(paypal_server.asked("GET", order_id)) == 4


def test_wrong_credentials_are_named_and_not_shown(
    paypal_server: ScriptedPayPal, settings: Settings
) -> None:
    settings.PAYPAL_CLIENT_SECRET = "wrong-sécret"
    with pytest.raises(RejectedError, match="PAYPAL_CLIENT_SECRET") as refused:
        paypal.open(make_order())
    assert "wrong-sécret" not in str(refused.value)


def test_the_machines_netrc_does_not_replace_the_token(
    paypal_server: ScriptedPayPal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    assert paypal.open(make_order()).id in paypal_server.orders


def test_a_token_that_fits_no_header_is_not_used_and_not_quoted(
    paypal_server: ScriptedPayPal, order_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = {"access_token": "A21AA-TOKEN\nof tests", "expires_in": 32400}
    monkeypatch.setattr(paypal_server, "token", lambda request: answer)
    paypal_server.forget_tokens()
    with pytest.raises(UnreachableError) as raised:
        paypal.look_up(order_id, key=KEY)
    assert "A21AA" not in "".join(traceback.format_exception(raised.value))


# Refusals and faults


@pytest.mark.parametrize("status", [409, 429, 500, 503])
def test_an_answer_that_says_try_again_is_unreachable(
    paypal_server: ScriptedPayPal, order_id: str, status: int
) -> None:
    paypal_server.fail_next(status)
    with pytest.raises(UnreachableError, match=f"HTTP {status}"):
        paypal.look_up(order_id, key=KEY)
    assert paypal.look_up(order_id, key=KEY).state is State.OPEN


@pytest.mark.parametrize("status", [302, 400, 403, 422])
def test_any_other_answer_is_a_refusal(
    paypal_server: ScriptedPayPal, order_id: str, status: int
) -> None:
    paypal_server.fail_next(status)
    with pytest.raises(RejectedError, match=rf"SCRIPTED \(HTTP {status}"):
        paypal.look_up(order_id, key=KEY)


def test_a_refusal_gives_paypals_codes_and_none_of_its_texts(
    paypal_server: ScriptedPayPal, paid_id: str
) -> None:
    with pytest.raises(RejectedError) as refused:
        give_back(paypal_server, paid_id, "0.00")
    assert str(refused.value) == (
        "PayPal refused: CANNOT_BE_ZERO_OR_NEGATIVE, UNPROCESSABLE_ENTITY"
        " (HTTP 422, debug id f00dbabe12345)."
    )


def test_a_server_that_is_down_is_unreachable_and_nothing_is_lost(
    paypal_server: ScriptedPayPal, order_id: str
) -> None:
    paypal_server.down()
    with pytest.raises(UnreachableError, match="ConnectionError"):
        paypal.look_up(order_id, key=KEY)
    paypal_server.up()
    assert paypal.look_up(order_id, key=KEY).state is State.OPEN


@pytest.mark.parametrize("order", [[], {"status": "COMPLETED", "purchase_units": []}, {"id": 1}])
def test_an_answer_of_another_form_is_unreachable(
    paypal_server: ScriptedPayPal, order_id: str, order: Any
) -> None:
    paypal_server.orders[order_id] = order
    with pytest.raises(UnreachableError):
        paypal.look_up(order_id, key=KEY)


def test_no_secret_is_in_a_message_or_in_the_log(
    paypal_server: ScriptedPayPal,
    paid_id: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="urllib3")
    wait_briefly(monkeypatch)
    said: list[str] = []
    faults: list[Callable[[], None]] = [
        lambda: paypal_server.fail_next(500),
        lambda: paypal_server.fail_next(401, times=2),
        lambda: paypal_server.fail_next(403),
        lambda: paypal_server.hang(5),
        paypal_server.drop_after_accepting,
        paypal_server.down,
    ]
    for fault in faults:
        fault()
        with pytest.raises(GatewayError) as raised:
            paypal.look_up(paid_id, key=KEY)
        said += traceback.format_exception(raised.value)
    everything = "".join(said) + caplog.text
    assert paypal_server.url.removeprefix("http://127.0.0.1:") in caplog.text, "the log was read"
    assert paypal_server.client_secret not in everything
    assert "A21AA-TOKEN" not in everything


# The server's own ways


def corrupt(body: Any, path: str, value: object) -> Any:
    changed = copy.deepcopy(body)
    *steps, last = (int(step) if step.isdigit() else step for step in path.split("."))
    inner = changed
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("intent", "SALE"),
        ("purchase_units.0.amount.value", 19.99),
        ("purchase_units.0.amount.value", "-1"),
        ("purchase_units.0.amount.currency_code", "usd"),
        ("purchase_units.0.custom_id", ""),
        ("purchase_units.0.description", "x" * 128),
        ("purchase_units.0.title", "A book"),
        ("payment_source.paypal.experience_context.return_url", "/success/"),
    ],
)
def test_a_body_that_is_not_as_paypal_describes_it_is_noticed(
    paypal_server: ScriptedPayPal, order_id: str, path: str, value: object
) -> None:
    good = paypal_server.asked("POST", ORDERS)[0].body
    assert errors_in("create_order", good) == []
    assert errors_in("create_order", corrupt(good, path, value))
