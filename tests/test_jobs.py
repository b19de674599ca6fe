"""Recurring jobs: the table, their schedules in the queue, and running one by hand."""

import ast
import importlib
from datetime import UTC, date, datetime, time, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import timezone
from django_q.models import Schedule

from billing.models import Charge
from catalog import uploads
from catalog.models import Book, ImportRun
from catalog.search import search
from circulation import desk, holds, tasks
from circulation.models import HoldStatus, Reader
from config import jobs
from config.models import JobRun
from tests.factories import make_book, make_copy, make_reader, march, noon, set_policy

pytestmark = pytest.mark.django_db

NAMES = [job.name for job in jobs.JOBS]


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("run_job", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def late_reader() -> Reader:
    set_policy()
    reader = make_reader()
    desk.check_out(reader, make_copy(), on=march(2))
    return reader


def test_every_schedule_runs_its_job_and_notes_it() -> None:
    jobs.sync()
    for schedule in Schedule.objects.all():
        module, _, function = schedule.func.rpartition(".")
        run_by_queue = getattr(importlib.import_module(module), function)
        said = run_by_queue(ast.literal_eval(schedule.args))
        assert JobRun.objects.filter(name=schedule.name, result=said, error="").count() == 1
    assert JobRun.objects.count() == len(NAMES)


@pytest.mark.parametrize("job", jobs.JOBS, ids=NAMES)
def test_every_job_runs_on_an_empty_library_and_says_so_in_a_sentence(job: jobs.Job) -> None:
    assert job.run(None).endswith(".")


def test_names_of_jobs_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_syncing_schedules_every_job_and_syncing_again_changes_nothing() -> None:
    assert jobs.sync() == NAMES
    before = list(Schedule.objects.order_by("pk").values())
    assert jobs.sync(at=timezone.now() + timedelta(days=3)) == []
    assert list(Schedule.objects.order_by("pk").values()) == before
    assert sorted(Schedule.objects.values_list("name", flat=True)) == sorted(NAMES)


def test_syncing_repairs_removes_doubles_and_leaves_other_schedules_alone() -> None:
    jobs.sync()
    Schedule.objects.filter(name="accrue_fines").update(func="gone.away", kwargs="x=1")
    Schedule.objects.create(name="expire_holds", func="circulation.tasks.expire_holds")
    theirs = Schedule.objects.create(name="stocktaking", func="math.sqrt", args="2")

    assert jobs.sync() == ["expire_holds", "accrue_fines"]

    repaired = Schedule.objects.get(name="accrue_fines")
    assert (repaired.func, repaired.args) == ("config.jobs.run", "'accrue_fines'")
    assert Schedule.objects.get(name="accrue_fines").kwargs == "{'q_options': {'timeout': 840}}"
    assert Schedule.objects.get(name="expire_holds").kwargs is None
    assert Schedule.objects.filter(name="expire_holds").count() == 1
    theirs.refresh_from_db()
    assert (theirs.func, theirs.args) == ("math.sqrt", "2")


def test_a_schedule_of_an_earlier_version_is_brought_up_to_date_and_keeps_its_time() -> None:
    planned = datetime(2026, 3, 3, 0, 10, tzinfo=UTC)
    Schedule.objects.create(
        name="expire_holds",
        func="circulation.tasks.expire_holds",
        schedule_type=Schedule.DAILY,
        next_run=planned,
    )
    jobs.sync(at=datetime(2026, 3, 2, 12, tzinfo=UTC))
    schedule = Schedule.objects.get(name="expire_holds")
    assert (schedule.func, schedule.next_run) == ("config.jobs.run", planned)


def test_a_job_that_the_table_has_no_more_is_scheduled_no_more() -> None:
    Schedule.objects.create(name="old_job", func="config.jobs.run", args="'old_job'")
    theirs = Schedule.objects.create(
        name="fines at noon", func="config.jobs.run", args="'accrue_fines'"
    )
    jobs.sync()
    assert not Schedule.objects.filter(name="old_job").exists()
    assert Schedule.objects.filter(pk=theirs.pk).exists()


@override_settings(TIME_ZONE="Europe/Warsaw")
def test_a_job_runs_at_its_local_time_in_winter_and_in_summer() -> None:
    job = jobs.Job("any", tasks.expire_holds, at=time(0, 10), does="")
    with timezone.override("Europe/Warsaw"):
        winter = job.next_run(after=datetime(2026, 3, 2, 12, tzinfo=UTC))
        summer = job.next_run(after=datetime(2026, 3, 29, 12, tzinfo=UTC))
    assert winter == datetime(2026, 3, 2, 23, 10, tzinfo=UTC)
    assert summer == datetime(2026, 3, 29, 22, 10, tzinfo=UTC)


def test_a_run_that_is_late_stays_planned_so_that_it_is_made_up_for() -> None:
    jobs.sync(at=datetime(2026, 3, 2, 12, tzinfo=UTC))
    planned = Schedule.objects.get(name="expire_holds").next_run
    jobs.sync(at=datetime(2026, 3, 9, 12, tzinfo=UTC))
    assert Schedule.objects.get(name="expire_holds").next_run == planned


def test_accrual_writes_the_fine_of_an_overdue_loan_once(late_reader: Reader) -> None:
    assert run("accrue_fines", "--date", "2026-03-20") == (
        "accrue_fines: 1 overdue loan brought up to date.\n"
    )
    run("accrue_fines", "--date", "2026-03-20")
    assert [str(charge.amount) for charge in Charge.objects.all()] == ["2.00"]


def test_expiry_ends_a_hold_that_was_not_picked_up(late_reader: Reader) -> None:
    loan = late_reader.loans.get()
    hold = holds.place(make_reader("Olga"), loan.copy.book, at=noon(march(3)))
    desk.check_in(loan.copy, on=march(4), today=march(4))
    assert run("expire_holds", "--date", "2026-03-11") == "expire_holds: 0 holds expired.\n"
    assert run("expire_holds", "--date", "2026-03-12") == "expire_holds: 1 hold expired.\n"
    hold.refresh_from_db()
    assert hold.status == HoldStatus.EXPIRED


@override_settings(TIME_ZONE="Europe/Warsaw")
def test_a_job_takes_the_local_date_of_the_moment_at_which_it_runs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    days: list[date] = []

    def note(*, on: date) -> int:
        days.append(on)
        return 0

    monkeypatch.setattr(holds, "expire", note)
    with timezone.override("Europe/Warsaw"):
        for moment in ("2026-03-02T22:30:00Z", "2026-03-02T23:30:00Z"):
            with time_machine.travel(moment):
                tasks.expire_holds()
    assert days == [march(2), march(3)]


def test_books_that_an_interrupted_import_left_unindexed_are_found_afterwards() -> None:
    run_of_yesterday = ImportRun.objects.create(
        kind="books", is_searchable=False, finished_at=timezone.now() - timedelta(days=1)
    )
    book = make_book("Solaris", import_run=run_of_yesterday)
    Book.objects.update(search_title="", search_rest="")
    assert not search("solaris")
    run("tidy_imports")
    assert list(search("solaris")) == [book]


def test_uploads_that_nobody_came_back_to_are_deleted() -> None:
    uploads.keep([b"title"], kind="books", by=make_reader(), file_name="today.csv")
    old = timezone.now() - timedelta(days=3)
    uploads.keep([b"title"], kind="books", by=make_reader(), file_name="old.csv", created_at=old)
    assert "1 abandoned upload deleted." in run("tidy_imports")
    assert [upload.file_name for upload in uploads.Upload.objects.all()] == ["today.csv"]


def test_an_unknown_job_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(CommandError, match=r"expire_holds.*accrue_fines"):
        run("paint_the_fence")


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "9999-01-01"])
def test_a_date_that_is_none_or_in_the_future_is_refused(day: str) -> None:
    with pytest.raises(CommandError, match=day):
        run("accrue_fines", "--date", day)


def test_a_job_that_fails_makes_the_command_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> int:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(holds, "expire", fail)
    with pytest.raises(CommandError, match="expire_holds failed: the disk is full") as failure:
        run("expire_holds")
    assert failure.value.returncode == 1
    assert JobRun.objects.get().error == "RuntimeError: the disk is full"
