"""SQLite: a copy of the file made while others write, and a file put where no database is."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

from django.db import connection
from django.utils.translation import gettext as _

from config.backups import checks, files, versions
from config.backups.checks import Verdict
from config.backups.files import BackupError
from config.backups.told import Tell

SUFFIX = ".sqlite3.gz"
PATIENCE = 20.0
"""Seconds to wait while another process recovers the database."""
BESIDE = ("-wal", "-journal")
"""Where SQLite keeps what is not in the file itself yet."""

# A table that never had a row has no count.
COUNT_THE_UNCOUNTED = """
    INSERT INTO sqlite_sequence (name, seq)
    SELECT name, 0 FROM sqlite_master
    WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'
      AND name NOT IN (SELECT name FROM sqlite_sequence)
"""


def database() -> Path:
    """Return where the site's database is. Raises BackupError if it is in memory."""
    name = str(connection.settings_dict["NAME"])
    if ":memory:" in name or "mode=memory" in name:
        raise BackupError(_("The database is in memory: it ends with its process."))
    return Path(name).resolve()


def refuse_name(target: Path) -> None:
    """Raise BackupError if a backup of this name would be a part of the database itself."""
    live = database()
    parts = {live, *(live.with_name(live.name + suffix) for suffix in (*BESIDE, "-shm"))}
    if target.resolve() in parts:
        raise BackupError(_("%(file)s is the database itself. Name another.") % {"file": target})


def copied(folder: Path, tell: Tell) -> tuple[Path, Verdict]:
    """Copy the database as it is at one moment into a folder, and check the copy.

    Whoever writes meanwhile does so into the write-ahead log, and does not wait. In one step: a
    copy in several begins again whenever somebody writes.
    """
    source, copy = database(), folder / "copy.sqlite3"
    if not source.exists():
        raise BackupError(_("There is no database %(file)s.") % {"file": source})
    files.refuse_small(folder.parent, needed=source.stat().st_size)
    address = f"file:{quote(str(source))}?mode=rw"
    with (
        files.in_words(folder.parent),
        closing(sqlite3.connect(address, uri=True, timeout=PATIENCE)) as live,
        closing(sqlite3.connect(copy)) as made,
    ):
        made.execute("PRAGMA synchronous=OFF")  # `files.put` sees to it, at the end
        live.backup(made, progress=_refuse_locked)
    tell(_("Copied: %(size)s.") % {"size": files.in_megabytes(copy.stat().st_size)})
    applied = _applied(copy)
    if not applied:
        raise BackupError(_("%(file)s is empty: there is nothing to back up.") % {"file": source})
    return copy, checks.of_file(copy) if versions.are_of_this(applied) else _of_another(copy)


def _refuse_locked(status: int, _remaining: int, _total: int) -> None:
    """Python would try for ever; SQLite itself has been patient by now."""
    if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        raise BackupError(_("The database is locked by another process. Try again later."))


def _of_another(copy: Path) -> Verdict:
    with files.in_words(copy.parent), closing(sqlite3.connect(copy)) as there:
        found = [line for (line,) in there.execute("PRAGMA quick_check") if line != "ok"]
    return Verdict(0, tuple(found))


def refuse_full() -> None:
    """Raise BackupError unless there is nothing at the place of the database."""
    target = database()
    for suffix in BESIDE:
        left = target.with_name(target.name + suffix)
        if left.exists() and not target.exists():
            raise BackupError(
                _(
                    "%(left)s was left by another database, and would be mixed into the restored "
                    "one. Move it away."
                )
                % {"left": left}
            )
    if target.exists():
        _refuse_tables(target)


def _refuse_tables(target: Path) -> None:
    try:
        with closing(sqlite3.connect(target, timeout=1)) as there:
            tables = [name for (name,) in there.execute("SELECT name FROM sqlite_master LIMIT 4")]
            if not tables:
                # Only who is alone with a file can have it leave WAL mode.
                there.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as problem:
        message = _(
            "%(file)s is in use: %(problem)s. Stop web and worker, and whatever else has it open."
        )
        raise BackupError(message % {"file": target, "problem": problem}) from problem
    except sqlite3.DatabaseError as problem:
        message = _("%(file)s is there and is no SQLite database. Move it away.")
        raise BackupError(message % {"file": target}) from problem
    if tables:
        message = _(
            "%(file)s is not empty (%(tables)s …): a backup is restored where nothing is. Move it "
            "away, with the files -wal and -shm beside it, or name another database in "
            "DATABASE_URL."
        )
        raise BackupError(message % {"file": target, "tables": ", ".join(tables)})


@contextmanager
def loaded(backup: Path, tell: Tell) -> Iterator[None]:
    """Connect this process to what is in a backup; afterwards that is the site's database.

    Where the block raises, it does not become so.
    """
    target = database()
    _refuse_live(backup)
    with files.workshop(target.parent, target.name) as folder:
        copy = folder / "copy.sqlite3"
        files.refuse_small(target.parent, needed=backup.stat().st_size)
        files.unpacked(backup, copy)
        tell(_("Read: %(size)s.") % {"size": files.in_megabytes(copy.stat().st_size)})
        versions.refuse_unknown(_applied(copy), backup)
        with _connected_to(copy):
            yield
        refuse_full()
        files.put(copy, target, force=True)


def skip_numbers(count: int) -> None:
    """Have each table go on so many numbers later."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT_THE_UNCOUNTED)
        cursor.execute("UPDATE sqlite_sequence SET seq = seq + %s", [count])


def _refuse_live(backup: Path) -> None:
    for suffix in BESIDE:
        beside = backup.with_name(backup.name + suffix)
        if beside.exists() and beside.stat().st_size:
            raise BackupError(
                _(
                    "%(file)s is a database in use, not a backup: a part of it is in %(beside)s. "
                    "Make a backup of it with “manage.py backup”."
                )
                % {"file": backup, "beside": beside}
            )


def _applied(copy: Path) -> set[tuple[str, str]]:
    with files.in_words(copy.parent), closing(sqlite3.connect(copy)) as there:
        try:
            rows = there.execute("SELECT app, name FROM django_migrations").fetchall()
        except sqlite3.OperationalError:  # no such table
            return set()
    return set(rows)


@contextmanager
def _connected_to(copy: Path) -> Iterator[None]:
    """Lead the connection of this process, a command's, to another file."""
    before = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = os.fspath(copy)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before
