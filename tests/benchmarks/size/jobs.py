"""The nightly jobs over all that is overdue, each rolled back so that it can be run again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import transaction
from django.utils import timezone

from circulation import tasks
from circulation.models import Loan

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Job:
    name: str
    loans: int
    seconds: float
    again: float


def measured() -> Iterator[Job]:
    today = timezone.localdate()
    overdue = Loan.objects.overdue(on=today).count()
    yield _run("overdue notices", overdue, lambda: tasks.notify_overdue(today))
    yield _run("fines, and the next night's", overdue, *map(_fines, (today, today + ONE_DAY)))
    yield _run("due-soon notices", overdue, lambda: tasks.notify_due_soon(today))


def _fines(on: date) -> Callable[[], object]:
    return lambda: tasks.accrue_fines(on)


def _run(
    name: str, loans: int, job: Callable[[], object], then: Callable[[], object] | None = None
) -> Job:
    with transaction.atomic():
        first, again = _seconds(job), _seconds(then or job)
        transaction.set_rollback(True)
    return Job(name, loans, first, again)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
