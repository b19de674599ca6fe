"""The outbox: recorded with what happened or not at all, told once, kept back when not true."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from alerts import dispatch, outbox, tasks
from alerts.events import EventKind
from alerts.models import Delivery, DeliveryStatus, Event
from alerts.outbox import Occurrence
from catalog.models import Book
from circulation import notices
from circulation.models import Loan, Reader
from tests.factories import lend, make_book, make_copy, make_reader, march, set_policy, take_back
from tests.sinks import Memory, make_channel

pytestmark = pytest.mark.django_db
LENT, READY = EventKind.LOAN_CREATED, EventKind.HOLD_READY
Commit = DjangoCaptureOnCommitCallbacks


class RolledBackError(Exception):
    """Something went wrong after the notice was recorded."""


@pytest.fixture
def solaris(db: None) -> Book:
    return make_book("Solaris")


def kinds() -> list[str]:
    return list(Event.objects.order_by("pk").values_list("kind", flat=True))


def fail_after(act: Callable[[], object]) -> None:
    with transaction.atomic():
        act()
        raise RolledBackError


@pytest.fixture
def broker(settings: Settings) -> None:
    """A queue that is not in our database."""
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "orm": None, "redis": "redis://127.0.0.1:1"}


def test_a_check_out_that_is_rolled_back_leaves_no_event_and_wakes_nobody(
    anna: Reader, broker: None, django_capture_on_commit_callbacks: Commit
) -> None:
    copy = make_copy()
    with django_capture_on_commit_callbacks() as woken, pytest.raises(RolledBackError):
        fail_after(lambda: lend(anna, copy))
    assert not Event.objects.exists()
    assert not Loan.objects.exists()
    assert woken == []


def test_a_check_out_that_is_rolled_back_leaves_no_task_in_our_own_queue(anna: Reader) -> None:
    copy = make_copy()
    with pytest.raises(RolledBackError):
        fail_after(lambda: lend(anna, copy))
    assert not OrmQ.objects.exists()


def test_many_events_of_one_transaction_wake_one_worker(
    solaris: Book, broker: None, django_capture_on_commit_callbacks: Commit
) -> None:
    with django_capture_on_commit_callbacks() as woken:
        for number in range(5):
            outbox.record(EventKind.NEW_BOOK, solaris, once=str(number))
    assert woken == [outbox.wake]


def test_many_events_of_one_transaction_are_one_task_in_our_own_queue(solaris: Book) -> None:
    for number in range(5):
        outbox.record(EventKind.NEW_BOOK, solaris, once=str(number))
    assert OrmQ.objects.get().func() == settings.ALERT_DELIVERY_TASK


@pytest.mark.django_db(transaction=True)
def test_each_transaction_wakes_a_worker(solaris: Book) -> None:
    for number in range(3):
        outbox.record(EventKind.NEW_BOOK, solaris, once=str(number))
    assert OrmQ.objects.count() == 3


def test_a_part_that_is_rolled_back_takes_no_wake_from_the_rest(
    solaris: Book, broker: None, django_capture_on_commit_callbacks: Commit
) -> None:
    with django_capture_on_commit_callbacks() as woken:
        with pytest.raises(RolledBackError):
            fail_after(lambda: outbox.record(LENT, solaris, once="1"))
        outbox.record(LENT, solaris, once="2")
    assert woken == [outbox.wake]
    assert Event.objects.get().key.endswith(":2")


def test_a_part_that_is_rolled_back_takes_its_task_along_and_the_rest_has_one(
    solaris: Book,
) -> None:
    with pytest.raises(RolledBackError):
        fail_after(lambda: outbox.record(LENT, solaris, once="1"))
    outbox.record(LENT, solaris, once="2")
    assert OrmQ.objects.count() == 1


def test_a_dead_broker_harms_nothing(
    anna: Reader,
    sink: type[Memory],
    broker: None,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Commit,
) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionError("no broker")

    monkeypatch.setattr(outbox, "async_task", refuse)
    make_channel()
    with django_capture_on_commit_callbacks(execute=True):
        lend(anna, make_copy())
    assert Loan.objects.count() == 1
    tasks.deliver()
    assert len(sink.sent) == 1


def test_what_was_committed_before_a_worker_was_woken_is_found_by_the_sweep(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    lend(anna, make_copy())
    OrmQ.objects.all().delete()
    tasks.deliver()
    assert [message.kind for message in sink.sent] == ["LOAN_CREATED"]


def test_recording_costs_a_check_out_two_queries_at_most(
    anna: Reader, bartek: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queries(reader: Reader) -> int:
        copy = make_copy()
        with CaptureQueriesContext(
            connection,
        ) as captured:
            lend(reader, copy)
        connection.run_on_commit.clear()
        return len(captured)

    told = queries(anna)
    monkeypatch.setattr(notices, "lent", lambda loan: None)
    assert told - queries(bartek) <= 2


def test_a_refused_second_check_out_makes_no_second_notice(anna: Reader) -> None:
    copy = make_copy()
    lend(anna, copy)
    with pytest.raises(Exception, match="already"):
        lend(anna, copy)
    assert kinds() == ["LOAN_CREATED"]


def test_the_same_thing_is_recorded_once_and_another_time_of_it_again(solaris: Book) -> None:
    outbox.record(LENT, solaris, once="1", book_title="Solaris")
    outbox.record(LENT, solaris, once="1", book_title="Solyaris")
    outbox.record(LENT, solaris, once="2")
    first, _second = Event.objects.order_by("pk")
    assert first.data == {"book_title": "Solaris"}
    assert first.subject == f"catalog.book:{solaris.pk}"


def test_recording_nothing_wakes_nobody(
    django_assert_num_queries: DjangoAssertNumQueries, django_capture_on_commit_callbacks: Commit
) -> None:
    with django_capture_on_commit_callbacks() as woken, django_assert_num_queries(0):
        outbox.record_all([])
    assert woken == []


def test_cancelling_is_for_one_row_and_some_kinds(solaris: Book) -> None:
    dune = make_book("Dune")
    for book in (solaris, dune):
        for kind in (LENT, READY):
            outbox.record(kind, book)
    outbox.cancel(solaris, [READY], reason="It went elsewhere.")
    cancelled = Event.objects.get(cancelled_at__isnull=False)
    assert (cancelled.kind, cancelled.subject) == (READY, outbox.subject_of(solaris))
    assert cancelled.cancel_reason == "It went elsewhere."


def test_a_row_whose_number_begins_alike_is_not_cancelled_with_it(anna: Reader) -> None:
    one, twelve = Book(pk=1, title="One"), Book(pk=12, title="Twelve")
    for book in (one, twelve):
        outbox.record(LENT, book)
    outbox.cancel(one, [LENT], reason="Gone.")
    assert Event.objects.get(cancelled_at=None).subject == "catalog.book:12"


def test_a_long_reason_fits(solaris: Book) -> None:
    outbox.record(READY, solaris)
    outbox.cancel(solaris, [READY], reason="Because. " * 100)
    assert len(Event.objects.get().cancel_reason) == 200


def test_a_state_that_was_cancelled_unsent_and_is_so_again_is_told(
    anna: Reader, solaris: Book, sink: type[Memory]
) -> None:
    make_channel()
    outbox.record(READY, solaris, reader=anna, once="1", book_title="Solyaris")
    outbox.cancel(solaris, [READY], reason="It went elsewhere.")
    tasks.deliver()
    assert sink.sent == []
    assert Delivery.objects.get().note == "It went elsewhere."
    outbox.record(READY, solaris, reader=anna, once="1", book_title="Solaris")
    tasks.deliver()
    assert "Solaris" in sink.sent[0].text
    assert Delivery.objects.get().status == DeliveryStatus.SENT
    assert Event.objects.get().cancel_reason == ""


def test_a_state_that_was_cancelled_before_it_was_handed_on_is_told_too(
    anna: Reader, solaris: Book, sink: type[Memory]
) -> None:
    make_channel()
    outbox.record(READY, solaris, reader=anna)
    outbox.cancel(solaris, [READY], reason="It went elsewhere.")
    outbox.record(READY, solaris, reader=anna)
    tasks.deliver()
    assert len(sink.sent) == 1


def test_a_state_that_was_told_before_it_was_cancelled_is_not_told_again(
    anna: Reader, solaris: Book, sink: type[Memory]
) -> None:
    make_channel()
    outbox.record(READY, solaris, reader=anna)
    tasks.deliver()
    outbox.cancel(solaris, [READY], reason="It went elsewhere.")
    outbox.record(READY, solaris, reader=anna)
    tasks.deliver()
    assert len(sink.sent) == 1


def test_an_act_that_was_taken_back_stays_so(anna: Reader, solaris: Book) -> None:
    outbox.record(LENT, solaris, reader=anna)
    outbox.cancel(solaris, [LENT], reason="It was undone.")
    outbox.record(LENT, solaris, reader=anna)
    assert Event.objects.get().cancelled_at is not None


def test_what_takes_the_place_of_others_is_not_cancelled_with_them(solaris: Book) -> None:
    first, second = (Occurrence(READY, solaris, once=str(number)) for number in (1, 2))
    outbox.record_all([first, second])
    outbox.supersede([second], [READY], reason="A later one.")
    assert Event.objects.get(cancelled_at=None).key == second.key


def test_history_is_left_untold(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    lend(anna, make_copy())
    assert outbox.let_rest() == 1
    tasks.deliver()
    assert sink.sent == []
    lend(anna, make_copy())
    tasks.deliver()
    assert len(sink.sent) == 1


def test_what_no_worker_came_for_in_a_week_is_no_news_any_more(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    lend(anna, make_copy())
    dispatch.fan_out(at=timezone.now() + timedelta(days=8))
    row = Delivery.objects.get()
    assert row.status == DeliveryStatus.SKIPPED
    assert "a week" in row.note
    tasks.deliver()
    assert sink.sent == []


def test_a_notice_and_its_reason_are_written_with_the_act_that_ends_it(
    anna: Reader, sink: type[Memory]
) -> None:
    set_policy()
    copy = make_copy()
    lend(anna, copy)
    notices.record_due_soon(on=march(14))
    with pytest.raises(RolledBackError):
        fail_after(lambda: take_back(copy, on=march(14)))
    assert not Event.objects.exclude(cancelled_at=None).exists()
    take_back(copy, on=march(14))
    assert Event.objects.get(kind="LOAN_DUE_SOON").cancel_reason == "The book was returned."


def test_subjects_name_the_row(anna: Reader) -> None:
    assert outbox.subject_of(anna) == f"circulation.reader:{anna.pk}"
    assert Occurrence(LENT, make_reader()).key.startswith("LOAN_CREATED:circulation.reader:")
