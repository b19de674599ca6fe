"""What webhooks say: a real server listens, the library of Standard Webhooks judges."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
import time_machine
from pytest_django import Settings
from pytest_httpserver import HTTPServer
from werkzeug import Request

from alerts.backends.base import (
    ChannelGoneError,
    Receipt,
    TryLaterError,
    UndeliverableError,
)
from alerts.backends.webhook import Webhook, WebhookForm
from circulation.models import Reader
from tests.alert_servers import HOOK_NAME, make_message

BACKEND = Webhook()
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEW_SECRET = "whsec_" + base64.b64encode(bytes(range(100, 124))).decode()
NOW = datetime(2026, 3, 3, 6, tzinfo=UTC)


def send(server: HTTPServer, **config: str) -> Receipt:
    server.expect_request("/hook", method="POST").respond_with_data("")
    return BACKEND.send(make_message(), server.url_for("/hook"), config)


def last(server: HTTPServer) -> Request:
    request, _response = server.log[-1]
    return request


def test_the_body_is_that_of_the_missions_integration_document(hook_server: HTTPServer) -> None:
    receipt = send(hook_server)

    assert receipt.answer == "The far end answered HTTP 200."
    request = last(hook_server)
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == "Carrel"
    assert json.loads(request.data) == {
        "recipient_id": "12",
        "recipient_email": "anna@example.org",
        "subject": "“Solaris” is overdue",
        "message": "“Solaris” was due on March 2.\nPlease bring it back.\n",
        "notification_type": "overdue",
        "metadata": {"loan_id": "41", "book_title": "Solaris", "due_date": "2026-03-02"},
    }


def test_a_message_to_no_one_person_names_none(hook_server: HTTPServer) -> None:
    hook_server.expect_request("/hook").respond_with_data("")
    message = make_message(recipient_id=None, recipient_email="")

    BACKEND.send(message, hook_server.url_for("/hook"), {})

    body = json.loads(last(hook_server).data)
    assert (body["recipient_id"], body["recipient_email"]) == (None, "")


def test_a_signature_convinces_the_library_of_standard_webhooks(hook_server: HTTPServer) -> None:
    send(hook_server, secret=SECRET)

    request = last(hook_server)
    body = standardwebhooks.Webhook(SECRET).verify(request.data, dict(request.headers))
    assert body["subject"] == "“Solaris” is overdue"
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(NEW_SECRET).verify(request.data, dict(request.headers))
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(SECRET).verify(request.data + b" ", dict(request.headers))


def test_while_a_secret_is_changed_both_convince_the_new_one_first(hook_server: HTTPServer) -> None:
    send(hook_server, secret=NEW_SECRET, old_secret=SECRET)

    request = last(hook_server)
    for secret in (SECRET, NEW_SECRET):
        assert standardwebhooks.Webhook(secret).verify(request.data, dict(request.headers))
    first = request.headers["webhook-signature"].split()[0]
    alone = {**request.headers, "webhook-signature": first}
    assert standardwebhooks.Webhook(NEW_SECRET).verify(request.data, alone)


def test_a_retry_has_the_same_id_and_a_new_timestamp(hook_server: HTTPServer) -> None:
    with time_machine.travel(NOW, tick=False):
        send(hook_server, secret=SECRET)
    with time_machine.travel(NOW + timedelta(minutes=5), tick=False):
        send(hook_server, secret=SECRET)
        again = last(hook_server)
        standardwebhooks.Webhook(SECRET).verify(again.data, dict(again.headers))

    first = hook_server.log[0][0]
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == str(make_message().id)
    times = [int(each.headers["webhook-timestamp"]) for each in (first, again)]
    assert times == [int(NOW.timestamp()), int(NOW.timestamp()) + 300]


def test_without_a_secret_there_is_no_signature(hook_server: HTTPServer) -> None:
    send(hook_server)

    assert "webhook-signature" not in last(hook_server).headers
    assert "webhook-id" in last(hook_server).headers


@pytest.mark.parametrize(
    ("config", "environment", "sent"),
    [
        ({"token": "of-the-channel"}, "", "Bearer of-the-channel"),
        ({"token": "of-the-channel"}, "of-the-site", "Bearer of-the-channel"),
        ({"token": ""}, "of-the-site", "Bearer of-the-site"),
        ({}, "of-the-site", "Bearer of-the-site"),
        ({}, "", None),
    ],
)
def test_a_token_is_sent_as_bearer(
    hook_server: HTTPServer,
    settings: Settings,
    config: dict[str, str],
    environment: str,
    sent: str | None,
) -> None:
    settings.ALERT_WEBHOOK_URL = hook_server.url_for("/notifications")
    settings.ALERT_WEBHOOK_TOKEN = environment

    send(hook_server, **config)

    assert last(hook_server).headers.get("Authorization") == sent


def test_the_environments_token_goes_to_the_environments_far_end_alone(
    hook_server: HTTPServer, settings: Settings
) -> None:
    settings.ALERT_WEBHOOK_URL = "https://notify.example.org/notifications"
    settings.ALERT_WEBHOOK_TOKEN = "of-the-site"

    send(hook_server)

    assert "Authorization" not in last(hook_server).headers


@pytest.mark.parametrize("token", ["a b", "a\r\nX-Evil: 1", "żółw"])
def test_a_token_that_is_none_is_not_sent(hook_server: HTTPServer, token: str) -> None:
    with pytest.raises(ChannelGoneError) as refusal:
        send(hook_server, token=token)

    assert token not in str(refusal.value)
    assert not hook_server.log
    assert not WebhookForm({"url": "https://93.184.216.34/", "token": token}).is_valid()


def test_proxies_and_passwords_of_the_machine_are_not_used(
    hook_server: HTTPServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: Any
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login root password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)

    send(hook_server)

    assert "Authorization" not in last(hook_server).headers


def test_tls_is_for_the_name_and_not_for_the_address(
    tls_hook_server: HTTPServer, names: dict[str, list[list[str]]]
) -> None:
    names[HOOK_NAME] = names["other.example.org"] = [["127.0.0.1"]]
    tls_hook_server.expect_request("/hook").respond_with_data("")
    port = tls_hook_server.port

    BACKEND.send(make_message(), f"https://{HOOK_NAME}:{port}/hook", {})
    with pytest.raises(TryLaterError, match="No safe connection: CERTIFICATE_VERIFY_FAILED"):
        BACKEND.send(make_message(), f"https://other.example.org:{port}/hook", {})

    ((request, _response),) = tls_hook_server.log
    assert request.headers["Host"] == f"{HOOK_NAME}:{port}"


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(
    tls_hook_server: HTTPServer,
    names: dict[str, list[list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names[HOOK_NAME] = [["127.0.0.1"]]
    monkeypatch.delenv("SSL_CERT_FILE")

    with pytest.raises(TryLaterError, match="No safe connection"):
        BACKEND.send(make_message(), f"https://{HOOK_NAME}:{tls_hook_server.port}/hook", {})

    assert not tls_hook_server.log


def test_international_names_and_paths_are_called_as_they_are_written(
    hook_server: HTTPServer, names: dict[str, list[list[str]]]
) -> None:
    names["xn--bcher-kva.example"] = [["127.0.0.1"]]
    hook_server.expect_request("/żółw").respond_with_data("")

    BACKEND.send(make_message(), f"http://bücher.example:{hook_server.port}/żółw?q=ó", {})

    assert last(hook_server).headers["Host"] == f"xn--bcher-kva.example:{hook_server.port}"


def test_the_address_is_the_channels_or_the_environments(settings: Settings) -> None:
    settings.ALERT_WEBHOOK_URL = "https://notify.example.org/"
    reader = Reader(email="anna@example.org")

    assert BACKEND.address({"url": "https://hooks.example.org/"}, reader).startswith("https://hook")
    assert BACKEND.address({"url": ""}, None) == "https://notify.example.org/"


@pytest.mark.parametrize("name", ["secret", "old_secret"])
@pytest.mark.parametrize("secret", ["whsec_short", "whsec_" + "!" * 40, "password", "whsec_"])
def test_a_signing_secret_has_the_form_of_the_specification(
    hook_server: HTTPServer, name: str, secret: str
) -> None:
    assert list(WebhookForm({"url": "https://93.184.216.34/", name: secret}).errors) == [name]
    with pytest.raises(ChannelGoneError) as refusal:
        send(hook_server, **{name: secret})

    assert secret not in str(refusal.value) or secret == "whsec_"
    assert not hook_server.log


@pytest.mark.parametrize("length", [24, 64])
def test_signing_secrets_of_24_to_64_bytes_are_taken(length: int) -> None:
    secret = "whsec_" + base64.b64encode(b"k" * length).decode()
    assert WebhookForm({"url": "https://93.184.216.34/", "secret": secret}).is_valid()
    too_long = "whsec_" + base64.b64encode(b"k" * 65).decode()
    assert not WebhookForm({"url": "https://93.184.216.34/", "secret": too_long}).is_valid()


def test_the_form_asks_for_what_the_environment_does_not_say(settings: Settings) -> None:
    settings.ALERT_WEBHOOK_URL = ""
    assert "ALERT_WEBHOOK_URL" in str(WebhookForm({}).errors["url"])

    settings.ALERT_WEBHOOK_URL = "https://93.184.216.34/"
    assert WebhookForm({}).is_valid()

    settings.ALERT_WEBHOOK_URL = "http://127.0.0.1/"
    assert not WebhookForm({}).is_valid()


def test_without_an_address_there_is_nothing_to_call(settings: Settings) -> None:
    with pytest.raises(UndeliverableError):
        BACKEND.send(make_message(), "", {})
