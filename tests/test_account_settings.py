"""The settings of accounts and of the API: what is wrong with them is said, and what they do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from config.checks import check_accounts
from tests.test_settings import STRONG, start

ROOT = Path(__file__).resolve().parent.parent
SITE = {"SECRET_KEY": STRONG, "ALLOWED_HOSTS": "library.example", "DEBUG": "false"}


def ids() -> list[str | None]:
    return [message.id for message in check_accounts()]


def test_the_settings_of_tests_are_good() -> None:
    assert ids() == []


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("JWT_ACCESS_MINUTES", 0, "config.E001"),
        ("JWT_REFRESH_DAYS", -1, "config.E001"),
        ("LOCKOUT_MINUTES", 0, "config.E001"),
        ("SIMPLE_JWT", {"SIGNING_KEY": "short"}, "config.E002"),
        ("SIMPLE_JWT", {"SIGNING_KEY": "a" * 60}, "config.E002"),
        ("TRUSTED_PROXIES", ["nonsense"], "config.E004"),
        ("TRUSTED_PROXIES", ["10.0.0.0/99"], "config.E004"),
        ("TRUSTED_PROXIES", [""], "config.E004"),
        ("TRUSTED_PROXIES", ["10.0.0.0/8", "0.0.0.0/0"], "config.E005"),
        ("TRUSTED_PROXIES", ["::/0"], "config.E005"),
        ("EMAIL_VERIFICATION", True, "config.E006"),
    ],
)
def test_what_is_wrong_is_said(name: str, value: Any, code: str, settings: Settings) -> None:
    setattr(settings, name, value)
    assert ids() == [code]


@pytest.mark.parametrize("value", [[], ["10.0.0.1"], ["10.1.2.3/8", " fd00::/8"], ["unix"]])
def test_networks_of_proxies_are_written_in_several_ways(
    value: list[str], settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = value
    assert ids() == []


def test_a_key_that_signs_other_things_too_is_refused(settings: Settings) -> None:
    settings.SIMPLE_JWT = {"SIGNING_KEY": settings.SECRET_KEY}
    assert ids() == ["config.E003"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"JWT_ACCESS_MINUTES": "soon"}, "have to be whole numbers"),
        ({"JWT_REFRESH_DAYS": "9" * 30}, "have to be whole numbers"),
        ({"LOCKOUT_MINUTES": "0"}, "LOCKOUT_MINUTES is 0"),
        ({"JWT_SIGNING_KEY": STRONG}, "JWT_SIGNING_KEY is SECRET_KEY itself"),
        ({"TRUSTED_PROXIES": "proxy.example"}, "TRUSTED_PROXIES is wrong"),
        ({"CORS_ALLOWED_ORIGINS": "catalogue.example"}, "CORS_ALLOWED_ORIGINS"),
        ({"CORS_ALLOWED_ORIGINS": "*"}, "CORS_ALLOWED_ORIGINS"),
        ({"EMAIL_VERIFICATION": "true", "EMAIL_URL": ""}, "no mail server"),
    ],
)
def test_a_site_that_is_set_up_wrongly_does_not_start(
    environment: dict[str, str], said: str
) -> None:
    started = start(**SITE, **environment)
    assert started.returncode == 1
    assert said in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.slow
def test_a_production_site_has_nothing_to_be_warned_of() -> None:
    tested = {name: value for name, value in os.environ.items() if "ASYNC" not in name}
    checked = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env={
            **tested,
            **SITE,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SITE_URL": "https://library.example",
            "SECURE_SSL_REDIRECT": "true",
            "CORS_ALLOWED_ORIGINS": "https://catalogue.example",
            "TRUSTED_PROXIES": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


class TestPagesOfOtherSites:
    """CORS: a browser shows our answers to those pages alone that the settings name."""

    ORIGIN = "https://catalogue.example"

    def ask(self, path: str, method: str = "get", origin: str = ORIGIN, **headers: str) -> Any:
        return getattr(APIClient(), method)(path, HTTP_ORIGIN=origin, **headers)

    def preflight(self, path: str, origin: str = ORIGIN) -> Any:
        wish = {
            "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST",
            "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "authorization,content-type",
        }
        return self.ask(path, "options", origin, **wish)

    def test_unless_set_none_may(self, db: None) -> None:
        for answer in (self.ask("/api/users/me"), self.preflight("/api/users/me")):
            assert not [name for name in answer.headers if name.lower().startswith("access-con")]

    def test_those_that_are_named_may(self, settings: Settings, db: None) -> None:
        settings.CORS_ALLOWED_ORIGINS = [self.ORIGIN]
        answer = self.ask("/api/users/me")
        assert answer.status_code == 401
        assert answer["Access-Control-Allow-Origin"] == self.ORIGIN
        assert "Access-Control-Allow-Credentials" not in answer
        asked = self.preflight("/api/users/token/")
        assert asked.status_code == 200
        assert "authorization" in asked["Access-Control-Allow-Headers"]
        other = self.ask("/api/users/me", origin="https://evil.example")
        assert "Access-Control-Allow-Origin" not in other

    @pytest.mark.parametrize("path", ["/admin/login/", "/account/verify/x/", "/apiary/"])
    def test_outside_the_api_none_may(self, path: str, settings: Settings, db: None) -> None:
        settings.CORS_ALLOWED_ORIGINS = [self.ORIGIN]
        assert "Access-Control-Allow-Origin" not in self.ask(path)
