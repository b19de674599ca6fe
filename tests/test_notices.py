"""Notices: each thing that readers must know is told once, in time, and only while it is true."""

from collections import Counter
from datetime import date, datetime, timedelta

import pytest
import time_machine
from django.db import transaction
from django.utils import timezone

from alerts import dispatch, outbox, tasks
from alerts.backends.base import TryLaterError
from alerts.models import Delivery, DeliveryStatus, Event
from catalog import following
from catalog.models import AuthorFollow, Book
from circulation import desk, holds, notices
from circulation import tasks as jobs
from circulation.models import DeskAct, Hold, Loan, Reader
from circulation.undo import undo
from tests.factories import (
    lend,
    lend_until,
    make_book,
    make_copy,
    make_reader,
    march,
    noon,
    take_back,
)
from tests.sinks import Memory, make_channel

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule", "sink")]

APRIL = date(2026, 4, 1)


def told(sink: type[Memory]) -> list[str]:
    """The kinds of what was sent, in the order in which it was sent."""
    return [message.kind for message in sink.sent]


def active(kind: str) -> list[str]:
    """What tells apart the events of a kind that hold, in the order of their making."""
    events = Event.objects.filter(kind=kind, cancelled_at=None).order_by("pk")
    return [key.split(":", 3)[3] for key in events.values_list("key", flat=True)]


def last_act() -> DeskAct:
    return DeskAct.objects.latest("pk")


def back_at_work(copy: object, reader: Reader, *, on: date) -> Hold:
    """A reader who waits for a book that comes back on a day."""
    loan = Loan.objects.get(copy=copy, actual_return_date=None)
    hold = holds.place(reader, loan.copy.book, at=noon(on))
    take_back(loan.copy, on=on)
    hold.refresh_from_db()
    return hold


def test_every_act_at_the_desk_is_confirmed(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    copy = make_copy()
    loan = lend(anna, copy)
    desk.renew(loan, on=march(10))
    take_back(copy, on=march(11))
    tasks.deliver()
    assert told(sink) == ["LOAN_CREATED", "LOAN_RENEWED", "LOAN_RETURNED"]
    assert sink.sent[1].metadata["due_date"] == "2026-03-24"
    assert {message.metadata["loan_id"] for message in sink.sent} == {str(loan.pk)}


def test_a_loan_that_is_due_in_two_days_is_told_once(anna: Reader) -> None:
    lend_until(march(16), anna)
    counts = [notices.record_due_soon(on=march(day)) for day in (13, 14, 14, 15, 16, 17)]
    assert counts == [0, 1, 1, 1, 1, 0]
    assert active("LOAN_DUE_SOON") == ["2026-03-16"]


def test_who_borrows_for_two_days_is_not_told_that_they_are_short(anna: Reader) -> None:
    lend(anna, make_copy(), on=march(2), due=march(4))
    lend(make_reader(), make_copy(), on=march(2), due=march(5))
    assert notices.record_due_soon(on=march(3)) == 1


@pytest.mark.parametrize(
    ("days", "steps"),
    [
        ([16], []),
        ([17], ["1"]),
        (range(17, 24), ["1"]),
        ([24], ["8"]),
        (range(17, 32), ["1", "8"]),
        ([22], ["1"]),
        ([17, 30], ["1", "8"]),
    ],
    ids=["due", "a day", "a week", "first run late", "two weeks", "after five days", "outage"],
)
def test_overdue_loans_are_told_of_at_each_step_once(
    days: list[int], steps: list[str], anna: Reader
) -> None:
    lend_until(march(16), anna)
    for day in days:
        notices.record_overdue(on=march(day))
        notices.record_overdue(on=march(day))
    keys = Event.objects.filter(kind="LOAN_OVERDUE").order_by("pk").values_list("key", flat=True)
    assert [key.rpartition(":")[2] for key in keys] == steps


def test_after_a_long_outage_only_the_latest_step_is_told(anna: Reader, sink: type[Memory]) -> None:
    make_channel(kinds=["LOAN_DUE_SOON", "LOAN_OVERDUE"])
    lend_until(march(2), anna)
    jobs.notify_due_soon(APRIL)
    jobs.notify_overdue(APRIL)
    tasks.deliver()
    assert told(sink) == ["LOAN_OVERDUE"]
    assert active("LOAN_OVERDUE") == ["2026-03-02:22"]


def test_one_run_after_five_days_brings_the_state_of_five_and_one_notice_of_each_loan() -> None:
    for day in (10, 11, 12, 13, 14, 16, 17, 18, 19, 20, 21):
        lend_until(march(day))
    with transaction.atomic():
        for day in range(14, 19):
            jobs.notify_due_soon(march(day))
            jobs.notify_overdue(march(day))
        nightly = {key for kind in ("LOAN_OVERDUE", "LOAN_DUE_SOON") for key in active(kind)}
        transaction.set_rollback(True)
    make_channel()
    jobs.notify_due_soon(march(18))
    jobs.notify_overdue(march(18))
    at_once = {key for kind in ("LOAN_OVERDUE", "LOAN_DUE_SOON") for key in active(kind)}
    assert at_once == nightly
    dispatch.fan_out()
    most = Counter(Delivery.objects.values_list("recipient", flat=True)).most_common(1)
    assert most[0][1] == 2  # the confirmation of the loan, and one notice


def test_what_is_unsent_when_a_later_step_comes_is_kept_back(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_DUE_SOON", "LOAN_OVERDUE"])
    lend_until(march(16), anna)
    jobs.notify_due_soon(march(14))
    jobs.notify_overdue(march(17))
    jobs.notify_overdue(march(24))
    tasks.deliver()
    assert told(sink) == ["LOAN_OVERDUE"]
    assert "8 days late" in sink.sent[0].text
    skipped = Delivery.objects.filter(status=DeliveryStatus.SKIPPED)
    assert {row.note for row in skipped} == {"A later reminder took its place."}


def test_a_due_soon_notice_is_told_again_for_the_new_date_of_a_renewed_loan(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_DUE_SOON"])
    loan = lend_until(march(16), anna)
    jobs.notify_due_soon(march(14))
    tasks.deliver()
    renewed = desk.renew(loan, on=march(15)).loan
    jobs.notify_due_soon(renewed.expected_return_date - timedelta(days=2))
    tasks.deliver()
    assert [message.metadata["due_date"] for message in sink.sent] == ["2026-03-16", "2026-03-30"]


def test_a_renewal_that_is_undone_before_the_old_date_was_told_tells_it(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_DUE_SOON"])
    loan = lend_until(march(16), anna)
    jobs.notify_due_soon(march(14))
    desk.renew(loan, on=march(14))
    tasks.deliver()
    assert sink.sent == []
    undo(last_act(), on=march(14))
    jobs.notify_due_soon(march(15))
    tasks.deliver()
    assert [message.metadata["due_date"] for message in sink.sent] == ["2026-03-16"]


def test_a_renewal_that_is_undone_after_the_old_date_was_told_tells_nothing(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_DUE_SOON"])
    loan = lend_until(march(16), anna)
    jobs.notify_due_soon(march(14))
    tasks.deliver()
    desk.renew(loan, on=march(14))
    undo(last_act(), on=march(14))
    jobs.notify_due_soon(march(15))
    tasks.deliver()
    assert len(sink.sent) == 1


def test_the_confirmation_of_an_undone_renewal_is_kept_back_and_those_before_go(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    loan = lend(anna, make_copy())
    desk.renew(loan, on=march(3))
    desk.renew(loan, on=march(4))
    undo(last_act(), on=march(4))
    tasks.deliver()
    assert told(sink) == ["LOAN_CREATED", "LOAN_RENEWED"]
    assert Event.objects.filter(kind="LOAN_RENEWED", cancelled_at=None).count() == 1


def test_a_notice_of_a_book_that_is_returned_first_is_skipped_and_says_why(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_DUE_SOON", "LOAN_OVERDUE"])
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(march(17))
    dispatch.fan_out()
    take_back(loan.copy, on=march(17))
    tasks.deliver()
    assert sink.sent == []
    row = Delivery.objects.get()
    assert (row.status, row.note) == (DeliveryStatus.SKIPPED, "The book was returned.")


def test_a_notice_of_a_copy_that_is_marked_lost_is_kept_back(anna: Reader) -> None:
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(march(17))
    desk.mark_lost(loan, on=march(17))
    jobs.notify_overdue(march(18))
    assert active("LOAN_OVERDUE") == []
    undo(last_act(), on=march(17))
    jobs.notify_overdue(march(18))
    assert active("LOAN_OVERDUE") == ["2026-03-16:1"]


def test_a_return_that_is_undone_is_not_confirmed_and_the_second_one_is(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    copy = make_copy()
    lend(anna, copy)
    take_back(copy, on=march(10))
    undo(last_act(), on=march(10))
    tasks.deliver()
    assert told(sink) == ["LOAN_CREATED"]
    take_back(copy, on=march(10))
    tasks.deliver()
    assert told(sink) == ["LOAN_CREATED", "LOAN_RETURNED"]


def test_an_undone_return_lets_the_overdue_notice_go_that_it_held_back(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(march(17))
    take_back(loan.copy, on=march(18))
    tasks.deliver()
    assert sink.sent == []
    undo(last_act(), on=march(18))
    jobs.notify_overdue(march(19))
    tasks.deliver()
    assert "3 days late" in sink.sent[0].text


def test_a_check_out_that_is_undone_is_not_confirmed(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    lend(anna, make_copy())
    undo(last_act(), on=march(2))
    tasks.deliver()
    assert sink.sent == []
    assert Delivery.objects.get().note == "It was undone."


def test_a_hold_that_becomes_ready_is_told_once_however_often_the_copy_is_scanned(
    anna: Reader, bartek: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["HOLD_READY"])
    copy = make_copy()
    lend(anna, copy)
    back_at_work(copy, bartek, on=march(4))
    for _time in range(3):
        take_back(copy, on=march(4))
    tasks.deliver()
    assert [message.recipient_id for message in sink.sent] == [bartek.pk]


def test_a_hold_that_goes_back_unsent_and_is_ready_again_is_told(
    anna: Reader, bartek: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["HOLD_READY"])
    copy = make_copy()
    lend(anna, copy)
    back_at_work(copy, bartek, on=march(4))
    undo(last_act(), on=march(4))
    tasks.deliver()
    assert sink.sent == []
    take_back(copy, on=march(4))
    tasks.deliver()
    assert len(sink.sent) == 1
    undo(last_act(), on=march(4))
    take_back(copy, on=march(4))
    tasks.deliver()
    assert len(sink.sent) == 1
    undo(last_act(), on=march(4))
    take_back(copy, on=march(5))
    tasks.deliver()
    assert [message.metadata["pickup_date"] for message in sink.sent] == [
        "2026-03-11",
        "2026-03-12",
    ]


def test_a_hold_that_was_picked_up_before_it_was_told_is_told_when_that_is_undone(
    anna: Reader, bartek: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["HOLD_READY"])
    copy = make_copy()
    lend(anna, copy)
    back_at_work(copy, bartek, on=march(4))
    lend(bartek, copy, on=march(4))
    tasks.deliver()
    assert sink.sent == []
    undo(last_act(), on=march(4))
    tasks.deliver()
    assert len(sink.sent) == 1


def test_a_hold_that_expires_is_told_to_both_readers_once_though_the_job_runs_twice(
    anna: Reader, bartek: Reader, celina: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["HOLD_READY", "HOLD_EXPIRED"])
    copy = make_copy()
    lend(anna, copy)
    holds.place(bartek, copy.book, at=noon(march(3)))
    back_at_work(copy, celina, on=march(4))
    tasks.deliver()
    sink.sent.clear()
    for _time in range(2):
        jobs.expire_holds(march(12))
        tasks.deliver()
    assert {(message.recipient_id, message.kind) for message in sink.sent} == {
        (bartek.pk, "HOLD_EXPIRED"),
        (celina.pk, "HOLD_READY"),
    }
    assert len(sink.sent) == 2


def test_a_hold_that_is_cancelled_is_not_told_that_it_is_ready(
    anna: Reader, bartek: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["HOLD_READY"])
    copy = make_copy()
    lend(anna, copy)
    hold = back_at_work(copy, bartek, on=march(4))
    holds.cancel(hold, at=noon(march(4)))
    tasks.deliver()
    assert sink.sent == []
    assert Delivery.objects.get().note == "The hold was cancelled."


def test_a_hold_that_ends_tomorrow_is_told_once(
    anna: Reader, bartek: Reader, sink: type[Memory]
) -> None:
    copy = make_copy()
    lend(anna, copy)
    back_at_work(copy, bartek, on=march(4))
    assert [notices.record_expiring_holds(on=march(day)) for day in (9, 10, 11, 12)] == [0, 1, 1, 0]
    assert active("HOLD_EXPIRING") == ["2026-03-11"]


def test_a_hold_that_was_picked_up_is_not_told_that_it_ends(
    anna: Reader, bartek: Reader, sink: type[Memory]
) -> None:
    copy = make_copy()
    lend(anna, copy)
    back_at_work(copy, bartek, on=march(4))
    notices.record_expiring_holds(on=march(10))
    lend(bartek, copy, on=march(10))
    assert active("HOLD_EXPIRING") == []


def test_a_broken_address_keeps_no_notice_from_the_others_and_is_seen(sink: type[Memory]) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    readers = [make_reader() for _number in range(3)]
    for reader in readers:
        lend_until(march(16), reader)

    def react(message: object) -> None:
        if getattr(message, "recipient_id", None) == readers[1].pk:
            raise TryLaterError("No such mailbox.")

    sink.reacts = react
    jobs.notify_overdue(march(17))
    tasks.deliver()
    assert {message.recipient_id for message in sink.sent} == {readers[0].pk, readers[2].pk}
    assert Delivery.objects.get(note="No such mailbox.").recipient == readers[1]


def test_a_loan_is_marked_once_a_far_end_has_taken_its_overdue_notice(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    loan = lend_until(march(16), anna)
    jobs.notify_due_soon(march(15))
    jobs.deliver_alerts()
    loan.refresh_from_db()
    assert loan.notification_sent is False
    jobs.notify_overdue(march(17))
    loan.refresh_from_db()
    assert loan.notification_sent is False
    jobs.deliver_alerts()
    loan.refresh_from_db()
    assert loan.notification_sent is True
    assert loan.history.latest().notification_sent is True


def test_a_loan_is_not_marked_while_its_notice_fails_or_was_told_to_staff_alone(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    make_channel(notices.ChannelAudience.STAFF, backend="one_by_one")

    def react(message: object) -> None:
        if getattr(message, "recipient_id", None):
            raise TryLaterError("HTTP 500")

    sink.reacts = react
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(march(17))
    tasks.deliver()
    assert notices.note_accepted() == 0
    loan.refresh_from_db()
    assert loan.notification_sent is False


def test_a_loan_that_was_renewed_in_between_is_not_marked(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(march(17))
    tasks.deliver()
    desk.renew(loan, on=march(17))
    assert notices.note_accepted() == 0
    loan.refresh_from_db()
    assert loan.notification_sent is False


def test_a_mark_that_a_killed_worker_did_not_make_is_made_at_night(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(march(17))
    tasks.deliver()
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        assert notices.note_accepted() == 0
        jobs.notify_overdue(march(18))
    loan.refresh_from_db()
    assert loan.notification_sent is True


def test_our_own_mark_keeps_no_later_step_back(anna: Reader, sink: type[Memory]) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    lend_until(march(16), anna)
    for day in (17, 24):
        jobs.notify_overdue(march(day))
        jobs.deliver_alerts()
    assert len(sink.sent) == 2


def test_a_reader_whom_another_program_has_told_is_not_told_by_us(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    loan = lend_until(march(16), anna)
    jobs.notify_overdue(march(17))
    Loan.objects.update(notification_sent=True)
    notices.told_elsewhere(loan)
    for day in (17, 18, 24):
        jobs.notify_overdue(march(day))
        jobs.deliver_alerts()
    assert sink.sent == []
    assert Delivery.objects.get().note == "Another program has told the reader."


def test_who_was_told_elsewhere_of_one_date_is_told_by_us_of_the_next(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    loan = lend_until(march(16), anna)
    Loan.objects.update(notification_sent=True)
    jobs.notify_overdue(march(17))
    renewed = desk.renew(loan, on=march(17)).loan
    jobs.notify_overdue(renewed.expected_return_date + timedelta(days=1))
    tasks.deliver()
    assert len(sink.sent) == 1


def test_a_job_that_fails_in_the_middle_leaves_no_half_of_a_chunk_and_no_open_transaction(
    anna: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _number in range(3):
        lend_until(march(16), make_reader())
    monkeypatch.setattr(notices, "CHUNK", 2)
    record_all = outbox.record_all
    calls = []

    def fail_the_second(occurrences: object) -> None:
        calls.append(list(occurrences))  # type: ignore[call-overload]
        if len(calls) == 2:
            raise RuntimeError("the disk is full")
        record_all(calls[-1])

    depth = len(transaction.get_connection().savepoint_ids)
    monkeypatch.setattr(outbox, "record_all", fail_the_second)
    with pytest.raises(RuntimeError):
        jobs.notify_overdue(march(17))
    assert len(transaction.get_connection().savepoint_ids) == depth
    assert len(active("LOAN_OVERDUE")) == 2
    monkeypatch.setattr(outbox, "record_all", record_all)
    jobs.notify_overdue(march(17))
    assert len(active("LOAN_OVERDUE")) == 3


def follow(reader: Reader, author: str, *, since: datetime) -> None:
    follow = AuthorFollow.objects.create(reader=reader, author=author)
    AuthorFollow.objects.filter(pk=follow.pk).update(created_at=since)


@pytest.fixture
def yesterday() -> datetime:
    return timezone.now() - timedelta(days=1)


def test_a_new_book_is_told_to_who_follows_its_author_once(
    anna: Reader, bartek: Reader, yesterday: datetime, sink: type[Memory]
) -> None:
    make_channel()
    follow(anna, "Lem, Stanislaw", since=yesterday)
    follow(bartek, "Dick, Philip", since=yesterday)
    book = make_book("Solaris")
    for _time in range(2):
        assert following.announce() == 1
        tasks.deliver()
    (message,) = sink.sent
    assert (message.recipient_id, message.metadata["book_id"]) == (anna.pk, str(book.pk))


def test_a_book_by_two_followed_authors_is_told_once(anna: Reader, yesterday: datetime) -> None:
    for author in ("Lem, Stanisław", "Dick, Philip"):
        follow(anna, author, since=yesterday)
    make_book("Letters", author="Lem, Stanisław; Dick, Philip")
    assert following.announce() == 1


def test_books_from_before_are_no_news(anna: Reader, yesterday: datetime) -> None:
    old = make_book("Old")
    Book.objects.filter(pk=old.pk).update(created_at=yesterday - timedelta(days=9))
    before = make_book("Before the reader followed")
    Book.objects.filter(pk=before.pk).update(created_at=yesterday - timedelta(hours=1))
    follow(anna, "Lem, Stanisław", since=yesterday)
    assert following.announce() == 0


def test_an_import_of_thousands_is_one_message(
    anna: Reader, yesterday: datetime, sink: type[Memory]
) -> None:
    make_channel()
    follow(anna, "Lem, Stanisław", since=yesterday)
    for number in range(60):
        make_book(f"Volume {number}")
    for _day in range(2):
        following.announce()
        tasks.deliver()
    assert len(sink.sent) == 1
    assert Delivery.objects.count() == following.MOST_NEWS
    assert "Volume 59" in sink.sent[0].text
