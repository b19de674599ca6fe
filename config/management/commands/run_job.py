"""`manage.py run_job NAME`: run one recurring job now, in this process."""

from argparse import ArgumentTypeError
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.translation import gettext as _

from config import jobs

JOBS = {job.name: job for job in jobs.JOBS}


def past_or_present(raw: str) -> date:
    """Return the date, which may not be in the future: its fines would be charged today."""
    try:
        day = date.fromisoformat(raw)
    except ValueError as wrong:
        message = _("“%(raw)s” is not a date. Write it as 2026-03-02.") % {"raw": raw}
        raise ArgumentTypeError(message) from wrong
    if day > timezone.localdate():
        message = _("%(day)s is in the future. Jobs run for today or for an earlier day.")
        raise ArgumentTypeError(message % {"day": day})
    return day


class Command(BaseCommand):
    help = "Run a recurring job now. Running one twice, or late, does no harm."

    def add_arguments(self, parser: CommandParser) -> None:
        names = ", ".join(f"{job.name} ({job.does})" for job in jobs.JOBS)
        parser.add_argument("name", metavar="NAME", choices=JOBS, help=names)
        parser.add_argument(
            "--date",
            metavar="YYYY-MM-DD",
            type=past_or_present,
            help="the day to run it for; today, in the library's time zone, if left out",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        job = JOBS[options["name"]]
        try:
            result = jobs.run(job.name, options["date"])
        except Exception as error:
            message = _("%(name)s failed: %(error)s (--traceback shows where)") % {
                "name": job.name,
                "error": error or type(error).__name__,
            }
            raise CommandError(message) from error
        self.stdout.write(f"{job.name}: {result}")
