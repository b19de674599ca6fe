"""How fast overdue loans are recorded, their notices delivered, and what a request pays for one."""

import logging
import statistics
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection, transaction

from alerts import dispatch, outbox
from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event
from catalog.models import Book, Copy
from circulation import desk, notices, tasks
from circulation.models import Loan, Reader
from tests.benchmarks import bare_queue

READERS = 3_000
LONGEST_RECORDING, LEAST_RATE, MOST_PER_REQUEST = 10.0, 200, 5.0
TODAY = date(2026, 3, 17)


def measure(folder: Path, *, loans: int) -> None:
    """Print the figures beside their goals, on the settings that a library runs with."""
    settings.ALERT_BACKENDS = ["tests.sinks.File"]
    logging.disable(logging.INFO)
    Channel.objects.update(is_active=False)
    readers = min(READERS, loans)
    _fill(loans=loans, readers=readers)
    print(f"{loans} overdue loans of {readers} readers, {connection.vendor}")
    wall, cpu = _timed(lambda: tasks.notify_overdue(TODAY))
    again, _cpu = _timed(lambda: tasks.notify_overdue(TODAY))
    goal = LONGEST_RECORDING * loans / 10_000
    print(f"  recorded in {wall:.2f} s ({cpu:.2f} s of CPU), goal {goal:.0f}; again {again:.2f} s")
    bare = loans / bare_queue.seconds(loans)
    print(f"  bare database: {bare:.0f} rows claimed and done a second")
    path = folder / "sink"
    for name, audience in (("readers", ChannelAudience.READERS), ("staff", ChannelAudience.STAFF)):
        channel = Channel.objects.create(
            name=name,
            backend="file",
            audience=audience,
            kinds=[EventKind.LOAN_OVERDUE],
            config={"path": str(path)},
        )
        Event.objects.update(fanned_out_at=None)
        wall, cpu = _timed(_fan_out)
        print(f"  {name}: handed on in {wall:.2f} s ({cpu:.2f} s of CPU)")
        _deliver(channel, path, bare=bare)
        if audience is ChannelAudience.READERS:
            _mark()
        Channel.objects.update(is_active=False)
    _request()


def _fan_out() -> None:
    while dispatch.fan_out():
        pass


def _deliver(channel: Channel, path: Path, *, bare: float) -> None:
    path.unlink(missing_ok=True)
    wall, cpu = _timed(lambda: dispatch.send_due(seconds=600))
    messages = len(path.read_text().splitlines())
    sent = Delivery.objects.filter(channel=channel, status=DeliveryStatus.SENT).count()
    print(
        f"    {messages} messages of {sent} deliveries in {wall:.2f} s ({cpu:.2f} s of CPU): "
        f"{messages / wall:.0f} messages, {sent / wall:.0f} deliveries a second by one worker "
        f"(goal {LEAST_RATE}); messages / bare {messages / wall / bare:.2f} x"
    )


def _mark() -> None:
    wall, _cpu = _timed(notices.note_accepted)
    again, _cpu = _timed(notices.note_accepted)
    told = Loan.objects.filter(notification_sent=True).count()
    print(f"    {told} loans marked as told in {wall:.2f} s; looked through again in {again:.2f} s")


def _request(times: int = 200) -> None:
    """A check-out with and without its event, in turns, each committed and its worker woken."""
    copies = Copy.objects.filter(loans=None, barcode__startswith="LATE")[: 2 * times]
    reader = Reader.objects.create(first_name="Olga", card_number="OLGA")
    record_all = outbox.record_all
    taken: dict[bool, list[float]] = {True: [], False: []}
    for number, copy in enumerate(copies):
        is_told = number % 2 == 0
        outbox.record_all = record_all if is_told else lambda occurrences: None
        began = time.perf_counter()
        with transaction.atomic():
            done = desk.check_out(reader, copy, on=TODAY)
        taken[is_told].append(1000 * (time.perf_counter() - began))
        desk.check_in(done.loan.copy, on=TODAY, today=TODAY)
    outbox.record_all = record_all
    told, untold = statistics.median(taken[True]), statistics.median(taken[False])
    print(
        f"  a check-out takes {told:.1f} ms with its event and {untold:.1f} ms without: "
        f"{told - untold:.1f} ms more (goal: under {MOST_PER_REQUEST:.0f})"
    )


def _fill(*, loans: int, readers: int) -> None:
    made = Reader.objects.bulk_create(
        Reader(
            email=f"reader{number}@example.org",
            first_name="Anna",
            last_name=f"Nowak {number}",
            card_number=f"N{number:06d}",
        )
        for number in range(readers)
    )
    books = Book.objects.bulk_create(
        Book(title=f"Overdue {number}", author="Lem, Stanisław") for number in range(loans + 500)
    )
    copies = Copy.objects.bulk_create(
        Copy(book=book, barcode=f"LATE{number:06d}") for number, book in enumerate(books)
    )
    Loan.objects.bulk_create(
        Loan(
            copy=copy,
            reader=made[number % readers],
            borrow_date=TODAY - timedelta(days=40),
            expected_return_date=TODAY - timedelta(days=1 + number % 30),
            loan_days=14,
            max_renewals=2,
            grace_days=2,
            daily_fee=0,
            fine_per_day="0.50",
            fine_cap="10.00",
            lost_fee=0,
        )
        for number, copy in enumerate(copies[:loans])
    )


def _timed(work: Callable[[], object]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu
