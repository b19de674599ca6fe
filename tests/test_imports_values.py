"""Import: what the cells of a file may say, and what is refused."""

from datetime import date

import pytest

from catalog.imports import values
from catalog.imports.values import BadValueError

COPIES = values.whole(0, values.MOST_COPIES)
MONEY = values.money(6)


@pytest.mark.parametrize(
    "raw", ["-5", "3.7", "1e400", "NaN", "1_000", "+3", "٣", "10001", "9" * 400, "0x1", "1,0", ""]
)
def test_these_are_no_number_of_copies(raw: str) -> None:
    with pytest.raises(BadValueError):
        COPIES(raw)


def test_numbers_of_copies() -> None:
    assert [COPIES("0"), COPIES("007"), COPIES("3.0"), COPIES("10000")] == [0, 7, 3, 10000]


@pytest.mark.parametrize(
    ("raw", "taken"),
    [("1,50", "1.50"), ("1.50", "1.50"), ("1.5", "1.50"), ("2", "2.00"), ("007.5", "7.50")],
)
def test_amounts(raw: str, taken: str) -> None:
    assert MONEY(raw) == taken


@pytest.mark.parametrize(
    "raw",
    [
        "NaN",
        "Infinity",
        "inf",
        "1e9",
        "-0.01",
        "1.500",
        "1,234.50",
        "1_0",
        "$1",
        ".5",
        "1.",
        "1234567",
    ],
)
def test_these_are_no_amounts(raw: str) -> None:
    with pytest.raises(BadValueError):
        MONEY(raw)


@pytest.mark.parametrize(
    ("raw", "taken"),
    [
        ("2026-03-02", "2026-03-02"),
        ("2026-03-02 23:59:00", "2026-03-02"),
        ("2026-03-02T10:00:00Z", "2026-03-02"),
        ("2026/3/2", "2026-03-02"),
        ("2.3.2026", "2026-03-02"),
        ("13/02/2026", "2026-02-13"),
        ("02/13/2026", "2026-02-13"),
        ("03/03/2026", "2026-03-03"),
        ("31-12-2025", "2025-12-31"),
    ],
)
def test_dates(raw: str, taken: str) -> None:
    assert values.day(raw) == taken


@pytest.mark.parametrize("raw", ["2026-02-30", "02/31/2026", "1/1/26", "yesterday", "0001-01-01"])
def test_these_are_no_dates(raw: str) -> None:
    with pytest.raises(BadValueError):
        values.day(raw)


def test_an_ambiguous_date_is_refused_with_both_readings() -> None:
    with pytest.raises(BadValueError, match=r"2026-03-02 or as 2026-02-03"):
        values.day("02/03/2026")


def test_a_past_day_may_not_be_in_the_future() -> None:
    past = values.past_day(date(2026, 3, 2))
    assert past("2026-03-02") == "2026-03-02"
    with pytest.raises(BadValueError):
        past("2026-03-04")


@pytest.mark.parametrize(
    ("raw", "taken"),
    [("1999", 1999), ("c1999", 1999), ("©1999", 1999), ("[1999?]", 1999), ("-400", -400),
     ("1971-12-01", 1971), ("12/01/1971", 1971), ("1.12.1971", 1971)],
)  # fmt: skip
def test_years(raw: str, taken: int) -> None:
    assert values.year(raw) == taken


@pytest.mark.parametrize("raw", ["19999", "MCMXC", "1999-2001", "9999"])
def test_these_are_no_years(raw: str) -> None:
    with pytest.raises(BadValueError):
        values.year(raw)


@pytest.mark.parametrize(
    "raw",
    ["080442957X", "0-8044-2957-X", "9780804429573", "978-0-8044-2957-3", '="080442957X"',
     "[080442957X]", "080442957X (pbk.)", "080442957X | 9780441172719", " 9780804429573 "],
)  # fmt: skip
def test_one_isbn_in_many_notations(raw: str) -> None:
    assert values.isbn(raw) == "9780804429573"


@pytest.mark.parametrize("raw", ["0804429570", "9780804429570", "123", "abc"])
def test_these_are_no_isbns(raw: str) -> None:
    with pytest.raises(BadValueError):
        values.isbn(raw)


def test_only_a_wrong_check_digit_can_be_accepted() -> None:
    assert isinstance(values.isbn_or_printed("9780804429570"), values.PrintedISBN)
    with pytest.raises(BadValueError):
        values.isbn_or_printed("123")


def test_too_long_a_text_is_refused_and_not_cut() -> None:
    with pytest.raises(BadValueError, match=r"501 characters.*500"):
        values.text(500)("x" * 501)
    assert values.text(500)("x" * 500)


@pytest.mark.parametrize("raw", ["with space", "żółw", "tab\t", "x" * 65])
def test_these_are_no_codes(raw: str) -> None:
    with pytest.raises(BadValueError):
        values.code(64)(raw)


def test_truth_and_words() -> None:
    assert values.truth("Tak") is True
    assert values.truth("0") is False
    with pytest.raises(BadValueError):
        values.truth("maybe")
    with pytest.raises(BadValueError, match="HARD"):
        values.one_of({"hard": "HARD"})("metal")
