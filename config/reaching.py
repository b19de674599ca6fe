"""Where the database is, in words without a password, and waiting until it takes connections."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.db import Error, connection
from django.utils.translation import gettext as _

from config.unsaid import without_secrets

PAUSE = 1.0
"""Seconds between two tries."""
SAID_EVERY = 5.0


class UnreachableError(Exception):
    """The database cannot be reached, and waiting does not help, or has not; says why."""


def place() -> str:
    """Return which database this is, as people name it."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return _("the file %(file)s") % {"file": given["NAME"]}
    where = {
        "name": given["NAME"],
        "host": given["HOST"] or "localhost",
        "port": given["PORT"] or "5432",
    }
    return _("PostgreSQL at %(host)s, port %(port)s, database “%(name)s”") % where


def wait(seconds: float, *, say: Callable[[str], Any]) -> None:
    """Return when the database takes connections. Raises UnreachableError."""
    if connection.vendor == "sqlite":
        seconds = 0
    ends = time.monotonic() + seconds
    said_at = float("-inf")
    while why := folder_problem() or refusal():
        now = time.monotonic()
        if now >= ends:
            message = _("The database cannot be reached (%(place)s): %(why)s")
            raise UnreachableError(message % {"place": place(), "why": why})
        if now - said_at >= SAID_EVERY:
            message = _("Waiting for %(place)s: %(why)s")
            say(message % {"place": place(), "why": why})
            said_at = now
        time.sleep(min(PAUSE, max(ends - now, 0)))


def refusal() -> str:
    """Return why there is no connection, in a line; nothing where there is one."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except Error as problem:
        connection.close()
        lines = without_secrets(str(problem)).split("\n")
        return lines[0].strip() or type(problem).__name__
    return ""


def folder_problem() -> str:
    """Return what is wrong with where the file of an SQLite database is to be, or nothing."""
    folder = Path(str(connection.settings_dict["NAME"])).parent
    if connection.vendor != "sqlite" or folder.is_dir():
        return ""
    return _("The folder %(folder)s is not there.") % {"folder": folder}
