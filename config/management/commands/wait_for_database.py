"""`manage.py wait_for_database`: return when the database takes connections."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from config import reaching


def seconds(raw: str) -> float:
    try:
        number = float(raw)
    except ValueError:
        number = -1
    if not 0 <= number <= 24 * 60 * 60:
        message = _("“%(raw)s” is not a number of seconds.") % {"raw": raw}
        raise argparse.ArgumentTypeError(message)
    return number


def add_timeout(parser: CommandParser) -> None:
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=60,
        help="how long to wait for the database (default: 60)",
    )


class Command(BaseCommand):
    help = (
        "Wait until the database takes connections, and say every few seconds what is waited for. "
        "Exits with 0 when it does, with 1 and the reason when it does not in time. SQLite is not "
        "waited for: its folder is there or not."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        add_timeout(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reaching.wait(options["timeout"], say=self._say)
        except reaching.UnreachableError as unreachable:
            raise CommandError(str(unreachable)) from unreachable
        self.stdout.write(
            _("The database takes connections (%(place)s).") % {"place": reaching.place()}
        )

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()
