"""What workers do for alerts: hand on what happened, and send what is due."""

import time
from datetime import date, timedelta

from django.utils import timezone
from django.utils.translation import ngettext

from alerts import claims, dispatch, pace

SECONDS = 120
"""After that nothing more is claimed; what was takes its lease of 120 seconds at most, and the
queue stops a task after 300. What is left over is for the next run.
"""
WORTH_STAYING = timedelta(seconds=7)
"""More than the first retry takes, and what a far end asks for between two messages."""


def deliver(on: date | None = None, *, stay: timedelta = timedelta()) -> str:
    """Send all that is due, whatever the day; one worker stays for what is due in a moment."""
    ends = time.monotonic() + SECONDS
    claims.give_up_stale(at=timezone.now())
    done = _deliver_now(ends)
    while (wait := _worth_staying(stay)) is not None and time.monotonic() < ends:
        time.sleep(max(wait.total_seconds(), 0.05))
        done += _deliver_now(ends)
    return ngettext("%(count)d message row done.", "%(count)d message rows done.", done) % {
        "count": done
    }


def _deliver_now(ends: float) -> int:
    while time.monotonic() < ends and dispatch.fan_out():
        pass
    return dispatch.send_due(seconds=ends - time.monotonic())


def _worth_staying(stay: timedelta) -> timedelta | None:
    at = timezone.now()
    wait = claims.soonest(at=at, within=stay) if stay else None
    if wait is None or not pace.take("staying", at=at, until=at + wait):
        return None
    return wait
