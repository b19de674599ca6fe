"""Registering oneself: what comes of it, what is refused, and the link that confirms an address."""

import json
from collections import Counter
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from circulation import account_mail, accounts
from circulation.models import Reader
from tests.api import wrong_fields
from tests.factories import make_reader
from tests.letters import PostOffice, link

pytestmark = pytest.mark.django_db

PASSWORD = "Solaris 1961!"
ZOFIA = "zofia@example.org"


def register(email: Any = ZOFIA, password: Any = PASSWORD, **more: Any) -> Any:
    return APIClient().post("/api/users/", {"email": email, "password": password, **more})


def token(email: str = ZOFIA, password: str = PASSWORD) -> Any:
    return APIClient().post("/api/users/token/", {"email": email, "password": password})


@pytest.mark.parametrize("path", ["users", "users/", "users/register", "users/register/"])
def test_anybody_may_register_and_sign_in(path: str) -> None:
    person = {"first_name": "Zofia", "last_name": "Nałkowska", "phone": "+48 1", "language": "pl"}
    data = {"email": " Zofia@Example.ORG", "password": PASSWORD, **person}
    answer = APIClient().post(f"/api/{path}", data)
    assert answer.status_code == 201
    reader = Reader.objects.get()
    assert answer.json() == {
        **person,
        "id": reader.pk,
        "email": ZOFIA,
        "card_number": None,
        "expiry_date": None,
        "notices": answer.json()["notices"],
        "followed_authors": [],
    }
    assert PASSWORD not in answer.text
    assert reader.check_password(PASSWORD)
    assert (reader.category, reader.card_number, reader.is_email_verified) == (None, None, False)
    assert token().status_code == 200


def test_who_registered_is_in_the_history_of_the_record() -> None:
    register()
    made = Reader.objects.get().history.get()
    assert made.history_user_id == made.id
    assert made.history_change_reason == "Registered online."


def test_what_only_the_library_gives_is_not_taken() -> None:
    mine = {
        "is_staff": True,
        "is_superuser": True,
        "is_active": False,
        "is_email_verified": True,
        "groups": [1],
        "user_permissions": [1],
        "card_number": "R1",
        "category": 1,
        "expiry_date": "2099-01-01",
        "is_blocked": True,
        "balance": "-100.00",
        "id": 7,
        "pk": 7,
    }
    assert register(**mine).status_code == 201
    reader = Reader.objects.get()
    rights = (reader.is_staff, reader.is_superuser, reader.is_blocked, reader.is_email_verified)
    assert rights == (False, False, False, False)
    assert reader.is_active
    assert (reader.card_number, reader.category, reader.expiry_date) == (None, None, None)
    assert not reader.groups.exists()
    assert not reader.user_permissions.exists()


@pytest.mark.parametrize("email", [ZOFIA, "ZOFIA@EXAMPLE.ORG", "  zofia@example.org\n"])
def test_an_address_has_one_account(email: str) -> None:
    make_reader("Zofia", email=ZOFIA)
    answer = register(email)
    assert wrong_fields(answer) == {"email"}
    assert answer.json()["errors"][0]["code"] == "unique"
    assert Reader.objects.count() == 1


@pytest.mark.parametrize(
    "email",
    [
        "",
        "   ",
        None,
        7,
        [],
        {},
        True,
        "zofia",
        "zofia@",
        "@example.org",
        "zofia@example",
        "zo fia@example.org",
        "zofia@example.org, adam@example.org",
        "zofia@example.org\nBcc: adam@example.org",
        "zofia\0@example.org",
        "zo\N{KELVIN SIGN}ia@example.org",
        "\N{LATIN SMALL LETTER LONG S}ofia@example.org",
        "z\N{LATIN SMALL LETTER DOTLESS I}a@example.org",
        "łucja@example.org",
        "z" * 250 + "@example.org",
    ],
)
def test_an_address_that_is_none_is_refused(email: Any) -> None:
    assert "email" in wrong_fields(register(email))
    assert not Reader.objects.exists()


WEAK = ("", " ", "short1!", "password", "12345678901", "zofia@example.org", "a\0bcdefghij")


@pytest.mark.parametrize("password", [*WEAK, "x" * 4097, None, 7, [], {}, True])
def test_a_weak_password_or_none_is_refused(password: Any) -> None:
    assert wrong_fields(register(password=password)) == {"password"}
    assert not Reader.objects.exists()


def test_a_password_like_the_name_is_refused() -> None:
    assert wrong_fields(register(password="Nalkowska1", last_name="Nalkowska")) == {"password"}


@pytest.mark.parametrize("password", ["  spaces around  ", "Zażółć gęślą jaźń", "x" * 4090 + "y7!"])
def test_a_password_is_taken_as_it_is_typed(password: str) -> None:
    assert register(password=password).status_code == 201
    assert token(password=password).status_code == 200
    assert token(password=password.strip() + "x").status_code == 401


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", "x" * 151),
        ("last_name", ["x"]),
        ("last_name", "a\0b"),
        ("phone", "call me"),
        ("phone", "1" * 41),
        ("language", "../../etc"),
        ("language", "polish language"),
        ("first_name", None),
    ],
)
def test_other_fields_are_checked_by_name(field: str, value: Any) -> None:
    assert wrong_fields(register(**{field: value})) == {field}


def test_names_are_single_lines() -> None:
    register(first_name=" Zofia\r\n Anna ", last_name="")
    assert Reader.objects.get().first_name == "Zofia Anna"


@pytest.mark.parametrize("body", ["[]", "[{}]", '"x"', "null", "7", "{", "", '{"email": 1e999}'])
def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    answer = APIClient().post("/api/users/", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"


def test_a_form_is_not_what_the_api_reads() -> None:
    answer = Client().post("/api/users/", {"email": ZOFIA, "password": PASSWORD})
    assert answer.status_code == 415


def test_a_library_may_register_its_readers_itself(settings: Settings) -> None:
    settings.SELF_REGISTRATION = False
    answer = register()
    assert answer.status_code == 403
    assert answer.json()["code"] == "registration_closed"
    assert "ask at the desk" in answer.json()["detail"]
    assert not Reader.objects.exists()


def test_one_address_registers_sixty_an_hour() -> None:
    answers = [register(email="no address") for _turn in range(62)]
    assert Counter(answer.status_code for answer in answers) == {400: 60, 429: 2}
    assert 3500 <= int(answers[-1]["Retry-After"]) <= 3600
    assert "Retry-After" not in answers[0]


class TestWithALinkToFollow:
    @pytest.fixture(autouse=True)
    def links(self, settings: Settings) -> None:
        settings.EMAIL_VERIFICATION = True

    def test_there_are_no_tokens_before_the_link_was_followed(
        self, post_office: PostOffice
    ) -> None:
        answer = post_office.after(register)
        assert answer.status_code == 202
        assert token().status_code == 401
        [letter] = post_office.deliver()
        assert letter.to == [ZOFIA]
        browser, path = Client(enforce_csrf_checks=True), link(letter)
        page = browser.get(path)
        assert page.status_code == 200
        assert "<button>Confirm</button>" in page.text
        assert "no-store" in page["Cache-Control"]
        assert token().status_code == 401
        assert "Your address is confirmed" in browser.post(path).text
        assert token().status_code == 200
        for again in (browser.get(path), browser.post(path)):
            assert "You can sign in now" in again.text
        assert Reader.objects.get().history.first().history_change_reason

    def test_a_new_address_and_a_known_one_are_answered_alike(
        self, post_office: PostOffice
    ) -> None:
        make_reader("Adam", email="adam@example.org", password=PASSWORD)
        make_reader("Off", email="off@example.org", password=PASSWORD, is_active=False)
        accounts.register("ewa@example.org", PASSWORD)
        emails = [ZOFIA, "adam@example.org", "ADAM@example.org", "ewa@example.org"]
        answers = [
            post_office.after(lambda email=email: register(email))
            for email in [*emails, "off@example.org"]
        ]
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.content for answer in answers}) == 1
        letters = post_office.deliver()
        assert [letter.to for letter in letters] == [[email.lower()] for email in emails]
        subjects = ["confirm your email address"] + ["you have an account"] * 3
        assert [letter.subject for letter in letters] == [f"Carrel: {said}" for said in subjects]

    def test_both_cost_the_same_hashing(
        self, post_office: PostOffice, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_reader("Adam", email="adam@example.org")
        hashed: list[str] = []
        make = accounts.make_password
        monkeypatch.setattr(accounts, "make_password", lambda raw: hashed.append(raw) or make(raw))
        register("adam@example.org")
        register(ZOFIA)
        assert hashed == [PASSWORD] * 2

    def test_registering_again_changes_nothing_of_the_account(
        self, post_office: PostOffice
    ) -> None:
        adam = make_reader("Adam", email="adam@example.org", password=PASSWORD)
        post_office.after(lambda: register("adam@example.org", "Intruder 2001!", first_name="X"))
        adam.refresh_from_db()
        assert adam.check_password(PASSWORD)
        assert adam.first_name == "Adam"
        assert token("adam@example.org").status_code == 200

    def test_who_owns_the_address_wins_over_who_registered_it_before(
        self, post_office: PostOffice
    ) -> None:
        """Else a stranger could lie in wait with a password of his own."""
        post_office.after(lambda: register(password="Stranger 2001!"))
        post_office.deliver()
        post_office.after(register)
        [letter] = post_office.deliver()
        data = {"new_password1": PASSWORD, "new_password2": PASSWORD}
        assert Client().post(link(letter), data).status_code == 200
        assert token().status_code == 200
        assert token(password="Stranger 2001!").status_code == 401

    def test_readers_whom_the_library_made_need_no_link(self) -> None:
        adam = make_reader("Adam", password=PASSWORD)
        assert token(str(adam.email)).status_code == 200

    def test_refresh_tokens_from_before_the_setting_need_the_link_too(
        self, settings: Settings
    ) -> None:
        settings.EMAIL_VERIFICATION = False
        register()
        refresh = {"refresh": token().json()["refresh"]}
        settings.EMAIL_VERIFICATION = True
        assert APIClient().post("/api/users/token/refresh/", refresh).status_code == 401

    @pytest.mark.parametrize("method", ["get", "post"])
    def test_a_link_that_is_not_ours_or_too_old_is_refused(
        self, method: str, post_office: PostOffice
    ) -> None:
        post_office.after(register)
        path = link(post_office.deliver()[0])
        ask = getattr(Client(), method)
        for wrong in ("/account/verify/x/", path[:-2] + "/", path.replace("verify/", "verify/x")):
            assert ask(wrong).status_code == 404, wrong
        later = timezone.now() + timezone.timedelta(days=1, minutes=1)
        with time_machine.travel(later, tick=False):
            assert "too old" in ask(path).text
        Reader.objects.update(email="other@example.org")
        assert ask(path).status_code == 404
        Reader.objects.update(email=ZOFIA, is_active=False)
        assert ask(path).status_code == 404
        assert not Reader.objects.get().is_email_verified

    def test_a_weak_password_is_refused_before_anything_is_looked_up(
        self, post_office: PostOffice
    ) -> None:
        make_reader("Adam", email="adam@example.org")
        for email in ("adam@example.org", ZOFIA):
            assert wrong_fields(register(email, "short")) == {"password"}
        assert post_office.queued == []

    def test_a_letter_is_in_the_language_that_was_asked_for_and_names_the_library(
        self, post_office: PostOffice, settings: Settings
    ) -> None:
        settings.LIBRARY_NAME = "Biblioteka"
        post_office.after(lambda: register(language="ar", first_name="<b>Zofia</b>"))
        [letter] = post_office.deliver()
        html = str(letter.alternatives[0][0])
        assert 'lang="ar" dir="rtl"' in html
        assert "<b>Zofia" not in html
        assert "&lt;b&gt;Zofia" in html
        assert "<b>Zofia</b>" in str(letter.body)
        assert letter.subject.startswith("Biblioteka: ")
        assert letter.extra_headers == {"Auto-Submitted": "auto-generated"}


def test_without_a_mail_server_nothing_is_queued_and_the_log_says_why(
    settings: Settings, post_office: PostOffice, caplog: pytest.LogCaptureFixture
) -> None:
    settings.MAIL_IS_SET_UP = False
    post_office.after(lambda: account_mail.send_later(account_mail.RESET, ZOFIA))
    assert post_office.queued == []
    assert "EMAIL_URL" in caplog.text
    assert ZOFIA not in caplog.text


def test_a_dead_queue_does_not_break_the_answer(
    post_office: PostOffice, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_call: Any) -> None:
        raise ConnectionError

    monkeypatch.setattr(account_mail, "async_task", refuse)
    data = json.dumps({"email": ZOFIA})
    answer = post_office.after(
        lambda: APIClient().post("/api/users/password-reset", data, content_type="application/json")
    )
    assert answer.status_code == 202
    assert "not queued" in caplog.text
