"""One release at a time: machines that are updated together take turns at their database."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

TURN = int.from_bytes(b"carrel")
"""What the lock is called: advisory locks of PostgreSQL are numbers."""
PAUSE = 0.1  # seconds


@contextmanager
def alone(*, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a PostgreSQL database for oneself; call `waiting` where another release is under way.

    A second connection holds the lock in a transaction, which a pooler does not share out, and
    whose end, however this process ends, is the end of the lock. SQLite is one machine's.
    """
    if connection.vendor != "postgresql":
        yield
        return
    holding = connection.copy()
    try:
        holding.set_autocommit(False)
        with holding.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s::bigint)", [TURN])
            if not cursor.fetchone()[0]:
                waiting()
                cursor.execute("SELECT pg_advisory_xact_lock(%s::bigint)", [TURN])
                _let_end_what_was_begun(cursor)
        yield
    finally:
        holding.close()


def _let_end_what_was_begun(cursor: Any) -> None:
    """Wait for those who write now: the server may still be at the last words of a killed one."""
    writers = _writers(cursor)
    while writers:
        time.sleep(PAUSE)
        writers &= _writers(cursor)


def _writers(cursor: Any) -> set[tuple[int, str]]:
    cursor.execute("SELECT pg_stat_clear_snapshot()")
    cursor.execute(
        "SELECT pid, backend_xid::text FROM pg_stat_activity "
        "WHERE datname = current_database() AND backend_xid IS NOT NULL"
    )
    return set(cursor.fetchall())
