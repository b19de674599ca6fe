"""From events to messages: who gets what, what is retried and when, and what stops at nothing."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from django_q.exceptions import TimeoutException
from pytest_django import Settings

from alerts import backends, channels, claims, dispatch, outbox, secrets, tasks
from alerts.backends.base import (
    BusyError,
    ChannelGoneError,
    Message,
    Receipt,
    TryLaterError,
    UndeliverableError,
)
from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event
from circulation.models import Reader
from tests.factories import lend, make_book, make_copy, make_reader, make_staff, take_back
from tests.sinks import BACKENDS, Memory, make_channel

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("sink")]

QUEUED, SENT, SKIPPED, DEAD = (
    DeliveryStatus.QUEUED,
    DeliveryStatus.SENT,
    DeliveryStatus.SKIPPED,
    DeliveryStatus.DEAD,
)
STAFF = ChannelAudience.STAFF
NOW = datetime(2026, 3, 2, 12, tzinfo=timezone.get_fixed_timezone(0))


def borrowed(reader: Reader | None = None, *, times: int = 1) -> None:
    for _time in range(times):
        lend(reader or make_reader(), make_copy())


def waiting(reader: Reader | None = None, *, times: int = 1) -> list[Delivery]:
    """Deliveries that a worker may claim."""
    borrowed(reader, times=times)
    dispatch.fan_out()
    return list(Delivery.objects.order_by("pk"))


def only() -> Delivery:
    return Delivery.objects.get()


def raising(problem: BaseException, *, times: int = 1000) -> Callable[[Message], Receipt | None]:
    left = [problem] * times

    def react(message: Message) -> Receipt | None:
        if left:
            raise left.pop()
        return None

    return react


def make_due() -> None:
    """Let the time of all retries come."""
    Delivery.objects.filter(status=QUEUED).update(next_attempt_at=timezone.now())


def test_a_reader_is_told_by_a_channel_for_readers_and_staff_by_theirs(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    make_channel(STAFF)
    borrowed(anna)
    tasks.deliver()
    assert {message.recipient_id for message in sink.sent} == {anna.pk, None}


def test_an_administrators_own_channel_tells_that_person(sink: type[Memory], maria: Reader) -> None:
    make_channel(STAFF, owner=maria)
    borrowed()
    tasks.deliver()
    assert [message.recipient_id for message in sink.sent] == [maria.pk]


@pytest.mark.parametrize(
    "left_out",
    [{"kinds": []}, {"kinds": ["LOAN_OVERDUE"]}, {"is_active": False}, {"kinds": 7}],
    ids=["no kinds", "another kind", "switched off", "broken"],
)
def test_a_channel_that_does_not_want_a_kind_makes_no_delivery(left_out: dict[str, object]) -> None:
    make_channel(**left_out)
    borrowed()
    assert dispatch.fan_out() == 1
    assert not Delivery.objects.exists()


def test_an_event_without_a_reader_goes_to_no_readers_channel() -> None:
    make_channel()
    outbox.record(EventKind.LOAN_CREATED, make_book())
    dispatch.fan_out()
    assert not Delivery.objects.exists()


def test_each_event_is_handed_on_once(anna: Reader) -> None:
    make_channel()
    borrowed(anna)
    assert [dispatch.fan_out(), dispatch.fan_out()] == [1, 0]
    Event.objects.update(fanned_out_at=None)
    dispatch.fan_out()
    assert Delivery.objects.count() == 1


def test_an_event_of_an_unknown_kind_is_left_out_and_the_next_is_told(sink: type[Memory]) -> None:
    make_channel()
    borrowed()
    Event.objects.update(kind="FROM_A_NEWER_VERSION")
    borrowed()
    tasks.deliver()
    assert len(sink.sent) == 1
    assert not Event.objects.filter(fanned_out_at=None).exists()


def test_a_broken_channel_keeps_no_event_from_the_others(sink: type[Memory]) -> None:
    Channel.objects.filter(pk=make_channel(name="Broken").pk).update(kinds=7)
    make_channel()
    borrowed()
    tasks.deliver()
    assert len(sink.sent) == 1


def test_a_reader_without_an_address_is_skipped_and_it_says_why(sink: type[Memory]) -> None:
    make_channel()
    borrowed(make_reader(email=None))
    borrowed()
    tasks.deliver()
    assert len(sink.sent) == 1
    skipped = Delivery.objects.get(status=SKIPPED)
    assert "address" in skipped.note
    assert (skipped.attempts, skipped.finished_at is None) == (0, False)


def test_an_account_that_was_switched_off_is_skipped(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    waiting(anna)
    Reader.objects.update(is_active=False)
    tasks.deliver()
    assert sink.sent == []
    assert "switched off" in only().note


def test_a_kind_that_the_reader_has_declined_is_skipped(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    waiting(anna)
    Reader.objects.update(declined_notices=["LOAN_CREATED"])
    tasks.deliver()
    assert sink.sent == []
    assert only().note == "The reader does not want these notices."


def test_what_must_be_told_cannot_be_declined(anna: Reader, sink: type[Memory]) -> None:
    make_channel()
    anna.declined_notices = ["LOAN_OVERDUE", "LOAN_CREATED"]
    anna.save()
    outbox.record(EventKind.LOAN_OVERDUE, make_book(), reader=anna, days_late=1)
    tasks.deliver()
    assert [message.kind for message in sink.sent] == ["LOAN_OVERDUE"]


def test_who_has_left_the_staff_hears_no_more_of_it(maria: Reader, sink: type[Memory]) -> None:
    make_channel(STAFF, owner=maria)
    waiting()
    Reader.objects.filter(pk=maria.pk).update(is_staff=False)
    tasks.deliver()
    assert sink.sent == []
    assert "not one of staff" in only().note


def test_what_is_cancelled_before_it_is_handed_on_is_skipped(sink: type[Memory]) -> None:
    make_channel()
    borrowed()
    outbox.cancel_events(Event.objects.all(), reason="It was undone.")
    tasks.deliver()
    assert sink.sent == []
    assert (only().status, only().note) == (SKIPPED, "It was undone.")


def test_what_is_cancelled_after_it_was_handed_on_is_skipped(sink: type[Memory]) -> None:
    make_channel()
    waiting()
    outbox.cancel_events(Event.objects.all(), reason="It was undone.")
    tasks.deliver()
    assert sink.sent == []
    assert (only().status, only().note) == (SKIPPED, "It was undone.")


def test_what_is_cancelled_between_claim_and_sending_is_skipped(sink: type[Memory]) -> None:
    make_channel()
    waiting()
    groups = claims.claim(at=timezone.now())
    outbox.cancel_events(Event.objects.all(), reason="It was undone.")
    dispatch.Batch(groups).send()
    assert sink.sent == []
    assert (only().status, only().note) == (SKIPPED, "It was undone.")


def test_the_rest_of_a_digest_goes_when_one_thing_in_it_is_cancelled(
    anna: Reader, sink: type[Memory]
) -> None:
    make_channel()
    one, other = make_book("Solaris"), make_book("Dune")
    for book in (one, other):
        outbox.record(EventKind.LOAN_CREATED, book, reader=anna, book_title=book.title)
    outbox.cancel(one, [EventKind.LOAN_CREATED], reason="It was undone.")
    tasks.deliver()
    assert "Dune" in sink.sent[0].text
    assert "Solaris" not in sink.sent[0].text
    assert sorted(Delivery.objects.values_list("status", flat=True)) == [SENT, SKIPPED]


def test_what_comes_back_begins_its_attempts_anew(sink: type[Memory]) -> None:
    make_channel()
    book, reader = make_book(), make_reader()
    outbox.record(EventKind.HOLD_READY, book, reader=reader)
    sink.reacts = raising(TryLaterError("HTTP 500"), times=1)
    tasks.deliver()
    outbox.cancel(book, [EventKind.HOLD_READY], reason="It went elsewhere.")
    make_due()
    tasks.deliver()
    assert (only().status, only().attempts) == (SKIPPED, 1)
    outbox.record(EventKind.HOLD_READY, book, reader=reader)
    assert (only().status, only().attempts) == (QUEUED, 0)


def test_what_comes_back_between_claim_and_sending_is_sent(sink: type[Memory]) -> None:
    make_channel()
    book, reader = make_book(), make_reader()
    outbox.record(EventKind.HOLD_READY, book, reader=reader)
    dispatch.fan_out()
    outbox.cancel(book, [EventKind.HOLD_READY], reason="It went elsewhere.")
    groups = claims.claim(at=timezone.now())
    outbox.record(EventKind.HOLD_READY, book, reader=reader)
    dispatch.Batch(groups).send()
    assert len(sink.sent) == 1


@pytest.mark.parametrize(
    "problem",
    [
        TryLaterError("HTTP 500"),
        RuntimeError("a bug"),
        ValueError("\x00"),
        SystemExit(1),
        GeneratorExit(),
        RecursionError(),
    ],
    ids=lambda problem: type(problem).__name__,
)
def test_a_failure_harms_one_message_and_is_retried(
    problem: BaseException, sink: type[Memory]
) -> None:
    make_channel()
    waiting(times=3)
    sink.reacts = raising(problem, times=1)
    tasks.deliver()
    assert len(sink.sent) == 2
    failed = Delivery.objects.get(status=QUEUED)
    assert failed.attempts == 1
    assert failed.note
    make_due()
    tasks.deliver()
    assert Delivery.objects.filter(status=SENT).count() == 3
    assert len({message.id for message in sink.sent}) == 3


@pytest.mark.parametrize("stop", [KeyboardInterrupt, TimeoutException])
def test_a_worker_that_is_told_to_stop_stops(stop: type[BaseException], sink: type[Memory]) -> None:
    make_channel()
    waiting()
    sink.reacts = raising(stop())
    with pytest.raises(stop):
        tasks.deliver()
    assert (only().status, only().attempts) == (QUEUED, 0)


def test_an_unexpected_error_is_told_without_what_it_quotes(
    sink: type[Memory], caplog: pytest.LogCaptureFixture
) -> None:
    make_channel()
    waiting()
    sink.reacts = raising(RuntimeError("https://api.example.org/bot123:SECRET/send"))
    with caplog.at_level(logging.DEBUG):
        tasks.deliver()
    assert "RuntimeError" in caplog.text
    assert "sinks.py" in caplog.text
    channel = Channel.objects.get()
    assert "SECRET" not in caplog.text + only().note + channel.last_answer
    assert "RuntimeError" in only().note


def test_an_event_whose_data_breaks_its_text_fails_alone(sink: type[Memory]) -> None:
    make_channel()
    for date in ("not a date", "2026-03-02"):
        outbox.record(EventKind.LOAN_CREATED, make_book(), reader=make_reader(), due_date=date)
    tasks.deliver()
    assert len(sink.sent) == 1
    assert Delivery.objects.get(status=QUEUED).attempts == 1


def test_a_backend_that_is_no_more_in_the_settings_fails_alone(
    sink: type[Memory], settings: Settings
) -> None:
    make_channel(backend="one_by_one", name="Gone")
    make_channel()
    waiting()
    settings.ALERT_BACKENDS = BACKENDS[:1]
    tasks.deliver()
    assert len(sink.sent) == 1
    assert "UnknownBackendError" in Delivery.objects.get(status=QUEUED).note


def test_secrets_that_cannot_be_opened_fail_alone(sink: type[Memory], settings: Settings) -> None:
    make_channel(name="Sealed", sealed=secrets.seal({"token": "x"}))
    make_channel()
    waiting()
    settings.SECRET_KEY = "another key"
    tasks.deliver()
    assert len(sink.sent) == 1
    assert "UnreadableSecretError" in Delivery.objects.get(status=QUEUED).note


def test_what_a_far_end_answers_is_stored_whatever_it_is(sink: type[Memory]) -> None:
    channel = make_channel()
    waiting()
    sink.reacts = lambda message: Receipt("\x00\ud800 odd " * 200)
    tasks.deliver()
    assert only().status == SENT
    channel.refresh_from_db()
    assert channel.last_answer.startswith("? odd")


def test_the_retries_follow_the_schedule_with_jitter_and_end(sink: type[Memory]) -> None:
    channel, other = make_channel(), make_channel(STAFF, name="Other", kinds=["DELIVERY_FAILED"])
    waiting()
    sink.reacts = raising(TryLaterError("HTTP 500"), times=10)
    at, waits, ids = timezone.now(), [], set()
    while (row := Delivery.objects.get(channel=channel)).status == QUEUED:
        at = max(row.next_attempt_at, at) + timedelta(seconds=1)
        with time_machine.travel(at, tick=False):
            dispatch.send_due()
        row.refresh_from_db()
        ids.add(row.message_id)
        waits.append(row.next_attempt_at - at)
    steps = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
    assert len(waits) == len(steps) + 1
    for wait, step in zip(waits[:-1], steps, strict=True):
        assert step <= wait.total_seconds() <= step * 1.2
    assert timedelta(days=3) < sum(waits[:-1], timedelta()) < timedelta(days=4)
    assert (row.status, row.attempts, len(ids)) == (DEAD, 10, 1)
    tasks.deliver()
    assert [message.kind for message in sink.sent] == ["DELIVERY_FAILED"]
    assert Delivery.objects.get(channel=other).status == SENT


def test_jitter_tells_the_retries_of_many_apart() -> None:
    waits = {dispatch.retry_after(3) for _time in range(50)}
    assert len(waits) > 40
    assert timedelta(hours=2) <= min(waits) < max(waits) <= timedelta(hours=2.4)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(600, 600, 601), (1, 5, 6.1), (10**9, 86_400, 86_401)],
    ids=["later", "sooner than we would", "in thirty years"],
)
def test_the_far_end_says_when_to_try_again(
    asked: float, least: float, most: float, sink: type[Memory]
) -> None:
    make_channel()
    waiting()
    sink.reacts = raising(TryLaterError("HTTP 503", after=timedelta(seconds=asked)))
    with time_machine.travel(timezone.now(), tick=False):
        tasks.deliver()
        wait = only().next_attempt_at - timezone.now()
    assert least <= wait.total_seconds() <= most


def test_what_will_never_be_taken_is_given_up_at_once_and_staff_hear_of_it(
    sink: type[Memory],
) -> None:
    make_channel()
    make_channel(STAFF, kinds=["DELIVERY_FAILED"])
    waiting(times=3)
    sink.reacts = raising(UndeliverableError("No such mailbox."), times=3)
    tasks.deliver()
    assert Delivery.objects.filter(status=DEAD, attempts=1, note="No such mailbox.").count() == 3
    tasks.deliver()
    (told,) = sink.sent
    assert told.kind == "DELIVERY_FAILED"
    assert "No such mailbox." in told.text


def test_the_trouble_of_a_channel_is_told_by_the_others_alone(sink: type[Memory]) -> None:
    broken = make_channel(STAFF, name="Broken")
    other = make_channel(STAFF, name="Other", kinds=["DELIVERY_FAILED"])
    waiting()
    sink.reacts = raising(UndeliverableError("No."), times=1)
    tasks.deliver()
    tasks.deliver()
    told = Delivery.objects.filter(kind="DELIVERY_FAILED")
    assert [row.channel for row in told] == [other]
    assert broken.deliveries.count() == 1


def test_two_broken_channels_do_not_tell_of_each_other_for_ever(sink: type[Memory]) -> None:
    make_channel(STAFF, name="One")
    make_channel(STAFF, name="Two")
    sink.reacts = raising(UndeliverableError("No."))
    waiting()
    for day in range(5):
        with time_machine.travel(timezone.now() + timedelta(days=day)):
            tasks.deliver()
    assert Event.objects.filter(kind="DELIVERY_FAILED").count() == 2
    assert not Delivery.objects.filter(status=QUEUED).exists()


def test_a_channel_that_is_gone_is_switched_off_and_the_others_tell_staff(
    sink: type[Memory],
) -> None:
    channel = make_channel()
    make_channel(STAFF, kinds=["CHANNEL_DISABLED"])
    waiting(times=3)
    sink.reacts = raising(ChannelGoneError("HTTP 410"), times=1)
    tasks.deliver()
    channel.refresh_from_db()
    assert (channel.is_active, channel.disabled_reason) == (False, "HTTP 410")
    statuses = Delivery.objects.filter(channel=channel).order_by("pk")
    assert list(statuses.values_list("status", flat=True)) == [DEAD, QUEUED, QUEUED]
    tasks.deliver()
    assert [message.kind for message in sink.sent] == ["CHANNEL_DISABLED"]
    channels.disable(channel, "again")
    assert Event.objects.filter(kind="CHANNEL_DISABLED").count() == 1


def test_what_the_far_end_changed_holds_from_the_next_message_on(sink: type[Memory]) -> None:
    channel = make_channel(config={"chat": "1", "other": "x"})
    waiting(times=2)
    seen: list[str] = []

    def react(message: Message) -> Receipt:
        return Receipt("Moved.", {"chat": "2"})

    sink.reacts = react
    original = Memory.send

    def send(self: Memory, message: Message, to: str, config: dict[str, str]) -> Receipt:
        seen.append(config["chat"])
        return original(self, message, to, config)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "send", send)
        tasks.deliver()
    channel.refresh_from_db()
    assert channel.config == {"chat": "2", "other": "x"}
    assert seen == ["1", "2"]


def test_a_busy_far_end_is_left_alone_and_no_attempt_is_counted(sink: type[Memory]) -> None:
    channel = make_channel()
    waiting(times=3)
    sink.reacts = raising(BusyError("429", after=timedelta(seconds=34)), times=1)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        tasks.deliver()
        tasks.deliver()
    assert sink.sent == []
    assert set(Delivery.objects.values_list("status", "attempts")) == {(QUEUED, 0)}
    with time_machine.travel(now + timedelta(seconds=33), tick=False):
        tasks.deliver()
    assert sink.sent == []
    with time_machine.travel(now + timedelta(seconds=35), tick=False):
        tasks.deliver()
    assert len(sink.sent) == 3
    channel.refresh_from_db()
    assert channel.is_active


def test_a_busy_bot_is_left_alone_by_all_its_channels(sink: type[Memory]) -> None:
    sink.paces = [("bot:1", timedelta(milliseconds=1))]
    make_channel(STAFF, name="One")
    make_channel(STAFF, name="Two")
    waiting()
    sink.reacts = raising(BusyError("429", after=timedelta(seconds=34)), times=1)
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        tasks.deliver()
        tasks.deliver()
        assert sink.sent == []
    with time_machine.travel(now + timedelta(seconds=35)):
        tasks.deliver()
    assert len(sink.sent) == 2


def test_a_slow_failure_lets_the_channel_rest_and_the_others_go_on(
    sink: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = make_channel(name="Slow")
    make_channel(STAFF, backend="one_by_one")
    waiting(times=3)
    monkeypatch.setattr(dispatch, "SLOW", -1.0)

    def react(message: Message) -> Receipt | None:
        if message.recipient_id:
            raise TryLaterError("There was no answer within 30 seconds.")
        return None

    sink.reacts = react
    tasks.deliver()
    assert sorted(Delivery.objects.filter(channel=slow).values_list("attempts", flat=True)) == [
        0,
        0,
        1,
    ]
    assert len(sink.sent) == 3
    assert claims.claim(at=timezone.now()) == []


def test_what_waits_for_a_channel_that_is_off_is_sent_when_it_is_on_again(
    sink: type[Memory],
) -> None:
    channel = make_channel()
    waiting()
    Channel.objects.update(is_active=False)
    tasks.deliver()
    assert (only().status, sink.sent) == (QUEUED, [])
    Channel.objects.update(is_active=True)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        tasks.deliver()
    assert only().status == SENT
    assert channel.deliveries.count() == 1


def test_what_waits_for_a_channel_that_is_off_is_given_up_after_three_days(
    sink: type[Memory],
) -> None:
    make_channel()
    waiting()
    Channel.objects.update(is_active=False)
    with time_machine.travel(timezone.now() + timedelta(days=3, minutes=1)):
        tasks.deliver()
    assert only().status == DEAD
    assert "switched off" in only().note
    Channel.objects.update(is_active=True)
    with time_machine.travel(timezone.now() + timedelta(days=20)):
        tasks.deliver()
    assert sink.sent == []


def test_what_no_worker_sent_in_a_week_is_not_sent_weeks_later(sink: type[Memory]) -> None:
    make_channel()
    waiting()
    with time_machine.travel(timezone.now() + timedelta(days=6)):
        assert claims.give_up_stale(at=timezone.now()) == 0
    with time_machine.travel(timezone.now() + timedelta(days=21)):
        tasks.deliver()
    assert (only().status, sink.sent) == (DEAD, [])


def test_staff_hear_once_of_what_waited_too_long(sink: type[Memory]) -> None:
    make_channel()
    make_channel(STAFF, kinds=["DELIVERY_FAILED"])
    waiting(times=3)
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(days=8))
    tasks.deliver()
    tasks.deliver()
    (told,) = sink.sent
    assert told.kind == "DELIVERY_FAILED"
    assert "waited too long" in told.text


def test_news_of_trouble_that_waited_too_long_makes_no_more_news(sink: type[Memory]) -> None:
    make_channel(STAFF, kinds=["DELIVERY_FAILED"])
    outbox.record(EventKind.DELIVERY_FAILED, make_book(), channel="Other", why="No.")
    dispatch.fan_out()
    Delivery.objects.update(next_attempt_at=timezone.now() - timedelta(days=8))
    tasks.deliver()
    assert (only().status, Event.objects.count()) == (DEAD, 1)


def test_a_run_ends_well_before_the_queue_stops_it(settings: Settings) -> None:
    longest = timedelta(seconds=tasks.SECONDS) + claims.LEASE
    assert longest <= timedelta(seconds=settings.Q_CLUSTER["timeout"]) * 0.8


def test_a_channel_that_is_switched_off_after_the_claim_sends_nothing(sink: type[Memory]) -> None:
    make_channel()
    waiting()
    groups = claims.claim(at=timezone.now())
    Channel.objects.update(is_active=False)
    dispatch.Batch(groups).send()
    assert (only().status, sink.sent) == (QUEUED, [])


def test_the_health_of_a_channel_is_noted(sink: type[Memory]) -> None:
    channel = make_channel()
    waiting()
    tasks.deliver()
    channel.refresh_from_db()
    assert (channel.last_answer, channel.last_problem_at) == ("Taken.", None)
    assert channel.last_ok_at is not None
    waiting()
    sink.reacts = raising(TryLaterError("HTTP 500"))
    tasks.deliver()
    channel.refresh_from_db()
    assert channel.last_answer == "HTTP 500"
    assert channel.last_problem_at is not None


def test_a_killed_workers_message_goes_again_with_its_id_when_the_lease_ends(
    sink: type[Memory],
) -> None:
    make_channel()
    waiting()
    (group,) = claims.claim(at=timezone.now())
    # Here it is sent, and the worker is killed before that is noted.
    assert claims.claim(at=timezone.now()) == []
    with time_machine.travel(timezone.now() + claims.LEASE + timedelta(seconds=1)):
        tasks.deliver()
    assert [message.id for message in sink.sent] == [group.deliveries[0].message_id]
    assert only().attempts == 1


def test_who_has_lost_the_lease_writes_nothing(sink: type[Memory]) -> None:
    make_channel()
    waiting()
    (late,) = claims.claim(at=timezone.now())
    with time_machine.travel(timezone.now() + claims.LEASE + timedelta(seconds=1)):
        (other,) = claims.claim(at=timezone.now())
    assert late.finish(late.deliveries, DEAD, "too late") == 0
    assert late.still_to_tell() == ([], 0)
    late.put_off(late.deliveries, until=timezone.now(), note="too late")
    claims.release([late], until=timezone.now())
    assert (only().status, only().next_attempt_at) == (QUEUED, other.leased_until)


def test_nothing_is_begun_when_the_lease_is_about_to_end(sink: type[Memory]) -> None:
    make_channel()
    waiting(times=2)
    groups = claims.claim(at=timezone.now() - claims.LEASE + timedelta(seconds=30))
    dispatch.Batch(groups).send()
    assert sink.sent == []
    tasks.deliver()
    assert len(sink.sent) == 2


def test_a_slow_far_end_gets_no_message_after_the_lease(
    sink: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_channel()
    waiting(times=10)
    with time_machine.travel(timezone.now(), tick=False) as clock:

        def react(message: Message) -> None:
            clock.shift(30)

        sink.reacts = react
        dispatch.Batch(claims.claim(at=timezone.now())).send()
    assert len(sink.sent) == 3
    assert Delivery.objects.filter(status=QUEUED, attempts=0).count() == 7


def test_a_worker_stops_when_its_time_is_up(sink: type[Memory]) -> None:
    make_channel()
    waiting(times=2)
    assert dispatch.send_due(seconds=0) == 0
    assert sink.sent == []
    assert dispatch.send_due(seconds=10) == 2


def test_one_worker_stays_for_the_first_retry(
    sink: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_channel()
    waiting()
    sink.reacts = raising(TryLaterError("HTTP 500"), times=1)
    slept: list[float] = []
    with time_machine.travel(timezone.now(), tick=False) as clock:

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            clock.shift(seconds)

        monkeypatch.setattr("time.sleep", sleep)
        tasks.deliver(stay=tasks.WORTH_STAYING)
    assert only().status == SENT
    assert 5 <= sum(slept) <= 6.1


def test_nobody_stays_for_what_is_due_later_or_beside_another(
    sink: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_channel()
    waiting()
    now = timezone.now()
    Delivery.objects.update(next_attempt_at=now + timedelta(seconds=30))
    assert claims.soonest(at=now, within=tasks.WORTH_STAYING) is None
    Delivery.objects.update(next_attempt_at=now + timedelta(seconds=3))
    wait = claims.soonest(at=now, within=tasks.WORTH_STAYING)
    assert wait == timedelta(seconds=3)
    with time_machine.travel(now, tick=False):
        assert tasks._worth_staying(tasks.WORTH_STAYING) == wait
        assert tasks._worth_staying(tasks.WORTH_STAYING) is None


def test_a_backend_of_ones_own_is_one_class_and_one_line(settings: Settings) -> None:
    settings.ALERT_BACKENDS = [*settings.ALERT_BACKENDS, "tests.test_dispatch.Pigeon"]
    assert ("pigeon", "Carrier pigeon") in backends.choices()
    channel = make_channel(backend="pigeon")
    channel.full_clean()
    waiting()
    tasks.deliver()
    assert only().note == "It has flown off."


class Pigeon(backends.base.Backend):
    name = "pigeon"
    label = "Carrier pigeon"

    def send(self, message: Message, to: str, config: object) -> Receipt:
        return Receipt("It has flown off.")


def test_a_given_up_delivery_that_is_queued_again_is_sent_once(sink: type[Memory]) -> None:
    make_channel()
    waiting()
    sink.reacts = raising(UndeliverableError("No."), times=1)
    tasks.deliver()
    Delivery.objects.update(status=QUEUED, attempts=0, next_attempt_at=timezone.now())
    tasks.deliver()
    tasks.deliver()
    assert len(sink.sent) == 1


def test_an_untrue_notice_is_not_sent_by_replaying_it(rule: None, sink: type[Memory]) -> None:
    make_channel(kinds=["LOAN_OVERDUE"])
    copy, staff = make_copy(), make_staff()
    loan = lend(staff, copy)
    outbox.record(EventKind.LOAN_OVERDUE, loan, reader=staff, days_late=1)
    sink.reacts = raising(UndeliverableError("No."), times=1)
    tasks.deliver()
    take_back(copy, on=loan.expected_return_date)
    Delivery.objects.update(status=QUEUED, next_attempt_at=timezone.now())
    tasks.deliver()
    assert sink.sent == []
    assert only().note == "The book was returned."
