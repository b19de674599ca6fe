"""While the database is away or too busy, pages and the API say so, and for how long to wait."""

from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from django.db import OperationalError, connection
from django.test import Client

from tests.factories import make_staff
from tests.office import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = signed_in(make_staff("Root", is_superuser=True))
    client.raise_request_exception = False
    return client


@pytest.fixture
def away(staff: Client) -> Iterator[None]:
    def refuse(*_arguments: Any) -> NoReturn:
        raise OperationalError("the database system is shutting down")

    with connection.execute_wrapper(refuse):
        yield


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("address", ["/admin/", "/admin/desk/", "/account/password/MQ/x-y/"])
def test_a_page_says_that_it_is_for_a_moment(staff: Client, address: str) -> None:
    answer = staff.get(address)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "Try again in a few seconds." in answer.text
    assert "shutting down" not in answer.text


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("address", ["/api/books/", "/api/books/1/", "/api/users/me/"])
def test_the_api_says_it_as_a_problem(staff: Client, address: str) -> None:
    answer = staff.get(address, headers={"Authorization": "Bearer carrel_none"})
    assert answer.status_code == 503
    assert answer.json()["code"] == "unavailable"
    assert answer.headers["Retry-After"] == "5"


def test_a_mistake_of_ours_is_not_called_a_moment(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("circulation.desk_views.TemplateResponse", None)
    assert staff.get("/admin/desk/").status_code == 500
