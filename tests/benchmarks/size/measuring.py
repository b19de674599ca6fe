"""The one command: builds the libraries, asks for every page in each, and prints the table."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from django.contrib.messages.storage.fallback import FallbackStorage
from django.db import connection
from django.db.models import Count
from django.http import HttpRequest
from django.test import RequestFactory
from django.utils import timezone

from catalog.models import Book
from circulation.models import Loan, Reader
from config.settled import settle
from tests.benchmarks.size import databases, desk, jobs, pages, tables, walking
from tests.benchmarks.size.shape import STAFF, Shape
from tests.benchmarks.size.tables import Row
from tests.benchmarks.size.timing import Callers, Taken, measure
from tests.benchmarks.size.walking import Page

PAGE = 25
Key = tuple[str, str]
"""The kind of a page and its name."""
SHARES, TIMES = (0.01, 0.1, 1.0), 20
SHORT_SHARES, SHORT_TIMES, SHORT_STEP = (0.001, 0.003), 1, 8
"""So that it is proven to run, every eighth page is asked for in two small libraries."""


def run(folder: Path, *, is_short: bool, is_kept: bool, largest: int) -> None:
    """Print the table of one database, SQLite or PostgreSQL; the libraries may be kept for later.

    `largest` is the number of books in the largest of the libraries.
    """
    logging.disable(logging.WARNING)
    settle()  # as the web server does
    shares = SHORT_SHARES if is_short else SHARES
    found: dict[Key, dict[int, Taken]] = defaultdict(dict)
    worked: list[jobs.Job] = []
    shapes = [Shape(share * largest / 1_000_000) for share in shares]
    for shape in shapes:
        began, on = time.perf_counter(), timezone.localdate()
        with databases.of(shape, folder, on=on, is_kept=is_kept) as was_there:
            spent = time.perf_counter() - began
            print(f"{shape}, {connection.vendor}: {'kept' if was_there else 'built'} {spent:.0f} s")
            times, step = (SHORT_TIMES, SHORT_STEP) if is_short else (TIMES, 1)
            for key, taken in _measured(times, on=on, step=step):
                found[key][shape.books] = taken
            worked = list(jobs.measured())
    sizes = [shape.books for shape in shapes]
    rows = [
        Row(*key, [taken.get(size) for size in sizes])
        for key, taken in found.items()
        if sizes[-1] in taken
    ]
    tables.show(rows, shapes, worked)


def _measured(times: int, *, on: date, step: int = 1) -> Iterator[tuple[Key, Taken]]:
    reader, book = _busiest(on=on)
    callers = Callers({"superuser": 1, "librarian": 2, "reader": reader})
    for page in list(_pages(callers, reader, book))[::step]:
        yield (page.kind, page.name), measure(partial(callers.get, page), times)
    for name, act in desk.acts(callers.ask("librarian", False)):
        yield ("the Desk", name), measure(act, times)


def _pages(callers: Callers, reader: int, book: int) -> Iterator[Page]:
    yield from walking.lists(_request(), busy={Reader: reader, Book: book})
    yield from pages.office(reader=reader, typical=Reader.objects.count() // 2, book=book)
    for page in pages.api(reader=reader, book=book):
        yield page
        if page.kind == "API, list" and "?" not in page.address:
            number = callers.get(page).json().get("count", 0)
            last = f"{page.address}?page={-(-number // PAGE) or 1}"
            called = f"{page.called or page.address}?page=last"
            yield Page("API, last page", last, page.who, called)


def _request() -> HttpRequest:
    request: Any = RequestFactory().get("/admin/")
    request.user = Reader.objects.get(pk=1)
    request.session = {}
    request._messages = FallbackStorage(request)
    return request


def _busiest(*, on: date) -> tuple[int, int]:
    """Return the reader and the book that were lent most in the last two months."""
    lately = Loan.objects.filter(borrow_date__gte=on.replace(year=on.year - 1)).order_by()
    numbers = []
    for name in ("reader", "copy__book"):
        most = lately.values(name).annotate(number=Count("pk")).order_by("-number", name)
        numbers.append(most.filter(reader__gt=STAFF)[0][name])
    return numbers[0], numbers[1]
