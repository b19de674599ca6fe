"""What keeps lists fast in a large library, and that library itself, which a benchmark builds."""

from datetime import date
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import resolve

from alerts import long_lists
from alerts.backoffice import paging
from alerts.backoffice.paging import (
    BoundedPaginator,
    any_of,
    few,
    first_of_any,
    first_of_common,
)
from catalog import finding
from catalog.finding import with_book
from catalog.models import Book, Copy, CopyStatus
from catalog.search import search
from circulation import desk_readers
from circulation.admin.finding import readers_matching
from circulation.models import Loan, Reader
from config import integrity
from config.rest import paging as rest_paging
from tests.benchmarks.size.building import build
from tests.benchmarks.size.shape import Shape
from tests.factories import make_book, make_copy, make_reader

pytestmark = pytest.mark.django_db
TODAY = date(2026, 3, 2)
SHAPE = Shape(0.0005)


def test_the_library_of_the_benchmark_is_whole() -> None:
    build(SHAPE, on=TODAY)
    assert [(result.check.name, result.listed) for result in integrity.run() if result.count] == []
    assert Book.objects.count() == SHAPE.books
    assert Loan.objects.count() == SHAPE.loans
    assert Loan.objects.overdue(on=TODAY).count() == SHAPE.overdue


def test_a_copy_of_each_slot_is_another() -> None:
    slots = {slot * 7919 % SHAPE.copies for slot in range(SHAPE.copies)}
    assert len(slots) == SHAPE.copies
    assert all(slot * 7919 % SHAPE.copies * SHAPE.inverse % SHAPE.copies == slot for slot in slots)


@pytest.mark.parametrize("is_filtered", [False, True])
def test_pages_found_by_number_hold_what_they_would_hold_otherwise(is_filtered: bool) -> None:
    for number in range(11):
        make_book(f"Solaris {number % 3}")
    books = Book.objects.order_by("title", "id")
    if is_filtered:
        books = books.filter(title__gte="Solaris 1")
    pages = BoundedPaginator(books, 3)
    shown = [list(pages.page(number).object_list) for number in pages.page_range]
    assert [book for page in shown for book in page] == list(books)
    assert [len(page) for page in shown] == ([3, 3, 1] if is_filtered else [3, 3, 3, 2])


def test_a_page_of_a_list_that_is_counted_no_further_is_read_from_its_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "COUNTED_AT_MOST", 5)
    for number in range(9):
        make_book(f"Solaris {number}")
    pages = BoundedPaginator(Book.objects.filter(title__gt="").order_by("title"), 2)
    assert pages.num_pages == 3
    assert [book.title for book in pages.page(3).object_list] == ["Solaris 4"]


def test_a_list_that_had_many_rows_is_not_counted_for_some_minutes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "COUNTED_AT_MOST", 2)
    long_lists.forget()
    for number in range(3):
        make_book(f"Fiasco {number}")
    books = Book.objects.filter(title__startswith="Fiasco").order_by("title")
    assert BoundedPaginator(books, 1).count == 2
    with CaptureQueriesContext(connection) as asked:
        assert BoundedPaginator(books, 1).count == 2
    assert len(asked) == 0
    Book.objects.all().delete()
    assert list(BoundedPaginator(books, 1).page(2).object_list) == []
    long_lists.forget()
    assert BoundedPaginator(books, 1).count == 0
    assert BoundedPaginator(Book.objects.none(), 1).count == 0


@pytest.mark.parametrize("find", [any_of, first_of_any])
@pytest.mark.parametrize("order", ["-title", "published_year", "import_run__file_name", "-pk"])
def test_what_fits_one_condition_or_another_is_found_once(find: Any, order: str) -> None:
    make_book("Solaris", author="Lem")
    make_book("Eden", author="Lem")
    make_book("Ubik", author="Dick")
    books = Book.objects.order_by(order, "-id")
    found = find(books, Q(title="Solaris"), Q(author="Lem"), Q(title="Nothing"))
    assert [book.title for book in found] == [book.title for book in books if book.author == "Lem"]


def test_the_first_rows_are_found_in_the_order_of_the_list_where_they_are_near(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paging, "COUNTED_AT_MOST", 3)
    monkeypatch.setattr(paging, "LOOKED_AT", 4)
    monkeypatch.setattr(paging, "ENOUGH", 2)
    for number in range(9):
        make_book(f"Solaris {number}", author=("Lem", "Dick")[number % 2])
    books = Book.objects.order_by("-title")
    found = first_of_common(books, Q(author="Lem"))
    assert found is not None
    assert [book.title for book in found] == ["Solaris 8", "Solaris 6", "Solaris 4"]
    assert BoundedPaginator(found, 2).count == 3
    assert BoundedPaginator(found, 2).is_bounded
    assert [book.title for book in BoundedPaginator(found, 2).page(2)] == ["Solaris 4"]
    assert first_of_common(books, Q(title__lte="Solaris 5")) is None  # not among the first four
    assert first_of_common(books, Q(title__gte="Solaris 7")) is None  # so few that all are wanted


@pytest.mark.parametrize("is_common", [False, True])
def test_a_list_of_what_has_a_common_word_shows_the_first_and_exports_all(
    monkeypatch: pytest.MonkeyPatch, rf: RequestFactory, is_common: bool
) -> None:
    monkeypatch.setattr(paging, "COUNTED_AT_MOST", 2)
    monkeypatch.setattr(paging, "ENOUGH", 1)
    monkeypatch.setattr(finding, "MOST_RESULTS", 1 if is_common else 1000)
    copies = [make_copy(make_book(f"Solaris {number}")) for number in range(4)]
    rows = Copy.objects.order_by("-pk")
    request = rf.get("/")
    found = with_book(request, rows, "solaris", Q(barcode="-"), book="book")
    assert set(found) == set(copies)
    request.resolver_match = resolve("/admin/catalog/copy/")
    shown = with_book(request, rows, "solaris", Q(barcode="-"), book="book")
    assert list(shown)[:2] == copies[:1:-1]
    narrowed = rows.exclude(pk=copies[3].pk)
    assert with_book(request, narrowed, "solaris", book="book").first() == copies[2]


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite reads all names")
def test_words_of_names_are_looked_up_in_an_index() -> None:
    make_reader("Anna", last_name="Nowak-Kowalska")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_indexscan = off")
        cursor.execute("DROP INDEX reader_by_search_name")  # of few readers, any is good enough
    found = desk_readers.by_name("kowal a")
    assert "reader_by_word_of_name" in found.order_by().values("pk").explain()
    assert [reader.last_name for reader in found] == ["Nowak-Kowalska"]


def test_few_are_known_by_number_and_many_by_what_finds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers = [make_reader("Anna"), make_reader("Anna")]
    known = few(Reader.objects.all())
    assert isinstance(known, RawSQL)
    assert set(Reader.objects.filter(pk__in=known)) == set(readers)
    assert not Reader.objects.filter(pk__in=few(Reader.objects.filter(pk=0))).exists()
    monkeypatch.setattr(paging, "FEW", 1)
    many = few(Reader.objects.all())
    assert isinstance(many, QuerySet)
    assert set(Reader.objects.filter(pk__in=many)) == set(readers)


def test_readers_are_found_by_card_email_and_name_in_one_search() -> None:
    anna = make_reader("Anna", card_number="A-1", email="anna@example.org")
    make_reader("Jan", card_number="A-2")
    for term in ("A-1", "anna", "anna@example"):
        assert list(readers_matching(term)) == [anna], term


def test_how_many_a_broad_list_has_is_asked_once_in_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(4):
        make_book(f"Solaris {number}")
    books = Book.objects.filter(title__gt="Solaris")
    assert rest_paging.RememberedCount(books, 2).count == 4
    monkeypatch.setattr(rest_paging, "MANY", 3)
    assert rest_paging.RememberedCount(books, 2).count == 4
    make_book("Solaris 4")
    assert rest_paging.RememberedCount(books, 2).count == 4
    assert rest_paging.RememberedCount(books.filter(title__lt="Solaris 2"), 2).count == 2
    cache.clear()
    assert rest_paging.RememberedCount(books, 2).count == 5


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL chooses by itself")
def test_a_search_among_some_books_looks_at_what_matches_only() -> None:
    """Looked up once for every book that is available, a million took minutes."""
    make_book("Solaris")
    available = Book.objects.filter(copies__status=CopyStatus.AVAILABLE)
    with CaptureQueriesContext(connection) as asked:
        list(search("solaris", available))
    [ranked] = [query["sql"] for query in asked if "bm25" in query["sql"]]
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {ranked}")
        plan = [row[3] for row in cursor.fetchall()]
    [looked_up] = [step for step in plan if "VIRTUAL TABLE" in step]
    assert "=" not in looked_up
