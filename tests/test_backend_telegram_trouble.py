"""What Telegram's refusals mean, and that nothing of them tells a secret."""

import logging
from datetime import timedelta
from typing import Any

import pytest
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from alerts.backends.base import (
    BusyError,
    ChannelGoneError,
    DeliveryError,
    Receipt,
    TryLaterError,
    UndeliverableError,
)
from alerts.backends.telegram import Telegram
from tests.alert_servers import BOT_PATH, BOT_TOKEN, make_message
from tests.faulty_server import FaultyServer
from tests.telegram_answers import answers, refused, taken


def send() -> Receipt:
    return Telegram().send(make_message(), "4711", {})


def test_a_busy_telegram_says_how_long_to_wait(telegram_server: HTTPServer) -> None:
    answers(telegram_server, refused(429, "Too Many Requests: retry after 34", retry_after=34))

    with pytest.raises(BusyError) as busy:
        send()

    assert busy.value.after == timedelta(seconds=34)


@pytest.mark.parametrize(
    ("parameters", "after"),
    [
        ({}, None),
        ({"retry_after": -5}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": 10**30}, timedelta(days=1)),
    ],
)
def test_a_wait_that_is_none_is_left_to_the_schedule(
    telegram_server: HTTPServer, parameters: Any, after: timedelta | None
) -> None:
    answers(telegram_server, refused(429, "Too Many Requests", **parameters))

    with pytest.raises(BusyError) as busy:
        send()

    assert busy.value.after == after


@pytest.mark.parametrize(
    ("code", "description", "error"),
    [
        (403, "Forbidden: bot was blocked by the user", ChannelGoneError),
        (403, "Forbidden: bot was kicked from the supergroup chat", ChannelGoneError),
        (400, "Bad Request: chat not found", ChannelGoneError),
        (401, "Unauthorized", ChannelGoneError),
        (404, "Not Found", ChannelGoneError),
        (400, "Bad Request: message text is empty", UndeliverableError),
        (400, "Bad Request: message is too long", UndeliverableError),
        (500, "Internal Server Error", TryLaterError),
        (502, "Bad Gateway", TryLaterError),
        (409, "Conflict", TryLaterError),
    ],
)
def test_refusals_are_told_apart(
    telegram_server: HTTPServer, code: int, description: str, error: type[Exception]
) -> None:
    answers(telegram_server, refused(code, description))

    with pytest.raises(error) as refusal:
        send()

    assert type(refusal.value) is error
    if code in {400, 403}:
        assert description in str(refusal.value)


@pytest.mark.parametrize(
    "description",
    [
        "Bad Request: “Solaris” is overdue is not a text",
        "Bad Request: Please bring it back.",
        f"Bad Request: no bot {BOT_TOKEN}",
        'Bad Request: "quoted"',
        "Bad Request: <b>",
        "x" * 500,
    ],
)
def test_an_answer_that_quotes_the_message_or_the_token_is_not_repeated(
    telegram_server: HTTPServer, description: str
) -> None:
    answers(telegram_server, refused(400, description))

    with pytest.raises(UndeliverableError) as refusal:
        send()

    assert str(refusal.value) == "Telegram refuses the message (HTTP 400)."


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>Sign in to this network</html>"),
        (200, "[]"),
        (200, '{"ok": false}'),
        (302, ""),
        (503, "busy"),
    ],
)
def test_what_is_not_an_answer_of_the_bot_api_is_tried_again(
    telegram_server: HTTPServer, status: int, body: str
) -> None:
    elsewhere = {"Location": telegram_server.url_for("/elsewhere")}
    response = Response(body, status=status, headers=elsewhere if status == 302 else {})
    telegram_server.expect_request(BOT_PATH).respond_with_response(response)

    with pytest.raises(TryLaterError) as trouble:
        send()

    assert type(trouble.value) is TryLaterError
    assert len(telegram_server.log) == 1


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, but for the test's own server."""
    caplog.set_level(logging.CRITICAL, "werkzeug")
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.parametrize("code", [200, 302, 400, 401, 403, 429, 500])
def test_neither_token_nor_text_is_in_a_log_an_error_or_a_receipt(
    telegram_server: HTTPServer, logged: pytest.LogCaptureFixture, code: int
) -> None:
    answers(telegram_server, taken("Please bring it back") if code == 200 else refused(code, "No"))

    try:
        said = repr(send())
    except DeliveryError as problem:
        said = f"{problem!r} {problem.__context__!r}"

    assert said
    assert not tells_a_secret(said + logged.text)


def test_a_broken_header_of_the_far_end_gets_no_token_into_the_log(
    telegram_server: HTTPServer,
    faulty_server: FaultyServer,
    settings: Settings,
    logged: pytest.LogCaptureFixture,
) -> None:
    faulty_server.does("broken header")
    settings.TELEGRAM_API_BASE = f"http://127.0.0.1:{faulty_server.port}"

    with pytest.raises(TryLaterError) as trouble:
        send()

    assert not tells_a_secret(f"{trouble.value!r} {logged.text}")


def tells_a_secret(text: str) -> bool:
    return BOT_TOKEN.partition(":")[2] in text or "bring it back" in text
