"""Files of backups: where they are made, how they come to their name, and what is in them."""

import errno
import fcntl
import gzip
import os
import shutil
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

from django.utils.translation import gettext as _

PART = 1 << 20
GZIP_LEVEL = 4
"""Of the demo's library: 3 % larger than by level 6, in half of the time."""
HEADS = {
    b"SQLite format 3\0": "sqlite",
    b"PGDMP": "postgresql",
}
GZIP = b"\x1f\x8b"


class BackupError(Exception):
    """Why there is no backup, or nothing was restored, in words for who runs the site."""


class BusyError(BackupError):
    """Another process is at it."""


@contextmanager
def workshop(folder: Path, name: str) -> Iterator[Path]:
    """Yield an empty folder in `folder`, which nobody else may read, and remove it afterwards.

    What a process that was killed has left in it is removed. Raises BackupError while another
    process is at work in it (BusyError), and where `folder` cannot be written to.
    """
    place = folder / f".{name}.partial"
    with in_words(folder):
        place.mkdir(mode=0o700, exist_ok=True)
        with (place / "lock").open("w") as lock:
            _hold(lock.fileno(), place)
            _clear(place)
            try:
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)


def _hold(lock: int, place: Path) -> None:
    """The lock ends with the process, however it ends."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Who had it may have removed the folder since it was opened.
        is_ours = os.fstat(lock).st_ino == (place / "lock").stat().st_ino
    except (BlockingIOError, FileNotFoundError):
        is_ours = False
    if not is_ours:
        raise BusyError(
            _("Another process is at work in %(folder)s. Wait until it has finished.")
            % {"folder": place}
        )


def _clear(place: Path) -> None:
    for left in place.iterdir():
        if left.name != "lock":
            left.unlink()


@contextmanager
def in_words(folder: Path) -> Iterator[None]:
    """Raise BackupError for what the system says of `folder` and what is in it."""
    try:
        yield
    except sqlite3.Error as problem:
        if getattr(problem, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            raise BackupError(_no_room(folder)) from problem
        raise BackupError(_("SQLite says: %(problem)s.") % {"problem": problem}) from problem
    except OSError as problem:
        raise BackupError(_system_says(problem, folder)) from problem


def _system_says(problem: OSError, folder: Path) -> str:
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return _no_room(folder)
    names = {"folder": folder, "problem": problem.strerror or problem}
    if problem.errno == errno.ENOENT and not folder.exists():
        return _("There is no folder %(folder)s. Make it, or see whether it is mounted.") % names
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return _("Nothing can be written in %(folder)s: %(problem)s.") % names
    return _("In %(folder)s: %(problem)s.") % names


def _no_room(folder: Path) -> str:
    return _("There is no room left in %(folder)s. Nothing was kept of what was begun.") % {
        "folder": folder
    }


def refuse_small(folder: Path, *, needed: int) -> None:
    """Raise BackupError unless so many bytes are free in a folder."""
    with in_words(folder):
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(
            _(
                "There is too little room in %(folder)s: %(free)s are free, and %(needed)s are "
                "needed while this is done."
            )
            % {"folder": folder, "free": in_megabytes(free), "needed": in_megabytes(needed)}
        )


def in_megabytes(size: int) -> str:
    return _("%(size).1f MB") % {"size": size / 1e6}


def refuse_taken(target: Path, *, force: bool) -> None:
    """Raise BackupError where a backup cannot get this name."""
    if target.is_dir():
        raise BackupError(_("%(file)s is a folder. Name a file in it.") % {"file": target})
    if os.path.lexists(target) and not force:
        raise BackupError(
            _("%(file)s is there already. Name another file, or have it replaced with --force.")
            % {"file": target}
        )


def put(made: Path, target: Path, *, force: bool) -> None:
    """Give a finished file its name; from then on it is safe from a power cut."""
    with in_words(target.parent):
        with made.open("rb") as file:
            os.fsync(file.fileno())
        refuse_taken(target, force=force)
        made.replace(target)
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system knows it
            os.fsync(opened)
    finally:
        os.close(opened)


def packed(copy: Path) -> Path:
    """Compress a file in a workshop, and remove it."""
    result = copy.with_name(copy.name + ".gz")
    with (
        in_words(copy.parent.parent),
        copy.open("rb") as plain,
        gzip.open(result, "wb", compresslevel=GZIP_LEVEL) as file,
    ):
        shutil.copyfileobj(plain, file, PART)
    copy.unlink()
    return result


def unpacked(backup: Path, to: Path) -> None:
    """Copy a backup into a workshop, decompressed if it is compressed.

    Raises BackupError where it is damaged.
    """
    with in_words(to.parent.parent), _opened(backup) as plain, to.open("wb") as file:
        try:
            shutil.copyfileobj(plain, file, PART)
        except (EOFError, gzip.BadGzipFile, zlib.error) as problem:
            raise BackupError(
                _("%(file)s is damaged or cut off: %(problem)s.")
                % {"file": backup, "problem": str(problem).rstrip(".")}
            ) from problem


def engine_of(file: Path) -> str:
    """Return for which database a file is, as Django calls it. Raises BackupError for others."""
    try:
        with _opened(file) as plain:
            begin = plain.read(max(map(len, HEADS)))
    except (EOFError, gzip.BadGzipFile, zlib.error):
        begin = b""
    except OSError as problem:
        raise BackupError(
            _("%(file)s cannot be read: %(problem)s.")
            % {"file": file, "problem": problem.strerror or problem}
        ) from problem
    for head, engine in HEADS.items():
        if begin.startswith(head):
            return engine
    raise BackupError(
        _("%(file)s is no backup: it holds neither an SQLite database nor a dump of pg_dump -Fc.")
        % {"file": file}
    )


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    with file.open("rb") as raw:
        is_packed = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        if not is_packed:
            yield raw
            return
        with gzip.GzipFile(fileobj=raw) as plain:
            yield cast(BinaryIO, plain)
