"""From events to messages: fan-out into deliveries, claims by lease, sending, and what came of it.

Rows are the truth, workers only move them. A worker that is killed leaves rows whose lease ends;
they are sent again with the id of the first time.
"""

import logging
import random
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import TypeVar

from django.db import connection, transaction
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import channels, outbox, pace, texts
from alerts.backends import called
from alerts.backends.base import (
    BusyError,
    ChannelGoneError,
    DeliveryError,
    Receipt,
    TryLaterError,
)
from alerts.events import KINDS, EventKind
from alerts.models import (
    Channel,
    ChannelAudience,
    Delivery,
    DeliveryStatus,
    Event,
    new_message_id,
)

Row = TypeVar("Row", bound=Model)

log = logging.getLogger(__name__)

MOST_EVENTS = 500
MOST_CLAIMED = 20
MOST_IN_A_DIGEST = 50
LEASE = timedelta(seconds=120)
LONGEST_SEND = timedelta(seconds=40)
"""A far end is cut off at 30 seconds; a lease that ends sooner is not begun."""

SCHEDULE = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""When a failed message is sent again, counted from the attempt before; then it is given up.

The steps of the Standard Webhooks specification, "Retries": some three days in all.
"""
JITTER = 0.2


@transaction.atomic
def fan_out(*, most: int = MOST_EVENTS, at: datetime | None = None) -> int:
    """Make the deliveries of events that have none yet; return of how many events."""
    at = at or timezone.now()
    waiting = Event.objects.filter(fanned_out_at=None).select_related("reader").order_by("pk")
    events = list(_locked(waiting)[:most])
    used = list(Channel.objects.filter(is_active=True).select_related("owner"))
    rows: list[Delivery] = []
    for event in events:
        try:
            rows += [row for channel in used if (row := _delivery(event, channel, at=at))]
        except Exception:
            log.exception("Event %s cannot be told and is left out", event.pk)
    Delivery.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    Event.objects.filter(pk__in=[event.pk for event in events]).update(fanned_out_at=at)
    return len(events)


def send_due(*, seconds: float = 200, most: int | None = None) -> int:
    """Send what is due, until nothing is or the time is up; return how many rows were finished."""
    ends = time.monotonic() + seconds
    done = 0
    while time.monotonic() < ends and (most is None or done < most):
        claimed = list(claim(at=timezone.now()))
        if not claimed:
            return done
        for group in claimed:
            done += group.send()
    return done


@dataclass(frozen=True)
class Group:
    """Deliveries that go as one message, claimed until `leased_until`."""

    deliveries: list[Delivery]
    leased_until: datetime

    def send(self) -> int:
        """Send, and write down what came of it; return how many rows are finished."""
        told = self._still_true()
        if not told:
            return len(self.deliveries)
        first = told[0]
        skip = why_not(first)
        if skip is not None:
            return self._finish(told, DeliveryStatus.SKIPPED, skip)
        if self.leased_until - timezone.now() < LONGEST_SEND:
            return self._release(told, at=timezone.now())
        backend = called(first.channel.backend)
        config = first.channel.settings()
        wait = pace.slot(backend.pace(config), at=timezone.now())
        if wait > pace.WORTH_WAITING:
            return self._release(told, at=timezone.now() + wait)
        time.sleep(max(wait.total_seconds(), 0))
        try:
            message = texts.message_for(told)
            to = backend.address(config, first.recipient)
            receipt = backend.send(message, to, config)
        except Exception as problem:  # a broken template or backend harms this message alone
            return self._failed(told, problem)
        return self._sent(told, receipt)

    def _still_true(self) -> list[Delivery]:
        """Skip what was cancelled since it was recorded; return the rest."""
        events = Event.objects.in_bulk([row.event_id for row in self.deliveries])
        told = []
        for row in self.deliveries:
            event = events[row.event_id]
            if event.cancelled_at is None:
                told.append(row)
            else:
                self._finish([row], DeliveryStatus.SKIPPED, event.cancel_reason)
        return told

    def _sent(self, told: list[Delivery], receipt: Receipt) -> int:
        done = self._finish(told, DeliveryStatus.SENT, receipt.answer, attempts=1)
        channels.worked(told[0].channel, receipt)
        return done

    def _failed(self, told: list[Delivery], problem: Exception) -> int:
        row, channel = told[0], told[0].channel
        note = str(problem) if isinstance(problem, DeliveryError) else type(problem).__name__
        if not isinstance(problem, DeliveryError):
            log.error("Delivery %s failed", row.pk, exc_info=problem)
        match problem:
            case BusyError(after=after):
                wait = after or timedelta(seconds=60)
                pace.hold_back(called(channel.backend).pace(channel.settings()), wait)
                return self._release(told, at=timezone.now() + wait)
            case ChannelGoneError():
                channels.disable(channel, note)
                return self._finish(told, DeliveryStatus.DEAD, note, attempts=1)
            case TryLaterError() if row.attempts < len(SCHEDULE):
                after = problem.after or timedelta()
            case DeliveryError():
                channels.gave_up(channel, note)
                return self._finish(told, DeliveryStatus.DEAD, note, attempts=1)
            case _ if row.attempts >= len(SCHEDULE):
                channels.gave_up(channel, note)
                return self._finish(told, DeliveryStatus.DEAD, note, attempts=1)
            case _:
                after = timedelta()
        channels.failed(channel, note)
        step = SCHEDULE[row.attempts] * random.uniform(1, 1 + JITTER)  # noqa: S311
        return self._release(told, at=timezone.now() + max(step, after), note=note, attempts=1)

    def _finish(
        self, rows: list[Delivery], status: DeliveryStatus, note: str, *, attempts: int = 0
    ) -> int:
        now = timezone.now()
        return self._write(
            rows, status=status, note=note[:500], finished_at=now, more_attempts=attempts
        )

    def _release(
        self, rows: list[Delivery], *, at: datetime, note: str = "", attempts: int = 0
    ) -> int:
        self._write(rows, next_attempt_at=at, note=note[:500], more_attempts=attempts)
        return 0

    def _write(self, rows: list[Delivery], *, more_attempts: int, **fields: object) -> int:
        """Write only while the lease is ours: another worker may have taken the rows over."""
        ours = Delivery.objects.filter(
            pk__in=[row.pk for row in rows],
            status=DeliveryStatus.QUEUED,
            next_attempt_at=self.leased_until,
        )
        return ours.update(attempts=rows[0].attempts + more_attempts, **fields)


def why_not(delivery: Delivery) -> str | None:
    """Return why a delivery is not sent to its recipient, or None."""
    backend = called(delivery.channel.backend)
    config = delivery.channel.settings()
    if delivery.recipient is not None and not delivery.recipient.is_active:
        return _("The account is switched off.")
    if not backend.address(config, delivery.recipient):
        return _("No address is known for this.")
    return None


@transaction.atomic
def claim(*, at: datetime) -> Iterable[Group]:
    """Take the next due deliveries, with all that goes into one message with them."""
    due = Delivery.objects.filter(
        status=DeliveryStatus.QUEUED, next_attempt_at__lte=at, channel__is_active=True
    ).order_by("next_attempt_at", "pk")
    rows = list(_locked(due.select_related("channel", "event__reader", "recipient"))[:MOST_CLAIMED])
    taken = {row.pk for row in rows}
    for row in list(rows):
        if row.recipient_id and row.message_id is None:
            more = due.filter(
                channel=row.channel_id,
                recipient=row.recipient_id,
                kind=row.kind,
                message_id=None,
            ).exclude(pk__in=taken)
            found = list(
                _locked(more.select_related("channel", "event__reader", "recipient"))[
                    :MOST_IN_A_DIGEST
                ]
            )
            rows += found
            taken |= {each.pk for each in found}
    leased_until = at + LEASE
    groups = [Group(group, leased_until) for group in _together(rows)]
    for group in groups:
        message_id = group.deliveries[0].message_id or new_message_id()
        Delivery.objects.filter(pk__in=[row.pk for row in group.deliveries]).update(
            message_id=message_id, next_attempt_at=leased_until
        )
        for row in group.deliveries:
            row.message_id = message_id
    return groups


def _together(rows: list[Delivery]) -> Iterator[list[Delivery]]:
    """Yield the rows of each message: one for staff, all of a kind for a reader."""

    def key(row: Delivery) -> tuple[object, ...]:
        if row.message_id is not None:
            return (0, str(row.message_id))
        if row.recipient_id is None:
            return (1, row.pk)
        return (2, row.channel_id, row.recipient_id, row.kind)

    for _key, group in groupby(sorted(rows, key=lambda row: (str(key(row)), row.pk)), key=key):
        yield list(group)


def _delivery(event: Event, channel: Channel, *, at: datetime) -> Delivery | None:
    """Return the delivery of an event by a channel, skipped ones with the reason, or None."""
    about = KINDS[EventKind(event.kind)]
    audience = ChannelAudience(channel.audience)
    if event.subject == outbox.subject_of(channel):
        return None  # a channel's own trouble is told by the others
    if audience.flag not in about.audience or event.kind not in channel.kinds:
        return None
    recipient = event.reader if audience is ChannelAudience.READERS else channel.owner
    if audience is ChannelAudience.READERS and recipient is None:
        return None
    row = Delivery(
        event=event,
        channel=channel,
        recipient=recipient,
        key=f"{event.pk}:{channel.pk}:{recipient.pk if recipient else 0}",
        kind=event.kind,
        next_attempt_at=at,
    )
    declined = getattr(recipient, "declined_notices", ())
    if audience is ChannelAudience.READERS and about.is_optional and event.kind in declined:
        row.status, row.note, row.finished_at = (
            DeliveryStatus.SKIPPED,
            _("The reader does not want these notices."),
            at,
        )
    return row


def _locked(rows: QuerySet[Row]) -> QuerySet[Row]:
    """Lock rows that nobody else holds; SQLite's IMMEDIATE transaction is the lock there."""
    if not connection.features.has_select_for_update_skip_locked:
        return rows
    return rows.select_for_update(skip_locked=True, no_key=True, of=("self",))
