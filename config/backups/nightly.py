"""The backup of each night, in the folder BACKUP_DIR, and how many of them are kept there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from config.backups import files, making
from config.backups.files import BackupError, BusyError
from config.models import LONGEST_NOTE

STAMP = "%Y-%m-%dT%H%M"
NAME = re.compile(
    r"carrel-(?P<at>\d{4}-\d\d-\d\dT\d{4})(?P<unsound>\.unsound)?\.(sqlite3\.gz|dump)", re.ASCII
)
ROOM = "carrel"


@dataclass(frozen=True)
class Backup:
    """A file that the job made; `is_sound` is false where check_integrity found something."""

    file: Path
    made_at: datetime
    is_sound: bool

    @property
    def size(self) -> int:
        return self.file.stat().st_size


def back_up(_on: date | None = None) -> str:
    """Make the backup of this night, whatever the day, and delete the oldest beyond BACKUP_KEEP.

    Raises BackupError. Only what this job has made is deleted, and only after a good one was made.
    """
    if not settings.BACKUP_DIR:
        return _("BACKUP_DIR is not set: no backup is made.")
    stem, suffix = f"carrel-{timezone.localtime():{STAMP}}", making.engine().SUFFIX
    target, unsound = (_folder() / f"{stem}{mark}{suffix}" for mark in ("", ".unsound"))
    try:
        made = making.make(target, unsound=unsound, room=ROOM)
    except BusyError as busy:
        return str(busy)
    if made.verdict.wrong:
        _delete([each for each in backups() if not each.is_sound][1:])
        raise BackupError(f"{made.verdict}"[:LONGEST_NOTE])
    gone = _delete([each for each in backups() if each.is_sound][max(1, settings.BACKUP_KEEP) :])
    return _("%(name)s: %(size)s. %(verdict)s Old ones deleted: %(gone)d.") % {
        "name": made.file.name,
        "size": files.in_megabytes(made.size),
        "verdict": made.verdict,
        "gone": gone,
    }


def newest() -> Backup | None:
    """Return the newest sound backup in BACKUP_DIR, or None."""
    return next((each for each in backups() if each.is_sound), None)


def backups() -> list[Backup]:
    """Return what this job has made, the newest first; where there is no folder, nothing."""
    return sorted(_found(), key=lambda each: each.file.name, reverse=True)


def _found() -> Iterator[Backup]:
    if not settings.BACKUP_DIR or not _folder().is_dir():
        return
    for file in _folder().iterdir():
        if (name := NAME.fullmatch(file.name)) and (at := _moment(name["at"])):
            yield Backup(file, at, is_sound=not name["unsound"])


def _folder() -> Path:
    folder: Path = settings.BASE_DIR / settings.BACKUP_DIR
    return folder


def _moment(stamp: str) -> datetime | None:
    try:
        return timezone.make_aware(datetime.strptime(stamp, STAMP))  # noqa: DTZ007 - made aware
    except ValueError:
        return None


def _delete(old: list[Backup]) -> int:
    for each in old:
        each.file.unlink(missing_ok=True)
    return len(old)
