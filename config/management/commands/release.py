"""`manage.py release`: what an update needs before web and worker start."""

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.utils.translation import gettext as _

from config import releases
from config.management.commands.wait_for_database import add_timeout


class Command(BaseCommand):
    help = (
        "Wait for the database, then bring its tables, the static files and the schedules of the "
        "jobs to this version. Safe to run again; several machines may run it at once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_timeout(parser)
        parser.add_argument(
            "--no-static",
            action="store_true",
            help="leave the static files alone: they are collected already, as in the image",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("wait_for_database", timeout=options["timeout"])
        with releases.alone(waiting=self._say_that_it_waits):
            call_command("migrate", interactive=False)
            call_command("createcachetable")
            if not options["no_static"]:
                call_command("collectstatic", interactive=False)
            call_command("sync_jobs")

    def _say_that_it_waits(self) -> None:
        self.stdout.write(_("Another release is at work on this database: waiting for its end."))
        self.stdout.flush()
