"""Which Carrel made a backup: its migrations have to be known here."""

from collections.abc import Iterable
from pathlib import Path

from django.db.migrations.loader import MigrationLoader
from django.utils.translation import gettext as _

from config.backups.files import BackupError

MOST_NAMED = 5


def are_of_this(applied: Iterable[tuple[str, str]]) -> bool:
    """Tell whether a database has these tables and columns exactly, and can be checked."""
    applied, known = set(applied), MigrationLoader(None).disk_migrations
    return known.keys() <= applied and not _unknown(applied)


def refuse_unknown(applied: Iterable[tuple[str, str]], backup: Path) -> None:
    """Raise BackupError unless these migrations, as (app, name), are of this Carrel or an older."""
    applied = set(applied)
    if not any(app == "circulation" for app, _name in applied):
        message = _("%(file)s is a database, but not one of Carrel.")
        raise BackupError(message % {"file": backup})
    if unknown := sorted(_unknown(applied)):
        names = [f"{app}.{name}" for app, name in unknown]
        more = " …" if len(names) > MOST_NAMED else ""
        raise BackupError(
            _(
                "%(file)s was made by a newer Carrel: this one does not know %(names)s. Update "
                "Carrel first, then restore."
            )
            % {"file": backup, "names": ", ".join(names[:MOST_NAMED]) + more}
        )


def _unknown(applied: set[tuple[str, str]]) -> set[tuple[str, str]]:
    known = MigrationLoader(None).disk_migrations
    squashed = {(app, name) for each in known.values() for app, name in each.replaces}
    return applied - known.keys() - squashed
