"""Passwords: changing one's own, a new one by a mailed link, and the page that the link opens."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.tokens import default_token_generator
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from circulation import accounts
from circulation.models import Reader
from tests.api import client_for, wrong_fields
from tests.factories import make_reader
from tests.letters import PostOffice, link

pytestmark = pytest.mark.django_db

OLD, NEW = "Solaris 1961!", "Eden 1959!"
CHANGE = "/api/users/me/password"
RESET = "/api/users/password-reset"
CONFIRM = f"{RESET}/confirm"


@pytest.fixture
def zofia() -> Reader:
    return make_reader("Zofia", email="zofia@example.org", password=OLD)


def post(url: str, **data: Any) -> Any:
    return APIClient().post(url, data)


def has(reader: Reader, password: str) -> bool:
    return Reader.objects.get(pk=reader.pk).check_password(password)


def reset_parts(reader: Reader) -> dict[str, str]:
    uid, token = accounts.reset_link(reader).split("/")[-3:-1]
    return {"uid": uid, "token": token}


class TestChangingOnesOwn:
    def change(self, reader: Reader, **data: Any) -> Any:
        return client_for(reader).post(CHANGE, data)

    def test_the_new_one_opens_and_the_old_one_does_not(self, zofia: Reader) -> None:
        client = client_for(zofia)
        answer = client.post(f"{CHANGE}/", {"current_password": OLD, "new_password": NEW})
        assert answer.status_code == 200
        assert has(zofia, NEW)
        assert client.get("/api/users/me").status_code == 401
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {answer.json()['access']}")
        assert client.get("/api/users/me").status_code == 200
        assert Reader.objects.get().history.first().history_change_reason == "Changed the password."

    @pytest.mark.parametrize("given", ["", "wrong", f"{OLD} ", None, [], 7, "a\0b", "x" * 4097])
    def test_the_present_one_is_needed(self, given: Any, zofia: Reader) -> None:
        answer = self.change(zofia, current_password=given, new_password=NEW)
        assert wrong_fields(answer) == {"current_password"}
        assert has(zofia, OLD)

    @pytest.mark.parametrize("given", ["", "short", "password1", "zofia@example.org", "x" * 4097])
    def test_the_new_one_has_to_be_good(self, given: str, zofia: Reader) -> None:
        answer = self.change(zofia, current_password=OLD, new_password=given)
        assert wrong_fields(answer) == {"new_password"}
        assert has(zofia, OLD)

    def test_nobody_else_may(self, zofia: Reader) -> None:
        assert post(CHANGE, current_password=OLD, new_password=NEW).status_code == 401

    def test_guessing_the_present_one_is_slow(self, zofia: Reader) -> None:
        client = client_for(zofia)
        guess = {"current_password": "guess", "new_password": NEW}
        answers = Counter(client.post(CHANGE, guess).status_code for _guess in range(22))
        assert answers == {400: 20, 429: 2}


class TestAskingForANewOne:
    def test_the_letter_leads_to_a_page_that_sets_it(
        self, zofia: Reader, post_office: PostOffice
    ) -> None:
        answer = post_office.after(lambda: post(f"{RESET}/", email=" Zofia@Example.org "))
        assert answer.status_code == 202
        [letter] = post_office.deliver()
        assert letter.to == ["zofia@example.org"]
        assert letter.subject == "Carrel: your new password"
        browser, path = Client(enforce_csrf_checks=True), link(letter)
        page = browser.get(path)
        assert page.status_code == 200
        assert page.text.count('type="password"') == 2
        assert zofia.last_name not in page.text
        assert "no-store" in page["Cache-Control"]
        assert browser.head(path).status_code == 200
        assert has(zofia, OLD)
        done = browser.post(path, {"new_password1": NEW, "new_password2": NEW})
        assert "Your password is set" in done.text
        assert has(zofia, NEW)
        for again in (browser.get(path), browser.post(path, {"new_password1": OLD})):
            assert again.status_code == 404
            assert "has been used" in again.text

    def test_known_and_unknown_addresses_are_answered_alike_after_the_same_work(
        self, zofia: Reader, post_office: PostOffice
    ) -> None:
        make_reader("Off", email="off@example.org", password=OLD, is_active=False)
        emails = ["zofia@example.org", "nobody@example.org", "off@example.org"]

        def ask(email: str) -> tuple[int, bytes, list[str]]:
            with CaptureQueriesContext(connection) as asked:
                answer = post_office.after(lambda: post(RESET, email=email))
            touched = [query["sql"] for query in asked if "circulation_reader" in query["sql"]]
            return answer.status_code, answer.content, touched

        told = [ask(email) for email in emails]
        assert told == [(202, told[0][1], [])] * 3
        assert [call[-1] for call in post_office.queued] == emails
        assert [letter.to for letter in post_office.deliver()] == [["zofia@example.org"]]

    def test_the_host_that_was_asked_is_not_in_the_letter(
        self, zofia: Reader, post_office: PostOffice
    ) -> None:
        client = APIClient()
        evil = {"HTTP_X_FORWARDED_HOST": "evil.example", "HTTP_HOST": "localhost:666"}
        post_office.after(lambda: client.post(RESET, {"email": zofia.email}, **evil))
        [letter] = post_office.deliver()
        assert link(letter)
        for text in (letter.body, letter.alternatives[0][0]):
            assert "evil.example" not in text
            assert "localhost" not in text

    def test_the_letter_goes_to_the_sign_in_address_alone(self, post_office: PostOffice) -> None:
        child = make_reader("Ola", email="ola@example.org", contact_email="mother@example.org")
        post_office.after(lambda: post(RESET, email="mother@example.org"))
        assert post_office.deliver() == []
        post_office.after(lambda: post(RESET, email="ola@example.org"))
        assert [letter.to for letter in post_office.deliver()] == [[child.email]]

    def test_staff_who_sign_in_elsewhere_get_no_way_around_it(
        self, post_office: PostOffice
    ) -> None:
        staff = make_reader("Boss", is_staff=True)
        post_office.after(lambda: post(RESET, email=staff.email))
        assert post_office.deliver() == []

    @pytest.mark.parametrize(
        "email",
        ["", "  ", None, "zofia", [], {}, True, "z\0@x.org", "z" * 250 + "@x.org", "a@b.c\nBcc: x"],
    )
    def test_what_is_no_address_is_refused(self, email: Any, post_office: PostOffice) -> None:
        assert wrong_fields(post(RESET, email=email)) == {"email"}
        assert post_office.queued == []

    def test_one_address_asks_twenty_times_an_hour(self) -> None:
        answers = [post(RESET, email=f"{number}@example.org") for number in range(22)]
        assert Counter(answer.status_code for answer in answers) == {202: 20, 429: 2}
        assert int(answers[-1]["Retry-After"]) > 3000

    def test_a_letter_that_the_server_refuses_is_a_failed_task(
        self, zofia: Reader, post_office: PostOffice, settings: Settings
    ) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
        post_office.after(lambda: post(RESET, email=zofia.email))
        with pytest.raises(ConnectionRefusedError):
            post_office.deliver()


class TestSettingItOverTheApi:
    def test_the_link_is_good_once(self, zofia: Reader) -> None:
        parts = reset_parts(zofia)
        assert post(f"{CONFIRM}/", **parts, new_password=NEW).status_code == 200
        assert has(zofia, NEW)
        again = post(CONFIRM, **parts, new_password="Fiasko 1986!")
        assert wrong_fields(again) == {"token"}
        assert again.json()["errors"][0]["code"] == "bad_link"
        record = Reader.objects.get().history.first()
        assert record.history_user_id == zofia.pk
        assert record.history_change_reason == "Password reset by email."

    def test_a_weak_password_leaves_the_link_good(self, zofia: Reader) -> None:
        parts = reset_parts(zofia)
        for weak in ("short", "zofia@example.org", "x" * 4097, ""):
            assert wrong_fields(post(CONFIRM, **parts, new_password=weak)) == {"new_password"}
        assert post(CONFIRM, **parts, new_password=NEW).status_code == 200

    def test_it_proves_the_address(self, settings: Settings) -> None:
        settings.EMAIL_VERIFICATION = True
        reader = accounts.register("ewa@example.org", OLD)
        post(CONFIRM, **reset_parts(reader), new_password=NEW)
        reader.refresh_from_db()
        assert reader.is_email_verified
        answer = post("/api/users/token/", email="ewa@example.org", password=NEW)
        assert answer.status_code == 200

    def test_a_reader_without_a_password_gets_a_first_one(self) -> None:
        reader = make_reader("Ewa")
        assert post(CONFIRM, **reset_parts(reader), new_password=NEW).status_code == 200

    @pytest.mark.parametrize(
        "changes",
        [
            {"uid": ""},
            {"uid": "x"},
            {"uid": "!!!"},
            {"uid": "é"},
            {"uid": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"},
            {"uid": "MA"},
            {"uid": None},
            {"uid": []},
            {"uid": "a\0b"},
            {"uid": "x" * 51},
            {"token": ""},
            {"token": "x"},
            {"token": "x-y"},
            {"token": "é-é"},
            {"token": None},
            {"token": {}},
            {"token": "x" * 201},
        ],
    )
    def test_a_link_that_is_none_is_refused(self, changes: dict[str, Any], zofia: Reader) -> None:
        data = {**reset_parts(zofia), "new_password": NEW, **changes}
        assert wrong_fields(post(CONFIRM, **data)) <= {"uid", "token"}
        assert has(zofia, OLD)

    @pytest.mark.parametrize("end", ["day", "signed in", "email", "inactive", "deleted", "other"])
    def test_a_link_dies_of_age_and_of_what_changes(self, end: str, zofia: Reader) -> None:
        parts = reset_parts(zofia)
        mine = Reader.objects.filter(pk=zofia.pk)
        now = timezone.now()
        if end == "day":
            now += timedelta(days=1, seconds=2)
        elif end == "signed in":
            post("/api/users/token/", email=zofia.email, password=OLD)
        elif end == "email":
            mine.update(email="other@example.org")
        elif end == "inactive":
            mine.update(is_active=False)
        elif end == "deleted":
            zofia.delete()
        else:
            parts["token"] = default_token_generator.make_token(make_reader(password=OLD))
        with time_machine.travel(now, tick=False):
            assert wrong_fields(post(CONFIRM, **parts, new_password=NEW)) == {"token"}


class TestThePage:
    @pytest.mark.parametrize(
        ("first", "second"),
        [
            ("short", "short"),
            (NEW, "Eden 1960!"),
            (NEW, ""),
            ("", ""),
            ("zofia@example.org", "zofia@example.org"),
            ("x1!" * 1400, "x1!" * 1400),
            ("a\0bcdefghi", "a\0bcdefghi"),
        ],
    )
    def test_what_is_not_good_is_said_and_asked_again(
        self, first: str, second: str, zofia: Reader
    ) -> None:
        path = accounts.reset_link(zofia).removeprefix("http://testserver")
        page = Client().post(path, {"new_password1": first, "new_password2": second})
        assert page.status_code == 200
        assert 'role="alert"' in page.text
        assert "<form" in page.text
        assert "value=" not in page.text
        assert has(zofia, OLD)

    @pytest.mark.parametrize("path", ["x/y/", "MQ/x-y/", "%00/%00/", "é/é/", "OTk5OTk5/x/"])
    @pytest.mark.parametrize("method", ["get", "post"])
    def test_a_link_that_is_none_says_so(self, method: str, path: str, zofia: Reader) -> None:
        page = getattr(Client(), method)(f"/account/password/{path}")
        assert page.status_code == 404
        assert "Ask for a new one" in page.text

    def test_it_is_found_without_its_last_slash(self, zofia: Reader) -> None:
        path = accounts.reset_link(zofia).removeprefix("http://testserver").rstrip("/")
        assert Client().get(path, follow=True).status_code == 200

    def test_other_methods_are_refused(self, zofia: Reader) -> None:
        path = accounts.reset_link(zofia).removeprefix("http://testserver")
        assert Client().put(path).status_code == 405
