"""SQLite: who waits to write gets a turn, and is told where there is none."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from config.sqlite.base import DatabaseWrapper

pytestmark = pytest.mark.django_db

Connect = Callable[..., DatabaseWrapper]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Open connections to one file, each as a process of its own would."""
    opened = []

    def another(*, timeout: float = 20) -> DatabaseWrapper:
        options = {"timeout": timeout, "transaction_mode": "IMMEDIATE"}
        mine: dict[str, Any] = {"NAME": str(tmp_path / "library.sqlite3"), "OPTIONS": options}
        made = DatabaseWrapper({**connection.settings_dict, **mine}, alias=f"desk {len(opened)}")
        made.inc_thread_sharing()
        made.ensure_connection()
        opened.append(made)
        return made

    yield another
    for each in opened:
        each.close()


def begin(desk: DatabaseWrapper) -> None:
    desk.set_autocommit(False, force_begin_transaction_with_broken_autocommit=True)


def patience(desk: DatabaseWrapper) -> int:
    """Return for how many milliseconds SQLite itself waits."""
    return int(desk.connection.execute("PRAGMA busy_timeout").fetchone()[0])


def test_the_site_uses_it_where_its_database_is_sqlite() -> None:
    assert isinstance(connections["default"], DatabaseWrapper) == (connection.vendor == "sqlite")


def test_a_writer_waits_until_the_other_is_done(connect: Connect) -> None:
    first, second = connect(), connect()
    begin(first)
    waits, began = threading.Event(), threading.Event()

    def lend() -> None:
        waits.set()
        begin(second)
        began.set()
        second.rollback()

    desk = threading.Thread(target=lend)
    desk.start()
    waits.wait()
    assert not began.wait(0.1)
    first.rollback()
    assert began.wait(20)
    desk.join()


def test_a_writer_whose_turn_does_not_come_is_told_so(connect: Connect) -> None:
    first, second = connect(), connect(timeout=0.05)
    begin(first)
    with pytest.raises(OperationalError, match="locked"):
        begin(second)
    first.rollback()
    second.set_autocommit(True)
    begin(second)
    second.rollback()


@pytest.mark.parametrize("is_locked", [False, True])
def test_what_writes_without_a_transaction_waits_as_ever(connect: Connect, is_locked: bool) -> None:
    first, second = connect(), connect(timeout=0.05)
    if is_locked:
        begin(first)
        with pytest.raises(OperationalError):
            begin(second)
    else:
        begin(second)
        second.rollback()
    assert patience(second) == 50


def test_another_trouble_is_not_waited_for(connect: Connect) -> None:
    desk = connect()
    begin(desk)
    with pytest.raises(OperationalError, match="within a transaction"):
        desk._start_transaction_under_autocommit()
    desk.rollback()
