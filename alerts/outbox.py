"""The outbox: what happens is recorded in the transaction in which it happens, told by a worker."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import connection, models, transaction
from django.utils import timezone
from django_q.tasks import async_task

from alerts.events import EventKind
from alerts.models import Event

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

    def event(self) -> Event:
        return Event(
            kind=self.kind,
            subject=self.subject,
            key=":".join(filter(None, (self.kind, self.subject, self.once))),
            reader=self.reader,
            data=self.data,
        )


def record(
    kind: EventKind,
    about: models.Model,
    *,
    reader: "Reader | None" = None,
    once: str = "",
    **data: Any,
) -> None:
    """Record that something happened; the same a second time is no news."""
    record_all([Occurrence(kind, about, reader, once, data)])


def record_all(occurrences: Iterable[Occurrence]) -> None:
    """Record many things at once, and wake a worker up when the transaction stands."""
    events = [occurrence.event() for occurrence in occurrences]
    if not events:
        return
    Event.objects.bulk_create(events, ignore_conflicts=True, batch_size=500)
    _wake_after_commit()


def cancel(about: models.Model, kinds: Iterable[EventKind], *, reason: str) -> None:
    """Say that what was recorded of a row is not true any more: what is unsent is not sent."""
    told = Event.objects.filter(subject=subject_of(about), kind__in=list(kinds))
    told.filter(cancelled_at=None).update(cancelled_at=timezone.now(), cancel_reason=reason[:200])


def subject_of(row: models.Model) -> str:
    return f"{row._meta.label_lower}:{row.pk}"


def _wake_after_commit() -> None:
    if any(entry[1] is wake for entry in connection.run_on_commit):
        return
    transaction.on_commit(wake, robust=True)


def wake() -> None:
    """Wake a worker up; with a dead broker the sweep of each minute finds what waits."""
    try:
        async_task(settings.ALERT_DELIVERY_TASK)
    except Exception:
        log.exception("No worker was woken; the next sweep delivers.")
