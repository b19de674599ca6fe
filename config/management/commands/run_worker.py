"""`manage.py run_worker`: work off the queue, and keep at it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django_q.conf import Conf

from config.management.commands.wait_for_database import seconds
from config.worker.watchdog import Watchdog

GRACE = Conf.TIMEOUT + 10


class Command(BaseCommand):
    help = (
        "Run a cluster of workers, which work off the queue and begin the recurring jobs, and "
        "restart it when it dies or is stuck. SIGTERM, sent to this process alone, lets running "
        "tasks finish and ends it with status 0; a second one does not wait."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--grace",
            metavar="SECONDS",
            type=seconds,
            default=GRACE,
            help=f"what running tasks have to finish in, when told to stop (default: {GRACE})",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        Watchdog(grace=options["grace"]).watch()
