"""Fan-out: what happened becomes deliveries, one for each channel and recipient that is told."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import outbox, setup
from alerts.events import KINDS, EventKind
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event

log = logging.getLogger(__name__)

MOST_EVENTS = 500
NO_NEWS = timedelta(days=7)
"""What no worker came for in so long is not told any more: a first worker sends no old news."""


@transaction.atomic
def fan_out(*, most: int = MOST_EVENTS, at: datetime | None = None) -> int:
    """Make the deliveries of events that have none yet; return of how many events."""
    at = at or timezone.now()
    events = _next_events(most)
    active = Channel.objects.filter(is_active=True).select_related("owner")
    used = [(channel, setup.what_is_missing(channel)) for channel in active]
    rows = [row for event in events for row in _deliveries(event, used, at=at)]
    Delivery.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    Event.objects.filter(pk__in=[event.pk for event in events]).update(fanned_out_at=at)
    return len(events)


def _next_events(most: int) -> list[Event]:
    """Lock those that no other worker holds; on SQLite the IMMEDIATE transaction is the lock.

    With them comes the rest for their readers, so that what falls together goes as one message.
    """
    waiting = Event.objects.filter(fanned_out_at=None).select_related("reader").order_by("pk")
    if connection.features.has_select_for_update_skip_locked:
        waiting = waiting.select_for_update(skip_locked=True, no_key=True, of=("self",))
    events = list(waiting[:most])
    if len(events) < most:
        return events
    readers = {event.reader_id for event in events} - {None}
    return events + list(waiting.filter(pk__gt=events[-1].pk, reader__in=readers))


def _deliveries(
    event: Event, used: Sequence[tuple[Channel, str]], *, at: datetime
) -> Iterator[Delivery]:
    for channel, missing in used:
        try:
            row = _delivery(event, channel, missing=missing, at=at)
        except Exception as problem:
            name = type(problem).__name__
            log.error("Event %s cannot be told by channel %s: %s", event.pk, channel.pk, name)
            continue
        if row is not None:
            yield row


def _delivery(event: Event, channel: Channel, *, missing: str, at: datetime) -> Delivery | None:
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
    if at - event.created_at > NO_NEWS:
        row.status, row.finished_at = DeliveryStatus.SKIPPED, at
        row.note = _("No worker came for it in a week; it is no news any more.")
    elif missing:
        row.status, row.finished_at, row.note = DeliveryStatus.SKIPPED, at, missing[:500]
    return row
