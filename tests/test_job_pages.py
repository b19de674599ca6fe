"""The pages of jobs: all of them at a glance, running one now, the banner, the queue in words."""

import html
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success
from django_q.tasks import async_task
from pytest_django import DjangoCaptureOnCommitCallbacks

from config import jobs
from config.models import JobRun
from tests.factories import make_member, make_staff
from tests.office import as_superuser, page, said, signed_in
from tests.test_admin_pages import queries

pytestmark = pytest.mark.django_db

JOBS = "/admin/config/jobrun/jobs/"
BANNER = "The library's jobs need attention"


def run_url(name: str) -> str:
    return reverse("admin:config_run_job", args=[name])


def row_of(client: Client, name: str) -> str:
    """Return what the page says of a job."""
    _before, _row, rest = client.get(JOBS).text.partition(f'<tr id="job-{name}"')
    return html.unescape(rest.partition("</tr>")[0])


def make_run(name: str, **fields: Any) -> JobRun:
    now = timezone.now()
    usual = {"started_at": now - timedelta(seconds=2), "finished_at": now}
    return JobRun.objects.create(name=name, **{**usual, **fields})


def test_every_job_is_shown_with_what_it_does_and_how_often() -> None:
    jobs.sync()
    client = as_superuser()
    for job in jobs.JOBS:
        assert str(job.does).split(",", maxsplit=1)[0] in row_of(client, job.name)
    assert "daily at 00:10" in row_of(client, "expire_holds")
    assert "every minute" in row_of(client, "deliver_alerts")


def test_the_last_run_of_each_job_is_shown_with_what_came_of_it() -> None:
    jobs.sync()
    make_run("expire_holds", error="RuntimeError: an older one")
    make_run("expire_holds", result="3 holds expired.")
    make_run("accrue_fines", error="RuntimeError: the disk is full")
    make_run("tidy_imports", finished_at=None)
    client = as_superuser()
    assert "3 holds expired." in row_of(client, "expire_holds")
    assert "2.0\xa0s" in row_of(client, "expire_holds")
    assert "the disk is full" in row_of(client, "accrue_fines")
    assert "Under way" in row_of(client, "tidy_imports")
    assert "not yet" in row_of(client, "notify_overdue")


def test_the_next_run_is_shown_and_one_that_waits_is_marked() -> None:
    jobs.sync()
    Schedule.objects.filter(name="accrue_fines").delete()
    Schedule.objects.filter(name="expire_holds").update(
        next_run=timezone.now() - timedelta(hours=1)
    )
    client = as_superuser()
    assert "not scheduled" in row_of(client, "accrue_fines")
    assert "waits for a worker" in row_of(client, "expire_holds")
    assert "waits for a worker" not in row_of(client, "notify_overdue")


def test_a_job_is_run_now_by_a_worker(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    client = as_superuser()
    with django_capture_on_commit_callbacks(execute=True):
        response = client.post(run_url("accrue_fines"))
    assert "“accrue_fines” was handed to a worker." in said(response)
    task = OrmQ.objects.get().task
    assert (task["func"], task["args"]) == ("config.jobs.run", ("accrue_fines",))
    assert not JobRun.objects.exists()


def test_looking_at_the_address_runs_nothing() -> None:
    assert as_superuser().get(run_url("accrue_fines")).status_code == 405
    assert as_superuser().post(run_url("paint_the_fence")).status_code == 404


def test_a_broker_that_is_away_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def refuse(_job: jobs.Job) -> None:
        raise ConnectionError("redis://:password@localhost")

    monkeypatch.setattr(jobs, "run_soon", refuse)
    answer = said(as_superuser().post(run_url("accrue_fines")))
    assert "the queue does not answer" in answer
    assert "password" not in answer


@pytest.mark.parametrize(
    ("permissions", "sees", "runs"),
    [((), 403, 403), (("config.view_jobrun",), 200, 403), (("config.run_job",), 200, 302)],
)
def test_who_may_see_and_run_jobs(permissions: tuple[str, ...], sees: int, runs: int) -> None:
    client = signed_in(make_staff(permissions=permissions))
    assert client.get(JOBS).status_code == sees
    assert client.post(run_url("accrue_fines")).status_code == runs
    if sees == 200:
        assert ("Run now" in client.get(JOBS).text) == (runs == 302)


def test_the_banner_stands_on_the_first_page_and_on_that_of_the_jobs() -> None:
    client = as_superuser()
    for url in ("/admin/", JOBS):
        text = client.get(url).text
        assert BANNER in text
        assert "python manage.py sync_jobs" in text
    jobs.sync(at=timezone.now() - timedelta(minutes=10))
    assert "python manage.py run_worker" in client.get("/admin/").text
    make_run("deliver_alerts")
    Schedule.objects.update(next_run=timezone.now())
    for url in ("/admin/", JOBS):
        assert BANNER not in client.get(url).text


def test_the_banner_is_for_those_who_may_see_jobs() -> None:
    assert BANNER in signed_in(make_member("Librarian")).get("/admin/").text
    assert BANNER not in signed_in(make_member("Assistant")).get("/admin/").text


def test_more_runs_ask_no_more_queries() -> None:
    jobs.sync()
    client = as_superuser()

    def grow(count: int) -> list[int]:
        for _number in range(count):
            for job in jobs.JOBS:
                make_run(job.name)
        return [queries(client, url) for url in (JOBS, "/admin/", page(JobRun, "changelist"))]

    assert grow(1) == grow(20)
    assert max(grow(0)) <= 12


def test_runs_are_filtered_by_job_and_outcome() -> None:
    make_run("expire_holds")
    make_run("expire_holds", error="RuntimeError")
    make_run("accrue_fines", finished_at=None)
    client = as_superuser()

    def found(query: str) -> int:
        return len(client.get(f"{page(JobRun, 'changelist')}?{query}").context["cl"].result_list)

    assert found("") == 3
    assert found("name=expire_holds") == 2
    assert [found(f"outcome={state}") for state in ("failed", "done", "running")] == [1, 1, 1]


def test_the_queue_is_shown_in_words() -> None:
    jobs.sync()
    async_task("config.jobs.run", "accrue_fines", group="accrue_fines")
    async_task("alerts.trial.send", 1)
    client = as_superuser()
    waiting = client.get(page(OrmQ, "changelist")).text
    assert "accrue_fines" in waiting
    assert "Sends the test message of a channel" in waiting
    assert "tells readers which loans are 1, 8 or 22 days late" in (
        client.get(page(Schedule, "changelist")).text
    )


def test_a_failed_task_says_why_without_secrets() -> None:
    now = timezone.now()
    failure = Failure.objects.create(
        id="1" * 32,
        name="x",
        func="catalog.import_jobs.check",
        started=now,
        stopped=now,
        success=False,
        result="no answer from redis://:hush-hush@localhost : Traceback (most recent call last): …",
    )
    client = as_superuser()
    for url in (page(Failure, "changelist"), page(failure, "change")):
        text = client.get(url).text
        assert "Checks a file to import" in text
        assert "no answer from redis://***@localhost" in text
        assert "hush" not in text
    assert client.get(page(Success, "changelist")).status_code == 200
