"""Where rows wait before they are written: temporary tables, which lock nothing of the library's.

On SQLite they live in the connection's own temporary file, on PostgreSQL they are filled by COPY.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from django.db import connection
from django.utils.translation import ngettext

ROWS = "import_row"
ERRORS = "import_error"
MOST_WARNINGS = 1000
CONTROL = (
    ("target_id", "bigint"),
    ("first_line", "bigint"),
    ("before", "text"),
    ("action", "varchar(1) DEFAULT 'n'"),
)

Params = Sequence[Any]
Refusal = tuple[int, str, str, str]
"""Line, column, value, reason."""


class Stage:
    """The staged rows of one import, their errors and warnings. Use as a context manager.

    A row's `action` is n(ew), c(hanged), u(nchanged), w(rong), or d where it repeats an earlier
    row. All are new until something else is found.
    """

    def __init__(
        self, columns: Sequence[tuple[str, str]], planned: Sequence[tuple[str, str]] = ()
    ) -> None:
        self.names = ("line", "first_line", *(name for name, _type in columns))
        self._types = (("line", "bigint"), *columns, *CONTROL, *planned)
        self._tables: list[str] = []
        self.warnings: list[str] = []
        self.more_warnings = 0
        self.is_postgres = connection.vendor == "postgresql"
        self.version = 0

    def __enter__(self) -> "Stage":
        self._spill_to_file(True)
        self.create(ROWS, self._types, key="line")
        self.create(
            ERRORS,
            (("line", "bigint"), ("col", "text"), ("value", "text"), ("reason", "text")),
        )
        self.version = self._data_version()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if connection.needs_rollback:
            return
        for table in self._tables:
            self.execute(f"DROP TABLE IF EXISTS {table}")
        self._spill_to_file(False)

    def create(self, table: str, columns: Sequence[tuple[str, str]], *, key: str = "") -> None:
        body = ", ".join(
            f"{name} {type_}{' PRIMARY KEY' if name == key else ''}" for name, type_ in columns
        )
        if not self.is_postgres:
            # Only a column declared as exactly this is the row number itself.
            body = body.replace(f"{key} bigint PRIMARY KEY", f"{key} integer PRIMARY KEY")
        self.execute(f"DROP TABLE IF EXISTS {table}")
        self.execute(f"CREATE TEMPORARY TABLE {table} ({body})")
        self._tables.append(table)

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Stage validated rows, their values in the order of `names`."""
        self.fill(ROWS, self.names, rows)

    def fill(self, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        if not rows:
            return
        columns = ", ".join(names)
        with connection.cursor() as cursor:
            if self.is_postgres:
                with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
                return
            marks = ", ".join(["%s"] * len(names))
            with self._one_transaction():
                cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)

    def add_errors(self, refusals: Sequence[Refusal]) -> None:
        self.fill(ERRORS, ("line", "col", "value", "reason"), refusals)

    def refuse(
        self,
        query: str,
        column: str,
        reason: Callable[..., str],
        params: Params = (),
    ) -> None:
        """Mark the rows that a query finds as wrong.

        The query yields line and value, and whatever `reason` is called with to say why.
        """
        found = self.fetch(query, params)
        self.add_errors(
            [(line, column, _short(value), reason(*rest)) for line, value, *rest in found]
        )
        with connection.cursor() as cursor, self._one_transaction():
            cursor.executemany(
                f"UPDATE {ROWS} SET action = 'w' WHERE line = %s",
                [(line,) for line, *_rest in found],
            )

    def execute(self, query: str, params: Params = ()) -> int:
        with connection.cursor() as cursor:
            cursor.execute(query, list(params) or None)
            return int(cursor.rowcount)

    def fetch(self, query: str, params: Params = ()) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(query, list(params) or None)
            return list(cursor.fetchall())

    def stream(self, query: str, params: Params = ()) -> Iterator[tuple[Any, ...]]:
        """Yield rows in parts. The staged rows must not be changed meanwhile."""
        with connection.cursor() as cursor:
            cursor.execute(query, list(params) or None)
            while rows := cursor.fetchmany(2000):
                yield from rows

    def has(self, query: str, params: Params = ()) -> bool:
        return bool(self.fetch(f"{query} LIMIT 1", params))

    def count(self, query: str, params: Params = ()) -> int:
        return int(self.fetch(query, params)[0][0] or 0)

    def differs(self, one: str, other: str) -> str:
        """The SQL condition that two values are not the same, NULL being one of the values."""
        return f"{one} IS {'DISTINCT FROM' if self.is_postgres else 'NOT'} {other}"

    def digest(self, columns: Iterable[str]) -> str:
        """The SQL expression that changes whenever one of the columns does."""
        listed = list(columns)
        if self.is_postgres:
            return f"md5(ROW({', '.join(listed)})::text)"
        return " || '|' || ".join(f"quote({column})" for column in listed)

    def warn(self, messages: Iterable[str]) -> None:
        for message in messages:
            if len(self.warnings) < MOST_WARNINGS:
                self.warnings.append(message)
            else:
                self.more_warnings += 1

    def all_warnings(self) -> list[str]:
        if not self.more_warnings:
            return self.warnings
        more = ngettext("And %(count)d more warning.", "And %(count)d more warnings.", 2)
        return [*self.warnings, more % {"count": self.more_warnings}]

    def analyze(self) -> None:
        """Tell PostgreSQL's planner how much was staged."""
        if self.is_postgres:
            self.execute(f"ANALYZE {ROWS}")

    def is_untouched(self) -> bool:
        """Tell whether nobody else has written to the database since the stage was opened.

        SQLite counts that for us. On PostgreSQL the answer is always no: look at the rows.
        """
        return not self.is_postgres and self._data_version() == self.version

    def _data_version(self) -> int:
        if self.is_postgres:
            return 0
        return self.count("PRAGMA data_version")

    def _spill_to_file(self, spill: bool) -> None:
        """Keep a large import out of memory: the site's setting holds temporary tables there."""
        if not self.is_postgres and not connection.in_atomic_block:
            self.execute(f"PRAGMA temp_store={'FILE' if spill else 'MEMORY'}")

    @contextmanager
    def _one_transaction(self) -> Iterator[None]:
        """Group writes to temporary tables. Deferred, so that the library's database stays free."""
        if self.is_postgres or connection.in_atomic_block:
            yield
            return
        self.execute("BEGIN DEFERRED")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")


def _short(value: object) -> str:
    return "" if value is None else str(value)[:200]
