"""Apprise, the optional extra, by the library itself and a real server."""

import json
import sys

import pytest
from pytest_httpserver import HTTPServer

from alerts.backends import apprise
from alerts.backends.apprise import Apprise, AppriseForm
from alerts.backends.base import ChannelGoneError, TryLaterError
from tests.alert_servers import make_message

# One of Apprise's plug-ins.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
BACKEND = Apprise()


def config(server: HTTPServer) -> dict[str, str]:
    return {"url": f"json://user:apprise-password@127.0.0.1:{server.port}/notify"}


def test_a_service_of_apprise_gets_the_subject_and_the_text(http_server: HTTPServer) -> None:
    http_server.clear()
    http_server.expect_request("/notify").respond_with_data("")

    assert BACKEND.send(make_message(), "apprise", config(http_server)).answer

    ((request, _response),) = http_server.log
    body = json.loads(request.data)
    assert body["title"] == make_message().subject
    assert body["message"].strip() == make_message().text.strip()


def test_a_service_that_says_no_is_tried_again_and_quoted_nowhere(
    http_server: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    http_server.clear()
    http_server.expect_request("/notify").respond_with_data("apprise-password", status=500)

    with pytest.raises(TryLaterError) as trouble:
        BACKEND.send(make_message(), "apprise", config(http_server))

    assert "apprise-password" not in str(trouble.value) + caplog.text
    assert "bring it back" not in caplog.text


@pytest.mark.parametrize("url", ["nonsense://topic", "no url", "json://"])
def test_what_is_no_url_of_apprise_is_refused(url: str) -> None:
    assert not AppriseForm({"url": url}).is_valid()
    with pytest.raises(ChannelGoneError) as gone:
        BACKEND.send(make_message(), "apprise", {"url": url})
    assert url not in str(gone.value)


def test_a_url_of_apprise_is_taken_and_is_a_secret() -> None:
    assert AppriseForm({"url": "ntfy://topic"}).is_valid()
    assert BACKEND.address({"url": "ntfy://topic"}, None) == "apprise"
    assert BACKEND.address({}, None) == ""


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apprise, "PACKAGE", "apprise_that_nobody_installed")

    assert BACKEND.missing() == ["the package apprise"]
    with pytest.raises(ChannelGoneError, match="package"):
        BACKEND.send(make_message(), "apprise", {"url": "ntfy://topic"})


def test_the_package_is_not_loaded_before_it_is_used() -> None:
    assert "apprise" not in {name.partition(".")[0] for name in _loaded_by("alerts.backends")}


def _loaded_by(module: str) -> set[str]:
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if "apprise" in name}
    try:
        __import__(module)
        return set(sys.modules)
    finally:
        sys.modules.update(before)
