"""Every recurring job, in one table, and how the table becomes the queue's schedules."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django_q.models import Schedule

from catalog import tasks as catalog
from circulation import tasks as circulation


@dataclass(frozen=True)
class Job:
    """A plain function of a date, safe to run twice, late, or after days off; run once a day.

    `at` is in the library's time zone. A run that was missed is made up for once.
    """

    name: str
    run: Callable[[date | None], str]
    at: time
    does: str | Promise

    @property
    def path(self) -> str:
        return f"{self.run.__module__}.{self.run.__qualname__}"

    def next_run(self, after: datetime) -> datetime:
        local = timezone.localtime(after)
        today = datetime.combine(local.date(), self.at, tzinfo=local.tzinfo)
        return today if today > local else today + timedelta(days=1)


JOBS = (
    Job(
        "expire_holds",
        circulation.expire_holds,
        at=time(0, 10),
        does=_("ends holds that were not picked up and passes their copies on"),
    ),
    Job(
        "accrue_fines",
        circulation.accrue_fines,
        at=time(0, 30),
        does=_("writes down what overdue loans have come to"),
    ),
    Job(
        "tidy_imports",
        catalog.tidy_imports,
        at=time(0, 50),
        does=_("indexes what a killed import left, and deletes abandoned uploads"),
    ),
)


@transaction.atomic
def sync(*, at: datetime | None = None) -> list[str]:
    """Make the schedules with the jobs' names match the table; return the names of those changed.

    Schedules of other names are left alone. The name is not unique in the queue's own table, so a
    second one is removed.
    """
    at = at or timezone.now()
    return [job.name for job in JOBS if _sync_one(job, at)]


def _sync_one(job: Job, at: datetime) -> bool:
    schedule, *surplus = Schedule.objects.filter(name=job.name).order_by("pk") or [
        Schedule(name=job.name, next_run=None)
    ]
    for double in surplus:
        double.delete()
    wanted: dict[str, Any] = {
        "func": job.path,
        "schedule_type": Schedule.DAILY,
        "repeats": -1,
        "args": None,
        "kwargs": None,
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
    if planned is not None and timezone.localtime(planned).time() == job.at:
        return planned
    return job.next_run(after=at)
