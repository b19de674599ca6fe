"""Workers, far ends and brokers that die: nothing is lost, and little is told twice.

The workers are real processes. Retries, and the leases of those that are killed, last seconds here,
not minutes. Who starts again after a kill is woken, as by the next thing that happens at a desk.
CARREL_FAULT_KILLS, CARREL_FAULT_DELIVERIES and CARREL_FAULT_WORKERS say how much is done.
"""

import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from django_q.brokers import redis_broker
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task

from alerts import outbox
from alerts.events import EventKind
from alerts.models import ChannelAudience, Delivery, DeliveryStatus
from alerts.outbox import Occurrence
from tests.alert_servers import MailServer
from tests.brokers import Redis
from tests.factories import make_book, make_reader
from tests.figures import Say
from tests.sinks import make_channel
from tests.workers import Cluster, FarEnd, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

KILLS = int(os.environ.get("CARREL_FAULT_KILLS", "20"))
DELIVERIES = int(os.environ.get("CARREL_FAULT_DELIVERIES", "300"))
WORKERS = int(os.environ.get("CARREL_FAULT_WORKERS", "1"))
"""In the group that is killed; each of them may have a message under way."""
SWEEP = 60
"""Seconds between two sweeps."""

Start = Callable[..., Cluster]


@pytest.fixture
def far_end(sink: object) -> Iterator[FarEnd]:
    far_end = FarEnd()
    make_channel(ChannelAudience.STAFF, backend="loopback", config={"url": far_end.url})
    yield far_end
    far_end.stop()


@pytest.fixture(params=["the database", "Redis"])
def broker(request: pytest.FixtureRequest) -> str:
    """The address of the Redis that is the broker, "" for the database."""
    return "" if request.param == "the database" else request.getfixturevalue("redis").url


@pytest.fixture
def start(tmp_path: Path, broker: str) -> Iterator[Start]:
    started: list[Cluster] = []

    def start(**options: Any) -> Cluster:
        started.append(Cluster(tmp_path / "log", redis=broker, **options))
        return started[-1]

    yield start
    for cluster in started:
        cluster.kill()


@pytest.fixture
def wake(broker: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    if not broker:
        return outbox.wake
    monkeypatch.setattr(Conf, "REDIS", broker)
    return lambda: async_task(settings.ALERT_DELIVERY_TASK, broker=redis_broker.Redis())


def record(count: int) -> set[str]:
    """Record so many things, each to be told to staff alone; return their titles."""
    book = make_book()
    titles = {f"Volume {number}" for number in range(count)}
    outbox.record_all(
        Occurrence(EventKind.LOAN_CREATED, book, once=title, data={"book_title": title})
        for title in titles
    )
    return titles


def sweep_every_minute() -> None:
    """From three hours ago on: what was missed is made up for once."""
    Schedule.objects.create(
        name="deliver_alerts",
        func=settings.ALERT_DELIVERY_TASK,
        schedule_type=Schedule.MINUTES,
        minutes=1,
        next_run=timezone.now() - timedelta(hours=3),
    )


def is_all_sent(count: int) -> bool:
    return Delivery.objects.filter(status=DeliveryStatus.SENT).count() == count


def wait_a_second_for(far_end: FarEnd, count: int) -> None:
    ends = time.monotonic() + 1
    while len(far_end.messages) < count and time.monotonic() < ends:
        time.sleep(0.001)


def titles_of(far_end: FarEnd) -> Counter[str]:
    return Counter(message["book_title"] for message in far_end.messages)


def ids_by_title(far_end: FarEnd) -> dict[str, set[str]]:
    ids: dict[str, set[str]] = defaultdict(set)
    for message in far_end.messages:
        ids[message["book_title"]].add(message["id"])
    return ids


def test_workers_that_are_killed_in_mid_delivery_lose_nothing(
    far_end: FarEnd,
    start: Start,
    wake: Callable[[], None],
    broker: str,
    say: Say,
) -> None:
    titles = record(DELIVERIES)
    dice = random.Random(1)
    each = max(DELIVERIES // (KILLS + 1), 1)
    began = time.monotonic()
    in_mid_delivery = 0
    for _kill in range(KILLS):
        cluster = start(workers=WORKERS, is_to_be_killed=True)
        for _worker in range(WORKERS):
            wake()
        enough = min(len(far_end.messages) + dice.randint(1, 2 * each - 1), DELIVERIES)
        while len(far_end.messages) < enough and not is_all_sent(DELIVERIES):
            wake()
            wait_a_second_for(far_end, enough)
        in_mid_delivery += not is_all_sent(DELIVERIES)
        cluster.kill()
    start(workers=WORKERS, is_to_be_killed=True)
    while not is_all_sent(DELIVERIES):
        wake()
        time.sleep(1)
        assert time.monotonic() - began < 30 * (KILLS + 6)
    lost = DELIVERIES - len(titles_of(far_end))
    twice = len(far_end.messages) - len(titles_of(far_end))
    say(
        f"{KILLS} kills ({in_mid_delivery} in mid-delivery) of {WORKERS} workers, {DELIVERIES} "
        f"deliveries by {'Redis' if broker else 'the database'} as broker: {lost} lost, {twice} "
        f"told twice, in {time.monotonic() - began:.0f} s"
    )
    assert set(titles_of(far_end)) == titles
    assert twice <= KILLS * WORKERS
    assert {len(ids) for ids in ids_by_title(far_end).values()} == {1}
    assert in_mid_delivery > KILLS / 2


def test_two_workers_share_a_thousand_deliveries_and_none_is_told_twice(
    far_end: FarEnd, start: Start, wake: Callable[[], None]
) -> None:
    record(1000)
    for _worker in range(2):
        wake()
    start()
    wait_until(lambda: is_all_sent(1000))
    assert set(titles_of(far_end).values()) == {1}
    assert len({message["id"] for message in far_end.messages}) == 1000
    assert len({message["worker"] for message in far_end.messages}) == 2
    assert set(Delivery.objects.values_list("attempts", flat=True)) == {1}


def test_a_mail_server_that_was_down_for_a_while_gets_everything_afterwards(
    mail_server: MailServer, start: Start, wake: Callable[[], None]
) -> None:
    make_channel(backend="email")
    book, readers = make_book(), [make_reader() for _number in range(60)]
    outbox.record_all(
        Occurrence(EventKind.LOAN_CREATED, book, reader, once=str(reader.pk), data={})
        for reader in readers
    )
    mail_server.down()
    start(mail=mail_server.environment()["EMAIL_URL"])
    wake()
    wait_until(lambda: Delivery.objects.filter(attempts__gte=2).count() == 60)
    assert mail_server.inbox == []
    mail_server.up()
    wait_until(lambda: is_all_sent(60))
    assert sorted(mail_server.recipients) == sorted(reader.email for reader in readers)
    assert len({mail["X-Carrel-Id"] for mail in mail_server.inbox}) == 60


@pytest.mark.parametrize("broker", ["Redis"], indirect=True)
def test_a_redis_that_is_restarted_empty_costs_a_minute_and_no_message(
    far_end: FarEnd, redis: Redis, start: Start, wake: Callable[[], None], say: Say
) -> None:
    """The sweep finds what the lost wakes would have: its schedule is a row of the database."""
    record(50)
    start()
    wake()
    wait_until(lambda: is_all_sent(50))
    sweep_every_minute()
    redis.kill()
    record(150)
    redis.start()
    began = time.monotonic()
    wait_until(lambda: is_all_sent(200))
    took = time.monotonic() - began
    say(f"Redis was emptied, and all was delivered {took:.0f} s later")
    assert took < SWEEP
    assert len({message["id"] for message in far_end.messages}) == len(far_end.messages) == 200


def test_what_was_recorded_while_everything_was_down_is_found_by_the_sweep(
    far_end: FarEnd, tmp_path: Path, say: Say
) -> None:
    record(20)
    OrmQ.objects.all().delete()  # the wake was lost with its queue
    sweep_every_minute()
    cluster = Cluster(tmp_path / "log")
    try:
        wait_until(lambda: "running" in (tmp_path / "log").read_text())
        began = time.monotonic()
        wait_until(lambda: is_all_sent(20))
        took = time.monotonic() - began
    finally:
        cluster.kill()
    say(f"all came back, and all was delivered {took:.0f} s later")
    assert took < SWEEP
