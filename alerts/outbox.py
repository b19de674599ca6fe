"""The outbox: what happens is recorded in the transaction in which it happens, told by a worker."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone
from django_q.tasks import async_task

from alerts.events import KINDS, EventKind
from alerts.models import Delivery, DeliveryStatus, Event

if TYPE_CHECKING:
    from circulation.models import Reader

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Occurrence:
    """Something that happened to a row; `once` tells apart what may happen to it again.

    `data` is what the texts say, as JSON holds it: dates and sums as text.
    """

    kind: EventKind
    about: models.Model
    reader: "Reader | None" = None
    once: str = ""
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        return subject_of(self.about)

    @property
    def key(self) -> str:
        return ":".join(filter(None, (self.kind, self.subject, self.once)))

    def event(self) -> Event:
        return Event(
            kind=self.kind, subject=self.subject, key=self.key, reader=self.reader, data=self.data
        )


def record(
    kind: EventKind,
    about: models.Model,
    *,
    reader: "Reader | None" = None,
    once: str = "",
    **data: Any,
) -> None:
    """Record that something happened; the same a second time is no news.

    But a state that was cancelled, and is so again, is told to whom it was not told before.
    """
    record_all([Occurrence(kind, about, reader, once, data)])


def record_all(occurrences: Iterable[Occurrence]) -> None:
    """Record many things at once, and wake a worker up when the transaction stands."""
    events = [occurrence.event() for occurrence in occurrences]
    if not events:
        return
    with transaction.atomic(savepoint=False):
        Event.objects.bulk_create(events, ignore_conflicts=True, batch_size=500)
        _revive([event for event in events if KINDS[EventKind(event.kind)].is_state])
        _wake_once()


def record_new(occurrence: Occurrence) -> None:
    """Record something unless it was before, which then wakes nobody."""
    if not Event.objects.filter(key=occurrence.key).exists():
        record_all([occurrence])


def recorded(
    about: models.Model, kinds: Iterable[EventKind], *, once: str = ""
) -> models.QuerySet[Event]:
    """Return what was recorded of a row, of one time that it happened or of all."""
    events = Event.objects.filter(subject=subject_of(about), kind__in=list(kinds))
    keys = [Occurrence(kind, about, once=once).key for kind in kinds]
    return events.filter(key__in=keys) if once else events


def cancel(about: models.Model, kinds: Iterable[EventKind], *, reason: str) -> None:
    """Say that what was recorded of a row is not true any more: what is unsent is not sent."""
    cancel_events(recorded(about, kinds), reason=reason)


def cancel_events(events: models.QuerySet[Event], *, reason: str) -> None:
    events.filter(cancelled_at=None).update(cancelled_at=timezone.now(), cancel_reason=reason[:200])


def supersede(by: Sequence[Occurrence], kinds: Iterable[EventKind], *, reason: str) -> None:
    """Cancel what was recorded of the same rows but these occurrences themselves."""
    told = Event.objects.filter(subject__in=[each.subject for each in by], kind__in=list(kinds))
    cancel_events(told.exclude(key__in=[each.key for each in by]), reason=reason)


def let_rest() -> int:
    """Leave untold all that waits to be handed on: it is history. Return how many events."""
    return Event.objects.filter(fanned_out_at=None).update(fanned_out_at=timezone.now())


def subject_of(row: models.Model) -> str:
    return f"{row._meta.label_lower}:{row.pk}"


def _revive(states: Sequence[Event]) -> None:
    """Take back the cancelling of what is so again; what was skipped for it is sent after all."""
    if not states:
        return
    data = {state.key: state.data for state in states}
    cancelled = Event.objects.filter(key__in=data, cancelled_at__isnull=False)
    events = list(cancelled.select_for_update(no_key=True).order_by("pk"))
    for event in events:
        event.data = data[event.key]
        event.cancelled_at, event.cancel_reason = None, ""
    if events:
        Event.objects.bulk_update(events, ["data", "cancelled_at", "cancel_reason"])
        Delivery.objects.filter(event__in=events, status=DeliveryStatus.SKIPPED).update(
            status=DeliveryStatus.QUEUED,
            message_id=None,
            attempts=0,
            next_attempt_at=timezone.now(),
            finished_at=None,
            note="",
        )


def _wake_once() -> None:
    """Wake one worker for all that a transaction records.

    A queue in this database is written with it, at no commit more. Another one is told after it.
    """
    is_here = settings.Q_CLUSTER.get("orm") == connection.alias
    mark = _woken if is_here else wake
    if any(entry[1] is mark for entry in connection.run_on_commit):
        return
    if is_here:
        async_task(settings.ALERT_DELIVERY_TASK)
    transaction.on_commit(mark, robust=True)


def _woken() -> None:
    """Mark that a transaction has woken a worker; the mark goes with a part that is rolled back."""


def wake() -> None:
    """Wake a worker up; with a dead broker the sweep of each minute finds what waits."""
    try:
        async_task(settings.ALERT_DELIVERY_TASK)
    except Exception:
        log.exception("No worker was woken; the next sweep delivers.")
