"""What went wrong says so in words, and no page is a dead end."""

import pytest
from django.test import Client

from circulation.models import Reader
from config import dashboard
from tests.factories import make_member
from tests.office import signed_in

pytestmark = pytest.mark.django_db
BACK = '<a href="/admin/">Back to Today</a>'


@pytest.fixture
def librarian() -> Client:
    return signed_in(make_member("Librarian"))


def fails(*_args: object, **_kwargs: object) -> None:
    raise RuntimeError("a detail for the log")


def test_an_address_in_the_office_with_nothing_at_it_leads_back(librarian: Client) -> None:
    response = librarian.get("/admin/circulation/reader/999999/loans/")
    assert response.status_code == 404
    assert "There is nothing at this address" in response.text
    assert BACK in response.text


def test_a_stranger_at_a_wrong_address_is_not_led_into_the_office(client: Client) -> None:
    response = client.get("/nothing/here/")
    assert response.status_code == 404
    assert "There is nothing at this address" in response.text
    assert BACK not in response.text


def test_who_may_not_see_a_page_reads_why_and_gets_back() -> None:
    response = signed_in(make_member("Cashier")).get("/admin/history/")
    assert response.status_code == 403
    assert "Your account may not do this. Ask an administrator." in response.text
    assert BACK in response.text


def test_an_outdated_form_says_that_nothing_was_changed(maria: Reader) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(maria)
    response = strict.post("/admin/logout/")
    assert response.status_code == 403
    assert "Nothing was changed" in response.text
    assert BACK in response.text


def test_an_address_that_only_takes_forms_says_so(librarian: Client) -> None:
    response = librarian.get("/admin/logout/")
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert "it is no page to open" in response.text
    assert BACK in response.text


def test_a_failure_is_told_without_what_is_for_the_log(
    librarian: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard.waiting, "counts", fails)
    librarian.raise_request_exception = False
    response = librarian.get("/admin/")
    assert response.status_code == 500
    assert "through no fault of yours" in response.text
    assert "detail for the log" not in response.text
    assert BACK in response.text


def test_the_api_answers_with_problems_all_the_same(client: Client) -> None:
    response = client.get("/api/nothing/")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
