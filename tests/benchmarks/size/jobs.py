"""The nightly jobs over all that is overdue, each rolled back so that it can be run again."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from circulation import tasks
from circulation.models import Loan


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
    yield _run("fines", overdue, lambda: tasks.accrue_fines(today))
    yield _run("due-soon notices", overdue, lambda: tasks.notify_due_soon(today))


def _run(name: str, loans: int, job: Callable[[], object]) -> Job:
    with transaction.atomic():
        first, again = _seconds(job), _seconds(job)
        transaction.set_rollback(True)
    return Job(name, loans, first, again)


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
