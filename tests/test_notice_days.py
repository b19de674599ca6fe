"""Notices and jobs on the days on which something was off: late, twice, out of order, lost."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from pytest_django import DjangoCaptureOnCommitCallbacks

from alerts import outbox, tasks
from alerts.outbox import Occurrence
from circulation import desk, notices
from circulation import tasks as jobs_of_the_desk
from circulation.models import Loan, Reader
from config import jobs as table
from config.models import JobRun
from tests.factories import lend_until, make_reader, march
from tests.sinks import Memory, make_channel

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule", "sink")]


def kinds(sink: type[Memory]) -> list[str]:
    return [message.kind for message in sink.sent]


def test_a_reader_with_books_in_several_chunks_gets_one_message_though_workers_are_quick(
    sink: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    monkeypatch.setattr(notices, "CHUNK", 2)
    readers = [make_reader() for _number in range(3)]
    for _turn in range(2):
        for reader in readers:
            lend_until(march(16), reader)
    record_all = outbox.record_all

    def record_and_deliver(occurrences: Iterable[Occurrence]) -> None:
        record_all(occurrences)
        tasks.deliver()

    monkeypatch.setattr(outbox, "record_all", record_and_deliver)
    assert notices.record_overdue(on=march(17)) == 6
    assert Counter(message.recipient_id for message in sink.sent) == {
        reader.pk: 1 for reader in readers
    }


def test_after_a_later_step_an_earlier_one_is_not_told_whatever_day_the_job_is_run_for(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_DUE_SOON", "LOAN_OVERDUE"])
    lend_until(march(16), anna)
    for day in (24, 17, 15):
        jobs_of_the_desk.notify_due_soon(march(day))
        jobs_of_the_desk.notify_overdue(march(day))
        tasks.deliver()
    assert kinds(sink) == ["LOAN_OVERDUE"]
    assert "8 days late" in sink.sent[0].text


def test_a_later_step_that_is_unsent_is_not_kept_back_by_a_run_for_an_earlier_day(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    lend_until(march(16), anna)
    for day in (17, 24, 20):
        jobs_of_the_desk.notify_overdue(march(day))
    tasks.deliver()
    assert ["8 days late" in message.text for message in sink.sent] == [True]


def test_a_second_run_of_the_overdue_job_reads_and_writes_nothing(anna: Reader) -> None:
    """So one that is cut off comes further each time."""
    for _number in range(3):
        lend_until(march(16), anna)
    notices.record_overdue(on=march(17))
    OrmQ.objects.all().delete()
    with CaptureQueriesContext(connection) as queries:
        assert notices.record_overdue(on=march(18)) == 3
    assert not [
        each["sql"] for each in queries if not each["sql"].startswith(("SELECT", "SAVE", "REL"))
    ]
    assert not OrmQ.objects.exists()


def test_marking_what_was_accepted_takes_no_lock_where_all_is_marked(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    lend_until(march(16), anna)
    jobs_of_the_desk.notify_overdue(march(17))
    jobs_of_the_desk.deliver_alerts()
    assert Loan.objects.get().notification_sent
    with CaptureQueriesContext(connection) as queries:
        assert notices.note_accepted() == 0
    assert {each["sql"].split()[0] for each in queries} == {"SELECT"}


def test_many_loans_of_one_due_date_are_marked_chunk_by_chunk(
    sink: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    monkeypatch.setattr(notices, "CHUNK", 2)
    loans = [lend_until(march(16)) for _number in range(5)]
    desk.renew(loans[4], on=march(16))
    notices.record_overdue(on=march(17))
    tasks.deliver()
    assert notices.note_accepted() == 4
    assert Loan.objects.filter(notification_sent=True).count() == 4
    assert not Loan.objects.get(pk=loans[4].pk).notification_sent


def test_the_job_of_a_day_comes_at_its_local_time_all_through_the_year(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The queue plans the next run from the one before, also over a change of the clocks."""
    monkeypatch.setattr(Conf, "TIME_ZONE", "Europe/Warsaw")
    with timezone.override("Europe/Warsaw"):
        table.sync(at=datetime(2026, 3, 26, 12, tzinfo=UTC))
        schedule = Schedule.objects.get(name="expire_holds")
        planned = [schedule.next_run]
        for _day in range(230):
            planned.append(schedule.calculate_next_run(planned[-1]))
        assert {f"{timezone.localtime(at):%H:%M}" for at in planned} == {"00:10"}
        assert timezone.localdate(planned[-1]) == date(2026, 11, 12)


DUE = datetime(2026, 3, 3, 8, 5, tzinfo=UTC)
"""When the overdue notices of this day are."""


def run_of(name: str, *, at: datetime, error: str = "") -> JobRun:
    return JobRun.objects.create(name=name, started_at=at, finished_at=at, error=error)


@pytest.fixture
def handed_over() -> None:
    """Every job of this day was handed to the queue and has run, but the overdue notices.

    A worker has been there since.
    """
    table.sync(at=DUE)
    for job in table.JOBS:
        Schedule.objects.filter(name=job.name).update(next_run=job.next_run(DUE))
        if job.at is not None:
            run_of(job.name, at=job.next_run(DUE) - timedelta(days=1))
    last = JobRun.objects.filter(name="notify_overdue")
    last.update(started_at=DUE - timedelta(days=1))
    run_of("deliver_alerts", at=DUE + timedelta(minutes=1))


@pytest.fixture
def made_up(
    handed_over: None, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> Callable[[int], list[str]]:
    """Look so many minutes after the time; return the jobs that are handed over again."""

    def look(minutes: int) -> list[str]:
        OrmQ.objects.all().delete()
        now = time_machine.travel(DUE + timedelta(minutes=minutes), tick=False)
        with now, django_capture_on_commit_callbacks(execute=True):
            said = table.called("watch_jobs").run(None)
        names = [row.task["args"][0] for row in OrmQ.objects.order_by("pk")]
        assert f"begun again: {len(names)}." in said
        return names

    return look


MadeUp = Callable[[int], list[str]]


def test_a_run_that_was_lost_with_its_queue_is_begun_again(made_up: MadeUp) -> None:
    assert made_up(25) == []
    assert made_up(40) == ["notify_overdue"]
    run_of("notify_overdue", at=DUE + timedelta(minutes=41))
    assert made_up(60) == made_up(600) == []


def test_a_run_that_failed_or_was_killed_is_tried_three_times_in_all(made_up: MadeUp) -> None:
    tries = []
    for minutes in range(0, 600, 10):
        if made_up(minutes):
            tries.append(minutes)
            run_of("notify_overdue", at=DUE + timedelta(minutes=minutes), error="Killed.")
    assert tries == [40, 80, 120]


def test_a_run_that_is_under_way_is_left_alone(made_up: MadeUp) -> None:
    JobRun.objects.create(name="notify_overdue", started_at=DUE + timedelta(minutes=31))
    assert made_up(40) == []


def test_while_no_worker_was_there_nothing_is_begun_twice_when_one_comes(made_up: MadeUp) -> None:
    JobRun.objects.filter(name="deliver_alerts").delete()
    run_of("deliver_alerts", at=DUE + timedelta(hours=4))
    assert made_up(4 * 60 + 1) == []
    assert made_up(4 * 60 + 40) == ["notify_overdue"]


@pytest.mark.parametrize(
    "changed",
    [
        {"repeats": 0},
        {"next_run": DUE + timedelta(days=9)},
        {"next_run": DUE},
        {"func": "math.sqrt"},
    ],
    ids=["ended", "put off", "not handed over yet", "another function"],
)
def test_what_staff_put_off_or_switched_off_is_not_begun(
    changed: dict[str, Any], made_up: MadeUp
) -> None:
    Schedule.objects.filter(name="notify_overdue").update(**changed)
    assert made_up(40) == []


def test_a_job_that_has_never_run_waits_for_its_first_time(made_up: MadeUp) -> None:
    """On the day on which a library starts, nothing is late."""
    JobRun.objects.filter(name="notify_overdue").delete()
    assert made_up(40) == []
