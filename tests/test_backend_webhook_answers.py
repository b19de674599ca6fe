"""What a far end's answers to a webhook mean, and how much of them is read."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import time_machine
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Response

from alerts.backends import http
from alerts.backends.base import ChannelGoneError, DeliveryError, Receipt, TryLaterError
from alerts.backends.webhook import Webhook
from alerts.backends.wire import Limit
from tests.alert_servers import make_message
from tests.faulty_server import FaultyServer

BACKEND = Webhook()
SECRET = "whsec_" + "c2VjcmV0" * 4
NOW = datetime(2026, 3, 3, 6, tzinfo=UTC)


def send(server: HTTPServer, status: int = 200, **config: str) -> Receipt:
    """Send a message to a far end that answers so."""
    return send_for(server, Response("", status=status), **config)


def send_for(server: HTTPServer, response: Response, **config: str) -> Receipt:
    server.expect_request("/hook", method="POST").respond_with_response(response)
    return BACKEND.send(make_message(), server.url_for("/hook"), config)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_delivered(hook_server: HTTPServer, status: int) -> None:
    assert str(status) in send(hook_server, status).answer


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500, 502, 503])
def test_other_answers_are_tried_again(hook_server: HTTPServer, status: int) -> None:
    with pytest.raises(TryLaterError, match=f"HTTP {status}") as trouble:
        send(hook_server, status)

    assert type(trouble.value) is TryLaterError
    assert trouble.value.after is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_failures_and_not_followed(hook_server: HTTPServer, status: int) -> None:
    hook_server.expect_request("/elsewhere").respond_with_data("")
    elsewhere = {"Location": hook_server.url_for("/elsewhere")}

    with pytest.raises(TryLaterError, match=f"redirects \\(HTTP {status}\\)"):
        send_for(hook_server, Response("", status=status, headers=elsewhere))

    assert len(hook_server.log) == 1


def test_a_far_end_that_is_gone_ends_the_channel(hook_server: HTTPServer) -> None:
    with pytest.raises(ChannelGoneError, match="410"):
        send(hook_server, 410)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        (format_datetime(NOW + timedelta(minutes=10), usegmt=True), 600),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("9" * 400, 86_400),
        ("²", None),
        (format_datetime(NOW - timedelta(minutes=10), usegmt=True), None),
        ("Tue, 03 Mar 9999 06:00:00 GMT", 86_400),
        ("Tue, 03 Mar 2026 06:00:00", None),
        ("Tue, 99 Mar 2026 06:00:00 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_obeyed_for_a_day_at_most(
    hook_server: HTTPServer, status: int, header: str, seconds: int | None
) -> None:
    response = Response("", status=status)
    response.headers["Retry-After"] = header.encode().decode("latin-1")

    with time_machine.travel(NOW, tick=False), pytest.raises(TryLaterError) as trouble:
        send_for(hook_server, response)

    assert trouble.value.after == (timedelta(seconds=seconds) if seconds else None)


def test_at_most_64_kib_of_an_answer_are_read(hook_server: HTTPServer) -> None:
    hook_server.expect_request("/hook").respond_with_data(b"x" * 1_000_000)

    with Limit(5) as limit:
        answer = http.post(hook_server.url_for("/hook"), b"{}", headers={}, limit=limit)

    assert answer.is_ok
    assert answer.body == b"x" * 64 * 1024


def test_a_packed_answer_is_not_unpacked(hook_server: HTTPServer) -> None:
    packed = Response(b"not gzip at all", headers={"Content-Encoding": "gzip"})

    assert send_for(hook_server, packed)
    assert hook_server.log[-1][0].headers["Accept-Encoding"] == "identity"


def test_a_far_end_that_has_said_yes_but_does_not_finish_has_taken_the_message(
    faulty_server: FaultyServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ALERT_ALLOWED_NETWORKS = ["127.0.0.1"]
    monkeypatch.setattr("alerts.backends.webhook.SECONDS", 0.5)
    faulty_server.does("slow body")

    assert BACKEND.send(make_message(), f"http://127.0.0.1:{faulty_server.port}/", {})


@pytest.mark.parametrize("status", [200, 400, 500])
def test_what_the_far_end_repeats_is_not_repeated(
    hook_server: HTTPServer, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    echo = Response("token-of-the-channel Please bring it back", status=status)
    try:
        said = repr(send_for(hook_server, echo, token="token-of-the-channel", secret=SECRET))
    except DeliveryError as problem:
        said = repr(problem)

    for kept in ("token-of-the-channel", "bring it back", SECRET):
        assert kept not in said + caplog.text
