"""How fast a far end may be sent to: one row for each thing it counts by, shared by all workers."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from alerts.backends import base
from alerts.models import Channel, Pace

WORTH_WAITING = timedelta(seconds=2)
"""A worker waits so long for its slot; for more it leaves the message to a later time."""
CHANNEL = "channel:"


def slot(paces: Sequence[base.Pace], *, at: datetime) -> timedelta:
    """Return how long to wait before sending; a wait that is worth it is taken as our slot."""
    if not paces:
        return timedelta()
    with transaction.atomic():
        rows = [(_locked(key, at=at), interval) for key, interval in sorted(paces)]
        wait = max(timedelta(), *(row.next_at - at for row, _interval in rows))
        if wait <= WORTH_WAITING:
            for row, interval in rows:
                Pace.objects.filter(key=row.key).update(next_at=at + wait + interval)
    return wait


def hold_back(paces: Sequence[base.Pace], wait: timedelta) -> None:
    """Let nobody send there before the wait is over."""
    now = timezone.now()
    until = now + min(wait, base.LONGEST_WAIT)
    with transaction.atomic():
        for key, _interval in sorted(paces):
            if _locked(key, at=now).next_at < until:
                Pace.objects.filter(key=key).update(next_at=until)


def rest(channel: Channel, wait: timedelta) -> None:
    """Leave a channel alone for a while: what waits for it holds up no other."""
    hold_back([(f"{CHANNEL}{channel.pk}", timedelta())], wait)


def resting_channels(*, at: datetime) -> dict[int, datetime]:
    """Return the channels that are left alone, and until when."""
    resting = Pace.objects.filter(key__startswith=CHANNEL, next_at__gt=at)
    return {
        int(key.removeprefix(CHANNEL)): until
        for key, until in resting.values_list("key", "next_at")
    }


@transaction.atomic
def take(key: str, *, at: datetime, until: datetime) -> bool:
    """Take something that one worker at a time may have; say whether it was free."""
    if _locked(key, at=at).next_at > at:
        return False
    Pace.objects.filter(key=key).update(next_at=until)
    return True


def one_at_a_time(key: str) -> None:
    """Hold a lock until the transaction ends; on SQLite the IMMEDIATE transaction is the lock."""
    if connection.features.has_select_for_update:
        _locked(key, at=timezone.now())


def _locked(key: str, *, at: datetime) -> Pace:
    row, _is_new = Pace.objects.select_for_update().get_or_create(key=key, defaults={"next_at": at})
    return row
