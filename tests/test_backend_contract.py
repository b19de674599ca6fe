"""Every backend keeps the contract of `alerts.backends.base`, whatever its far end does."""

import contextlib
import logging
import time
from datetime import timedelta
from typing import Any

import pytest
from django import forms
from pytest_django import Settings

from alerts import backends
from alerts.backends import apprise, email, telegram, webhook
from alerts.backends.apprise import Apprise
from alerts.backends.base import Backend, DeliveryError, Receipt
from alerts.backends.console import Console
from alerts.backends.email import Email
from alerts.backends.telegram import Telegram
from alerts.backends.webhook import Webhook
from tests.alert_servers import BOT_TOKEN, MAIL_PASSWORD, make_message
from tests.faulty_server import FAULTS, FaultyServer

ALL = [Email(), Telegram(), Webhook(), Console(), Apprise()]
REMOTE = ["email", "telegram", "webhook", "apprise"]
SECRETS = ["hook-token-91", "whsec_" + "QUJD" * 8, BOT_TOKEN, MAIL_PASSWORD, "apprise-password"]


def by_name(value: Any) -> str | None:
    return value.name if isinstance(value, Backend) else None


@pytest.mark.parametrize("backend", ALL, ids=by_name)
def test_a_backend_has_a_name_a_label_and_a_form(backend: Backend) -> None:
    assert 0 < len(backend.name) <= 20
    assert str(backend.label)
    assert issubclass(backend.form_class, forms.Form)
    assert isinstance(backend.missing(), list)


@pytest.mark.parametrize("backend", ALL, ids=by_name)
def test_every_setting_says_what_it_is_for_and_hides_its_secret(backend: Backend) -> None:
    for name, field in backend.form_class.base_fields.items():
        assert field.label, name
        assert field.help_text, name
        is_hidden = isinstance(field.widget, forms.PasswordInput)
        assert getattr(field, "is_secret", False) == is_hidden, name


def test_programs_get_each_event_alone_and_people_one_message() -> None:
    assert [backend.name for backend in ALL if not backend.joins] == ["webhook"]


def test_apprise_is_left_out_unless_a_site_lists_it() -> None:
    assert set(backends.all_backends()) == {"email", "telegram", "webhook", "console"}


def test_a_backend_of_ones_own_is_a_line_in_the_settings(settings: Settings) -> None:
    settings.ALERT_BACKENDS = [*settings.ALERT_BACKENDS, "alerts.backends.apprise.Apprise"]

    assert ("apprise", "Apprise") in backends.choices()


def leading_to(port: int, name: str, settings: Settings) -> tuple[Backend, str, dict[str, str]]:
    settings.EMAIL_BACKEND = email.SMTP
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "library", MAIL_PASSWORD
    settings.TELEGRAM_API_BASE = f"http://127.0.0.1:{port}"
    settings.TELEGRAM_BOT_TOKEN = BOT_TOKEN
    settings.ALERT_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    where = {
        "email": (Email(), "anna@example.org", {}),
        "telegram": (Telegram(), "4711", {}),
        "webhook": (
            Webhook(),
            f"http://127.0.0.1:{port}/hook",
            {"token": SECRETS[0], "secret": SECRETS[1]},
        ),
        "apprise": (
            Apprise(),
            "apprise",
            {"url": f"json://user:apprise-password@127.0.0.1:{port}/"},
        ),
    }
    return where[name]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> float:
    """The limit that all backends are given instead of their 30 or 5 seconds."""
    seconds = 0.6
    for module in (apprise, email, telegram, webhook):
        monkeypatch.setattr(module, "SECONDS", seconds)
    return seconds


# One of Apprise's plug-ins.
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", REMOTE)
def test_whatever_a_far_end_does_a_delivery_error_or_a_receipt_comes_in_time(
    name: str,
    fault: str,
    hasty: float,
    *,
    faulty_server: FaultyServer,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    faulty_server.does(fault)
    backend, to, config = leading_to(faulty_server.port, name, settings)
    message = make_message()

    began = time.monotonic()
    try:
        outcome: Receipt | DeliveryError = backend.send(message, to, config)
    except DeliveryError as problem:
        outcome = problem
    took = time.monotonic() - began

    assert took < hasty + 2
    said = f"{outcome!r} {outcome} {caplog.text}"
    assert not [secret for secret in [*SECRETS, message.text, "bring it back"] if secret in said]
    if isinstance(outcome, DeliveryError):
        assert outcome.__suppress_context__ or outcome.__context__ is None
        assert str(outcome).endswith(".")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hangs", "slow headers", "slow body", "huge line"])
@pytest.mark.parametrize("name", ["telegram", "webhook"])
def test_a_far_end_that_does_not_finish_is_hung_up_on(
    name: str, fault: str, hasty: float, faulty_server: FaultyServer, settings: Settings
) -> None:
    faulty_server.does(fault)
    backend, to, config = leading_to(faulty_server.port, name, settings)

    with contextlib.suppress(DeliveryError):
        backend.send(make_message(), to, config)

    assert faulty_server.was_left.wait(2)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["hangs", "slow greeting", "slow reply", "endless greeting"])
def test_a_mail_server_that_does_not_finish_is_hung_up_on(
    fault: str, hasty: float, faulty_server: FaultyServer, settings: Settings
) -> None:
    faulty_server.does(fault)
    backend, to, config = leading_to(faulty_server.port, "email", settings)

    with pytest.raises(DeliveryError, match=r"did not finish within 0\.6 seconds"):
        backend.send(make_message(), to, config)

    assert faulty_server.was_left.wait(2)


def test_the_limits_are_those_of_the_case_file() -> None:
    assert (email.SECONDS, webhook.SECONDS, apprise.SECONDS, telegram.SECONDS) == (30, 30, 30, 5)


@pytest.mark.parametrize("backend", ALL, ids=by_name)
def test_paces_are_keys_that_fit_their_column_and_times(
    backend: Backend, settings: Settings
) -> None:
    settings.TELEGRAM_BOT_TOKEN, settings.TELEGRAM_CHAT_ID = BOT_TOKEN, "@" + "a" * 64

    for key, interval in backend.pace({}):
        assert 0 < len(key) <= 100
        assert BOT_TOKEN not in key
        assert interval > timedelta()
