"""What keeps lists fast in a large library, and that library itself, which a benchmark builds."""

from datetime import date

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import Q
from django.test.utils import CaptureQueriesContext

from alerts.backoffice import paging
from alerts.backoffice.paging import BoundedPaginator, any_of, few
from catalog.models import Book, CopyStatus
from catalog.search import search
from circulation.admin.finding import readers_matching
from circulation.models import Loan, Reader
from config import integrity
from config.rest import paging as rest_paging
from tests.benchmarks.size.building import build
from tests.benchmarks.size.shape import Shape
from tests.factories import make_book, make_reader

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


def test_what_fits_one_condition_or_another_is_found_once() -> None:
    make_book("Solaris", author="Lem")
    make_book("Eden", author="Lem")
    make_book("Ubik", author="Dick")
    found = any_of(Book.objects.all(), Q(title="Solaris"), Q(author="Lem"), Q(title="Nothing"))
    assert sorted(book.title for book in found) == ["Eden", "Solaris"]


def test_few_are_known_by_number_and_many_by_what_finds_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readers = [make_reader("Anna"), make_reader("Anna")]
    assert sorted(few(Reader.objects.all())) == sorted(reader.pk for reader in readers)
    monkeypatch.setattr(paging, "FEW", 1)
    assert Reader.objects.filter(pk__in=few(Reader.objects.all())).count() == 2


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
