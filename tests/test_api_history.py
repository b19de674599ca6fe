"""Who did it, when, and what stood there before: kept of what is done over the API, too."""

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from rest_framework.test import APIClient

from catalog.models import Book, Copy, CopyStatus
from circulation import integration_keys
from circulation.models import Loan, Override, Reader
from tests.api import client_for
from tests.factories import MONDAY, make_book, make_copy, make_member, noon

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule")]


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    with time_machine.travel(noon(MONDAY), tick=False):
        yield


@pytest.fixture
def librarian(db: None) -> Reader:
    return make_member("Librarian")


@pytest.fixture
def key(librarian: Reader) -> APIClient:
    _key, text = integration_keys.make("Vendor", ["catalogue"], by=librarian, at=noon(MONDAY))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    return client


def stock(book: Book, *barcodes: str) -> None:
    for barcode in barcodes:
        make_copy(book, barcode=barcode)


def written(book: Book) -> list[tuple[str, str, Any, str]]:
    """Return what the histories of its copies have, beside how each copy began."""
    rows = Copy.history.filter(book_id=book.pk).order_by("history_id")
    return [
        (row.history_type, row.status, row.history_user, row.history_change_reason or "")
        for row in rows
    ]


def test_copies_that_a_key_withdraws_and_adds_name_the_key(key: APIClient) -> None:
    book = make_book()
    stock(book, "B1", "B2", "B3")
    before = len(written(book))
    assert key.patch(f"/api/books/{book.pk}/", {"inventory": 1}).status_code == 200
    withdrawn = written(book)[before:]
    assert withdrawn == [("~", CopyStatus.WITHDRAWN, None, "API: Vendor")] * 2
    assert key.patch(f"/api/books/{book.pk}/", {"inventory": 3}).status_code == 200
    added = written(book)[before + 2 :]
    assert added == [("+", CopyStatus.AVAILABLE, None, "API: Vendor")] * 2


def test_copies_that_a_librarian_withdraws_and_adds_name_the_librarian(librarian: Reader) -> None:
    book = make_book()
    stock(book, "B1", "B2")
    before = len(written(book))
    client = client_for(librarian)
    assert client.patch(f"/api/books/{book.pk}/", {"inventory": 1}).status_code == 200
    assert client.patch(f"/api/books/{book.pk}/", {"inventory": 2}).status_code == 200
    assert [who for _type, _status, who, _why in written(book)[before:]] == [librarian] * 2


def test_a_book_shows_what_stood_there_before_a_key_changed_it(key: APIClient) -> None:
    book = make_book("Solaris")
    assert key.patch(f"/api/books/{book.pk}/", {"title": "Eden"}).status_code == 200
    after, before = book.history.order_by("-history_id")
    assert (after.title, before.title) == ("Eden", "Solaris")
    assert (after.history_user, after.history_change_reason) == (None, "API: Vendor")


def test_a_deleted_book_says_who_deleted_it(librarian: Reader) -> None:
    book = make_book()
    assert client_for(librarian).delete(f"/api/books/{book.pk}/").status_code == 204
    record = Book.history.filter(id=book.pk).latest()
    assert (record.history_type, record.history_user) == ("-", librarian)


def test_a_loan_says_who_lent_and_who_took_back(librarian: Reader, anna: Reader) -> None:
    assistant = make_member("Assistant")
    copy = make_copy()
    sent = {"barcode": copy.barcode, "user_id": anna.pk}
    assert client_for(assistant).post("/api/borrowings/", sent).status_code == 201
    loan = Loan.objects.get()
    answer = client_for(librarian).post(f"/api/borrowings/{loan.pk}/return/", {})
    assert answer.status_code == 200
    returned, lent = loan.history.order_by("-history_id")[:2]
    assert (lent.history_user, lent.actual_return_date) == (assistant, None)
    assert (returned.history_user, returned.actual_return_date) == (librarian, MONDAY)


def test_an_override_says_who_and_why(librarian: Reader, anna: Reader) -> None:
    anna.expiry_date = MONDAY.replace(year=2020)
    anna.save()
    sent = {
        "barcode": make_copy().barcode,
        "user_id": anna.pk,
        "override": {"codes": ["reader_expired"], "reason": "Renews it on Friday."},
    }
    answer = client_for(librarian).post("/api/borrowings/", sent)
    assert answer.status_code == 201, answer.content
    override = Override.objects.get()
    assert (override.by, override.reason) == (librarian, "Renews it on Friday.")


def test_a_reader_who_changes_a_profile_is_named(anna: Reader) -> None:
    assert client_for(anna).patch("/api/users/me/", {"first_name": "Ann"}).status_code == 200
    record = anna.history.latest()
    assert (record.first_name, record.history_user) == ("Ann", anna)


def test_a_reader_who_borrows_by_self_service_is_named(anna: Reader, settings: Any) -> None:
    settings.READER_SELF_SERVICE = frozenset({"borrow"})
    book = make_copy().book
    assert client_for(anna).post("/api/borrowings/", {"book": book.pk}).status_code == 201
    assert Loan.objects.get().history.latest().history_user == anna
