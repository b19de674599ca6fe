"""The books, copies and how they are searched: the titles of a real catalogue, varied."""

import csv
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from django.db import connection

from catalog import search_index, text
from catalog.isbn import normalise
from catalog.models import Book, Copy, ItemType
from tests.benchmarks.size.filling import STIR, Clock, chance, execute, fill, load, numbers
from tests.benchmarks.size.shape import Shape

SOURCE = Path(__file__).resolve().parents[3] / "fixtures" / "gutenberg_catalog.csv"
WORD = re.compile(r"[^\W\d_]{3,}")
COLUMNS = (
    *("id", "title", "author", "isbn", "printed_isbn", "source_id", "cover", "daily_fee"),
    *("publisher", "published_year", "language", "subjects", "call_number"),
    *("identity", "search_title", "search_rest", "created_at"),
)
ITEM_TYPES = ("Book", "DVD", "Map", "Reference")


def write(shape: Shape, clock: Clock) -> None:
    ItemType.objects.bulk_create(
        ItemType(pk=pk, name=name) for pk, name in enumerate(ITEM_TYPES, 1)
    )
    with _indexed_at_once():
        load(Book, COLUMNS, _books(shape.books, clock))
    _copies(shape, clock)


@contextmanager
def _indexed_at_once() -> Iterator[None]:
    """Have SQLite index all books together, as `search_index.install` does for what is missing."""
    if connection.vendor != "sqlite":
        yield
        return
    for name in search_index.TRIGGERS:
        execute(f"DROP TRIGGER {name}")
    yield
    search_index.install()


def _books(number: int, clock: Clock) -> Iterator[tuple[Any, ...]]:
    with SOURCE.open(encoding="utf-8", newline="") as file:
        records = list(csv.DictReader(file))
    words = sorted({word for record in records for word in WORD.findall(record["Title"])})
    for n in range(number):
        yield _book(n, records, words, clock)


def _book(n: int, records: list[Any], words: list[str], clock: Clock) -> tuple[Any, ...]:
    """Return a real record's values, with words of other titles in place of its subtitle."""
    of, stirred = records[n % len(records)], n * STIR % 2_147_483_647
    title = " ".join(of["Title"].split())[:300]
    if n >= len(records):
        chosen = (words[(stirred // each) % len(words)] for each in (1, 71, 5003))
        title = f"{title.split(':')[0].split(';')[0]}: {' '.join(chosen)}"
    has_isbn = n % 5 > 1
    book: Any = SimpleNamespace(
        title=title,
        author=records[stirred % len(records)]["Authors"][:1000],
        isbn=normalise(f"{n:09d}{_check_digit(n)}") if has_isbn else None,
        printed_isbn="",
        subjects=of["Subjects"],
        publisher=f"{words[stirred % 400]} Press",
        call_number=f"{'ABCDEFGH'[n % 8]}{stirred % 1000}.{n % 90}",
    )
    language, year = of["Language"][:50], 1900 + stirred % 126
    return (
        *(n + 1, title, book.author, book.isbn, "", None if has_isbn else f"rec-{n}"),
        *(("HARD", "SOFT")[n % 3 > 0], ("0.10" if n % 5 == 0 else "0.00"), book.publisher),
        *(year, language, book.subjects, book.call_number),
        text.identity(title, book.author, language, year),
        *text.search_columns(book),
        f"{clock.on.year - 1 - n % 10}-03-02 09:00:00+00:00",
    )


def _check_digit(n: int) -> str:
    """Return the last digit of the ISBN-10 that has this number."""
    weighted = sum(
        int(digit) * weight for digit, weight in zip(f"{n:09d}", range(10, 1, -1), strict=True)
    )
    return "0123456789X"[-weighted % 11]


def _copies(shape: Shape, clock: Clock) -> None:
    """Every book but each fiftieth has a copy; of the others some have two, and a few have 30."""
    best = shape.copies - shape.best_copies
    book = (
        f"CASE WHEN i > {best} THEN 1 + i % {shape.best_books} "
        f"WHEN i > {shape.books} OR i % 50 = 0 THEN 1 + i * 7919 % {shape.books // 4} ELSE i END"
    )
    fill(
        Copy,
        numbers(1, shape.copies),
        id="i",
        book_id=book,
        barcode="'3' || (100000000 + i)",
        status=_status(shape),
        item_type_id=f"CASE WHEN i % 10 = 0 THEN 1 + {chance('i', 4)} END",
        price="CASE WHEN i % 3 = 0 THEN 24.90 END",
        acquired_date=clock.day("i % 3650"),
        created_at=clock.moment("i % 3650"),
    )


def _status(shape: Shape) -> str:
    slot = f"((i - 1) * {shape.inverse} % {shape.copies})"
    ends = "".join(f" WHEN {slot} < {end} THEN '{status}'" for status, end in shape.statuses())
    return f"CASE{ends} ELSE 'available' END"
