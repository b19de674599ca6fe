"""The charts of Today: loans and returns by day, money by week.

Each asks of a bounded time only, so that none of them grows with the library's history.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Case, Count, F, IntegerField, QuerySet, Sum, Value, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from billing.models import Payment
from circulation.models import Loan
from config import waiting

DAYS, WEEKS = 30, 8
COLOURS = ("var(--color-primary-600)", "var(--color-base-400)")


@dataclass(frozen=True)
class Line:
    """One value for each place on the axis."""

    label: str
    values: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """A chart and, for who cannot see it, the same as a table; `empty` says how to begin."""

    title: str
    kind: str
    axis: str
    places: Sequence[str]
    lines: Sequence[Line]
    empty: str
    url: str
    url_text: str
    decimals: int = 0

    @property
    def is_empty(self) -> bool:
        return not any(any(line.values) for line in self.lines)

    @property
    def data(self) -> str:
        """Return what Chart.js draws, as Unfold's component takes it."""
        datasets = [
            {
                "label": line.label,
                "data": line.values,
                "borderColor": COLOURS[number % len(COLOURS)],
                "backgroundColor": COLOURS[number % len(COLOURS)],
                "displayYAxis": True,
                "maxTicksXLimit": 8,
                "maxBarThickness": 28,
            }
            for number, line in enumerate(self.lines)
        ]
        return json.dumps({"labels": self.places, "datasets": datasets})

    @property
    def rows(self) -> Iterable[tuple[str, list[str]]]:
        """Yield each place with its values, for the table."""
        for place, *values in zip(self.places, *(line.values for line in self.lines), strict=True):
            yield place, [formats.number_format(value, self.decimals) for value in values]


def charts(request: HttpRequest, *, at: datetime) -> list[Chart]:
    shown = []
    if request.user.has_perms(waiting.LENDING):
        shown.append(lending(on=timezone.localdate(at)))
    if request.user.has_perm("billing.view_payment"):
        shown.append(money(on=timezone.localdate(at)))
    return shown


def lending(*, on: date) -> Chart:
    """Return loans made and copies returned on each of the last 30 days."""
    days = [on - timedelta(days=DAYS - 1 - number) for number in range(DAYS)]
    lent = _by_day("borrow_date", since=days[0], kind="lent")
    returned = _by_day("actual_return_date", since=days[0], kind="returned")
    found = {(kind, day): number for kind, day, number in lent.union(returned, all=True)}
    return Chart(
        title=_("Loans and returns, the last 30 days"),
        kind="line",
        axis=_("Day"),
        places=[formats.date_format(day, "j M") for day in days],
        lines=[
            Line(_("Lent"), [found.get(("lent", day), 0) for day in days]),
            Line(_("Returned"), [found.get(("returned", day), 0) for day in days]),
        ],
        empty=_(
            "Nothing was lent or returned in the last 30 days. Lend the first copy at the Desk."
        ),
        url=reverse("desk"),
        url_text=_("To the Desk"),
    )


def _by_day(field: str, *, since: date, kind: str) -> QuerySet[Any, Any]:
    """Return (kind, day, number) for the days on which there was one; what was undone is not."""
    loans = Loan.objects.filter(**{f"{field}__gte": since}, undone_at__isnull=True).order_by()
    return (
        loans.annotate(kind=Value(kind), day=F(field))
        .values("kind", "day")
        .annotate(number=Count("pk"))
        .values_list("kind", "day", "number")
    )


def money(*, on: date) -> Chart:
    """Return what was taken in each of the last eight weeks, in each currency it was paid in."""
    monday = on - timedelta(days=on.weekday())
    weeks = [monday - timedelta(weeks=WEEKS - 1 - number) for number in range(WEEKS)]
    starts = [timezone.make_aware(datetime.combine(week, time.min)) for week in weeks]
    # Cutting instants down to weeks in the database costs SQLite a Python call for every row.
    week = Case(
        *(When(paid_at__lt=start, then=Value(number)) for number, start in enumerate(starts[1:])),
        default=Value(WEEKS - 1),
        output_field=IntegerField(),
    )
    received = Payment.objects.filter(paid_at__gte=starts[0]).exclude(provider="").order_by()
    summed = received.annotate(week=week).values("week", "paid_currency")
    found = {
        (row["paid_currency"], row["week"]): round(row["total"] or Decimal(0), 2)
        for row in summed.annotate(total=Sum("paid_amount"))
    }
    currencies = sorted({currency for currency, _week in found} | {settings.CURRENCY})
    return Chart(
        title=_("Money taken, by week"),
        kind="bar",
        axis=_("Week from"),
        places=[formats.date_format(week, "j M") for week in weeks],
        lines=[
            Line(currency, [float(found.get((currency, week), 0)) for week in range(WEEKS)])
            for currency in currencies
        ],
        empty=_("Nothing was paid in the last weeks. Cash is taken on the account of a reader."),
        url=reverse("billing-day"),
        url_text=_("Day's takings"),
        decimals=2,
    )
