"""Circulation by month: what was lent, renewed, returned, lost and waited for."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Count, F, Q
from django.http import HttpRequest
from django.utils import formats
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.backoffice.pages import Table
from alerts.backoffice.remembered import counted
from alerts.backoffice.reports import MOST_ROWS, Answer, Report
from alerts.local_days import LocalDay, midnight
from circulation.models import DeskAct, Hold, Loan

MONTHS_BEFORE = 11
COUNTS = ("lent", "renewed", "returned", "late", "lost", "holds")
Month = dict[str, int]


class ByMonth(Report):
    code = "circulation"
    title = gettext_lazy("Circulation by month")
    about = gettext_lazy("How much was lent, renewed and returned in each month: for statistics.")
    icon = "calendar_month"
    permissions = ("circulation.view_loan", "catalog.view_book")

    def usual(self, today: datetime.date) -> dict[str, Any]:
        months = today.year * 12 + today.month - 1 - MONTHS_BEFORE
        return {"first": datetime.date(months // 12, months % 12 + 1, 1).isoformat(),
                "last": today.isoformat()}  # fmt: skip

    def answer(self, request: HttpRequest, asked: dict[str, Any]) -> Answer:
        found, counted_at = counted(self.code, asked, lambda: months(asked["first"], asked["last"]))
        whole = {name: sum(counts[name] for counts in found.values()) for name in COUNTS}
        rows = [
            (formats.date_format(month, "F Y"), *_cells(counts)) for month, counts in found.items()
        ]
        newest = rows[::-1][: MOST_ROWS - 1]
        shown = [*newest, (_("In all"), *_cells(whole))] if any(whole.values()) else []
        empty = _("Nothing was lent or waited for in this period. Choose another.")
        table = Table(_("The newest month first"), self.headers(request), shown, empty)
        return Answer([table], len(rows) > len(newest), counted_at)

    def headers(self, request: HttpRequest) -> Sequence[str]:
        return [
            _("Month"),
            _("Lent"),
            _("Renewed"),
            _("Returned"),
            _("of which late"),
            _("Lost"),
            _("Holds placed"),
        ]

    def records(self, request: HttpRequest, asked: dict[str, Any]) -> Iterable[Sequence[Any]]:
        for month, counts in months(asked["first"], asked["last"]).items():
            yield (f"{month:%Y-%m}", *(counts[name] for name in COUNTS))


def _cells(counts: Month) -> list[str]:
    return [formats.number_format(counts[name]) for name in COUNTS]


def months(first: datetime.date, last: datetime.date) -> dict[datetime.date, Month]:
    """Return what happened from `first` to `last`, by the first day of each month, in order.

    Months in which nothing happened are there, too. A loan that was undone counts as never made.
    """
    found = {month: dict.fromkeys(COUNTS, 0) for month in _months_of(first, last)}
    for name, days in _counted(first, last).items():
        for day, number in days:
            found[_month_of(day)][name] += number
    return found


def _counted(
    first: datetime.date, last: datetime.date
) -> dict[str, Iterable[tuple[datetime.date, int]]]:
    """Return for each count (day, number): a day, not a month, is what an index can group by."""
    period = (first, last)
    loans = Loan.objects.filter(undone_at=None)
    returned = loans.filter(actual_return_date__range=period).order_by()
    late = Count("actual_return_date", filter=Q(actual_return_date__gt=F("expected_return_date")))
    back: Any = returned.values_list("actual_return_date").annotate(number=Count("*"), late=late)
    # Only what was renewed at the desk, or through the API, is dated.
    renewed = DeskAct.objects.filter(kind=DeskAct.Kind.RENEW, undone_at=None, date__range=period)
    start, end = midnight(first), midnight(last + datetime.timedelta(days=1))
    placed = Hold.objects.filter(placed_at__gte=start, placed_at__lt=end)
    return {
        "lent": _by(loans.filter(borrow_date__range=period), "borrow_date"),
        "renewed": _by(renewed, "date"),
        "returned": [(day, number) for day, number, _late in back],
        "late": [(day, late) for day, _number, late in back],
        "lost": _by(loans.filter(lost_date__range=period), "lost_date"),
        "holds": _by(placed.annotate(day=LocalDay("placed_at", first=first, last=last)), "day"),
    }


def _by(rows: Any, day: str) -> Iterable[tuple[datetime.date, int]]:
    found: Iterable[tuple[datetime.date, int]] = (
        rows.order_by().values_list(day).annotate(number=Count("*"))
    )
    return found


def _month_of(day: datetime.date) -> datetime.date:
    return datetime.date(day.year, day.month, 1)


def _months_of(first: datetime.date, last: datetime.date) -> Iterable[datetime.date]:
    for month in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        yield datetime.date(month // 12, month % 12 + 1, 1)
