"""Runs of jobs: what is noted, what staff hear of, when the banner is red, what is forgotten."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from django_q.exceptions import TimeoutException
from django_q.models import Failure, Schedule, Task
from pytest_django import Settings

from alerts.events import EventKind
from alerts.models import Event
from config import health, jobs, runs
from config.models import JobRun
from config.unsaid import without_secrets

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def fail(problem: BaseException) -> Any:
    def job() -> str:
        raise problem

    return job


def fail_once(name: str = "accrue_fines", why: str = "the disk is full") -> None:
    with pytest.raises(RuntimeError):
        runs.recorded(name, fail(RuntimeError(why)))


def make_failure(
    func: str, *, at: datetime, result: str = "no: Traceback", number: int = 1
) -> Task:
    return Failure.objects.create(
        id=f"{number:032}",
        name="x",
        func=func,
        started=at,
        stopped=at,
        success=False,
        result=result,
    )


def alerts() -> list[dict[str, Any]]:
    found = Event.objects.filter(kind=EventKind.JOB_FAILED).order_by("pk")
    return list(found.values_list("data", flat=True))


def make_run(name: str, *, at: datetime, **fields: Any) -> JobRun:
    fields.setdefault("finished_at", at)
    return JobRun.objects.create(name=name, started_at=at, **fields)


def all_went_well(*, at: datetime) -> None:
    """As it is with a worker: everything is scheduled, and has run when it should."""
    jobs.sync(at=at)
    for job in jobs.JOBS:
        make_run(job.name, at=at)
    Schedule.objects.update(next_run=at + timedelta(minutes=1))


def test_a_run_is_noted_with_its_time_and_what_it_said() -> None:
    with time_machine.travel(NOON, tick=False) as clock:

        def job() -> str:
            clock.shift(timedelta(seconds=3))
            assert JobRun.objects.get().finished_at is None
            return "3 holds expired."

        assert runs.recorded("expire_holds", job) == "3 holds expired."
    run = JobRun.objects.get()
    assert (run.started_at, run.took, run.error) == (NOON, timedelta(seconds=3), "")
    assert run.result == "3 holds expired."


def test_what_a_job_changed_before_it_failed_does_not_take_the_note_with_it() -> None:
    fail_once()
    assert JobRun.objects.get().error == "RuntimeError: the disk is full"
    assert alerts() == [{"job": "accrue_fines", "why": "RuntimeError: the disk is full"}]


def test_the_queues_time_limit_is_a_failure_too() -> None:
    with pytest.raises(TimeoutException):
        runs.recorded("accrue_fines", fail(TimeoutException("Task exceeded 300 seconds")))
    assert "exceeded 300 seconds" in JobRun.objects.get().error


def test_an_unknown_job_is_noted_as_failed() -> None:
    with pytest.raises(jobs.UnknownJobError):
        jobs.run("paint_the_fence")
    assert "There is no job called “paint_the_fence”." in JobRun.objects.get().error


def test_staff_hear_of_a_failing_job_once_a_day() -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        for _hour in range(3):
            fail_once()
            fail_once("expire_holds")
            clock.shift(timedelta(hours=1))
        assert [alert["job"] for alert in alerts()] == ["accrue_fines", "expire_holds"]
        clock.shift(timedelta(days=1))
        fail_once()
        assert len(alerts()) == 3


@pytest.mark.parametrize(
    "text",
    [
        "no answer from https://api.telegram.org/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/send",
        "cannot reach redis://:hush-hush@localhost:6379",
        "wrong key sk_test_hush-hush",
    ],
)
def test_no_secret_is_noted_or_told(text: str, settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = "sk_test_hush-hush"
    fail_once(why=text)
    for said in (JobRun.objects.get().error, str(alerts())):
        assert "hush" not in said
        assert "AAHdq" not in said
        assert "***" in said


def test_a_failure_is_noted_whatever_it_quotes() -> None:
    fail_once(why="a NUL \0 and much more " + "x" * 1000)
    error = JobRun.objects.get().error
    assert error.startswith("RuntimeError: a NUL  and")
    assert len(error) == 500


def test_what_is_no_secret_stays(settings: Settings) -> None:
    settings.STRIPE_SECRET_KEY = ""
    settings.STRIPE_WEBHOOK_SECRET = ["whsec_old-one", "whsec_new-one"]
    assert without_secrets("2026-03-02 12:30:45 at 10:20") == "2026-03-02 12:30:45 at 10:20"
    assert without_secrets("whsec_new-one or whsec_old-one") == "*** or ***"


def test_a_run_that_was_killed_is_noted_and_told() -> None:
    now = timezone.now()
    killed = make_run("accrue_fines", at=now - timedelta(minutes=20), finished_at=None)
    under_way = make_run("expire_holds", at=now - timedelta(minutes=5), finished_at=None)
    assert runs.watch_jobs() == "Runs that were killed: 1. Background tasks that failed: 0."
    killed.refresh_from_db()
    under_way.refresh_from_db()
    assert "stopped or killed" in killed.error
    assert under_way.finished_at is None
    assert [alert["job"] for alert in alerts()] == ["accrue_fines"]


def test_a_run_that_was_only_slow_is_set_right() -> None:
    def slow() -> str:
        JobRun.objects.update(started_at=timezone.now() - timedelta(hours=1))
        runs.watch_jobs()
        return "Done at last."

    runs.recorded("accrue_fines", slow)
    assert list(JobRun.objects.values_list("result", "error")) == [("Done at last.", "")]


def test_staff_hear_once_of_a_background_task_that_failed() -> None:
    with time_machine.travel(NOON, tick=False):
        for number in range(3):
            why = "the file is gone : Traceback (most recent call last): secrets"
            make_failure("catalog.import_jobs.check", at=NOON, result=why, number=number)
        make_failure(runs.RUN, at=NOON, number=9)  # noted as a run already
        for _time in range(2):
            runs.watch_jobs()
        assert alerts() == [{"job": "catalog.import_jobs.check", "why": "the file is gone"}]


def test_a_failure_just_before_midnight_is_told_too() -> None:
    make_failure("catalog.import_jobs.check", at=NOON.replace(hour=23, minute=59))
    with time_machine.travel(NOON.replace(day=3, hour=0, minute=5), tick=False):
        runs.watch_jobs()
    assert len(alerts()) == 1


def test_old_runs_are_forgotten_but_not_the_last_of_a_job() -> None:
    now = timezone.now()
    long_ago = make_run("expire_holds", at=now - timedelta(days=400))
    old = make_run("deliver_alerts", at=now - timedelta(days=3))
    JobRun.objects.bulk_create(
        JobRun(name="deliver_alerts", started_at=now - timedelta(days=1), finished_at=now)
        for _number in range(runs.KEPT_RUNS + 5)
    )
    runs.watch_jobs()
    left = JobRun.objects.all()
    assert long_ago in left
    assert old not in left
    assert left.count() == 1 + runs.KEPT_RUNS + 5


def test_where_all_is_well_there_is_no_banner() -> None:
    all_went_well(at=NOON)
    assert health.problems(at=NOON + timedelta(minutes=4)) == []


def test_where_nothing_is_scheduled_that_is_the_problem() -> None:
    (problem,) = health.problems()
    assert "python manage.py sync_jobs" in problem


def test_without_a_worker_the_banner_says_how_to_start_one() -> None:
    jobs.sync(at=NOON)
    assert health.problems(at=NOON + timedelta(minutes=4)) == []  # it may be starting
    (problem,) = health.problems(at=NOON + timedelta(minutes=6))
    assert "No job has ever run here" in problem
    assert "python manage.py run_worker" in problem
    all_went_well(at=NOON)
    (problem,) = health.problems(at=NOON + timedelta(minutes=6))
    assert "No job has run since 2026-03-02 12:00" in problem


def test_a_long_job_is_a_sign_of_life() -> None:
    all_went_well(at=NOON - timedelta(minutes=8))
    make_run("accrue_fines", at=NOON - timedelta(minutes=8), finished_at=NOON)
    assert health.is_alive(at=NOON + timedelta(minutes=4))


def late_jobs(*, at: datetime) -> list[str]:
    """Return the jobs that are late at a time when the frequent ones do run."""
    for name in (job.name for job in jobs.JOBS if job.minutes):
        make_run(name, at=at)
        Schedule.objects.filter(name=name).update(next_run=at + timedelta(minutes=1))
    return [problem.split("”")[0].removeprefix("“") for problem in health.problems(at=at)]


def test_a_daily_job_that_was_not_run_is_late_after_two_hours_of_grace() -> None:
    all_went_well(at=NOON)
    Schedule.objects.update(next_run=NOON + timedelta(days=5))  # handed to the queue, and lost
    daily = [job.name for job in jobs.JOBS if job.at is not None]
    assert late_jobs(at=NOON + timedelta(hours=25)) == []
    assert late_jobs(at=NOON + timedelta(hours=27)) == daily


def test_a_job_whose_time_has_passed_is_late_even_if_it_never_ran() -> None:
    all_went_well(at=NOON)
    JobRun.objects.filter(name="expire_holds").delete()
    assert late_jobs(at=NOON + timedelta(hours=1)) == []
    Schedule.objects.filter(name="expire_holds").update(next_run=NOON - timedelta(hours=3))
    assert late_jobs(at=NOON + timedelta(hours=1)) == ["expire_holds"]


def test_a_job_that_somebody_unscheduled_or_that_failed_is_named() -> None:
    all_went_well(at=NOON)
    Schedule.objects.filter(name="expire_holds").delete()
    make_run("accrue_fines", at=NOON, error="RuntimeError: the disk is full")
    unscheduled, failed = health.problems(at=NOON)
    assert "“expire_holds” is not scheduled" in unscheduled
    assert "“accrue_fines” failed when it last ran: RuntimeError: the disk is full" in failed
