"""Making a backup: copied, checked, and only then given its name."""

from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from django.db import connection

from config.backups import files, on_postgresql, on_sqlite
from config.backups.checks import Verdict
from config.backups.told import Tell, nobody

ENGINES: dict[str, ModuleType] = {"sqlite": on_sqlite, "postgresql": on_postgresql}


@dataclass(frozen=True)
class Made:
    """A backup that is there, and what check_integrity says of what is in it."""

    file: Path
    size: int
    verdict: Verdict


def engine() -> ModuleType:
    return ENGINES[connection.vendor]


def make(
    target: Path,
    *,
    unsound: Path | None = None,
    force: bool = False,
    room: str = "",
    tell: Tell = nobody,
) -> Made:
    """Make a backup of the site's database, while others use it.

    What check_integrity finds something wrong in is kept all the same, as `unsound` where that is
    given: it may be all there is. Nobody else makes one in the same `room` of the folder meanwhile.
    Raises BackupError, with nothing left behind.
    """
    using = engine()
    using.refuse_name(target)
    files.refuse_taken(target, force=force)
    with files.workshop(target.parent, room or target.name) as folder:
        copy, verdict = using.copied(folder, tell)
        if not verdict.wrong:
            tell(str(verdict))
        if target.suffix == ".gz":
            copy = files.packed(copy)
        copy.chmod(0o600)  # readers' names and addresses are in it
        place = unsound if verdict.wrong and unsound else target
        files.put(copy, place, force=force)
    return Made(place, place.stat().st_size, verdict)
