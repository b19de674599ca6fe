"""Search: what finds a book and what does not, in which order, and that the index stays true."""

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from catalog import search as search_module
from catalog import search_index
from catalog.models import Book, Copy
from catalog.search import MOST_RESULTS, by_author, says, search
from catalog.text import fold
from tests.factories import make_book, make_copy

sqlite_only = pytest.mark.skipif(
    "connection.vendor != 'sqlite'", reason="PostgreSQL computes the column itself"
)


def titles(query: str, **filters: object) -> list[str]:
    books = Book.objects.filter(**filters) if filters else None
    return [book.title for book in search(query, books)]


def _normal(title: str) -> Book:
    book = Book(title=title)
    book.normalise()
    return book


@pytest.fixture
def shelf(db: None) -> None:
    make_book("Łódź nocą", author="Żeromski, Stefan", subjects="Poland -- Fiction")
    make_book("Moby Dick; Or, The Whale", author="Melville, Herman", subjects="Whaling -- Fiction")
    make_book("Whale", author="Gordon, Ann", isbn="9780804429573", language="en")
    make_book("The Sea", author="Banville, John", subjects="Whale; Whale watching; Whale oil")
    make_book("粉妝樓1-10回", author="Luo, Guanzhong", language="zh")


@pytest.mark.parametrize("query", ["Łódź", "lodz", "LODZ", "łod", "zeromski lodz", "ŻEROMSKI"])
def test_case_and_accents_do_not_matter(shelf: None, query: str) -> None:
    assert titles(query) == ["Łódź nocą"]


def test_every_word_is_a_prefix_and_all_must_match(shelf: None) -> None:
    assert titles("melv mob") == ["Moby Dick; Or, The Whale"]
    assert titles("mob banville") == []
    assert titles("oby") == []


def test_a_single_letter_begins_a_word_of_what_the_other_words_find(shelf: None) -> None:
    assert titles("whale j") == titles("j whale") == ["The Sea"]
    assert titles("sea t b") == ["The Sea"]
    assert titles("whale x") == []
    assert titles("whale a", language="en") == ["Whale"]
    assert titles("d") == ["Moby Dick; Or, The Whale"]


def test_all_are_ranked_unless_they_are_too_many(
    shelf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "RANKED_OF_MORE", 1)
    monkeypatch.setattr(search_module, "_are_more", lambda *a, **k: False)
    assert titles("whale") == ["Whale", "Moby Dick; Or, The Whale", "The Sea"]
    monkeypatch.setattr(search_module, "_are_more", lambda *a, **k: True)
    assert len(titles("whale")) == 1


def test_whether_a_word_is_in_many_books_is_told_by_the_database(db: None) -> None:
    Book.objects.bulk_create(_normal(f"Yearbook {number}") for number in range(300))
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE catalog_book")
    yearbook = search_module._expression(["yearbook"], "")
    assert search_module._are_more(yearbook, than=250)
    assert not search_module._are_more(yearbook, than=350)


@pytest.mark.parametrize("name", ["lem", "stanislaw l", "lem s", "LEM", "em", "press", "stan x"])
def test_a_common_author_has_the_same_books(
    db: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for number in range(3):
        make_book(f"Solaris {number}", author="Lem, Stanisław; Lem, Tomasz", publisher="Press")
    make_book("Lem in our memory", author="Orliński, Wojciech", subjects="Lem, Stanisław")
    books = Book.objects.order_by("title", "id")
    rare = list(by_author(name, books))
    monkeypatch.setattr(search_module, "MOST_RANKED", 0)
    monkeypatch.setattr(search_module, "SAMPLE", 5)
    assert list(by_author(name, books)) == rare
    assert len(rare) == (0 if name in ("em", "press", "stan x") else 3)


def test_a_word_of_publishers_is_no_common_author(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_book("Solaris", author="Lem, Stanisław", publisher="Press")
    monkeypatch.setattr(search_module, "MOST_RANKED", 0)
    monkeypatch.setattr(search_module, "SAMPLE", 5)
    plan = str(by_author("press", Book.objects.all()).query)
    assert "search_vector" in plan or "catalog_book_search" in plan
    plan = str(by_author("lem", Book.objects.all()).query)
    assert "search_vector" not in plan
    assert "catalog_book_search" not in plan


def test_a_row_says_what_its_book_says(shelf: None) -> None:
    copy = make_copy(Book.objects.get(title="The Sea"))
    make_copy(Book.objects.get(title="Whale"))
    assert list(Copy.objects.filter(says("sea ban", "book__"))) == [copy]
    assert not Copy.objects.filter(says("ea", "book__")).exists()


@pytest.mark.parametrize(
    "query",
    ["9780804429573", "978-0-8044-2957-3", "080442957X", "0-8044-2957-x", " 978 0804429573"],
)
def test_an_isbn_is_found_in_any_notation(shelf: None, query: str) -> None:
    assert titles(query) == ["Whale"]


def test_a_subject_is_found(shelf: None) -> None:
    assert titles("poland") == ["Łódź nocą"]


def test_titles_that_begin_with_the_query_come_before_the_others(db: None) -> None:
    make_book("The Trees of Pride")
    make_book("Pride and Prejudice, a Novel in Three Volumes")
    assert titles("pride")[0].startswith("Pride and Prejudice")


def test_the_title_beats_the_rest_and_the_exact_title_comes_first(shelf: None) -> None:
    assert titles("whale") == ["Whale", "Moby Dick; Or, The Whale", "The Sea"]


@pytest.mark.parametrize("query", ["粉", "粉妝", "粉妝樓", "粉妝樓1-10"])
def test_the_beginning_of_a_chinese_title_finds_it(shelf: None, query: str) -> None:
    assert titles(query) == ["粉妝樓1-10回"]


def test_a_barcode_finds_its_book_in_full_only_and_first(shelf: None) -> None:
    make_copy(Book.objects.get(title="The Sea"), barcode="0042/(a)*")
    make_copy(Book.objects.get(title="The Sea"), barcode="Moby")
    assert titles("0042/(a)*") == ["The Sea"]
    assert titles("0042/(a)") == []
    assert titles("Moby") == ["The Sea", "Moby Dick; Or, The Whale"]


def test_a_search_keeps_to_the_books_it_is_given(shelf: None) -> None:
    assert titles("whale", language="en", author__contains="%") == []
    assert titles("whale", language="en") == ["Whale"]


def test_a_search_may_be_filtered_counted_and_ordered_further(shelf: None) -> None:
    found = search("whale").filter(author__contains="n").order_by("title")
    assert [book.title for book in found] == ["Moby Dick; Or, The Whale", "The Sea", "Whale"]
    assert found.count() == 3


def test_a_blank_query_returns_all_books_and_punctuation_none(shelf: None) -> None:
    assert search("").count() == search(" \t\n").count() == 5
    assert titles("?!") == []


@pytest.mark.parametrize(
    "query",
    [
        "AND", "whale OR", "NOT", "NEAR(a b)", "a*", ":", '"', "''", "' OR 1=1 --", "\0", "a\0b",
        "\\", "a & b | !c", "<->", "x" * 10_000, "whale " * 5000, " ".join(map(str, range(5000))),
        "%s %", "^whale", "{search_title}: whale", "\ud800", "🐳", "１２３", "-", "+-9" * 12,
    ],
)  # fmt: skip
def test_no_query_ever_fails(shelf: None, query: str) -> None:
    titles(query, language="en")
    titles(query)


def test_at_most_a_thousand_matches_are_returned(db: None) -> None:
    Book.objects.bulk_create(_normal(f"Yearbook {number}") for number in range(MOST_RESULTS + 1))
    assert search("yearbook").count() == MOST_RESULTS


def test_a_book_is_found_by_what_it_says_now(shelf: None) -> None:
    book = Book.objects.get(title="Whale")
    book.title = "Dolphin"
    book.save()
    assert titles("dolphin") == ["Dolphin"]
    assert "Dolphin" not in titles("whale")
    book.delete()
    assert titles("dolphin") == []
    assert search_index.is_current()


def test_a_very_long_text_is_still_a_book(db: None) -> None:
    words = " ".join(f"subject{number}" for number in range(150_000))
    make_book("Everything", subjects=f"{'z' * 5000} {words}")
    assert titles("everything subject77") == ["Everything"]


class TestEveryBookIsFoundByItsWords(TestCase):
    """Whatever a title is made of, the beginning of each of its words finds it."""

    @given(
        st.text(st.characters(categories=["Lu", "Ll", "Nd"], max_codepoint=0x4FF), min_size=1),
        st.integers(min_value=1, max_value=8),
    )
    def test_by_any_prefix_of_any_word(self, title: str, length: int) -> None:
        book = make_book(f"{title} 1e5x 12ab34")
        for word in fold(book.title).split():
            assert book in search(word[:length])


@sqlite_only
def test_an_index_that_has_missed_a_change_is_noticed_and_rebuilt(shelf: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER catalog_book_search_update")
    Book.objects.filter(title="Whale").update(search_title="orca")
    assert not search_index.is_current()
    search_index.install()
    assert search_index.is_current()
    assert titles("orca") == ["Whale"]


@sqlite_only
def test_a_wrong_entry_in_a_complete_index_is_noticed(shelf: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO catalog_book_search (rowid, search_title) VALUES (99, 'ghost')")
    assert not search_index.is_current()
    search_index.rebuild()
    assert search_index.is_current()


@sqlite_only
def test_the_index_survives_an_alteration_of_the_table(transactional_db: None) -> None:
    make_book("Whale")
    with connection.schema_editor() as editor:
        editor._remake_table(Book)  # type: ignore[attr-defined]
    assert not search_index.is_current()
    search_index.install()
    make_book("Dolphin")
    assert titles("dolphin") == ["Dolphin"]
    assert search_index.is_current()
