"""Backups of a test's database by the commands themselves, and empty databases to restore into.

`python -m tests.backing_up` is a desk that lends and takes back until its input ends, and says each
loan that is committed.
"""

import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 180
SUFFIX = ".sqlite3.gz" if connection.vendor == "sqlite" else ".dump"


def address(name: str) -> str:
    """Return DATABASE_URL of a database beside that of this test, a file in the case of SQLite."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{quote(name)}"
    account = f"{quote(given['USER'])}:{quote(given['PASSWORD'])}"
    return f"postgres://{account}@{given['HOST']}:{given['PORT']}/{name}"


def start(*command: str, database: str = "", **options: Any) -> subprocess.Popen[str]:
    """Run a command of manage.py on a database, by default on that of this test."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "DATABASE_URL": address(database or str(connection.settings_dict["NAME"])),
    }
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def manage(*arguments: str, database: str = "") -> tuple[int, str]:
    """Return the exit status of a command, and all that it said."""
    process = start("manage.py", *arguments, database=database)
    said, problems = process.communicate(timeout=TIMEOUT)
    return process.returncode, said + problems


@contextlib.contextmanager
def empty_database(folder: Path) -> Iterator[str]:
    """Yield the name of a database in which nothing is."""
    if connection.vendor == "sqlite":
        yield str(folder / "restored here + elsewhere.sqlite3")
        return
    name = f"{connection.settings_dict['NAME']}_restored"
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{name}"')
        cursor.execute(f'CREATE DATABASE "{name}"')
    try:
        yield name
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{name}"')


def ask(database: str, question: str) -> list[tuple[Any, ...]]:
    if connection.vendor == "sqlite":
        with contextlib.closing(sqlite3.connect(database)) as there:
            return there.execute(question).fetchall()
    import psycopg  # noqa: PLC0415 - it is there with PostgreSQL only

    with psycopg.connect(address(database).replace("postgres://", "postgresql://")) as there:
        return there.execute(question).fetchall()  # type: ignore[arg-type]


def next_number(database: str, table: str) -> int:
    """Return a number that the next row of a table will not be below."""
    if connection.vendor == "sqlite":
        question = f"SELECT seq + 1 FROM sqlite_sequence WHERE name = '{table}'"
    else:
        question = f"SELECT nextval(pg_get_serial_sequence('{table}', 'id'))"
    ((number,),) = ask(database, question)
    return int(number)


def tables(database: str) -> int:
    """Return how many tables there are; where there is no file, none."""
    if connection.vendor == "sqlite":
        return len(ask(database, "SELECT 1 FROM sqlite_master")) if Path(database).exists() else 0
    return len(ask(database, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'"))


class Desk:
    """A process that lends and takes back; `lent` is what it has committed up to now."""

    def __init__(self, *, reader: int, copy: int) -> None:
        self.lent: list[int] = []
        self._process = start(
            "-m", "tests.backing_up", str(reader), str(copy), stdin=subprocess.PIPE
        )
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lent.append(int(line))

    def stop(self) -> None:
        """Raises AssertionError where the desk had any trouble."""
        assert self._process.stdin is not None
        assert self._process.stderr is not None
        self._process.stdin.close()
        self._listener.join(TIMEOUT)
        with self._process:
            problems = self._process.stderr.read()
        assert self._process.returncode == 0, problems


def main() -> None:
    import django  # noqa: PLC0415

    django.setup()
    from django.utils import timezone  # noqa: PLC0415

    from catalog.models import Copy  # noqa: PLC0415
    from circulation import desk  # noqa: PLC0415
    from circulation.models import Reader  # noqa: PLC0415

    stop, today = threading.Event(), timezone.localdate()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    reader, copy = Reader.objects.get(pk=sys.argv[1]), Copy.objects.get(pk=sys.argv[2])
    while not stop.is_set():
        loan = desk.check_out(reader, copy, on=today).loan
        sys.stdout.write(f"{loan.pk}\n")
        sys.stdout.flush()
        desk.check_in(copy, today=today)
        copy.refresh_from_db()


if __name__ == "__main__":
    main()
