"""How fast a far end may be sent to: one row for each, shared by all workers."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from alerts.models import Pace

WORTH_WAITING = timedelta(seconds=2)
"""A worker waits so long for its slot; for more it leaves the message to a later time."""


def slot(pace: tuple[str, timedelta] | None, *, at: datetime) -> timedelta:
    """Return how long to wait before sending; a wait that is worth it is taken as our slot."""
    if pace is None:
        return timedelta()
    key, interval = pace
    with transaction.atomic():
        row, _is_new = Pace.objects.select_for_update().get_or_create(
            key=key, defaults={"next_at": at}
        )
        wait = max(row.next_at - at, timedelta())
        if wait <= WORTH_WAITING:
            Pace.objects.filter(key=key).update(next_at=max(row.next_at, at) + interval)
    return wait


def hold_back(pace: tuple[str, timedelta] | None, wait: timedelta) -> None:
    """Let nobody send there before the wait is over."""
    if pace is None:
        return
    until = timezone.now() + wait
    with transaction.atomic():
        Pace.objects.update_or_create(key=pace[0], defaults={"next_at": until})
