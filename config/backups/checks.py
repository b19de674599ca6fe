"""What check_integrity says of a copy, or of what this process is connected to."""

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from config import integrity
from config.backups.files import BackupError
from config.unsaid import without_secrets


@dataclass(frozen=True)
class Verdict:
    """How many checks were made, none where the tables are of another Carrel; what is wrong."""

    checks: int
    wrong: tuple[str, ...]

    def __str__(self) -> str:
        if not self.checks and not self.wrong:
            return _(
                "The database is not at the version of this Carrel (manage.py migrate brings it "
                "there), so the copy was read through, but check_integrity could not be run."
            )
        if not self.wrong:
            return ngettext(
                "check_integrity: %(count)d check found nothing wrong.",
                "check_integrity: %(count)d checks found nothing wrong.",
                self.checks,
            ) % {"count": self.checks}
        return _("check_integrity: %(wrong)d of %(all)d do not hold: %(which)s") % {
            "wrong": len(self.wrong),
            "all": self.checks,
            "which": " ".join(self.wrong),
        }


def of_this_database() -> Verdict:
    return _verdict((str(each.check.sentence), each.count) for each in integrity.run())


def of_file(database: Path) -> Verdict:
    """Check an SQLite database in a process of its own: this one is connected to another.

    Raises BackupError where it cannot be read.
    """
    done = subprocess.run(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "check_integrity", "--json"],
        env={
            **os.environ,
            "DATABASE_URL": f"sqlite:///{quote(str(database.resolve()))}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        said = json.loads(done.stdout)
    except ValueError:
        lines = without_secrets(done.stderr).strip().splitlines() or [str(done.returncode)]
        message = _("The copy could not be checked, so it was not kept: %(problem)s")
        raise BackupError(message % {"problem": lines[-1]}) from None
    return _verdict((each["sentence"], each["violations"]) for each in said["checks"])


def _verdict(found: Iterable[tuple[str, int]]) -> Verdict:
    checks = list(found)
    wrong = (f"{sentence} ({count})" for sentence, count in checks if count)
    return Verdict(len(checks), tuple(wrong))
