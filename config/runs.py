"""Runs of jobs: each is noted, with what it said or why it failed, and staff hear of failures."""

import logging
from collections.abc import Callable
from datetime import date, datetime, timedelta

from django.db import DatabaseError, transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.models import Failure

from alerts import doers, outbox
from alerts.events import EventKind
from alerts.models import storable
from config import context
from config.models import LONGEST_NOTE, JobRun
from config.unsaid import without_secrets

log = logging.getLogger(__name__)

RUN = context.RUNS_JOBS
"""What the schedules of our jobs call, with the name of the job."""
WORKER = "run_worker"
"""What the restarts of workers are noted under, among the runs of jobs."""
KILLED_AFTER = timedelta(minutes=15)
"""Three times what the queue allows a job: who has not finished by then does not run any more."""
KEPT_RUNS = 200
KEPT_AT_LEAST = timedelta(days=2)
KEPT_FAILURES = timedelta(days=90)


def recorded(name: str, do: Callable[[], str]) -> str:
    """Do the work of a job, note it, and return what it said. Raises whatever the job raises."""
    run = JobRun.objects.create(name=name)
    try:
        with doers.acting(doers.JOB, name):
            said = do()
    except BaseException as problem:  # the queue's time limit is a SystemExit
        try:
            _fail(run, in_words(problem))
        except DatabaseError:
            log.exception("The failure of job %s could not be noted", name)
        raise
    # What is noted as killed may have been only slow.
    JobRun.objects.filter(pk=run.pk).update(
        finished_at=timezone.now(), result=storable(said, LONGEST_NOTE), error=""
    )
    return said


def in_words(problem: BaseException) -> str:
    lines = str(problem).strip().splitlines() or [""]
    return _sayable(": ".join(filter(None, (type(problem).__name__, lines[0]))))


def watch_jobs() -> str:
    """Note runs that were killed, tell staff of background tasks that failed, forget old runs."""
    now = timezone.now()
    killed = [
        run
        for run in JobRun.objects.filter(finished_at=None, started_at__lt=now - KILLED_AFTER)
        if _fail(run, _("It did not finish: its worker was stopped or killed."))
    ]
    failures = _tell_of_failed_tasks(at=now)
    _forget(at=now)
    return _("Runs that were killed: %(killed)d. Background tasks that failed: %(failed)d.") % {
        "killed": len(killed),
        "failed": failures,
    }


@transaction.atomic
def note_restart(why: str) -> None:
    """Note that the workers were restarted, and tell staff of the first time on a day."""
    _fail(JobRun.objects.create(name=WORKER), why)


def why_it_failed(failure: Failure) -> str:
    """Return what a task of the queue raised; its result goes on with a traceback."""
    message = str(failure.result or "").split(" : Traceback")[0].strip()
    return _sayable(message.splitlines()[0] if message else _("No reason is known."))


def _sayable(text: str) -> str:
    return storable(without_secrets(text), LONGEST_NOTE)


def _fail(run: JobRun, why: str) -> bool:
    """Note why a run failed, once, and tell staff of the first of its job on a day."""
    unfinished = JobRun.objects.filter(pk=run.pk, finished_at=None)
    if not unfinished.update(finished_at=timezone.now(), error=why):
        return False
    same_day = JobRun.objects.filter(name=run.name, started_at__gte=_midnight(run.started_at))
    first = same_day.exclude(error="").order_by("pk").first() or run
    _tell(first, job=run.name, why=why)
    return True


def _tell_of_failed_tasks(*, at: datetime) -> int:
    """Tell of what failed in the queue since yesterday, once per function and day."""
    recent = Failure.objects.filter(stopped__gte=_midnight(at) - timedelta(days=1))
    failed = recent.exclude(func=RUN).order_by("stopped", "pk")
    firsts: dict[tuple[str, date], str] = {}
    count = 0
    for pk, function, stopped in failed.values_list("pk", "func", "stopped"):
        firsts.setdefault((function, timezone.localdate(stopped)), pk)
        count += 1
    for failure in Failure.objects.filter(pk__in=firsts.values()):
        _tell(failure, job=failure.func, why=why_it_failed(failure))
    return count


def _tell(failed: Model, *, job: str, why: str) -> None:
    data = {"job": job, "why": why}
    outbox.record_new(outbox.Occurrence(EventKind.JOB_FAILED, failed, data=data))


def _forget(*, at: datetime) -> None:
    for name in JobRun.objects.order_by("name").values_list("name", flat=True).distinct():
        runs = JobRun.objects.filter(name=name)
        newest = runs.order_by("-pk").values_list("pk", flat=True)
        oldest_kept = newest[KEPT_RUNS - 1 : KEPT_RUNS].first()
        if oldest_kept is not None:
            runs.filter(pk__lt=oldest_kept, started_at__lt=at - KEPT_AT_LEAST).delete()
    Failure.objects.filter(stopped__lt=at - KEPT_FAILURES).delete()


def _midnight(at: datetime) -> datetime:
    return timezone.localtime(at).replace(hour=0, minute=0, second=0, microsecond=0)
