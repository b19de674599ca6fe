"""`manage.py backup FILE`: a copy of the whole database, made while the library works, checked."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from config.backups import files, making
from config.backups.command import explained


class Command(BaseCommand):
    help = (
        "Make a backup of the database: everything but .env is in it. Nobody has to wait "
        "meanwhile. The file gets its name when it is complete and check_integrity has looked at "
        "what is in it. Exits with 1 where there is no backup, or where something is wrong in it."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            metavar="FILE",
            type=Path,
            help="for SQLite such as carrel.sqlite3.gz (with .gz it is compressed), for "
            "PostgreSQL such as carrel.dump",
        )
        parser.add_argument("--force", action="store_true", help="replace FILE if it is there")

    def handle(self, *args: Any, **options: Any) -> None:
        tell = self.stdout.write if options["verbosity"] else lambda _sentence: None
        with explained():
            made = making.make(options["file"].absolute(), force=options["force"], tell=tell)
        tell(_("%(file)s: %(size)s.") % {"file": made.file, "size": files.in_megabytes(made.size)})
        if made.verdict.wrong:
            raise CommandError(
                _("The backup was made, but something is wrong in it: %(verdict)s")
                % {"verdict": made.verdict}
            )
        tell(
            _(
                "Keep .env with it, somewhere else: without its SECRET_KEY and CHANNEL_SECRET_KEY "
                "the secrets of channels cannot be read, and pay links are void."
            )
        )
