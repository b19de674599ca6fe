"""Reading the catalogue over the API: pages, search, filters, orders, conditional requests."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from catalog.models import CopyStatus, ItemType
from config.rest import paging
from tests.api import client_for, wrong_fields
from tests.factories import lend, make_book, make_copy, make_reader, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def anyone() -> APIClient:
    return client_for()


def titles(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [book["title"] for book in answer.json()["results"]]


def test_anybody_reads_a_book_with_the_number_of_its_available_copies(anyone: APIClient) -> None:
    book = make_book(
        isbn="9788308049044", cover="HARD", daily_fee="0.50", published_year=1961, language="Polish"
    )
    for status in (CopyStatus.AVAILABLE, CopyStatus.AVAILABLE, *CopyStatus):
        make_copy(book, status=status)
    make_copy(make_book("Eden"))
    assert anyone.get(f"/api/books/{book.pk}/").json() == {
        "id": book.pk,
        "title": "Solaris",
        "author": "Lem, Stanisław",
        "cover": "HARD",
        "daily_fee": "0.50",
        "isbn": "9788308049044",
        "publisher": "",
        "published_year": 1961,
        "language": "Polish",
        "subjects": "",
        "call_number": "",
        "source_id": None,
        "inventory": 3,
    }


def test_the_list_holds_what_the_detail_says(anyone: APIClient) -> None:
    book = make_copy().book
    assert anyone.get("/api/books/").json() == {
        "count": 1,
        "next": None,
        "previous": None,
        "results": [anyone.get(f"/api/books/{book.pk}/").json()],
    }


def test_a_loan_lowers_the_inventory(anyone: APIClient) -> None:
    copy = make_copy()
    make_copy(copy.book)
    lend(make_reader(), copy)
    assert anyone.get(f"/api/books/{copy.book_id}/").json()["inventory"] == 1


@pytest.mark.parametrize("number", ["0", "99999", "9" * 18, "9" * 30, "-1", "x", "1.0", "%00"])
def test_an_unknown_book_is_not_found(anyone: APIClient, number: str) -> None:
    assert anyone.get(f"/api/books/{number}/").status_code == 404


def test_the_number_of_queries_does_not_grow_with_the_page(
    anyone: APIClient, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        make_copy(make_book(f"Book {number}"))
    book = make_book("Solaris")
    for size in (1, 25):
        with django_assert_num_queries(2):  # how many; those of the page
            anyone.get("/api/books/", {"page_size": size})
    with django_assert_num_queries(1):
        anyone.get(f"/api/books/{book.pk}/")
    # Whether the author is common; the barcode; the words; how many; those of the page.
    with django_assert_num_queries(5):
        anyone.get("/api/books/", {"search": "book", "author": "lem", "available": "true"})


def test_every_book_is_on_exactly_one_page(anyone: APIClient) -> None:
    made = {make_book("Solaris").pk for _ in range(30)}
    pages = [
        anyone.get("/api/books/", {"page": page, "page_size": 7}).json() for page in range(1, 6)
    ]
    seen = [book["id"] for page in pages for book in page["results"]]
    assert len(seen) == 30
    assert set(seen) == made
    assert pages[0]["previous"] is None
    assert pages[4]["next"] is None
    assert "page=2" in pages[0]["next"]


@pytest.mark.parametrize("order", ["title", "-title", "author", "-id"])
def test_pages_far_in_hold_what_they_would_hold_otherwise(
    anyone: APIClient, monkeypatch: pytest.MonkeyPatch, order: str
) -> None:
    for number in range(23):
        make_copy(make_book(f"Book {number % 4}", author=f"Author {number % 3}"))
    asked = [{"ordering": order, "page_size": 5, "page": page} for page in range(1, 6)]
    before = [anyone.get("/api/books/", query).json() for query in asked]
    monkeypatch.setattr(paging, "DEEP", 0)
    assert [anyone.get("/api/books/", query).json() for query in asked] == before


@pytest.mark.parametrize("size", ["101", "5000", "2147483647"])
def test_a_page_is_never_longer_than_a_hundred(anyone: APIClient, size: str) -> None:
    for number in range(103):
        make_book(f"Book {number}")
    assert len(titles(anyone.get("/api/books/", {"page_size": size}))) == 100


@pytest.mark.parametrize("field", ["page", "page_size"])
@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x", "", "last", "9" * 5000, "१", "\x00"])
def test_a_page_that_is_no_number_is_refused(anyone: APIClient, field: str, number: str) -> None:
    assert wrong_fields(anyone.get("/api/books/", {field: number})) == {field}


@pytest.mark.parametrize("page", ["2", "2147483647"])
def test_a_page_beyond_the_last_is_not_found(anyone: APIClient, page: str) -> None:
    make_book()
    assert anyone.get("/api/books/", {"page": page}).status_code == 404


@pytest.mark.parametrize(
    ("order", "first"),
    [
        ("title", "Bieguni"),
        ("-title", "Solaris"),
        ("author", "Solaris"),
        ("-author", "Bieguni"),
        ("published_year", "Lalka"),
        ("-published_year", "Bieguni"),
        ("id", "Solaris"),
        ("-id", "Bieguni"),
        ("", "Bieguni"),
    ],
)
def test_the_list_is_in_the_order_that_is_asked_for(
    anyone: APIClient, order: str, first: str
) -> None:
    make_book("Solaris", author="Lem, Stanisław", published_year=1961)
    make_book("Lalka", author="Prus, Bolesław", published_year=1890)
    make_book("Bieguni", author="Tokarczuk, Olga", published_year=2007)
    assert titles(anyone.get("/api/books/", {"ordering": order}))[0] == first


@pytest.mark.parametrize("order", ["published_year", "-published_year"])
def test_books_without_a_year_count_as_the_oldest(anyone: APIClient, order: str) -> None:
    make_book("Undated")
    make_book("Dated", published_year=1961)
    found = titles(anyone.get("/api/books/", {"ordering": order}))
    assert found[0 if order == "published_year" else 1] == "Undated"


def test_an_unknown_order_is_refused_with_those_that_there_are(anyone: APIClient) -> None:
    answer = anyone.get("/api/books/", {"ordering": "daily_fee"})
    assert wrong_fields(answer) == {"ordering"}
    assert "daily_fee" in answer.json()["detail"]
    assert "-published_year" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ({"cover": "LEATHER"}, {"cover"}),
        ({"available": "perhaps"}, {"available"}),
        ({"search": "a\x00b"}, {"search"}),
        ({"author": "\x00"}, {"author"}),
        ({"cover": "X", "available": "2", "ordering": "?"}, {"cover", "available", "ordering"}),
    ],
)
def test_wrong_parameters_are_named(
    anyone: APIClient, query: dict[str, str], wrong: set[str]
) -> None:
    assert wrong_fields(anyone.get("/api/books/", query)) == wrong


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"cover": "HARD"}, ["Lalka"]),
        ({"cover": "SOFT"}, ["Bieguni", "Solaris"]),
        ({"language": "Polish"}, ["Lalka", "Solaris"]),
        ({"language": "Klingon"}, []),
        ({"language": ""}, ["Bieguni", "Lalka", "Solaris"]),
        ({"available": "true"}, ["Solaris"]),
        ({"available": "1"}, ["Solaris"]),
        ({"available": "false"}, ["Bieguni", "Lalka"]),
        ({"available": "false", "language": "Polish"}, ["Lalka"]),
        ({"author": "lem"}, ["Solaris"]),
        ({"author": "LEM"}, ["Solaris"]),
        ({"author": "stanislaw lem"}, ["Solaris"]),
        ({"author": "Lem, Stanisław"}, ["Solaris"]),
        ({"author": "stan"}, ["Solaris"]),
        ({"author": "Bolesław"}, ["Lalka"]),
        ({"author": "konwicki"}, ["Lalka"]),
        ({"author": "solaris"}, []),
        ({"author": "publisher"}, []),
        ({"author": "em"}, []),
        ({"author": "lem publisher"}, []),
        ({"author": '"'}, []),
        ({"author": "lem", "search": "solaris"}, ["Solaris"]),
        ({"author": "lem", "search": "lalka"}, []),
        ({"search": "lal", "available": "true"}, []),
        ({"search": "book"}, ["Lalka"]),
        ({"search": "", "author": ""}, ["Bieguni", "Lalka", "Solaris"]),
        ({"colour": "red"}, ["Bieguni", "Lalka", "Solaris"]),
    ],
)
def test_the_list_is_narrowed(anyone: APIClient, query: dict[str, str], found: list[str]) -> None:
    solaris = make_book("Solaris", language="Polish", publisher="Publisher")
    make_copy(solaris)
    make_book(
        "Lalka",
        author="Prus, Bolesław; Konwicki, Tadeusz",
        cover="HARD",
        language="Polish",
        subjects="book; lem",
    )
    make_copy(make_book("Bieguni", author="Tokarczuk, Olga"), status=CopyStatus.ON_LOAN)
    assert titles(anyone.get("/api/books/", query)) == found


def test_the_best_match_comes_first_unless_another_order_is_asked_for(anyone: APIClient) -> None:
    make_book("A Companion to Solaris")
    make_book("Solaris")
    assert titles(anyone.get("/api/books/", {"search": "solaris"}))[0] == "Solaris"
    in_order = titles(anyone.get("/api/books/", {"search": "solaris", "ordering": "title"}))
    assert in_order[0] == "A Companion to Solaris"


def test_a_barcode_finds_its_book(anyone: APIClient) -> None:
    make_copy(make_book("Solaris"), barcode="00012")
    make_book("Eden")
    assert titles(anyone.get("/api/books/", {"search": "00012"})) == ["Solaris"]


@pytest.mark.parametrize("address", ["/api/books/", "/api/books/{pk}/"])
def test_who_has_it_already_is_told_so_until_a_copy_is_lent(
    anyone: APIClient, address: str
) -> None:
    copy = make_copy()
    address = address.format(pk=copy.book_id)
    etag = anyone.get(address).headers["ETag"]
    assert not etag.startswith("W/")
    for known in (etag, f'"other", {etag}', f"W/{etag}", "*"):
        again = anyone.get(address, HTTP_IF_NONE_MATCH=known)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == etag
    lend(make_reader(), copy)
    changed = anyone.get(address, HTTP_IF_NONE_MATCH=etag)
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


@pytest.mark.parametrize("known", ['"other"', "nonsense", '"'])
def test_who_has_something_else_is_sent_the_book(anyone: APIClient, known: str) -> None:
    address = f"/api/books/{make_book().pk}/"
    assert anyone.get(address, HTTP_IF_NONE_MATCH=known).status_code == 200


@pytest.mark.parametrize("change", [{"title": "Eden"}, {"subjects": "planets"}, {"source_id": "7"}])
def test_each_change_of_a_book_makes_another_etag(
    anyone: APIClient, change: dict[str, str]
) -> None:
    book = make_book()
    before = [
        anyone.get(path).headers["ETag"] for path in ("/api/books/", f"/api/books/{book.pk}/")
    ]
    for name, value in change.items():
        setattr(book, name, value)
    book.save()
    after = [anyone.get(path).headers["ETag"] for path in ("/api/books/", f"/api/books/{book.pk}/")]
    assert not set(before) & set(after)


@pytest.mark.parametrize("prefix", ["/api/books", "/api/library/books"])
def test_books_answer_with_and_without_slash_and_in_the_other_folder(
    anyone: APIClient, prefix: str
) -> None:
    book = make_book()
    for address in (prefix, f"{prefix}/", f"{prefix}/{book.pk}", f"{prefix}/{book.pk}/"):
        assert anyone.get(address).status_code == 200


def test_head_is_get_without_the_body(anyone: APIClient) -> None:
    make_book()
    got, head = anyone.get("/api/books/"), anyone.head("/api/books/")
    assert head.headers["ETag"] == got.headers["ETag"]
    assert (head.status_code, head.content) == (200, b"")


def test_staff_see_the_copies_of_a_book_and_readers_do_not() -> None:
    book = make_book()
    dvd = ItemType.objects.create(name="DVD")
    make_copy(book, barcode="B2", item_type=dvd, price="12.00", status=CopyStatus.LOST)
    make_copy(book, barcode="B1")
    make_copy(make_book("Eden"))
    staff = client_for(make_staff(permissions=("catalog.view_copy",)))
    found = staff.get(f"/api/books/{book.pk}/copies/").json()["results"]
    assert [
        (copy["barcode"], copy["status"], copy["item_type"], copy["price"]) for copy in found
    ] == [
        ("B1", "available", None, None),
        ("B2", "lost", "DVD", "12.00"),
    ]
    assert staff.get("/api/books/99999/copies/").status_code == 404
    assert client_for(make_reader()).get(f"/api/books/{book.pk}/copies/").status_code == 403
    assert client_for().get(f"/api/books/{book.pk}/copies/").status_code == 401


def test_words_are_looked_for_among_no_books_where_the_author_has_no_letters() -> None:
    make_copy(make_book())
    answer = client_for().get("/api/books/", {"search": "solaris", "author": "\\"})
    assert (answer.status_code, answer.json()["results"]) == (200, [])


def test_an_empty_value_asks_for_nothing() -> None:
    make_book()
    query = dict.fromkeys(("search", "author", "cover", "language", "available", "ordering"), "")
    assert client_for().get("/api/books/", query).json()["count"] == 1
