"""`manage.py demo`: a library of real titles, invented readers and a year of loans, served here."""

import signal
from argparse import ArgumentTypeError
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from config import jobs
from config.demo import DATABASE, guide, library, server


def port_number(raw: str) -> int:
    if not raw.isdecimal() or not 1 <= int(raw) <= 65535:
        raise ArgumentTypeError(_("“%(raw)s” is not a port: 1 to 65535.") % {"raw": raw})
    return int(raw)


class Command(BaseCommand):
    help = (
        "Make a demonstration library in a database of its own (demo.sqlite3) and serve it on this "
        "machine until Ctrl-C. Delete that file to begin anew."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--prepare-only", action="store_true", help="make the library, but do not serve it"
        )
        parser.add_argument(
            "--port", type=port_number, default=8000, help="where to serve it (default: 8000)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO:
            raise CommandError(
                _(
                    "The demo has settings and a database of its own, and these are others. Start "
                    "it as a command of its own: python manage.py demo"
                )
            )
        port = options["port"]
        try:
            if not options["prepare_only"]:
                server.refuse_busy_port(port)
            guide = self._prepare()
            if options["prepare_only"]:
                self.stdout.write(guide)
            else:
                server.serve(port, when_ready=lambda: self._announce(guide, port))
                self.stdout.write(_("The demo has stopped."))
        except server.ServerError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            message = _("Stopped. The same command goes on from here.")
            raise CommandError(message, returncode=128 + signal.SIGINT) from None

    def _prepare(self) -> str:
        """Make what is missing and return what a visitor needs to know."""
        self.stdout.write(_("Preparing the demo in %(file)s …") % {"file": DATABASE.name})
        call_command("migrate", verbosity=0, interactive=False)
        call_command("createcachetable", verbosity=0)
        jobs.sync()
        library.prepare()
        return guide.text()

    def _announce(self, guide: str, port: int) -> None:
        self.stdout.write(guide)
        address = f"http://{server.HOST}:{port}/"
        self.stdout.write(_("Open %(address)s  (Ctrl-C stops it)") % {"address": address})
        self.stdout.flush()
