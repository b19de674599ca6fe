"""Digests: what falls together for one person is one message, and no message is torn apart."""

from collections import Counter
from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from alerts import claims, dispatch, outbox, tasks
from alerts.backends.base import TryLaterError
from alerts.events import EventKind
from alerts.models import ChannelAudience, Delivery, DeliveryStatus
from alerts.outbox import Occurrence
from circulation import notices
from circulation.models import Reader
from tests.factories import lend_until, make_book, make_copy, make_reader, march, set_policy
from tests.sinks import Memory, make_channel

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sink")]

STAFF = ChannelAudience.STAFF
NEW = EventKind.NEW_BOOK


def record(kind: EventKind, reader: Reader | None, *, times: int) -> None:
    book = make_book()
    outbox.record_all(
        Occurrence(
            kind,
            book,
            reader,
            once=f"{reader.pk if reader else 0}:{number}",
            data={"book_title": f"Volume {number}", "author": "Lem"},
        )
        for number in range(times)
    )


def sizes() -> list[int]:
    """How many deliveries each message is made of, the largest first."""
    rows = Delivery.objects.exclude(message_id=None).values_list("message_id", flat=True)
    return sorted(Counter(rows).values(), reverse=True)


def test_a_reader_with_four_overdue_books_gets_one_message(
    anna: Reader, sink: type[Memory]
) -> None:
    set_policy()
    make_channel(kinds=["LOAN_OVERDUE"])
    for title in ("Solaris", "Dune", "Ubik", "Emma"):
        lend_until(march(16), anna, make_copy(make_book(title)))
    notices.record_overdue(on=march(17))
    tasks.deliver()
    (message,) = sink.sent
    assert all(title in message.text for title in ("Solaris", "Dune", "Ubik", "Emma"))
    rows = Delivery.objects.all()
    assert {row.message_id for row in rows} == {message.id}
    assert {row.status for row in rows} == {DeliveryStatus.SENT}


def test_readers_kinds_and_channels_are_kept_apart(
    anna: Reader, bartek: Reader, sink: type[Memory]
) -> None:
    make_channel(name="One")
    make_channel(name="Two")
    for reader in (anna, bartek):
        record(NEW, reader, times=2)
        record(EventKind.LOAN_CREATED, reader, times=2)
    tasks.deliver()
    assert sizes() == [2] * 8
    assert Counter((message.recipient_id, message.kind) for message in sink.sent) == {
        (reader.pk, kind): 2 for reader in (anna, bartek) for kind in ("NEW_BOOK", "LOAN_CREATED")
    }


def test_what_staff_are_told_falls_together_too(sink: type[Memory]) -> None:
    make_channel(STAFF)
    for _time in range(3):
        record(EventKind.LOAN_CREATED, make_reader(), times=1)
    tasks.deliver()
    assert sizes() == [3]


def test_the_channels_of_two_administrators_are_kept_apart(sink: type[Memory]) -> None:
    for name in ("Maria", "Marek"):
        make_channel(STAFF, name=name, owner=make_reader(name, is_staff=True))
    record(EventKind.LOAN_CREATED, make_reader(), times=3)
    tasks.deliver()
    assert sizes() == [3, 3]


def test_a_program_gets_a_message_for_each_event(anna: Reader, sink: type[Memory]) -> None:
    make_channel(backend="one_by_one")
    record(NEW, anna, times=3)
    tasks.deliver()
    assert sizes() == [1, 1, 1]
    assert {message.metadata["book_title"] for message in sink.sent} == {
        "Volume 0",
        "Volume 1",
        "Volume 2",
    }


def test_at_most_fifty_things_go_into_one_message(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    record(NEW, anna, times=120)
    tasks.deliver()
    assert sizes() == [50, 50, 20]
    assert not Delivery.objects.filter(status=DeliveryStatus.QUEUED).exists()


def test_what_staff_are_told_is_short_enough_for_a_chat(anna: Reader, sink: type[Memory]) -> None:
    make_channel(STAFF)
    record(EventKind.LOAN_CREATED, anna, times=40)
    tasks.deliver()
    assert sizes() == [15, 15, 10]


def test_many_readers_with_a_few_things_each_get_one_message_each(sink: type[Memory]) -> None:
    make_channel()
    readers = [make_reader() for _number in range(30)]
    for _time in range(3):
        for reader in readers:
            record(NEW, reader, times=1)
    tasks.deliver()
    assert sizes() == [3] * 30


def test_a_message_that_failed_goes_again_as_it_was(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    record(NEW, anna, times=3)
    failures = [TryLaterError("HTTP 500")]

    def react(_message: object) -> None:
        if failures:
            raise failures.pop()

    sink.reacts = react
    tasks.deliver()
    first = Delivery.objects.values_list("message_id", flat=True).distinct().get()
    record(EventKind.LOAN_CREATED, anna, times=2)
    with time_machine.travel(timezone.now() + timedelta(minutes=1)):
        tasks.deliver()
    assert sizes() == [3, 2]
    assert first in {message.id for message in sink.sent}


def test_a_message_of_many_rows_is_never_torn_apart(anna: Reader, sink: type[Memory]) -> None:
    """Where it is due beside so many others that not all of its rows are among the next."""
    make_channel()
    record(NEW, anna, times=40)
    dispatch.fan_out()
    (digest,) = claims.claim(at=timezone.now())
    later = timezone.now() + timedelta(hours=1)
    claims.release([digest], until=later)
    (again,) = claims.claim(at=later)
    assert len(again.deliveries) == 40 > claims.MOST_MESSAGES


def test_what_comes_later_is_a_message_of_its_own(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    record(NEW, anna, times=2)
    tasks.deliver()
    record(EventKind.LOAN_CREATED, anna, times=1)
    outbox.record(NEW, make_book("Another"), reader=anna)
    tasks.deliver()
    assert sizes() == [2, 1, 1]
    assert len({message.id for message in sink.sent}) == 3


def test_a_reader_whose_things_are_handed_on_in_two_parts_gets_one_message(
    anna: Reader, bartek: Reader, sink: type[Memory]
) -> None:
    make_channel()
    book = make_book()
    for number in range(4):
        for reader in (anna, bartek):
            once = f"{reader.pk}:{number}"
            outbox.record(NEW, book, reader=reader, once=once, book_title=f"Volume {number}")
    assert dispatch.fan_out(most=3) == 8
    dispatch.send_due()
    assert sizes() == [4, 4]


def test_one_thing_that_cannot_be_written_is_left_out_of_the_message(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    for title, due in (("Solaris", "2026-03-16"), ("Dune", "some day"), ("Ubik", "2026-03-16")):
        data = {"book_title": title, "due_date": due}
        outbox.record(EventKind.LOAN_CREATED, make_book(title), reader=anna, **data)
    tasks.deliver()
    (message,) = sink.sent
    assert "Solaris" in message.text
    assert "Ubik" in message.text
    left = Delivery.objects.get(status=DeliveryStatus.QUEUED)
    assert (left.event.data["book_title"], left.attempts) == ("Dune", 1)
    assert left.message_id != message.id
    assert Delivery.objects.filter(status=DeliveryStatus.SENT, message_id=message.id).count() == 2
