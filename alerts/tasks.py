"""What workers do for alerts: hand on what happened, and send what is due."""

from datetime import date

from django.utils.translation import ngettext

from alerts import dispatch

SECONDS = 200
"""Less than the queue's limit; what is left over is for the next run."""


def deliver(on: date | None = None) -> str:
    """Send all that is due, whatever the day."""
    while dispatch.fan_out():
        pass
    done = dispatch.send_due(seconds=SECONDS)
    return ngettext("%(count)d message row done.", "%(count)d message rows done.", done) % {
        "count": done
    }
