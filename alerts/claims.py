"""Claims: which deliveries a worker sends next, which of them as one message, and for how long.

A claim is a lease: `next_attempt_at` moved into the future. What a worker writes of its claim is
written only while the lease is its own, so another one that took the rows over is not disturbed.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Case, Q, QuerySet, UUIDField, Value, When
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import backends, pace
from alerts.channels import OWN_TROUBLE, gave_up
from alerts.models import (
    Channel,
    ChannelAudience,
    Delivery,
    DeliveryStatus,
    Event,
    new_message_id,
    storable,
)

MOST_MESSAGES = 20
MOST_IN_A_DIGEST = {ChannelAudience.READERS: 50, ChannelAudience.STAFF: 15}
"""Staff read chats, in which a long message is cut."""
LEASE = timedelta(seconds=120)
SWITCHED_OFF_TOO_LONG = timedelta(days=3)
WAITED_TOO_LONG = timedelta(days=7)


@dataclass(frozen=True)
class Group:
    """Deliveries that go as one message, ours until `leased_until`."""

    deliveries: list[Delivery]
    leased_until: datetime

    @property
    def channel(self) -> Channel:
        return self.deliveries[0].channel

    def still_to_tell(self) -> tuple[list[Delivery], int]:
        """Read again what is ours and true, and skip what was cancelled; return how many rows."""
        true = self._ours(self.deliveries).filter(event__cancelled_at=None, channel__is_active=True)
        found = set(true.values_list("pk", flat=True))
        skipped = self._skip_cancelled() if len(found) < len(self.deliveries) else 0
        return [row for row in self.deliveries if row.pk in found], skipped

    def finish(
        self, rows: Sequence[Delivery], status: DeliveryStatus, note: str, *, attempts: int = 0
    ) -> int:
        """Write what came of these rows; return how many of them were still ours."""
        return self._ours(rows).update(
            status=status,
            note=storable(note, 500),
            finished_at=timezone.now(),
            attempts=max(row.attempts for row in rows) + attempts,
        )

    def put_off(self, rows: Sequence[Delivery], *, until: datetime, note: str) -> None:
        """Write that an attempt failed, and when the next is."""
        attempts = max(row.attempts for row in rows) + 1
        self._ours(rows).update(next_attempt_at=until, note=storable(note, 500), attempts=attempts)

    def set_apart(self, rows: Sequence[Delivery]) -> None:
        """Make of these rows a message of their own: the others go without them."""
        number = new_message_id()
        for row in rows:
            row.message_id = number
        self._ours(rows).update(message_id=number)

    @transaction.atomic
    def _skip_cancelled(self) -> int:
        """Events are locked, so that none comes back between the look and the write."""
        told = Event.objects.filter(pk__in=[row.event_id for row in self.deliveries])
        cancelled = told.exclude(cancelled_at=None).select_for_update(no_key=True)
        skipped = 0
        for event in cancelled.order_by("pk"):
            rows = [row for row in self.deliveries if row.event_id == event.pk]
            skipped += self.finish(rows, DeliveryStatus.SKIPPED, event.cancel_reason)
        return skipped

    def _ours(self, rows: Sequence[Delivery]) -> QuerySet[Delivery]:
        return Delivery.objects.filter(
            pk__in=[row.pk for row in rows],
            status=DeliveryStatus.QUEUED,
            next_attempt_at=self.leased_until,
        )


@transaction.atomic
def claim(*, at: datetime) -> list[Group]:
    """Take the next due deliveries, each with all that goes into one message with it.

    One worker at a time: two that looked together could each get a part of the same message.
    """
    pace.one_at_a_time("claims")
    due = Delivery.objects.filter(
        status=DeliveryStatus.QUEUED, next_attempt_at__lte=at, channel__is_active=True
    ).exclude(channel__in=pace.resting_channels(at=at))
    first = list(due.order_by("next_attempt_at", "pk")[:MOST_MESSAGES])
    if not first:
        return []
    limits = _limits({row.channel_id for row in first})
    messages = _messages([*first, *_companions(first, due=due, limits=limits)], limits)
    for message_id, rows in messages.items():
        for row in rows:
            row.message_id, row.next_attempt_at = message_id, at + LEASE
    _write_lease(messages, until=at + LEASE)
    _complete([row for rows in messages.values() for row in rows])
    return [Group(rows, at + LEASE) for rows in messages.values()]


def release(groups: Sequence[Group], *, until: datetime) -> None:
    """Give up what was claimed together and not tried."""
    if groups:
        rows = [row for group in groups for row in group.deliveries]
        Group(rows, groups[0].leased_until)._ours(rows).update(next_attempt_at=until)


def soonest(*, at: datetime, within: timedelta) -> timedelta | None:
    """Return how long until something is due, if that is within a time."""
    rests = pace.resting_channels(at=at)
    soon = Delivery.objects.filter(
        status=DeliveryStatus.QUEUED, next_attempt_at__lte=at + within, channel__is_active=True
    )
    times = soon.order_by().values_list("channel", "next_attempt_at").distinct()
    waits = [max(due, rests.get(channel, due)) - at for channel, due in times]
    wait = min(waits, default=None)
    return None if wait is None or wait > within else max(wait, timedelta())


@transaction.atomic
def give_up_stale(*, at: datetime) -> int:
    """Give up what waited too long for its channel to be switched on, or for any worker at all."""
    pace.one_at_a_time("claims")
    switched_off = Q(next_attempt_at__lt=at - SWITCHED_OFF_TOO_LONG, channel__is_active=False)
    forgotten = Q(next_attempt_at__lt=at - WAITED_TOO_LONG)
    stale = Delivery.objects.filter(switched_off | forgotten, status=DeliveryStatus.QUEUED)
    why = _("It waited too long: the channel was switched off, or no worker was running.")
    news = stale.exclude(kind__in=OWN_TROUBLE)
    for channel in Channel.objects.filter(pk__in=news.values("channel")):
        gave_up(channel, why)
    return stale.update(status=DeliveryStatus.DEAD, finished_at=at, note=why)


def _limits(channels: Collection[int]) -> dict[int, int]:
    """Return how many deliveries of one kind a message of each channel is made of, at most."""
    known = backends.all_backends()
    used = Channel.objects.filter(pk__in=channels).values_list("pk", "backend", "audience")
    return {
        pk: MOST_IN_A_DIGEST[ChannelAudience(audience)]
        if name in known and known[name].joins
        else 1
        for pk, name, audience in used
    }


def _companions(
    first: Sequence[Delivery], *, due: QuerySet[Delivery], limits: Mapping[int, int]
) -> list[Delivery]:
    """Return the other rows of messages begun before, and what falls together with new ones."""
    known = [row.pk for row in first]
    begun = {row.message_id for row in first if row.message_id}
    waiting = Delivery.objects.filter(status=DeliveryStatus.QUEUED).exclude(pk__in=known)
    found = list(waiting.filter(message_id__in=begun)) if begun else []
    new = [row for row in first if row.message_id is None and limits[row.channel_id] > 1]
    if not new:
        return found
    recipients = Q(recipient__in={row.recipient_id for row in new if row.recipient_id})
    if any(row.recipient_id is None for row in new):
        recipients |= Q(recipient=None)
    near = due.exclude(pk__in=known).filter(
        recipients,
        message_id=None,
        channel__in={row.channel_id for row in new},
        kind__in={row.kind for row in new},
    )
    digests = {_digest_of(row) for row in new}
    most = sum(limits[channel] for channel, _recipient, _kind in digests)
    others = near.order_by("next_attempt_at", "pk")[:most]
    return found + [row for row in others if _digest_of(row) in digests]


def _messages(rows: Iterable[Delivery], limits: Mapping[int, int]) -> dict[UUID, list[Delivery]]:
    """Return the rows of each message: what was one before stays it, whatever its size."""
    groups: dict[object, list[Delivery]] = defaultdict(list)
    for row in rows:
        is_joined = limits[row.channel_id] > 1
        groups[row.message_id or (_digest_of(row) if is_joined else row.pk)].append(row)
    messages = {}
    for group in groups.values():
        first = group[0]
        most = None if first.message_id else limits[first.channel_id]
        messages[first.message_id or new_message_id()] = group[:most]
    return messages


def _digest_of(row: Delivery) -> tuple[int, int | None, str]:
    return row.channel_id, row.recipient_id, row.kind


def _write_lease(messages: Mapping[UUID, Sequence[Delivery]], *, until: datetime) -> None:
    members = {number: [row.pk for row in rows] for number, rows in messages.items()}
    Delivery.objects.filter(pk__in=[pk for pks in members.values() for pk in pks]).update(
        next_attempt_at=until,
        message_id=Case(
            *(When(pk__in=pks, then=Value(number)) for number, pks in members.items()),
            output_field=UUIDField(),
        ),
    )


def _complete(rows: Sequence[Delivery]) -> None:
    """Give the rows what they point to, each channel, reader and event once."""
    channels = Channel.objects.in_bulk({row.channel_id for row in rows})
    events = Event.objects.in_bulk({row.event_id for row in rows})
    people = {row.recipient_id for row in rows} | {each.reader_id for each in events.values()}
    readers = get_user_model().objects.in_bulk(people - {None})
    for row in rows:
        row.channel, row.event = channels[row.channel_id], events[row.event_id]
        row.recipient = readers[row.recipient_id] if row.recipient_id else None
        row.event.reader = readers[row.event.reader_id] if row.event.reader_id else None
