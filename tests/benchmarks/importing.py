"""How fast a file of new books is imported, and again unchanged; how long the desk waits."""

import resource
import time
from collections.abc import Callable
from pathlib import Path

from django.db import connection

from catalog import imports
from catalog.models import Book, Copy
from tests.benchmarks import books_file, peers
from tests.benchmarks.desk_wait import Desk

GOAL, LEAST = 15_000, 8_000


def measure(folder: Path, *, rows: int) -> None:
    """Print rows a second of our importer and of its peers, and the ratios."""
    file = folder / "books.csv"
    books_file.write(file, rows=rows)
    Copy.objects.create(book=Book.objects.create(title="On the desk"), barcode="DESK")
    print(f"{rows} books with one copy each, {connection.vendor}")
    plain_rows = min(rows, 1000)
    bare = _rate("bare database, unchecked, no index", lambda: peers.bare(file))
    plain = _rate(
        "django-import-export, row by row", lambda: peers.row_by_row(file, rows=plain_rows)
    )
    _empty()
    new = _rate("carrel, new", lambda: imports.run("books", file).new)
    again = _rate("carrel, unchanged", lambda: imports.run("books", file).unchanged)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"  new / row by row {new / plain:.1f} x, new / bare {new / bare:.2f} x")
    print(f"  unchanged / new {again / new:.1f} x; peak memory {peak:.0f} MB")
    print(f"  goal {GOAL}, at least {LEAST} rows a second; under 300 MB")
    _empty()
    with Desk() as desk:
        imports.run("books", file)
    print(f"  longest wait of {desk.scans} scans at the desk {desk.longest:.2f} s (goal: under 2)")


def _empty() -> None:
    """Delete all but what lies on the desk, without asking the ORM for 200,000 rows."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM catalog_copy WHERE barcode <> 'DESK'")
        cursor.execute("DELETE FROM catalog_book WHERE title <> 'On the desk'")


def _rate(name: str, work: Callable[[], int]) -> float:
    began, cpu = time.perf_counter(), time.process_time()
    done = work()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    print(f"  {name:36} {done / wall:9.0f} rows/s  ({wall:.2f} s, {cpu:.2f} s of CPU)")
    return done / wall
