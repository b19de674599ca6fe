"""How many rows are written fast, the same ones every time: one statement for each table.

The statements are the same on SQLite and PostgreSQL but for days, instants and UUIDs.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Model
from django.db.models.fields import NOT_PROVIDED

NUMBERS = "size_numbers"
STIR, LARGEST = 1_103_515_245, 2_147_483_647
UNIX_EPOCH_IN_JULIAN_DAYS = 2_440_587.5
# Of an index that is made after its table is filled, so that filling it takes a tenth of the time.
SECONDARY_INDEXES = {
    "sqlite": """
        SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'
    """,
    "postgresql": """
        SELECT indexname, indexdef FROM pg_indexes
        WHERE schemaname = current_schema() AND indexdef LIKE 'CREATE INDEX%'
    """,
}
# What PostgreSQL would check for each row by itself, it checks in one go when they come back.
FOREIGN_KEYS = """
    SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE contype = 'f' AND connamespace = current_schema()::regnamespace
"""


@dataclass(frozen=True)
class Clock:
    """Days and instants, counted back from the day on which the library is looked at."""

    on: date

    def day(self, days_ago: str) -> str:
        if connection.vendor == "postgresql":
            return f"(DATE '{self.on}' - CAST({days_ago} AS integer))"
        return f"date({self._julian()} - ({days_ago}))"

    def moment(self, days_ago: str) -> str:
        """Return nine in the morning, UTC, so many days ago; parts of days count."""
        if connection.vendor == "postgresql":
            return f"(TIMESTAMPTZ '{self.on} 09:00+00' - ({days_ago}) * INTERVAL '1 day')"
        return f"datetime({self._julian() + 9 / 24} - ({days_ago}))"

    def _julian(self) -> float:
        return UNIX_EPOCH_IN_JULIAN_DAYS + (self.on - date(1970, 1, 1)).days


def chance(number: str, below: int, *, turn: int = 0) -> str:
    """Return SQL for one of 0 … below - 1, which looks random and is the same for each number."""
    return f"((({number}) * {STIR} + {turn * 7_654_321}) % {LARGEST} / 7 % {below})"


def uuid(number: str) -> str:
    if connection.vendor == "postgresql":
        return f"CAST(lpad(to_hex({number}), 32, '0') AS uuid)"
    return f"printf('%032x', {number})"


def fill(model: type[Model], source: str, **columns: str) -> None:
    """Insert a row for each of the source, `FROM …`; what is not named gets its field's default."""
    table = connection.ops.quote_name(model._meta.db_table)
    found = {}
    for field in model._meta.concrete_fields:
        column = str(field.column)
        if column in columns:
            found[column] = columns.pop(column)
        elif not field.primary_key and field.db_default is NOT_PROVIDED and not field.null:
            found[column] = _literal(field.get_default())
    assert not columns, columns
    names = ", ".join(map(connection.ops.quote_name, found))
    execute(f"INSERT INTO {table} ({names}) SELECT {', '.join(found.values())} {source}")


def numbers(first: int, last: int) -> str:
    """Return the source of the numbers `i`, both ends included."""
    return f"FROM {NUMBERS} WHERE i BETWEEN {first} AND {last}"


def load(model: type[Model], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows that are made in Python."""
    table, names = model._meta.db_table, ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:  # type: ignore[attr-defined]
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join("?" * len(columns))
        assert connection.connection is not None
        connection.connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def fetch(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


@contextmanager
def numbers_up_to(last: int) -> Iterator[None]:
    """Keep a table of the numbers from 1 on, for `fill` to draw from."""
    execute(f"CREATE TEMPORARY TABLE {NUMBERS} (i bigint PRIMARY KEY)")
    execute(
        f"INSERT INTO {NUMBERS} WITH RECURSIVE counted (i) AS ("
        "SELECT CAST(1 AS bigint) UNION ALL SELECT i + 1 FROM counted "
        f"WHERE i < {last}) SELECT i FROM counted"
    )
    yield
    execute(f"DROP TABLE {NUMBERS}")


@contextmanager
def without_indexes() -> Iterator[None]:
    """Leave out the indexes and PostgreSQL's foreign keys until all is written."""
    indexes = fetch(SECONDARY_INDEXES[connection.vendor])
    keys = fetch(FOREIGN_KEYS) if connection.vendor == "postgresql" else []
    for table, name, _definition in keys:
        execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    for name, _sql in indexes:
        execute(f'DROP INDEX "{name}"')
    yield
    for _name, sql in indexes:
        execute(sql)
    for table, name, definition in keys:
        execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}')


def _literal(value: Any) -> str:
    """Return a value as SQL writes it; the databases take a quoted text for JSON, too."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, int | Decimal):
        return str(value)
    written = json.dumps(value) if isinstance(value, list | dict) else str(value)
    return "'" + written.replace("'", "''") + "'"
