"""Holds over the API: seen, placed and cancelled, by staff and by readers where they may."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries, Settings

from catalog.models import Book, Copy, CopyStatus
from circulation import holds
from circulation.models import Hold, HoldStatus, Reader
from tests.api import client_for, reasons, wrong_fields
from tests.factories import (
    lend,
    make_book,
    make_copy,
    make_member,
    make_reader,
    march,
    noon,
    take_back,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule")]

TODAY = march(2)


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    with time_machine.travel(noon(TODAY), tick=False):
        yield


@pytest.fixture
def assistant(db: None) -> Reader:
    return make_member("Assistant")


@pytest.fixture
def book(db: None) -> Book:
    """A book whose only copy is out."""
    copy = make_copy(make_book("Solaris"), barcode="30001")
    lend(make_reader(), copy, on=TODAY)
    return copy.book


@pytest.fixture
def self_service(settings: Settings) -> None:
    settings.READER_SELF_SERVICE = frozenset({"hold"})


def place(reader: Reader, book: Book, *, minutes: int = 0) -> Hold:
    return holds.place(reader, book, at=noon(TODAY) + timedelta(minutes=minutes))


def listed(reader: Reader, query: str = "") -> list[int]:
    answer = client_for(reader).get(f"/api/holds/{query}")
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


def shown(reader: Reader, hold: Hold) -> dict[str, Any]:
    answer = client_for(reader).get(f"/api/holds/{hold.pk}/")
    assert answer.status_code == 200, answer.content
    row: dict[str, Any] = answer.json()
    return row


def test_a_hold_tells_its_place_in_the_queue(anna: Reader, bartek: Reader, book: Book) -> None:
    place(bartek, book)
    hold = place(anna, book, minutes=1)
    assert shown(anna, hold) == {
        "id": hold.pk,
        "book_id": book.pk,
        "book": {
            "id": book.pk,
            "title": "Solaris",
            "author": "Lem, Stanisław",
            "cover": "SOFT",
        },
        "user_id": anna.pk,
        "user": {"id": anna.pk, "name": "Anna Nowak"},
        "status": "waiting",
        "placed_at": "2026-03-02T11:01:00Z",
        "position": 2,
        "pickup_until": None,
        "barcode": None,
        "closed_at": None,
    }


def test_a_ready_hold_tells_which_copy_lies_there_until_when(anna: Reader, book: Book) -> None:
    hold = place(anna, book)
    take_back(Copy.objects.get(), on=TODAY)
    row = shown(anna, hold)
    assert (row["status"], row["barcode"], row["pickup_until"]) == ("ready", "30001", "2026-03-09")
    assert row["position"] is None


def test_readers_see_their_own_alone(anna: Reader, bartek: Reader, book: Book) -> None:
    own, foreign = place(anna, book), place(bartek, book)
    assert listed(anna) == listed(anna, f"?user_id={anna.pk}") == [own.pk]
    assert client_for(anna).get(f"/api/holds/{foreign.pk}").status_code == 404
    assert client_for(anna).get(f"/api/holds?user_id={bartek.pk}").status_code == 403
    assert client_for().get("/api/holds").status_code == 401


@pytest.mark.parametrize(
    ("role", "count"), [("Librarian", 2), ("Assistant", 2), ("Auditor", 2), ("Cashier", 0)]
)
def test_roles_see_what_their_permissions_say(
    role: str, count: int, anna: Reader, bartek: Reader, book: Book
) -> None:
    place(anna, book)
    hold = place(bartek, book)
    member = make_member(role)
    assert len(listed(member)) == count
    assert client_for(member).get(f"/api/holds/{hold.pk}").status_code == (200 if count else 404)


def test_staff_narrow_the_list_and_the_newest_come_first(
    anna: Reader, bartek: Reader, book: Book, assistant: Reader
) -> None:
    first, second = place(anna, book), place(bartek, book, minutes=1)
    other = place(anna, make_copy().book, minutes=2)
    holds.cancel(other)
    assert listed(assistant) == [other.pk, second.pk, first.pk]
    assert listed(assistant, f"?user_id={anna.pk}") == [other.pk, first.pk]
    assert listed(assistant, "?status=waiting") == [second.pk, first.pk]
    assert listed(assistant, f"?status=cancelled&user_id={anna.pk}") == [other.pk]
    assert listed(assistant, "?user_id=999999&status=") == []
    for query, field in (("?status=lost", "status"), ("?user_id=x", "user_id")):
        assert wrong_fields(client_for(assistant).get(f"/api/holds{query}")) == {field}


def test_staff_place_a_hold_for_a_reader(assistant: Reader, anna: Reader, book: Book) -> None:
    answer = client_for(assistant).post("/api/holds/", {"book": book.pk, "user_id": anna.pk})
    assert answer.status_code == 201, answer.content
    hold = Hold.objects.get()
    assert (hold.reader, hold.history.latest().history_user) == (anna, assistant)
    assert answer.headers["Location"] == f"/api/holds/{hold.pk}/"
    assert answer.json() == shown(anna, hold)


def test_all_reasons_against_a_hold_are_told(assistant: Reader, anna: Reader, book: Book) -> None:
    place(anna, book)
    anna.expiry_date = march(1)
    anna.save()
    sent = {"book": book.pk, "user_id": anna.pk}
    answer = client_for(assistant).post("/api/holds/", sent)
    assert reasons(answer) == ["reader_expired", "already_on_hold"]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "book"),
        ({"book": 999_999}, "book"),
        ({"book": "Solaris"}, "book"),
        ({"book": 10**30}, "book"),
        ({"book": True}, "book"),
        ([1], ""),
    ],
)
def test_bad_input_is_told_by_field(sent: Any, field: str, assistant: Reader) -> None:
    assert wrong_fields(client_for(assistant).post("/api/holds/", sent)) == {field}


def test_an_unknown_reader_is_bad_input(assistant: Reader, book: Book) -> None:
    answer = client_for(assistant).post("/api/holds/", {"book": book.pk, "user_id": 999_999})
    assert wrong_fields(answer) == {"user_id"}


def test_staff_cancel_and_the_copy_passes_on(
    assistant: Reader, anna: Reader, bartek: Reader, book: Book
) -> None:
    hold, waiting = place(anna, book), place(bartek, book, minutes=1)
    take_back(Copy.objects.get(), on=TODAY)
    answer = client_for(assistant).delete(f"/api/holds/{hold.pk}/")
    assert (answer.status_code, answer.content) == (204, b"")
    waiting.refresh_from_db()
    assert waiting.status == HoldStatus.READY
    assert Copy.objects.get().status == CopyStatus.ON_HOLD_SHELF
    assert shown(assistant, hold)["status"] == "cancelled"


def test_what_is_over_is_not_cancelled_again(assistant: Reader, anna: Reader, book: Book) -> None:
    hold = place(anna, book)
    client = client_for(assistant)
    assert client.delete(f"/api/holds/{hold.pk}").status_code == 204
    answer = client.delete(f"/api/holds/{hold.pk}")
    assert reasons(answer) == ["hold_not_active"]
    assert answer.json()["detail"] == "This hold is over already: Cancelled."


@pytest.mark.parametrize("role", ["Cashier", "Auditor", None])
def test_who_may_not_change_holds_is_told_so(
    role: str | None, anna: Reader, bartek: Reader, book: Book
) -> None:
    caller = make_member(role) if role else anna
    hold = place(bartek, book)
    client = client_for(caller)
    assert client.post("/api/holds/", {"book": book.pk}).status_code == 403
    assert client.delete(f"/api/holds/{hold.pk}/").status_code == 403
    assert Hold.objects.get().status == HoldStatus.WAITING


@pytest.mark.usefixtures("self_service")
class TestReadersServeThemselves:
    def test_they_place_and_cancel_their_own(self, anna: Reader, book: Book) -> None:
        client = client_for(anna)
        made = client.post("/api/holds/", {"book": book.pk})
        assert (made.status_code, made.json()["user_id"]) == (201, anna.pk)
        assert client.delete(made.headers["Location"]).status_code == 204
        assert Hold.objects.get().status == HoldStatus.CANCELLED

    def test_they_do_nothing_for_others(self, anna: Reader, bartek: Reader, book: Book) -> None:
        foreign = place(bartek, book)
        client = client_for(anna)
        assert (
            client.post("/api/holds/", {"book": book.pk, "user_id": bartek.pk}).status_code == 403
        )
        assert client.delete(f"/api/holds/{foreign.pk}/").status_code == 404
        foreign.refresh_from_db()
        assert foreign.status == HoldStatus.WAITING

    def test_the_rules_hold_for_them_too(self, anna: Reader, book: Book) -> None:
        copy = Copy.objects.get()
        take_back(copy, on=TODAY)
        lend(anna, copy, on=TODAY)
        answer = client_for(anna).post("/api/holds/", {"book": book.pk})
        assert reasons(answer) == ["already_borrowed"]


def test_other_methods_are_not_there(anna: Reader, book: Book) -> None:
    hold = place(anna, book)
    for method in ("put", "patch", "post"):
        assert getattr(client_for(anna), method)(f"/api/holds/{hold.pk}/").status_code == 405
    assert client_for(anna).head(f"/api/holds/{hold.pk}/").status_code == 200


def test_a_page_asks_the_database_the_same_however_many_are_on_it(
    assistant: Reader, book: Book, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_for(assistant)
    # The caller, his or her permissions (two), the holds.
    for count in (1, 6):
        while Hold.objects.count() < count:
            place(make_reader(), book)
        with django_assert_num_queries(4):
            assert len(client.get("/api/holds").json()["results"]) == count
