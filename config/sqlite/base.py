"""Django's backend for SQLite, but who waits to write gets a turn as soon as there is one.

SQLite itself asks again after pauses that grow to a tenth of a second. Measured with two processes
that lend and take back, 5 clients: one of them waited up to 1.5 s while the other went on alone.
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import OperationalError
from django.db.backends.sqlite3 import base

PAUSE = 0.001  # seconds


class DatabaseWrapper(base.DatabaseWrapper):
    def _start_transaction_under_autocommit(self) -> None:
        ends = time.monotonic() + self._longest_wait()
        with self._answering_at_once():
            while True:
                try:
                    super()._start_transaction_under_autocommit()  # type: ignore[misc]
                except OperationalError as problem:
                    if not _is_busy(problem) or time.monotonic() >= ends:
                        raise
                else:
                    return
                time.sleep(PAUSE)

    @contextmanager
    def _answering_at_once(self) -> Iterator[None]:
        """Have SQLite say that another one writes instead of waiting, while a turn is asked for."""
        self.connection.execute("PRAGMA busy_timeout=0")
        try:
            yield
        finally:
            self.connection.execute(f"PRAGMA busy_timeout={round(1000 * self._longest_wait())}")

    def _longest_wait(self) -> float:
        """Return the seconds that OPTIONS gives, or those of Python's sqlite3."""
        return float(self.settings_dict["OPTIONS"].get("timeout", 5.0))


def _is_busy(problem: OperationalError) -> bool:
    return getattr(problem.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
