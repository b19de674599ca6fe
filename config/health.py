"""How the jobs stand: when each ran, what came of it, what is wrong, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.models import Schedule

from config.jobs import JOBS, Job
from config.models import JobRun
from config.runs import WORKER

HEARTBEAT = timedelta(minutes=5)
"""A job runs every minute: when none has for so long, there is nobody to run it."""
GRACE_OF_A_DAY = timedelta(hours=2)
GRACE_OF_MINUTES = timedelta(minutes=10)


@dataclass(frozen=True)
class Standing:
    """A job with its schedule and its last run, where it has them."""

    job: Job
    schedule: Schedule | None
    last: JobRun | None

    def problem(self, *, at: datetime) -> str:
        """Return what is wrong with the job, or nothing."""
        if self.schedule is None:
            return _("“%(job)s” is not scheduled. Run: python manage.py sync_jobs") % {
                "job": self.job.name
            }
        if self._is_late(at):
            since = timezone.localtime(self.last.started_at if self.last else self._planned)
            return _(
                "“%(job)s” should have run by now (%(rhythm)s; not since %(since)s). Look for "
                "it under “Failed” and “Waiting”, or run it now."
            ) % {
                "job": self.job.name,
                "rhythm": self.job.rhythm,
                "since": f"{since:%Y-%m-%d %H:%M}",
            }
        if self.last is not None and self.last.error:
            return _("“%(job)s” failed when it last ran: %(why)s") % {
                "job": self.job.name,
                "why": self.last.error,
            }
        return ""

    @property
    def _planned(self) -> datetime:
        planned: datetime | None = self.schedule.next_run if self.schedule else None
        return planned or timezone.now()

    def _is_late(self, at: datetime) -> bool:
        if self.job.at is None:
            interval, grace = timedelta(minutes=self.job.minutes or 1), GRACE_OF_MINUTES
        else:
            interval, grace = timedelta(days=1), GRACE_OF_A_DAY
        if self._planned < at - grace:
            return True
        return self.last is not None and self.last.started_at < at - interval - grace


def standings() -> list[Standing]:
    newest = JobRun.objects.filter(name=OuterRef("name")).order_by("-pk").values("pk")
    planned = Schedule.objects.annotate(last_run=Subquery(newest[:1])).order_by("-pk")
    schedules = {schedule.name: schedule for schedule in planned}
    runs = JobRun.objects.filter(pk__in=[each.last_run for each in schedules.values()])
    last = {run.name: run for run in runs}
    return [Standing(job, schedules.get(job.name), last.get(job.name)) for job in JOBS]


def problems(found: Sequence[Standing] | None = None, *, at: datetime | None = None) -> list[str]:
    """Return what is wrong with the jobs, the cause before what follows from it."""
    at = at or timezone.now()
    found = standings() if found is None else found
    if all(standing.schedule is None for standing in found):
        return [_("No job is scheduled. Run: python manage.py sync_jobs")]
    if not (_is_seen(found, at=at) or is_alive(at=at)):
        return [_no_worker()]
    return [problem for standing in found if (problem := standing.problem(at=at))]


def _is_seen(found: Sequence[Standing], *, at: datetime) -> bool:
    """Tell whether the last runs of the jobs, which are read already, show a worker alive."""
    last = [standing.last for standing in found if standing.last is not None]
    return any((run.finished_at or run.started_at) >= at - HEARTBEAT for run in last)


def is_alive(*, at: datetime) -> bool:
    """Tell whether a job was begun or ended within the last minutes, or was not due before."""
    recent = at - HEARTBEAT
    runs_of_jobs = JobRun.objects.exclude(name=WORKER)
    if runs_of_jobs.filter(Q(started_at__gte=recent) | Q(finished_at__gte=recent)).exists():
        return True
    is_overdue = Schedule.objects.filter(next_run__lt=recent).exists()
    return not is_overdue and not runs_of_jobs.exists()


def _no_worker() -> str:
    last = JobRun.objects.exclude(name=WORKER).order_by("-pk").first()
    what_to_do = _("Start the worker: python manage.py run_worker")
    if last is None:
        return _("No job has ever run here: no worker is at work.") + " " + what_to_do
    since = timezone.localtime(last.finished_at or last.started_at)
    sentence = _("No job has run since %(since)s: no worker is at work.")
    return sentence % {"since": f"{since:%Y-%m-%d %H:%M}"} + " " + what_to_do
