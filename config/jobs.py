"""Every recurring job, in one table, and how the table becomes the queue's schedules."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django_q.models import Schedule
from django_q.tasks import async_task

from billing import tasks as billing
from catalog import import_jobs
from catalog import tasks as catalog
from catalog.import_jobs import LOST_AFTER
from circulation import tasks as circulation
from config import runs
from config.backups import nightly
from config.models import JobRun

MOST_TRIES = 3


class UnknownJobError(LookupError):
    """The table has no job of this name."""


@dataclass(frozen=True)
class Job:
    """A plain function of a date, safe to run twice, late, or after days off.

    It runs once a day, `at` a time in the library's time zone, or every so many `minutes`. A run
    that was missed is made up for once.
    """

    name: str
    run: Callable[[date | None], str]
    does: str | Promise
    at: time | None = None
    minutes: int | None = None
    longest: timedelta | None = None
    """What a run may take, where it is more than the queue allows any task."""

    @property
    def queue_options(self) -> dict[str, Any]:
        return {"timeout": int(self.longest.total_seconds())} if self.longest else {}

    @property
    def rhythm(self) -> str:
        if self.at is None:
            minutes = self.minutes or 1
            every = ngettext("every minute", "every %(minutes)d minutes", minutes)
            return every % {"minutes": minutes}
        return _("daily at %(time)s") % {"time": f"{self.at:%H:%M}"}

    def next_run(self, after: datetime) -> datetime:
        if self.at is None:
            return after
        local = timezone.localtime(after)
        today = datetime.combine(local.date(), self.at, tzinfo=local.tzinfo)
        return today if today > local else today + timedelta(days=1)


def watch(on: date | None = None) -> str:
    """Look after the runs of all jobs and after imports, whatever the day."""
    said = runs.watch_jobs()
    import_jobs.give_up_lost(at=timezone.now())
    again = make_up(at=timezone.now())
    return f"{said} " + _("Runs that were begun again: %(count)d.") % {"count": len(again)}


JOBS = (
    Job(
        "expire_holds",
        circulation.expire_holds,
        at=time(0, 10),
        does=gettext_lazy("ends holds that were not picked up and passes their copies on"),
    ),
    Job(
        "accrue_fines",
        circulation.accrue_fines,
        at=time(0, 30),
        longest=timedelta(minutes=14),
        does=gettext_lazy("writes down what overdue loans have come to"),
    ),
    Job(
        "tidy_imports",
        catalog.tidy_imports,
        at=time(0, 50),
        does=gettext_lazy("indexes what a killed import left, and deletes abandoned uploads"),
    ),
    Job(
        "forget_tokens",
        circulation.forget_tokens,
        at=time(1, 10),
        does=gettext_lazy("deletes sign-ins to the API that have run out"),
    ),
    Job(
        "back_up",
        nightly.back_up,
        at=time(3, 0),
        longest=timedelta(minutes=14),
        does=gettext_lazy("makes a backup in BACKUP_DIR, if that is set, and deletes the oldest"),
    ),
    Job(
        "notify_due_soon",
        circulation.notify_due_soon,
        at=time(8, 0),
        does=gettext_lazy("tells readers which loans are due within two days"),
    ),
    Job(
        "notify_overdue",
        circulation.notify_overdue,
        at=time(8, 5),
        does=gettext_lazy("tells readers which loans are 1, 8 or 22 days late"),
    ),
    Job(
        "notify_expiring_holds",
        circulation.notify_expiring_holds,
        at=time(8, 10),
        does=gettext_lazy("tells readers which holds end tomorrow"),
    ),
    Job(
        "announce_new_books",
        catalog.announce_new_books,
        at=time(8, 15),
        does=gettext_lazy("tells readers of new books by the authors they follow"),
    ),
    Job(
        "deliver_alerts",
        circulation.deliver_alerts,
        minutes=1,
        does=gettext_lazy("sends what waits to be told, as a safety net for the workers"),
    ),
    Job(
        "reconcile_payments",
        billing.reconcile_payments,
        minutes=10,
        does=gettext_lazy("asks the providers about payments and refunds that are not finished"),
    ),
    Job(
        "watch_jobs",
        watch,
        minutes=10,
        does=gettext_lazy("tells staff of what failed, and begins lost runs of daily jobs again"),
    ),
)


def called(name: str) -> Job:
    """Return a job by its name. Raises UnknownJobError."""
    for job in JOBS:
        if job.name == name:
            return job
    raise UnknownJobError(_("There is no job called “%(name)s”.") % {"name": name})


def run(name: str, on: date | None = None) -> str:
    """Run a job, in whatever process, and note it. Raises whatever the job raises."""
    return runs.recorded(name, lambda: called(name).run(on))


def run_soon(job: Job) -> None:
    """Hand a job to a worker when the transaction stands."""
    transaction.on_commit(
        lambda: async_task(runs.RUN, job.name, group=job.name, **job.queue_options)
    )


def make_up(*, at: datetime) -> list[str]:
    """Hand over again the jobs of a day whose run was lost, killed or failed; return their names.

    The queue may forget what it was given, and the next time it plans is tomorrow's.
    """
    again = [job for job in JOBS if job.at is not None and _is_to_be_made_up(job, at)]
    for job in again:
        run_soon(job)
    return [job.name for job in again]


def _is_to_be_made_up(job: Job, at: datetime) -> bool:
    tomorrow = job.next_run(after=at)
    ours = Schedule.objects.filter(name=job.name, func=runs.RUN).exclude(repeats=0)
    if not ours.filter(next_run__gt=at, next_run__lte=tomorrow).exists():
        return False
    due, patient = tomorrow - timedelta(days=1), at - LOST_AFTER
    last = JobRun.objects.filter(name=job.name).order_by("-pk").first()
    if last is None:
        return False
    if last.started_at >= due:
        tries = JobRun.objects.filter(name=job.name, started_at__gte=due).count()
        return bool(last.error) and last.started_at < patient and tries < MOST_TRIES
    # Only since there is a worker can something have been lost.
    return JobRun.objects.filter(started_at__range=(due, patient)).exists()


@transaction.atomic
def sync(*, at: datetime | None = None) -> list[str]:
    """Make the schedules with the jobs' names match the table; return the names of those changed.

    Schedules of other names are left alone, but for those of jobs that the table has no more. The
    name is not unique in the queue's own table, so a second one is removed.
    """
    at = at or timezone.now()
    names = [job.name for job in JOBS]
    for schedule in Schedule.objects.filter(func=runs.RUN).exclude(name__in=names):
        if schedule.args == repr(schedule.name):
            schedule.delete()
    return [job.name for job in JOBS if _sync_one(job, at)]


def _sync_one(job: Job, at: datetime) -> bool:
    schedule, *surplus = Schedule.objects.filter(name=job.name).order_by("pk") or [
        Schedule(name=job.name, next_run=None)
    ]
    for double in surplus:
        double.delete()
    wanted: dict[str, Any] = {
        "func": runs.RUN,
        "schedule_type": Schedule.MINUTES if job.minutes else Schedule.DAILY,
        "minutes": job.minutes,
        "repeats": -1,
        "args": repr(job.name),
        "kwargs": repr({"q_options": options}) if (options := job.queue_options) else None,
        "next_run": _kept_or_next(schedule.next_run, job, at),
    }
    if schedule.pk and all(getattr(schedule, field) == value for field, value in wanted.items()):
        return bool(surplus)
    for field, value in wanted.items():
        setattr(schedule, field, value)
    schedule.save()
    return True


def _kept_or_next(planned: datetime | None, job: Job, at: datetime) -> datetime:
    """Keep a planned run, even one that is late, unless the table has moved it."""
    if planned is not None and job.at in (None, timezone.localtime(planned).time()):
        return planned
    return job.next_run(after=at)
