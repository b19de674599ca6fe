"""Lock-out: five failures lock an account for an address, in the admin and for tokens alike."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from axes.models import AccessAttempt
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from circulation import accounts
from circulation.models import Reader
from config.addresses import client_address
from tests.factories import make_staff

pytestmark = pytest.mark.django_db

PASSWORD = "Solaris 1961!"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HERE, ELSEWHERE = "192.0.2.7", "203.0.113.9"


@pytest.fixture
def root() -> Reader:
    """Somebody who signs in to the admin, and may have tokens too."""
    return make_staff("Root", email="root@example.org", password=PASSWORD, is_superuser=True)


def by_token(email: str, password: str = "wrong", *, address: str = HERE, **headers: str) -> Any:
    data = {"email": email, "password": password}
    return APIClient().post("/api/users/token/", data, REMOTE_ADDR=address, **headers)


def by_admin(email: str, password: str = "wrong", *, address: str = HERE, **headers: str) -> Any:
    data = {"username": email, "password": password}
    return Client().post("/admin/login/?next=/admin/", data, REMOTE_ADDR=address, **headers)


WAYS = pytest.mark.parametrize("sign_in", [by_token, by_admin])
GOOD = {by_token: 200, by_admin: 302}
BAD = {by_token: 401, by_admin: 200}


def fail(sign_in: Any, times: int = 5, email: str = "root@example.org", **where: str) -> Any:
    for _turn in range(times):
        answer = sign_in(email, **where)
    return answer


@WAYS
def test_four_failures_are_forgiven_and_the_fifth_locks(sign_in: Any, root: Reader) -> None:
    assert fail(sign_in, 4).status_code == BAD[sign_in]
    locked = fail(sign_in, 1)
    assert locked.status_code == 429
    assert 890 <= int(locked["Retry-After"]) <= 900
    assert "15 minutes" in locked.text
    assert sign_in(root.email, PASSWORD).status_code == 429


@WAYS
@pytest.mark.parametrize("other", [by_token, by_admin])
def test_what_is_locked_by_one_way_is_locked_by_the_other(
    sign_in: Any, other: Any, root: Reader
) -> None:
    fail(sign_in, 3)
    fail(other, 2)
    for way in (sign_in, other):
        assert way(root.email, PASSWORD).status_code == 429


@WAYS
@pytest.mark.parametrize("typed", ["ROOT@Example.org", " root@example.org ", "ｒoot@example.org"])
def test_an_account_is_the_same_however_it_is_typed(sign_in: Any, typed: str, root: Reader) -> None:
    fail(sign_in, 4)
    assert sign_in(typed).status_code == 429


@WAYS
def test_others_behind_the_same_address_sign_in(sign_in: Any, root: Reader) -> None:
    colleague = make_staff("Ada", password=PASSWORD)
    fail(sign_in)
    assert sign_in(colleague.email, PASSWORD).status_code == GOOD[sign_in]


@WAYS
def test_the_account_itself_is_not_locked_elsewhere(sign_in: Any, root: Reader) -> None:
    fail(sign_in)
    assert sign_in(root.email, PASSWORD, address=ELSEWHERE).status_code == GOOD[sign_in]
    assert sign_in(root.email, PASSWORD).status_code == 429


@WAYS
def test_a_success_forgets_the_failures_before(sign_in: Any, root: Reader) -> None:
    fail(sign_in, 4)
    assert sign_in(root.email, PASSWORD).status_code == GOOD[sign_in]
    assert not AccessAttempt.objects.exists()
    assert fail(sign_in, 4).status_code == BAD[sign_in]


@WAYS
@pytest.mark.parametrize(
    "header", ["HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_USER_AGENT"]
)
def test_a_forged_header_changes_nothing(sign_in: Any, header: str, root: Reader) -> None:
    for number in range(5):
        answer = sign_in(root.email, **{header: f"198.51.100.{number}"})
    assert answer.status_code == 429
    assert sign_in(root.email, PASSWORD, **{header: "198.51.100.77"}).status_code == 429


@WAYS
def test_after_a_quarter_of_an_hour_one_may_try_again(sign_in: Any, root: Reader) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        fail(sign_in)
        clock.shift(timedelta(minutes=10))
        still = sign_in(root.email, PASSWORD)
        assert (still.status_code, still["Retry-After"]) == (429, "300")
        assert "5 minutes" in still.text
        clock.shift(timedelta(minutes=5, seconds=1))
        assert sign_in(root.email, PASSWORD).status_code == GOOD[sign_in]


@WAYS
def test_an_account_that_is_unknown_is_locked_alike(sign_in: Any) -> None:
    answer = fail(sign_in, email="nobody@example.org")
    assert answer.status_code == 429
    assert int(answer["Retry-After"]) > 0


def test_the_answer_to_a_program_is_a_problem(root: Reader) -> None:
    answer = fail(by_token)
    assert answer["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert (told["status"], told["code"]) == (429, "account_locked")
    assert told["title"] == "Too Many Requests"


def test_the_page_in_the_admin_is_unfolds_and_says_what_is_so(root: Reader) -> None:
    page = fail(by_admin)
    assert "unfold/css/styles" in page.text
    assert "failed too often from here" in page.text
    assert 'href="/admin/login/"' in page.text
    assert root.email not in page.text
    assert page["Cache-Control"] == "no-store"


def test_a_new_password_by_mail_ends_the_lock(root: Reader) -> None:
    fail(by_token)
    uid, token = accounts.reset_link(root).split("/")[-3:-1]
    accounts.reset_password(uid, token, "Another 1970!")
    assert by_token(root.email, "Another 1970!").status_code == 200


@WAYS
def test_no_password_is_kept_or_logged(
    sign_in: Any, root: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="axes")
    for _failure in range(5):
        sign_in(root.email, "Typed-by-mistake-7")
        sign_in("Typed-by-mistake-7", "x")
    kept = AccessAttempt.objects.filter(username=root.email).values()
    assert "Typed-by-mistake" not in str(list(kept))
    axes = [r.getMessage() for r in caplog.records if r.name.startswith("axes")]
    assert any("login failure" in line for line in axes)
    assert "Typed-by-mistake" not in "\n".join(axes)


@WAYS
@pytest.mark.parametrize("password", ["x" * 5000, "a\0b", ""])
def test_odd_passwords_break_nothing(sign_in: Any, password: str, root: Reader) -> None:
    assert sign_in(root.email, password).status_code in (200, 400)


def test_reading_the_site_asks_the_lock_out_nothing(root: Reader) -> None:
    client = Client()
    client.force_login(root)
    with CaptureQueriesContext(connection) as asked:
        assert client.get("/admin/").status_code == 200
    assert not [query for query in asked if "axes_" in query["sql"]]


class TestAddresses:
    def address(self, remote: str, forwarded: str | None = None) -> str | None:
        request = RequestFactory().get("/", REMOTE_ADDR=remote)
        if forwarded is not None:
            request.META["HTTP_X_FORWARDED_FOR"] = forwarded
        return client_address(request)

    @pytest.mark.parametrize("forwarded", [None, "", "198.51.100.1", "198.51.100.1, 10.0.0.1"])
    def test_without_trusted_proxies_it_is_where_the_connection_comes_from(
        self, forwarded: str | None
    ) -> None:
        assert self.address("10.0.0.2", forwarded) == "10.0.0.2"

    @pytest.mark.parametrize(
        ("remote", "forwarded", "expected"),
        [
            ("10.0.0.2", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.2", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.2", "6.6.6.6, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
            ("10.0.0.2", "10.1.1.1", "10.1.1.1"),
            ("10.0.0.2", "198.51.100.1, nonsense", "10.0.0.2"),
            ("10.0.0.2", "unknown", "10.0.0.2"),
            ("10.0.0.2", "", "10.0.0.2"),
            ("10.0.0.2", None, "10.0.0.2"),
            ("10.0.0.2", "," * 5000, "10.0.0.2"),
            ("198.51.100.9", "6.6.6.6", "198.51.100.9"),
            ("::ffff:10.0.0.2", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.2", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("fd00::1", "198.51.100.1", "198.51.100.1"),
            ("2001:db8:1:2:3:4:5:6", "198.51.100.1", "2001:db8:1:2::"),
            ("", "198.51.100.1", None),
        ],
    )
    def test_a_proxys_word_is_taken_as_far_as_it_is_trusted(
        self, remote: str, forwarded: str | None, expected: str | None, settings: Settings
    ) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.0/8", "fd00::/8"]
        assert self.address(remote, forwarded) == expected

    def test_a_proxy_on_a_socket_is_named_unix(self, settings: Settings) -> None:
        settings.TRUSTED_PROXIES = ["unix"]
        assert self.address("", "6.6.6.6, 198.51.100.1") == "198.51.100.1"
        assert self.address("", "") is None

    def test_the_lock_out_counts_by_the_address_behind_the_proxy(
        self, root: Reader, settings: Settings
    ) -> None:
        settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
        proxy = {"address": "10.0.0.2"}
        fail(by_token, HTTP_X_FORWARDED_FOR=HERE, **proxy)
        assert by_token(root.email, PASSWORD, HTTP_X_FORWARDED_FOR=HERE, **proxy).status_code == 429
        other = by_token(root.email, PASSWORD, HTTP_X_FORWARDED_FOR=ELSEWHERE, **proxy)
        assert other.status_code == 200
        forged = f"{ELSEWHERE}, {HERE}"
        answer = by_token(root.email, PASSWORD, HTTP_X_FORWARDED_FOR=forged, **proxy)
        assert answer.status_code == 429
