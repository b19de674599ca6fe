"""Pace: no more to a far end than it takes, and nothing while it rests."""

from datetime import datetime, timedelta

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from alerts import dispatch, outbox, pace, tasks
from alerts.events import EventKind
from alerts.models import ChannelAudience, Delivery, DeliveryStatus, Pace
from tests.factories import make_book
from tests.sinks import Memory, make_channel

pytestmark = pytest.mark.django_db

BOT, GROUP = ("bot", timedelta(seconds=1) / 30), ("group", timedelta(seconds=3))


@pytest.fixture
def now(db: None) -> datetime:
    return timezone.now()


def test_a_far_end_that_does_not_count_costs_nothing(
    now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        assert pace.slot([], at=now) == timedelta()


def test_slots_are_as_far_apart_as_the_far_end_wants(now: datetime) -> None:
    waits = [pace.slot([BOT], at=now) for _time in range(4)]
    assert waits == [BOT[1] * number for number in range(4)]


def test_the_slowest_of_several_counts_and_none_runs_ahead(now: datetime) -> None:
    assert pace.slot([GROUP, BOT], at=now) == timedelta()
    at = now + timedelta(seconds=1.5)
    assert pace.slot([GROUP, BOT], at=at) == timedelta(seconds=1.5)
    assert Pace.objects.get(key="bot").next_at == now + GROUP[1] + BOT[1]


def test_a_wait_that_is_too_long_takes_no_slot(now: datetime) -> None:
    pace.slot([GROUP], at=now)
    assert pace.slot([GROUP, BOT], at=now) == GROUP[1]
    assert pace.slot([GROUP, BOT], at=now) == GROUP[1]
    assert Pace.objects.get(key="bot").next_at == now


def test_a_far_end_that_is_held_back_is_not_let_go_sooner(now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        pace.hold_back([BOT], timedelta(seconds=34))
        pace.hold_back([BOT], timedelta(seconds=1))
    assert pace.slot([BOT], at=now) == timedelta(seconds=34)
    assert pace.slot([BOT], at=now + timedelta(seconds=35)) == timedelta()


def test_nobody_is_held_back_for_longer_than_a_day(now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        pace.hold_back([BOT], timedelta(days=365))
    assert pace.slot([BOT], at=now) == timedelta(days=1)


def test_a_channel_rests_and_is_used_again(now: datetime) -> None:
    channel = make_channel()
    with time_machine.travel(now, tick=False):
        pace.rest(channel, timedelta(seconds=30))
    until = now + timedelta(seconds=30)
    assert pace.resting_channels(at=now) == {channel.pk: until}
    assert pace.resting_channels(at=until) == {}


def test_what_one_at_a_time_may_have_is_free_again_when_the_time_is_over(now: datetime) -> None:
    until = now + timedelta(seconds=5)
    assert pace.take("staying", at=now, until=until)
    assert not pace.take("staying", at=now, until=until)
    assert pace.take("staying", at=until, until=until)


def test_a_group_gets_its_twenty_a_minute_while_other_channels_go_on(
    sink: type[Memory], monkeypatch: pytest.MonkeyPatch
) -> None:
    staff = ChannelAudience.STAFF
    group = make_channel(staff, name="Group", backend="one_by_one")
    other = make_channel(staff, name="Other", backend="one_by_one")
    for number in range(30):
        outbox.record(EventKind.LOAN_CREATED, make_book(), once=str(number))
    start = timezone.now()

    def paces(_backend: object, config: object) -> list[tuple[str, timedelta]]:
        return [GROUP] if config else []

    group.config = {"chat": "-1"}
    group.save()
    monkeypatch.setattr(Memory, "pace", paces)
    with time_machine.travel(start, tick=False) as clock:
        monkeypatch.setattr("time.sleep", clock.shift)
        dispatch.fan_out()
        dispatch.send_due()
        sent = Delivery.objects.filter(status=DeliveryStatus.SENT)
        assert sent.filter(channel=other).count() == 30
        assert sent.filter(channel=group).count() == 1
        tasks.deliver(stay=tasks.WORTH_STAYING)
        assert timezone.now() - start == timedelta(seconds=3) * 29
    assert sent.filter(channel=group).count() == 30
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}
