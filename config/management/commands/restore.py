"""`manage.py restore FILE`: what is in a backup becomes the site's database, where none is."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from config.backups import restoring
from config.backups.command import explained


class Command(BaseCommand):
    help = (
        "Restore a backup into the database that DATABASE_URL names, which has to be empty; bring "
        "it up to this version of Carrel and run check_integrity. Run it as the user that the "
        "site runs as. Exits with 1 where it was not restored: then the database is as empty as "
        "it was."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", metavar="FILE", type=Path, help="what “manage.py backup” has made"
        )
        parser.add_argument(
            "--accept-unsound",
            action="store_true",
            help="restore it even where check_integrity finds something wrong in it",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tell = self.stdout.write if options["verbosity"] else lambda _sentence: None
        with explained():
            restoring.restore(
                options["file"].absolute(), accept_unsound=options["accept_unsound"], tell=tell
            )
        tell(
            _(
                "Restored. Next: run the release step and start web; enter what was lent, returned "
                "and paid since the backup was made; then start the worker, which sends what waits."
            )
        )
