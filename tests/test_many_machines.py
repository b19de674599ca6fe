"""Two machines, one PostgreSQL, one Redis: processes are killed while people lend, return and pay.

Each machine is a folder of its own with a web server and a job cluster, run by the Procfile.
Nothing acknowledged may be lost, and nothing be done twice but what is promised.
CARREL_MACHINE_KILLS and CARREL_MACHINE_CLIENTS say how much is done.
"""

import os
import random
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone
from django_q.models import Schedule
from rest_framework_simplejwt.tokens import AccessToken

from alerts import secrets
from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event
from billing.models import Charge, Payment, PaymentStatus
from catalog.models import Book
from circulation.models import Loan
from config import integrity
from config.jobs import JOBS
from config.models import JobRun
from tests.brokers import Redis
from tests.crowd import CSRF, Client, Fault, all_of
from tests.factories import (
    lend,
    make_book,
    make_copy,
    make_member,
    make_reader,
    set_policy,
)
from tests.figures import Say
from tests.fleet import VICTIMS, Fleet
from tests.sinks import make_channel
from tests.sites import Machine, address_of, administration
from tests.workers import FarEnd, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.postgres]

KILLS = int(os.environ.get("CARREL_MACHINE_KILLS", "7"))
CLIENTS = int(os.environ.get("CARREL_MACHINE_CLIENTS", "4"))
OVERDUE = 30
OF_LOANS = (EventKind.LOAN_CREATED, EventKind.LOAN_RETURNED, EventKind.PAYMENT_COMPLETED)
DAILY = [job.name for job in JOBS if job.at]
DURING_KILLS = "notify_due_soon"
"""The daily job that is made due before each kill; all others are due once, before the first."""
WORKERS = 2
"""Of a cluster, each of which may have a message under way."""
PASSWORD = "seven grey herons"
SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.fixture
def machines(tmp_path: Path, redis: Redis) -> Iterator[Fleet]:
    site = {
        "DATABASE_URL": address_of(connection.settings_dict["NAME"]),
        "REDIS_URL": redis.url,
        "SECRET_KEY": settings.SECRET_KEY,
        "ALERT_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    both = [Machine(tmp_path / name, **site) for name in ("one", "two")]
    assert [release.wait() for release in [each.start("release") for each in both]] == [0, 0]
    machines = Fleet(both)
    yield machines
    for machine in both:
        machine.kill_everything()


@pytest.fixture
def far_end(machines: Fleet) -> Iterator[FarEnd]:
    """Hears of loans and payments as staff do, and of what is overdue as readers do."""
    Channel.objects.update(is_active=False)
    far_end = FarEnd()
    told = {ChannelAudience.STAFF: OF_LOANS, ChannelAudience.READERS: [EventKind.LOAN_OVERDUE]}
    for audience, kinds in told.items():
        make_channel(
            audience,
            backend="webhook",
            config={"url": far_end.url},
            sealed=secrets.seal({"secret": SECRET}),
            kinds=list(kinds),
        )
    yield far_end
    far_end.stop()


@pytest.fixture
def clients(machines: Fleet) -> Iterator[list[Client]]:
    set_policy()
    librarian = make_member("Librarian")
    browser = Browser()
    browser.force_login(librarian)
    clients = []
    for number in range(CLIENTS):
        book = make_book(f"Volume {number}", daily_fee="0.10")
        clients.append(
            Client(
                machines.all,
                reader=make_reader().pk,
                barcodes=[make_copy(book).barcode for _copy in range(3)],
                token=str(AccessToken.for_user(librarian)),
                session=browser.cookies["sessionid"].value,
            )
        )
    yield clients
    for client in clients:
        if client.is_alive():
            client.end()


def lend_overdue() -> None:
    for number in range(OVERDUE):
        copy = make_copy(make_book(f"Overdue {number}"))
        lend(make_reader(), copy, on=timezone.localdate() - timedelta(days=15))


def make_due(*jobs: str) -> int:
    """Make the next run of these jobs due where it is not; return of how many."""
    now = timezone.now()
    waiting = Schedule.objects.filter(name__in=jobs, next_run__gt=now)
    return int(waiting.update(next_run=now - timedelta(seconds=1)))


def runs_of(*jobs: str) -> Counter[str]:
    return Counter(JobRun.objects.filter(name__in=jobs).values_list("name", flat=True))


def unsent() -> int:
    told = [*OF_LOANS, EventKind.LOAN_OVERDUE]
    events = Event.objects.filter(kind__in=told, deliveries=None).count()
    return events + Delivery.objects.filter(status=DeliveryStatus.QUEUED).count()


def wait_until_all_is_sent() -> None:
    """Where nothing goes on, what the killed have leased is given back before its time."""
    before = -1
    ends = time.monotonic() + 180
    while left := unsent():
        assert time.monotonic() < ends, f"{left} are not sent"
        if left == before:
            Delivery.objects.filter(status=DeliveryStatus.QUEUED).update(
                next_attempt_at=timezone.now()
            )
            make_due("deliver_alerts")
        before = left
        time.sleep(5)


def assert_that_faults_are_explained(clients: list[Client], machines: Fleet) -> None:
    faults: list[Fault] = all_of(clients, lambda client: client.faults)
    assert [fault for fault in faults if not machines.explains(fault)] == []
    for client in clients:
        for fault, following in pairwise(client.faults):
            # Who asked the other machine at once had an answer.
            is_retry = following.began - fault.ended < 0.2
            assert not is_retry or following.machine is fault.machine, (fault, following)


def assert_that_what_was_acknowledged_is_so(clients: list[Client]) -> None:
    mine = Loan.objects.filter(copy__book__title__startswith="Volume")
    lent = all_of(clients, lambda client: client.done.lent)
    assert sorted(mine.values_list("pk", flat=True)) == sorted(lent)
    returned = mine.filter(actual_return_date__isnull=False)
    assert sorted(all_of(clients, lambda client: client.done.returned)) == sorted(
        returned.values_list("pk", flat=True)
    )
    paid = Payment.objects.filter(provider="CASH", status=PaymentStatus.PAID)
    assert sorted(all_of(clients, lambda client: client.done.paid)) == sorted(
        paid.values_list("transaction_id", flat=True)
    )
    assert not Charge.objects.open().exists()
    assert {found.check.name: found.listed for found in integrity.run() if found.count} == {}


def told_twice(far_end: FarEnd) -> int:
    """Return how many messages came twice, after making sure that none came never."""
    told = Counter(message["webhook-id"] for message in far_end.messages)
    sent = Delivery.objects.filter(status=DeliveryStatus.SENT)
    assert set(told) == {str(message) for message in sent.values_list("message_id", flat=True)}
    assert len(told) == sent.count()
    for kind in OF_LOANS:
        happened = Event.objects.filter(kind=kind)
        assert sent.filter(kind=kind).count() == happened.count() > 0
    assert sent.filter(kind=EventKind.LOAN_OVERDUE).count() == OVERDUE
    return told.total() - len(told)


def test_processes_killed_one_at_a_time_lose_nothing_and_do_little_twice(
    machines: Fleet, clients: list[Client], far_end: FarEnd, say: Say
) -> None:
    dice = random.Random(7)
    lend_overdue()
    machines.start_all("web", "worker")
    began = time.monotonic()
    for client in clients:
        client.start()
    once = [job for job in DAILY if job != DURING_KILLS]
    make_due(*once)
    wait_until(lambda: len(runs_of(*once)) == len(once), every=0.5)
    times_due = 0
    for number in range(KILLS):
        times_due += make_due(DURING_KILLS)
        machine = machines.all[number // len(VICTIMS) + number & 1]
        with machines.down(machine):
            VICTIMS[number % len(VICTIMS)](machines, machine)
        time.sleep(dice.uniform(1, 3))
    for client in clients:
        client.end()
    took = time.monotonic() - began
    wait_until_all_is_sent()

    assert all_of(clients, lambda client: client.wrong) == []
    assert_that_faults_are_explained(clients, machines)
    assert_that_what_was_acknowledged_is_so(clients)
    twice = told_twice(far_end)
    assert twice <= KILLS * WORKERS
    assert set(runs_of(*once).values()) == {1}
    assert runs_of(DURING_KILLS)[DURING_KILLS] <= times_due + KILLS
    say(
        f"{KILLS} kills in {took:.0f} s, {CLIENTS} clients on two machines: "
        f"{len(all_of(clients, lambda client: client.done.paid))} books lent, returned and paid, "
        f"{len(all_of(clients, lambda client: client.faults))} requests without an answer, all of "
        f"them to what was killed; {len(far_end.messages)} messages told, {twice} of them twice, "
        f"none lost; {len(once)} daily jobs run once each, {DURING_KILLS} "
        f"{runs_of(DURING_KILLS)[DURING_KILLS]} times of {times_due}"
    )


def test_while_redis_or_postgresql_is_away_the_doors_say_so_and_go_on_afterwards(
    machines: Fleet, clients: list[Client], far_end: FarEnd, redis: Redis, say: Say
) -> None:
    machines.start_all("web", "worker")
    for client in clients:
        client.start()
    time.sleep(3)
    redis.kill()
    time.sleep(3)
    redis.start()
    time.sleep(1)
    assert all_of(clients, lambda client: client.faults) == []
    with machines.down(*machines.all):
        take_the_database_away(seconds=3)
    time.sleep(3)
    for client in clients:
        client.end()
    wait_until_all_is_sent()

    assert all_of(clients, lambda client: client.wrong) == []
    faults: list[Fault] = all_of(clients, lambda client: client.faults)
    assert {fault.what for fault in faults} == {"HTTP 503"}
    assert all(machines.explains(fault) for fault in faults)
    assert_that_what_was_acknowledged_is_so(clients)
    take_the_database_away(seconds=0)
    for machine in 5 * machines.all:
        assert requests.get(f"{machine.url}/api/books/", timeout=30).status_code == 200
    say(
        f"Redis was away for 3 s: nobody noticed; PostgreSQL was: {len(faults)} requests got a "
        "503, and no act was lost"
    )


def test_what_one_machine_was_given_another_goes_on_with(machines: Fleet) -> None:
    """A preview is confirmed on another machine, and guessing at passwords is counted on all."""
    machines.start_all("web")
    one, two = (machine.url for machine in machines.all)
    librarian = make_member("Librarian", password=PASSWORD)
    browser = Browser()
    browser.force_login(librarian)
    session = requests.Session()
    session.cookies.update(
        {"sessionid": browser.cookies["sessionid"].value, "csrftoken": CSRF},
    )
    form = {"csrfmiddlewaretoken": CSRF}

    file = {"import_file": ("books.csv", "title,author\nSolaris,Lem\n")}
    pages = "/admin/catalog/book/"
    preview = session.post(f"{one}{pages}import/", data=form, files=file, timeout=30)
    agreed = dict(re.findall(r'name="(upload|fingerprint)" value="([^"]+)"', preview.text))
    session.post(f"{two}{pages}process_import/", data={**form, **agreed}, timeout=30)
    assert Book.objects.filter(title="Solaris").exists()

    guess = {"email": librarian.email, "password": "wrong"}
    for url in (one, two, one, two, one):
        requests.post(f"{url}/api/users/token/", json=guess, timeout=30)
    right = {**guess, "password": PASSWORD}
    assert requests.post(f"{two}/api/users/token/", json=right, timeout=30).status_code == 429


def take_the_database_away(*, seconds: float) -> None:
    """Cut all connections and refuse new ones for a while, as a server does that is restarted.

    After no time at all, no process finds out by its next request.
    """
    name = connection.settings_dict["NAME"]
    connection.close()
    with administration() as server:
        if seconds:
            server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        time.sleep(seconds)
        server.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
