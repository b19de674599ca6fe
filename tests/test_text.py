"""Folded text, and the key by which a book without numbers is known."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.models import Book
from catalog.text import fold, identity, search_columns


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        ("Łódź!", "lodz"),
        ("ŻÓŁĆ", "zolc"),
        ("Straße", "strasse"),
        ("Œuvre", "oeuvre"),
        ("Ærø", "aero"),
        ("Þór", "thor"),
        ("İstanbul", "istanbul"),
        ("Война и мир", "воина и мир"),
        ("naïve—café", "naive cafe"),
        ("snake_case  and\ttabs", "snake case and tabs"),
        ("C++ (2nd ed.)", "c 2nd ed"),
        ("ﬁre", "fire"),
        ("", ""),
        ("...", ""),
    ],
)
def test_accents_case_and_signs_fold_away(raw: str, folded: str) -> None:
    assert fold(raw) == folded


@given(st.text(max_size=50))
def test_folding_twice_is_folding_once(raw: str) -> None:
    assert fold(fold(raw)) == fold(raw)


@given(st.text(max_size=50))
def test_case_never_matters(raw: str) -> None:
    assert fold(raw.upper().lower()) == fold(raw.upper())


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (("solaris", "LEM", "pl", 1961), True),
        (("  Solaris ", "Lem", "pl", 1961), True),
        (("Solaris", "Lem", "en", 1961), False),
        (("Solaris", "Lem", "pl", 1962), False),
        (("Solaris", "Lem", "pl", None), False),
        (("Sólaris", "Lem", "pl", 1961), False),
        (("SolarisLem", "", "pl", 1961), False),
    ],
)
def test_books_are_told_apart_by_title_author_language_and_year(
    other: tuple[str, str, str, int | None], same: bool
) -> None:
    assert (identity("Solaris", "Lem", "pl", 1961) == identity(*other)) is same


def test_composed_and_decomposed_letters_are_one() -> None:
    assert identity("Żółw", "", "", None) == identity("Z\u0307o\u0301łw", "", "", None)


def test_signs_make_a_difference() -> None:
    assert identity("C++", "", "", None) != identity("C#", "", "", None)


def test_the_search_columns_hold_both_forms_of_an_isbn() -> None:
    book = Book(title="Łódź", author="Żeromski", isbn="9780804429573", call_number="PL-1")
    title, rest = search_columns(book)
    assert title == "lodz"
    assert rest.split() == ["zeromski", "|", "9780804429573", "080442957x", "pl", "1"]
