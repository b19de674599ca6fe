"""Where webhooks may lead, when they are saved and when they are called."""

import socket

import pytest
from django.core.checks import run_checks
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from alerts.backends import guard
from alerts.backends.base import TryLaterError, UndeliverableError
from alerts.backends.webhook import Webhook, WebhookForm
from tests.alert_servers import HOOK_NAME, make_message

PUBLIC = ["93.184.216.34", "1.1.1.1", "2606:2800:220:1::1", "2a00:1450:4001::200e"]
NOT_PUBLIC = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.127.255.255",
    "0.0.0.0",
    "0.1.2.3",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:93.184.216.34",
    "64:ff9b::7f00:1",
    "64:ff9b::5db8:d822",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:5db8:d822::1",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:5db8:d822::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
IN_DISGUISE = [
    "http://127.0.0.1/",
    "http://127.0.0.1:6379/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[0:0:0:0:0:ffff:7f00:1]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://169.254.169.254/latest/meta-data/",
    "https://127.0.0.1。/",
    "http://①②⑦.⓪.⓪.①/",
]
MALFORMED = [
    "ftp://hooks.example.org/",
    "file:///etc/passwd",
    "gopher://hooks.example.org:70/_x",
    "javascript:alert(1)",
    "//hooks.example.org/",
    "hooks.example.org",
    "http:/hooks.example.org/",
    "http://",
    "http://:80/",
    "http://user@hooks.example.org/",
    "http://user:password@hooks.example.org/",
    "http://hooks.example.org\\@127.0.0.1/",
    "http://hooks.example.org:0/",
    "http://hooks.example.org:65536/",
    "http://hooks.example.org:port/",
    "http://[::1/",
    "http://hooks.example.org/\r\nX-Evil: 1",
    "http://hooks.example.org/\nX",
    "http://hooks.exa\tmple.org/",
    "http://hooks.example.org/a b",
    "http://hooks.example.org/\x00x",
    "http://hooks.example.org/\u2028x",
    "http://hooks\u200b.example.org/",
    "http://" + "a" * 64 + ".example.org/",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    guard.check_address(address)


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_other_addresses_may_not_be_called(address: str) -> None:
    with pytest.raises(guard.RefusedAddressError, match="ALERT_ALLOWED_NETWORKS"):
        guard.check_address(address)


@pytest.mark.parametrize(
    ("network", "address", "is_allowed"),
    [
        ("10.1.0.0/16", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3", True),
        (" 10.1.2.3/16 ", "10.1.9.9", True),
        ("10.1.0.0/16", "10.2.0.1", False),
        ("fd00::/8", "fd12::1", True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", False),
        ("::/0", "127.0.0.1", False),
    ],
)
def test_the_site_may_allow_networks(
    settings: Settings, network: str, address: str, is_allowed: bool
) -> None:
    settings.ALERT_ALLOWED_NETWORKS = ["192.0.2.0/24", network]

    if is_allowed:
        guard.check_address(address)
    else:
        with pytest.raises(guard.RefusedAddressError):
            guard.check_address(address)


@pytest.mark.parametrize("url", IN_DISGUISE)
def test_a_local_address_is_refused_when_saved_however_it_is_written(url: str) -> None:
    form = WebhookForm({"url": url})

    assert list(form.errors) == ["url"]


@pytest.mark.parametrize("url", IN_DISGUISE)
def test_a_local_address_is_refused_when_called_however_it_is_written(url: str) -> None:
    with pytest.raises(UndeliverableError, match="is refused"):
        Webhook().send(make_message(), url, {})


@pytest.mark.parametrize("url", MALFORMED)
def test_what_is_no_address_of_the_web_is_refused_when_saved_and_when_called(url: str) -> None:
    assert not WebhookForm({"url": url}).is_valid()
    with pytest.raises(UndeliverableError, match="is refused"):
        Webhook().send(make_message(), url, {})


@pytest.mark.parametrize(
    "url",
    [
        "https://93.184.216.34/",
        "http://93.184.216.34:8080/a?b=c&d=%20#e",
        "https://[2606:2800:220:1::1]:8443/",
    ],
)
def test_public_addresses_can_be_saved(url: str) -> None:
    form = WebhookForm({"url": url})

    assert form.is_valid(), form.errors
    assert form.cleaned_data["url"] == url


def test_names_are_looked_up_when_saved(names: dict[str, list[list[str]]]) -> None:
    names["hooks.example.org"] = [["93.184.216.34"]]
    names["inside.example.org"] = [["93.184.216.34", "10.0.0.1"]]
    names["xn--bcher-kva.example"] = [["10.0.0.1"]]

    assert WebhookForm({"url": "https://hooks.example.org/"}).is_valid()
    assert not WebhookForm({"url": "https://inside.example.org/"}).is_valid()
    assert "10.0.0.1" in str(WebhookForm({"url": "https://bücher.example/"}).errors)


def test_a_name_that_is_not_found_can_be_saved_and_is_tried_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def not_found(*_args: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)

    assert WebhookForm({"url": f"https://{HOOK_NAME}/"}).is_valid()
    with pytest.raises(TryLaterError, match=r"no answer \(gaierror\)"):
        Webhook().send(make_message(), f"https://{HOOK_NAME}/", {})


def test_a_name_that_changes_its_address_after_saving_is_refused_when_called(
    hook_server: HTTPServer, names: dict[str, list[list[str]]], settings: Settings
) -> None:
    settings.ALERT_ALLOWED_NETWORKS = []
    names[HOOK_NAME] = [["93.184.216.34"], ["127.0.0.1"]]
    url = f"http://{HOOK_NAME}:{hook_server.port}/hook"
    assert WebhookForm({"url": url}).is_valid()

    with pytest.raises(UndeliverableError, match=r"leads to 127\.0\.0\.1"):
        Webhook().send(make_message(), url, {})

    assert not hook_server.log


def test_what_is_called_is_the_address_that_was_checked(
    hook_server: HTTPServer, names: dict[str, list[list[str]]]
) -> None:
    names[HOOK_NAME] = [["127.0.0.1"], ["10.0.0.1"]]
    hook_server.expect_request("/hook").respond_with_data("")

    Webhook().send(make_message(), f"http://{HOOK_NAME}:{hook_server.port}/hook", {})

    assert len(hook_server.log) == 1
    assert names[HOOK_NAME] == [["10.0.0.1"]]  # the second answer was never asked for


def test_one_forbidden_address_among_others_is_refused(
    hook_server: HTTPServer, names: dict[str, list[list[str]]]
) -> None:
    names[HOOK_NAME] = [["127.0.0.1", "10.0.0.1"]]

    with pytest.raises(UndeliverableError, match=r"leads to 10\.0\.0\.1"):
        Webhook().send(make_message(), f"http://{HOOK_NAME}:{hook_server.port}/hook", {})

    assert not hook_server.log


def test_an_address_that_is_silent_leaves_time_for_the_next(
    hook_server: HTTPServer, names: dict[str, list[list[str]]]
) -> None:
    names[HOOK_NAME] = [["127.0.0.77", "127.0.0.1"]]
    hook_server.expect_request("/hook").respond_with_data("")

    Webhook().send(make_message(), f"http://{HOOK_NAME}:{hook_server.port}/hook", {})

    assert len(hook_server.log) == 1


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        ([], []),
        (["10.1.0.0/16", " fd00::/8"], []),
        (["10.1.0.7/16"], []),
        (["10.1.0.0/16", "intranet"], ["intranet"]),
        (["10.1.0.0/99"], ["10.1.0.0/99"]),
    ],
)
def test_the_system_check_says_which_network_is_none(
    networks: list[str], said: list[str], settings: Settings
) -> None:
    settings.ALERT_ALLOWED_NETWORKS = networks
    found = [error for error in run_checks() if error.id == "alerts.E001"]
    assert len(found) == len(said)
    for error, network in zip(found, said, strict=True):
        assert "ALERT_ALLOWED_NETWORKS is wrong" in error.msg
        assert network in error.msg


def test_networks_that_are_none_are_named(settings: Settings) -> None:
    settings.ALERT_ALLOWED_NETWORKS = ["intranet"]

    with pytest.raises(UndeliverableError, match=r"ALERT_ALLOWED_NETWORKS is wrong.*intranet"):
        Webhook().send(make_message(), "http://127.0.0.1/", {})
