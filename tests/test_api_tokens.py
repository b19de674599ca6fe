"""Tokens of the API: who gets them, for how long they are good, and what ends them."""

import base64
import json
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
import time_machine
from django.conf import settings
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from circulation import accounts, deletion, tasks
from circulation.models import Reader
from tests import race
from tests.api import client_for, wrong_fields
from tests.factories import lend, make_copy, make_reader

pytestmark = pytest.mark.django_db

PASSWORD = "Solaris 1961!"
OBTAIN, REFRESH, VERIFY = (f"/api/users/token{end}" for end in ("/", "/refresh/", "/verify/"))
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def zofia() -> Reader:
    return make_reader("Zofia", email="zofia@example.org", password=PASSWORD)


def post(url: str, **data: Any) -> Any:
    return APIClient().post(url, data)


def pair(email: str = "zofia@example.org", password: str = PASSWORD) -> dict[str, str]:
    answer = post(OBTAIN, email=email, password=password)
    assert answer.status_code == 200, answer.content
    tokens: dict[str, str] = answer.json()
    return tokens


def me(access: str) -> Any:
    return APIClient().get("/api/users/me", HTTP_AUTHORIZATION=f"Bearer {access}")


def claims(**changes: Any) -> dict[str, Any]:
    """What an access token says, with changes; None leaves a claim out."""
    reader = Reader.objects.get(email="zofia@example.org")
    said = {**AccessToken.for_user(reader).payload, **changes}
    return {name: value for name, value in said.items() if value is not None}


def signed(key: str = settings.SIMPLE_JWT["SIGNING_KEY"], **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm="HS256")


def unsigned() -> str:
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in ({"alg": "none", "typ": "JWT"}, claims())
    )
    return f"{head}.{body}."


@pytest.mark.parametrize("name", ["email", "username"])
@pytest.mark.parametrize("typed", ["zofia@example.org", " ZOFIA@Example.ORG "])
def test_email_and_password_are_worth_a_pair_of_tokens(
    name: str, typed: str, zofia: Reader
) -> None:
    answer = post(OBTAIN, **{name: typed, "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.json().keys() == {"access", "refresh"}
    assert me(answer.json()["access"]).json()["id"] == zofia.pk
    zofia.refresh_from_db()
    assert zofia.last_login is not None
    assert zofia.history.count() == 1


def test_the_same_name_twice_is_no_contradiction_and_two_are(zofia: Reader) -> None:
    same = post(OBTAIN, email=zofia.email, username=zofia.email, password=PASSWORD)
    assert same.status_code == 200
    other = post(OBTAIN, email=zofia.email, username="x@example.org", password=PASSWORD)
    assert wrong_fields(other) == {"username"}


@pytest.mark.parametrize(
    ("data", "fields"),
    [
        ({}, {"password"}),
        ({"password": "x"}, {"email"}),
        ({"email": "", "password": "x"}, {"email"}),
        ({"email": "   ", "password": "x"}, {"email"}),
        ({"email": None, "password": "x"}, {"email"}),
        ({"email": ["zofia@example.org"], "password": "x"}, {"email"}),
        ({"email": {"a": 1}, "password": "x"}, {"email"}),
        ({"email": True, "password": "x"}, {"email"}),
        ({"email": "a\0b@example.org", "password": "x"}, {"email"}),
        ({"email": "e" * 255, "password": "x"}, {"email"}),
        ({"email": "zofia@example.org", "password": ""}, {"password"}),
        ({"email": "zofia@example.org", "password": "a\0b"}, {"password"}),
        ({"email": "zofia@example.org", "password": "x" * 4097}, {"password"}),
        ({"email": "zofia@example.org", "password": 7.5e300}, set()),
        ([], {""}),
        ([1, 2], {""}),
        ("text", {""}),
        (None, {""}),
    ],
)
def test_input_that_is_none_is_refused_by_field(data: Any, fields: set[str]) -> None:
    answer = APIClient().post(OBTAIN, json.dumps(data), content_type="application/json")
    if fields:
        assert wrong_fields(answer) >= fields
    else:
        assert answer.status_code == 401


@pytest.mark.parametrize(
    "body", ["", "{", "\xff", '{"email": NaN}', "[" * 2000, '{"email": "a\\ud800@x.org"}']
)
def test_a_body_that_is_not_json_is_refused(body: str) -> None:
    for url in (OBTAIN, REFRESH, VERIFY):
        answer = APIClient().post(url, body.encode("latin-1"), content_type="application/json")
        assert answer.status_code == 400, url


def test_an_unknown_email_and_a_wrong_password_are_answered_alike(zofia: Reader) -> None:
    inactive = make_reader("Adam", password=PASSWORD, is_active=False)
    without = make_reader("Ewa")
    answers = [
        post(OBTAIN, email="nobody@example.org", password=PASSWORD),
        post(OBTAIN, email=zofia.email, password="wrong"),
        post(OBTAIN, email=inactive.email, password=PASSWORD),
        post(OBTAIN, email=without.email, password=PASSWORD),
        post(OBTAIN, username="no address", password=PASSWORD),
    ]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert {answer["WWW-Authenticate"] for answer in answers} == {"Bearer"}
    assert {answer["Content-Type"] for answer in answers} == {"application/problem+json"}


def test_every_path_does_the_work_of_a_hash(zofia: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an unknown address costs no hash, its answer comes sooner and tells."""
    hashed: list[str] = []
    encode = MD5PasswordHasher.encode
    monkeypatch.setattr(
        MD5PasswordHasher,
        "encode",
        lambda self, password, salt: hashed.append(password) or encode(self, password, salt),
    )
    counts = []
    for email in ("zofia@example.org", "nobody@example.org"):
        hashed.clear()
        post(OBTAIN, email=email, password="wrong")
        counts.append(len(hashed))
    assert counts == [1, 1]


def test_a_stale_token_in_the_header_does_not_keep_one_from_signing_in(zofia: Reader) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Bearer of.an.old")
    assert client.post(OBTAIN, {"email": zofia.email, "password": PASSWORD}).status_code == 200


@pytest.mark.parametrize("url", [OBTAIN, REFRESH, VERIFY])
def test_every_address_answers_with_and_without_its_slash_and_to_post_alone(url: str) -> None:
    client = APIClient()
    for path in (url, url.rstrip("/")):
        assert client.post(path, {}).status_code == 400
        for method in ("get", "put", "patch", "delete"):
            assert getattr(client, method)(path).status_code == 405


class TestWhatIsNoGoodToken:
    @pytest.fixture(autouse=True)
    def reader(self, zofia: Reader) -> None:
        pass

    def refused(self, access: str) -> None:
        answer = me(access)
        assert answer.status_code == 401, access
        assert answer["WWW-Authenticate"].startswith("Bearer")
        assert answer.json()["status"] == 401
        assert post(VERIFY, token=access).status_code == 401

    def test_one_that_nobody_signed(self) -> None:
        self.refused(unsigned())
        self.refused(unsigned() + "x")

    @pytest.mark.parametrize("key", [settings.SECRET_KEY, "x" * 50])
    def test_one_that_another_key_signed(self, key: str) -> None:
        self.refused(signed(key))

    def test_one_of_another_algorithm(self) -> None:
        key = settings.SIMPLE_JWT["SIGNING_KEY"]
        self.refused(jwt.encode(claims(), key, algorithm="HS512"))

    def test_one_that_has_expired(self) -> None:
        self.refused(signed(exp=int(datetime.now(UTC).timestamp()) - 1))

    def test_a_refresh_token(self) -> None:
        assert me(pair()["refresh"]).status_code == 401

    @pytest.mark.parametrize(
        "changes",
        [
            {"exp": None},
            {"jti": None},
            {"token_type": None},
            {"user_id": None},
            {"user_id": "0"},
            {"user_id": str(2**70)},
            {"hash_password": None},
            {"hash_password": "x"},
        ],
    )
    def test_one_that_leaves_something_out_or_says_it_otherwise(
        self, changes: dict[str, Any]
    ) -> None:
        assert me(signed(**changes)).status_code == 401

    @pytest.mark.parametrize("text", ["x", "a.b.c", "e30.e30.", "....", "é.é.é", "carrel_x", "'"])
    def test_one_that_is_nonsense(self, text: str) -> None:
        self.refused(text)

    @pytest.mark.parametrize("header", ["Bearer", "Bearer a b", "Basic eDp5", "Token x", "x"])
    def test_a_header_of_another_kind(self, header: str) -> None:
        answer = APIClient().get("/api/users/me", HTTP_AUTHORIZATION=header)
        assert answer.status_code == 401


def test_an_access_token_lives_a_quarter_of_an_hour_and_a_refresh_token_a_week(
    zofia: Reader,
) -> None:
    with time_machine.travel(NOON, tick=False):
        tokens = pair()
    with time_machine.travel(NOON + timedelta(minutes=14, seconds=59), tick=False):
        assert me(tokens["access"]).status_code == 200
    with time_machine.travel(NOON + timedelta(minutes=15), tick=False):
        assert me(tokens["access"]).status_code == 401
    with time_machine.travel(NOON + timedelta(days=7), tick=False):
        assert post(REFRESH, refresh=tokens["refresh"]).status_code == 401
    with time_machine.travel(NOON + timedelta(days=7, seconds=-1), tick=False):
        assert post(REFRESH, refresh=tokens["refresh"]).status_code == 200


def test_a_refresh_token_is_good_once_and_what_it_brought_goes_on(zofia: Reader) -> None:
    first = pair()
    second = post(REFRESH, refresh=first["refresh"])
    assert second.status_code == 200
    assert me(second.json()["access"]).status_code == 200
    again = post(REFRESH, refresh=first["refresh"])
    assert again.status_code == 401
    assert again.json()["code"] == "token_not_valid"
    assert post(VERIFY, token=first["refresh"]).status_code == 401
    assert post(REFRESH, refresh=second.json()["refresh"]).status_code == 200


def test_an_access_token_is_no_refresh_token(zofia: Reader) -> None:
    assert post(REFRESH, refresh=pair()["access"]).status_code == 401


def test_a_refresh_token_of_which_no_row_is_left_is_good_once_too(zofia: Reader) -> None:
    token = pair()["refresh"]
    OutstandingToken.objects.all().delete()
    assert [post(REFRESH, refresh=token).status_code for _turn in range(2)] == [200, 401]


def test_verifying_tells_of_what_type_a_good_token_is(zofia: Reader) -> None:
    for kind, token in pair().items():
        answer = post(VERIFY, token=token)
        assert (answer.status_code, answer.json()) == (200, {"token_type": kind})


@pytest.mark.parametrize("end", ["password", "reset", "deactivated", "deleted"])
def test_tokens_die_with_the_password_and_with_the_account(end: str, zofia: Reader) -> None:
    tokens = pair()
    zofia.refresh_from_db()
    if end == "password":
        accounts.change_password(zofia, "Another 1970!")
    elif end == "reset":
        uid, token = accounts.reset_link(zofia).split("/")[-3:-1]
        accounts.reset_password(uid, token, "Another 1970!")
    elif end == "deactivated":
        Reader.objects.filter(pk=zofia.pk).update(is_active=False)
    else:
        deletion.delete_reader(zofia)
    assert me(tokens["access"]).status_code == 401
    assert post(REFRESH, refresh=tokens["refresh"]).status_code == 401
    assert post(VERIFY, token=tokens["access"]).status_code == 401
    assert post(VERIFY, token=tokens["refresh"]).status_code == 401
    assert not BlacklistedToken.objects.exists()


def test_the_key_is_not_the_sites_secret_key_and_follows_it() -> None:
    assert settings.SIMPLE_JWT["SIGNING_KEY"] != settings.SECRET_KEY
    assert settings.SECRET_KEY not in settings.SIMPLE_JWT["SIGNING_KEY"]
    assert len(settings.SIMPLE_JWT["SIGNING_KEY"]) == 64


def test_who_calls_is_looked_up_in_one_query(zofia: Reader) -> None:
    client = client_for(zofia)
    lend(zofia, make_copy())
    with CaptureQueriesContext(connection) as asked:
        client.get("/api/users/me/books")
    assert len(asked) == 2  # who calls, and the page
    assert not [query for query in asked if "axes" in query["sql"]]


def test_signing_in_costs_few_queries(zofia: Reader) -> None:
    pair()
    with CaptureQueriesContext(connection) as asked:
        pair()
    assert len([q for q in asked if "carrel_cache" not in q["sql"]]) <= 9


def test_tokens_too_old_to_be_used_are_forgotten_at_night(zofia: Reader) -> None:
    with time_machine.travel(NOON, tick=False):
        old = pair()
        post(REFRESH, refresh=old["refresh"])
    with time_machine.travel(NOON + timedelta(days=8), tick=False):
        fresh = pair()
        assert tasks.forget_tokens() == "2 tokens forgotten."
        assert OutstandingToken.objects.count() == 1
        assert not BlacklistedToken.objects.exists()
        assert post(REFRESH, refresh=fresh["refresh"]).status_code == 200


def test_no_log_holds_a_password_or_a_token(
    zofia: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("axes").setLevel(logging.DEBUG)
    try:
        tokens = pair()
        for _failure in range(6):
            post(OBTAIN, email=zofia.email, password="Typed-by-mistake-7")
        post(REFRESH, refresh=tokens["refresh"])
    finally:
        logging.getLogger("axes").setLevel(logging.WARNING)
    written = "\n".join(
        record.getMessage() for record in caplog.records if record.name != "django.db.backends"
    )
    assert "Typed-by-mistake" not in written
    assert PASSWORD not in written
    assert tokens["refresh"] not in written
    assert zofia.email not in written


def test_tokens_come_often_from_one_address_but_not_for_ever(
    zofia: Reader, settings: Settings
) -> None:
    answers = Counter(post(VERIFY, token="x").status_code for _call in range(125))
    assert answers == {401: 120, 429: 5}
    limited = post(VERIFY, token="x")
    assert 1 <= int(limited["Retry-After"]) <= 60
    assert limited.json()["status"] == 429
    elsewhere = APIClient().post(VERIFY, {"token": "x"}, REMOTE_ADDR="203.0.113.9")
    assert elsewhere.status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_of_eight_simultaneous_refreshes_one_wins() -> None:
    zofia = make_reader("Zofia", password=PASSWORD)
    for _round in range(3):
        refresh = str(RefreshToken.for_user(zofia))
        answers = Counter(race.run([("refresh", refresh)] * 8))
        assert answers == {"renewed": 1, "401": 7}
    assert BlacklistedToken.objects.count() == 3
    assert OutstandingToken.objects.count() == 6


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_of_eight_links_used_at_once_one_sets_the_password() -> None:
    zofia = make_reader("Zofia", password=PASSWORD)
    uid, token = accounts.reset_link(zofia).split("/")[-3:-1]
    acts = [("reset_password", uid, token, f"Another {number}!") for number in range(8)]
    answers = race.run(acts)
    assert Counter(answers) == {"set": 1, "refused: BadLinkError": 7}
    zofia.refresh_from_db()
    assert zofia.check_password(f"Another {answers.index('set')}!")


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
def test_of_eight_registrations_with_one_address_one_is_made() -> None:
    acts = [("register", f"{'zofia@x.org' if n % 2 else 'ZOFIA@X.ORG'}") for n in range(8)]
    assert Counter(race.run(acts)) == {"201": 1, "400": 7}
    assert Reader.objects.get().email == "zofia@x.org"
