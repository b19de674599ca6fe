"""The databases that are measured: one for each size, made once and kept where that is wished."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection

from tests.benchmarks.size.building import analyse, build
from tests.benchmarks.size.filling import execute, fetch
from tests.benchmarks.size.shape import Shape

MARK = "size_built"


@contextmanager
def of(shape: Shape, folder: Path, *, on: date, is_kept: bool) -> Iterator[bool]:
    """Connect to the library of this shape; yield whether it was there already.

    On SQLite it is a file in the folder; on PostgreSQL a database beside the one that was named.
    """
    name = _name(shape, folder)
    with _connected_to(name):
        was_there = MARK in connection.introspection.table_names()
        if was_there:
            call_command("migrate", verbosity=0)
        else:
            call_command("createcachetable", verbosity=0)
            build(shape, on=on)
            analyse()
            execute(f"CREATE TABLE {MARK} (day date)")
        yield was_there
    if not is_kept:
        _drop(name)


def _name(shape: Shape, folder: Path) -> str:
    """Return the name of a database that is there, a copy of the empty library if it is new."""
    if connection.vendor == "sqlite":
        path = folder / f"size-{shape.books}.sqlite3"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            execute(f"VACUUM INTO '{path}'")
        return str(path)
    base = connection.settings_dict["NAME"]
    name = f"{base}_{shape.books}"
    if not fetch(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"):
        connection.close()
        _administer(f'CREATE DATABASE "{name}" TEMPLATE "{base}"')
    return name


def _administer(sql: str) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(sql)


@contextmanager
def _connected_to(name: str) -> Iterator[None]:
    before = connection.settings_dict["NAME"]
    _connect(name)
    try:
        yield
    finally:
        _connect(str(before))


def _connect(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name
    ContentType.objects.clear_cache()


def _drop(name: str) -> None:
    if connection.vendor == "postgresql":
        _administer(f'DROP DATABASE "{name}"')
        return
    for each in Path(name).parent.glob(f"{Path(name).name}*"):
        each.unlink()
