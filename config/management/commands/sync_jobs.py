"""`manage.py sync_jobs`: bring the queue's schedules to what the table of jobs says."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils.translation import gettext as _

from config import jobs


class Command(BaseCommand):
    help = "Schedule the recurring jobs of config/jobs.py. Other schedules are left alone."

    def handle(self, *args: Any, **options: Any) -> None:
        changed = jobs.sync()
        for job in jobs.JOBS:
            line = _("%(name)s, %(rhythm)s: %(does)s") % {
                "name": job.name,
                "rhythm": job.rhythm,
                "does": job.does,
            }
            self.stdout.write(line + (_(" (changed)") if job.name in changed else ""))
