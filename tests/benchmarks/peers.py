"""What the importer is measured beside: django-import-export row by row, and the bare database."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tablib
from django.db import connection
from import_export import resources

from catalog.models import Book

COLUMNS = (
    *("title", "author", "isbn", "source_id", "cover", "daily_fee", "publisher"),
    *("published_year", "language", "subjects", "call_number"),
)


class PlainBooks(resources.ModelResource):  # type: ignore[misc]
    """The usual way: one resource, one row at a time."""

    class Meta:
        model = Book
        fields = COLUMNS
        import_id_fields = ("isbn",)


def row_by_row(path: Path, *, rows: int) -> int:
    """Import the first rows of a file with a plain resource; return how many."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader)
        fee = header.index("daily_fee")
        data = []
        for _number, row in zip(range(rows), reader, strict=False):
            data.append([*row[:fee], row[fee].replace(",", "."), *row[fee + 1 :]])
    result = PlainBooks().import_data(tablib.Dataset(*data, headers=header), raise_errors=True)
    return int(result.total_rows)


def bare(path: Path) -> int:
    """Write the cells of a file, unchecked, into a table without indexes; return how many rows."""
    with path.open(encoding="utf-8", newline="") as file, connection.cursor() as cursor:
        reader = csv.reader(file)
        header = next(reader)
        columns = ", ".join(f"{name} text" for name in header)
        cursor.execute("DROP TABLE IF EXISTS benchmark_bare")
        cursor.execute(f"CREATE TABLE benchmark_bare ({columns})")
        rows = list(reader)
        _write(cursor, rows)
        cursor.execute("DROP TABLE benchmark_bare")
    return len(rows)


def _write(cursor: Any, rows: Sequence[Sequence[str]]) -> None:
    if connection.vendor == "postgresql":
        with cursor.copy("COPY benchmark_bare FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        return
    marks = ", ".join(["%s"] * len(rows[0]))
    cursor.execute("BEGIN")
    cursor.executemany(f"INSERT INTO benchmark_bare VALUES ({marks})", rows)
    cursor.execute("COMMIT")
