"""Writing the catalogue over the API: books, and how many copies of them are available."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from catalog.models import Book, Copy, CopyStatus
from circulation import holds, integration_keys
from circulation.models import Reader
from tests.api import client_for, reasons, wrong_fields
from tests.factories import (
    MONDAY,
    lend,
    make_book,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    march,
    noon,
    set_policy,
    take_back,
)

pytestmark = pytest.mark.django_db

ISBN = "9788308049044"
HALF = "\\ud800"


@pytest.fixture
def librarian() -> Reader:
    return make_member("Librarian")


@pytest.fixture
def staff(librarian: Reader) -> APIClient:
    return client_for(librarian)


def with_permissions(*permissions: str) -> APIClient:
    return client_for(make_staff(permissions=tuple(f"catalog.{name}" for name in permissions)))


def available(book: Book) -> int:
    return Copy.objects.filter(book=book, status=CopyStatus.AVAILABLE).count()


def test_a_new_book_comes_with_as_many_copies_as_its_inventory_says(
    staff: APIClient, librarian: Reader
) -> None:
    answer = staff.post(
        "/api/books/",
        {
            "title": "Solaris",
            "author": "Lem, Stanisław",
            "cover": "HARD",
            "inventory": 3,
            "daily_fee": "0.50",
            "isbn": "978-83-08-04904-4",
            "published_year": 1961,
        },
    )
    assert answer.status_code == 201
    book = Book.objects.get()
    assert answer.headers["Location"] == f"/api/books/{book.pk}/"
    assert answer.json() == client_for().get(f"/api/books/{book.pk}/").json()
    assert (book.title, book.isbn, str(book.daily_fee), book.cover) == (
        "Solaris", ISBN, "0.50", "HARD",
    )  # fmt: skip
    assert available(book) == 3
    assert book.history.get().history_user == librarian
    assert {copy.history.get().history_user for copy in book.copies.all()} == {librarian}


def test_a_book_of_which_only_the_title_is_known_has_no_copies(staff: APIClient) -> None:
    answer = staff.post("/api/books", {"title": "Solaris"})
    assert answer.status_code == 201
    assert (answer.json()["inventory"], answer.json()["daily_fee"]) == (0, "0.00")


def test_what_is_written_is_found_by_search(staff: APIClient) -> None:
    staff.post("/api/books/", {"title": "Solaris", "author": "Lem, Stanisław"})
    assert client_for().get("/api/books/", {"author": "lem", "search": "sol"}).json()["count"] == 1


@pytest.mark.parametrize(("wanted", "withdrawn"), [(5, 0), (2, 0), (1, 1), (0, 2)])
def test_the_inventory_can_be_set(staff: APIClient, wanted: int, withdrawn: int) -> None:
    book = make_book()
    make_copy(book)
    make_copy(book)
    make_copy(book, status=CopyStatus.IN_REPAIR)
    answer = staff.patch(f"/api/books/{book.pk}/", {"inventory": wanted})
    assert (answer.status_code, answer.json()["inventory"]) == (200, wanted)
    assert available(book) == wanted
    assert book.copies.filter(status=CopyStatus.WITHDRAWN).count() == withdrawn


@pytest.mark.parametrize("method", ["put", "patch"])
def test_what_is_left_out_stays_as_it_is(staff: APIClient, method: str) -> None:
    book = make_book(isbn=ISBN, publisher="Wydawnictwo Literackie", daily_fee="0.50")
    make_copy(book)
    answer = getattr(staff, method)(f"/api/books/{book.pk}/", {"title": "Eden"})
    assert answer.status_code == 200
    book.refresh_from_db()
    assert (book.title, book.isbn, book.publisher, str(book.daily_fee), available(book)) == (
        "Eden", ISBN, "Wydawnictwo Literackie", "0.50", 1,
    )  # fmt: skip


def test_a_whole_book_can_be_sent_back_as_it_was_read(staff: APIClient) -> None:
    book = make_copy(make_book(isbn=ISBN, source_id="7")).book
    read = staff.get(f"/api/books/{book.pk}/")
    answer = staff.put(f"/api/books/{book.pk}/", read.json())
    assert (answer.status_code, answer.json()) == (200, read.json())
    assert answer.headers["ETag"] == read.headers["ETag"]
    assert available(book) == 1


def test_put_needs_the_title(staff: APIClient) -> None:
    assert wrong_fields(staff.put(f"/api/books/{make_book().pk}/", {"cover": "HARD"})) == {"title"}


def test_the_id_cannot_be_chosen(staff: APIClient) -> None:
    book = make_book()
    assert staff.patch(f"/api/books/{book.pk}/", {"id": 77}).json()["id"] == book.pk


@pytest.mark.parametrize("nothing", [None, ""])
def test_keys_can_be_taken_away(staff: APIClient, nothing: str | None) -> None:
    book = make_book(isbn=ISBN, source_id="7")
    make_book("Eden")  # which has none either
    answer = staff.patch(f"/api/books/{book.pk}/", {"isbn": nothing, "source_id": nothing})
    assert (answer.json()["isbn"], answer.json()["source_id"]) == (None, None)


@pytest.mark.parametrize("isbn", [ISBN, "978-83-08-04904-4", "83-08-04904-4"])
def test_an_isbn_that_another_book_has_is_refused_in_any_notation(
    staff: APIClient, isbn: str
) -> None:
    make_book(isbn=ISBN)
    assert wrong_fields(staff.post("/api/books/", {"title": "Eden", "isbn": isbn})) == {"isbn"}
    other = make_book("Eden")
    assert wrong_fields(staff.patch(f"/api/books/{other.pk}/", {"isbn": isbn})) == {"isbn"}
    assert Book.objects.count() == 2


def test_a_record_number_that_another_book_has_is_refused(staff: APIClient) -> None:
    make_book(source_id="7")
    answer = staff.post("/api/books/", {"title": "Eden", "source_id": "7", "inventory": 2})
    assert wrong_fields(answer) == {"source_id"}
    assert answer.json()["errors"][0]["code"] == "unique"
    assert not Copy.objects.exists()


def test_an_isbn_that_another_takes_at_the_same_moment_is_refused_as_well(
    staff: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = Book.validate_constraints

    def another_is_quicker(book: Book) -> None:
        checked(book)
        if not Book.objects.exists():
            make_book("Quicker", isbn=ISBN)

    monkeypatch.setattr(Book, "validate_constraints", another_is_quicker)
    answer = staff.post("/api/books/", {"title": "Slower", "isbn": ISBN, "inventory": 1})
    assert wrong_fields(answer) == {"isbn"}
    assert not Book.objects.filter(title="Slower").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ""),
        ("title", "   "),
        ("title", None),
        ("title", "x" * 501),
        ("title", "a\x00b"),
        ("title", ["Solaris"]),
        ("title", {"en": "Solaris"}),
        ("title", True),
        ("author", "x" * 1001),
        ("author", None),
        ("cover", "LEATHER"),
        ("cover", None),
        ("cover", ["HARD"]),
        ("daily_fee", "-0.01"),
        ("daily_fee", "0.001"),
        ("daily_fee", "1000000.00"),
        ("daily_fee", "1e9"),
        ("daily_fee", "NaN"),
        ("daily_fee", "Infinity"),
        ("daily_fee", "free"),
        ("daily_fee", None),
        ("daily_fee", True),
        ("isbn", "9788308049045"),
        ("isbn", "12345"),
        ("isbn", "x" * 41),
        ("isbn", 5.5),
        ("published_year", 3000),
        ("published_year", -3001),
        ("published_year", 40000),
        ("published_year", 10**30),
        ("published_year", "MCMLXI"),
        ("published_year", 1961.5),
        ("publisher", "x" * 301),
        ("language", "x" * 51),
        ("call_number", "x" * 101),
        ("source_id", "x" * 101),
        ("inventory", -1),
        ("inventory", 1001),
        ("inventory", 10**30),
        ("inventory", 1.5),
        ("inventory", "many"),
        ("inventory", None),
        ("inventory", [3]),
    ],
)
def test_a_wrong_value_is_refused_by_its_field_and_nothing_changes(
    staff: APIClient, field: str, value: Any
) -> None:
    assert wrong_fields(staff.post("/api/books/", {"title": "Solaris", field: value})) == {field}
    assert not Book.objects.exists()
    book = make_book()
    assert wrong_fields(staff.patch(f"/api/books/{book.pk}/", {field: value})) == {field}
    assert book.history.count() == 1


def test_all_wrong_fields_are_named_at_once(staff: APIClient) -> None:
    answer = staff.post("/api/books/", {"isbn": "1", "daily_fee": "x", "inventory": -1})
    assert wrong_fields(answer) == {"title", "isbn", "daily_fee", "inventory"}


@pytest.mark.parametrize("body", ["[]", "null", "7", '"Solaris"', '[{"title": "Solaris"}]'])
def test_a_body_that_is_no_object_is_refused(staff: APIClient, body: str) -> None:
    answer = staff.post("/api/books/", body, content_type="application/json")
    assert wrong_fields(answer) == {""}


@pytest.mark.parametrize(
    "body",
    [
        "{",
        "",
        '{"title": NaN}',
        '{"title": "Solaris", "inventory": 1e400}',
        f'{{"title": "{HALF}"}}',
        f'{{"title": "Solaris", "cover": "{HALF}"}}',
        "[" * 100_000,
        '{"inventory": ' + "9" * 5000 + "}",
        b'{"title": "\xff"}',
    ],
)
def test_a_body_that_is_no_json_is_refused(staff: APIClient, body: str | bytes) -> None:
    answer = staff.post("/api/books/", body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert not Book.objects.exists()


def test_an_escaped_character_of_two_halves_is_taken(staff: APIClient) -> None:
    body = '{"title": "\\ud83d\\udcda"}'
    answer = staff.post("/api/books/", body, content_type="application/json")
    assert answer.json()["title"] == "\N{BOOKS}"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_who_changes_what_was_changed_meanwhile_is_refused(staff: APIClient, method: str) -> None:
    book = make_copy().book
    address = f"/api/books/{book.pk}/"
    read = staff.get(address).headers["ETag"]
    lend(make_reader(), book)
    stale = getattr(staff, method)(address, {"title": "Eden"}, HTTP_IF_MATCH=read)
    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    book.refresh_from_db()
    assert book.title == "Solaris"


@pytest.mark.parametrize("sent", ["W/{}", "nonsense", '"other"', ""])
def test_an_if_match_that_does_not_match_is_never_passed_over(staff: APIClient, sent: str) -> None:
    address = f"/api/books/{make_book().pk}/"
    etag = staff.get(address).headers["ETag"]
    answer = staff.patch(address, {"title": "Eden"}, HTTP_IF_MATCH=sent.format(etag))
    assert answer.status_code == 412


@pytest.mark.parametrize("sent", ["{}", '"other", {}', "*"])
def test_who_changes_what_was_read_last_may(staff: APIClient, sent: str) -> None:
    address = f"/api/books/{make_book().pk}/"
    etag = staff.get(address).headers["ETag"]
    answer = staff.patch(address, {"title": "Eden"}, HTTP_IF_MATCH=sent.format(etag))
    assert answer.status_code == 200
    assert answer.headers["ETag"] == staff.get(address).headers["ETag"] != etag


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_an_unknown_book_cannot_be_changed(staff: APIClient, method: str) -> None:
    answer = getattr(staff, method)("/api/books/99999/", {"title": "Eden"}, HTTP_IF_MATCH="*")
    assert answer.status_code == 404


def test_a_book_that_was_never_lent_is_deleted_with_its_copies(
    staff: APIClient, librarian: Reader
) -> None:
    book = make_copy().book
    answer = staff.delete(f"/api/books/{book.pk}/")
    assert (answer.status_code, answer.content) == (204, b"")
    assert not Book.objects.exists()
    assert Book.history.latest().history_user == librarian


def lent(book: Book) -> None:
    lend(make_reader(), book)


def returned(book: Book) -> None:
    copy = lend(make_reader(), book).copy
    take_back(copy, on=march(3))


def waited_for(book: Book) -> None:
    lend(make_reader(), book)
    holds.place(make_reader(), book, at=noon(MONDAY))


@pytest.mark.parametrize("happened", [lent, returned, waited_for])
def test_a_book_with_a_history_is_not_deleted(staff: APIClient, happened: Any) -> None:
    set_policy()
    book = make_copy().book
    happened(book)
    answer = staff.delete(f"/api/books/{book.pk}/")
    assert reasons(answer) == ["deletion_refused"]
    assert "Withdraw its copies instead" in answer.json()["detail"]
    assert Book.objects.exists()


WRITES = [("post", "/api/books/"), *((m, "/api/books/{pk}/") for m in ("put", "patch", "delete"))]


@pytest.mark.parametrize(("method", "address"), WRITES)
def test_only_staff_with_the_permission_write(method: str, address: str) -> None:
    address = address.format(pk=make_book().pk)
    callers = {
        client_for(): 401,
        client_for(make_reader()): 403,
        client_for(make_member("Assistant")): 403,
        client_for(make_member("Cashier")): 403,
        client_for(make_member("Auditor")): 403,
        with_permissions("view_book", "add_copy", "change_copy"): 403,
    }
    for caller, status in callers.items():
        answer = getattr(caller, method)(address, {"title": "Eden", "inventory": 5})
        assert (answer.status_code, answer.headers["Content-Type"]) == (
            status,
            "application/problem+json",
        )
    assert list(Book.objects.values_list("title", flat=True)) == ["Solaris"]


def test_a_permission_alone_does_not_make_a_reader_staff() -> None:
    former = make_staff(permissions=("catalog.add_book",))
    former.is_staff = False
    former.save()
    assert client_for(former).post("/api/books/", {"title": "Eden"}).status_code == 403


def test_copies_need_their_own_permission() -> None:
    book = make_copy().book
    client = with_permissions("add_book", "change_book")
    address = f"/api/books/{book.pk}/"
    assert client.patch(address, {"title": "Eden", "inventory": 2}).status_code == 403
    assert client.post("/api/books/", {"title": "Eden", "inventory": 1}).status_code == 403
    assert client.patch(address, {"title": "Eden", "inventory": 1}).status_code == 200
    assert client.post("/api/books/", {"title": "Fiasco", "inventory": 0}).status_code == 201
    assert sorted(Book.objects.values_list("title", flat=True)) == ["Eden", "Fiasco"]
    assert available(book) == 1


def test_what_another_system_writes_is_recorded_under_the_name_of_its_key(
    librarian: Reader,
) -> None:
    _key, text = integration_keys.make("Vendor", ["catalogue"], by=librarian, at=noon(MONDAY))
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {text}")
    assert client.post("/api/books/", {"title": "Eden", "inventory": 1}).status_code == 201
    book = Book.objects.get()
    for record in (book.history.get(), book.copies.get().history.get()):
        assert record.history_user is None
        assert "Vendor" in (record.history_change_reason or "")
