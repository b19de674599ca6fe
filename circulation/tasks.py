"""The recurring jobs of circulation: thin, and each says in one sentence what it did."""

from datetime import date

from django.utils import timezone
from django.utils.translation import ngettext

from circulation import fines, holds


def expire_holds(on: date | None = None) -> str:
    """Expire the holds that were not picked up before `on`: by default today, when it runs."""
    count = holds.expire(on=on or timezone.localdate())
    return ngettext("%(count)d hold expired.", "%(count)d holds expired.", count) % {"count": count}


def accrue_fines(on: date | None = None) -> str:
    """Bring the fines of overdue loans up to `on`: by default today, when it runs."""
    count = fines.accrue(on=on or timezone.localdate())
    return ngettext(
        "%(count)d overdue loan brought up to date.",
        "%(count)d overdue loans brought up to date.",
        count,
    ) % {"count": count}
