"""The rules as pure arithmetic: which policy applies, due dates, lending fees and fines.

Nothing here reads the database or the clock. Dates are the library's local dates.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Protocol, TypeVar

from django.utils import dates
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

CENT = Decimal("0.01")
RATE_STEP = Decimal("0.0001")
# A library that opens on no day of a year has been set up wrongly.
LONGEST_CLOSURE = 366


class NeverOpenError(Exception):
    """The calendar has no open day within a year; staff must mend the closed days."""

    def __init__(self) -> None:
        super().__init__(
            _("The library is closed on every day of the next year. Correct the closed days.")
        )


def money(amount: Decimal) -> Decimal:
    """Round half up to cents."""
    return amount.quantize(CENT, rounding=ROUND_HALF_UP)


def rate(amount: Decimal) -> Decimal:
    """Round half up to the four decimals that a rate per day keeps."""
    return amount.quantize(RATE_STEP, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class Calendar:
    """When the library is closed: weekdays (Monday is 0) and single dates, sorted."""

    closed_weekdays: frozenset[int] = frozenset()
    closed_dates: tuple[date, ...] = ()

    def is_open(self, day: date) -> bool:
        if day.weekday() in self.closed_weekdays:
            return False
        place = bisect_right(self.closed_dates, day)
        return place == 0 or self.closed_dates[place - 1] != day

    def next_open_day(self, day: date) -> date:
        """Return `day`, or the first open day after it. Raises NeverOpenError."""
        for later in range(LONGEST_CLOSURE):
            candidate = day + timedelta(days=later)
            if self.is_open(candidate):
                return candidate
        raise NeverOpenError

    def open_days(self, *, after: date, until: date) -> int:
        """Count the open days later than `after`, up to and including `until`."""
        if until <= after:
            return 0
        return (
            (until - after).days
            - self._closed_weekdays(after, until)
            - len(self._closed_dates(after, until))
        )

    def closed_weekdays_between(self, *, after: date, until: date) -> list[int]:
        """Return which of the weekly closing days fall in the span, Monday first."""
        return sorted(day for day in self.closed_weekdays if _weekdays(after, until, day))

    def closed_dates_between(self, *, after: date, until: date) -> list[date]:
        """Return the dates of the span that are closed by date, not by weekday."""
        return self._closed_dates(after, until)

    def _closed_weekdays(self, after: date, until: date) -> int:
        return sum(_weekdays(after, until, day) for day in self.closed_weekdays)

    def _closed_dates(self, after: date, until: date) -> list[date]:
        first, last = bisect_right(self.closed_dates, after), bisect_right(self.closed_dates, until)
        return [d for d in self.closed_dates[first:last] if d.weekday() not in self.closed_weekdays]


def _weekdays(after: date, until: date, weekday: int) -> int:
    # date.toordinal() is 1 on a Monday.
    return (until.toordinal() - 1 - weekday) // 7 - (after.toordinal() - 1 - weekday) // 7


class Cell(Protocol):
    """What choosing needs of a LoanPolicy."""

    category_id: int | None
    item_type_id: int | None


CellT = TypeVar("CellT", bound=Cell)


def by_precedence(
    policies: Iterable[CellT], *, category_id: int | None, item_type_id: int | None
) -> Sequence[CellT]:
    """Return the policies that fit, the one that applies first.

    Both given beats one given beats none; of those that give one, the reader's category wins.
    """
    fitting = [
        policy
        for policy in policies
        if policy.category_id in (None, category_id) and policy.item_type_id in (None, item_type_id)
    ]
    return sorted(
        fitting,
        key=lambda policy: (policy.category_id is not None, policy.item_type_id is not None),
        reverse=True,
    )


@dataclass(frozen=True)
class Due:
    """A due date, and the days that a lending fee is charged for (before closed days)."""

    date: date
    days_granted: int


def due_date(*, lent: date, loan_days: int, calendar: Calendar, chosen: date | None = None) -> Due:
    """Return when a copy lent on `lent` is due back. Raises NeverOpenError."""
    nominal = chosen or lent + timedelta(days=loan_days)
    return Due(calendar.next_open_day(nominal), (nominal - lent).days)


def renewed_due_date(
    *, present: date, renewed: date, loan_days: int, calendar: Calendar, chosen: date | None = None
) -> Due:
    """Return the due date after a renewal on `renewed`: counted from that day, never earlier.

    Days that were granted (and charged) before are not charged again.
    """
    nominal = max(chosen or renewed + timedelta(days=loan_days), present)
    days_granted = (nominal - max(present, renewed)).days
    return Due(calendar.next_open_day(nominal), days_granted)


@dataclass(frozen=True)
class FineTerms:
    """Rate per open day (four decimals), grace in open days, and the cap that is still free."""

    per_day: Decimal
    grace_days: int = 0
    cap: Decimal | None = None


@dataclass(frozen=True)
class Fine:
    amount: Decimal
    open_days: int
    explanation: str


def not_late() -> Fine:
    return Fine(Decimal("0.00"), 0, _("no open day late"))


def fine(*, due: date, returned: date, terms: FineTerms, calendar: Calendar) -> Fine:
    """Return what a copy due on `due` and back on `returned` costs.

    Only open days count. Within the grace days nothing is owed; once they are exceeded they are
    charged as well.
    """
    days = calendar.open_days(after=due, until=returned)
    if not days:
        return not_late()
    if days <= terms.grace_days:
        text = ngettext(
            "%(days)d open day late; forgiven", "%(days)d open days late; forgiven", days
        )
        return Fine(Decimal("0.00"), days, text % {"days": days})
    full = money(days * terms.per_day)
    amount = full if terms.cap is None else min(full, terms.cap)
    parts = [
        ngettext("%(days)d open day × %(rate)s", "%(days)d open days × %(rate)s", days)
        % {"days": days, "rate": rate_text(terms.per_day)}
    ]
    if amount < full:
        parts.append(_("limited to %(cap)s") % {"cap": amount})
    parts.extend(_not_counted(due, returned, calendar))
    return Fine(amount, days, "; ".join(parts))


def _not_counted(due: date, returned: date, calendar: Calendar) -> list[str]:
    weekdays = calendar.closed_weekdays_between(after=due, until=returned)
    days = calendar.closed_dates_between(after=due, until=returned)
    names = [str(dates.WEEKDAYS[day]) for day in weekdays] + [day.isoformat() for day in days[:3]]
    if len(days) > 3:
        names.append(_("%(count)d more closed days") % {"count": len(days) - 3})
    return [_("%(days)s not counted") % {"days": ", ".join(names)}] if names else []


def rate_text(rate: Decimal) -> str:
    """Write a rate with two decimals, or with three or four where it has them."""
    short = rate.quantize(CENT)
    return str(short if short == rate else rate.normalize())
