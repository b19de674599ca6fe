"""Money by day, kind and provider: what came in, what it was for, and what was given back."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.backoffice.pages import Table, day
from alerts.backoffice.remembered import counted
from alerts.backoffice.reports import MOST_ROWS, Answer, Report
from alerts.local_days import LocalDay, midnight
from billing.accounts import ZERO
from billing.admin import words
from billing.models import (
    Allocation,
    AllocationState,
    ChargeKind,
    Payment,
    Refund,
    RefundStatus,
)

SEVERAL = ""
"""The kind of a refund of a payment that was for several kinds."""
UNUSED = "-"
"""Received, and not for a charge: more than was owed, or still to be reviewed."""
KINDS = (*ChargeKind.values, SEVERAL, UNUSED)


class Place(NamedTuple):
    """Where money is counted."""

    day: datetime.date
    kind: str
    provider: str
    currency: str


@dataclass
class Money:
    received: Decimal = ZERO
    given_back: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        return self.received - self.given_back

    def add(self, other: "Money") -> None:
        self.received += other.received
        self.given_back += other.given_back


class MoneyByDay(Report):
    code = "money"
    title = gettext_lazy("Money by day")
    about = gettext_lazy(
        "What came in and what was given back each day, by what it was for and how it was paid: "
        "for the books."
    )
    icon = "payments"
    permissions = ("billing.view_payment",)
    csv_permissions = ("billing.export_payment",)

    def usual(self, today: datetime.date) -> dict[str, Any]:
        return {"first": today.replace(day=1).isoformat(), "last": today.isoformat()}

    def answer(self, request: HttpRequest, asked: dict[str, Any]) -> Answer:
        rows, counted_at = counted(self.code, asked, lambda: _plain(asked["first"], asked["last"]))
        found = {Place(*place): Money(*sums) for place, sums in rows}
        newest = sorted(found, key=lambda place: place.day, reverse=True)
        days = [
            (day(place.day), *_names(place), *_cells(found[place], place.currency))
            for place in newest[:MOST_ROWS]
        ]
        names = [_("For"), _("Paid by")]
        sums = [_("Received"), _("Given back"), _("Net")]
        empty = _("No money came in or was given back in this period. Choose another.")
        tables = [
            Table(_("In all"), [*names, *sums], _whole(found), empty),
            Table(_("The newest day first"), [_("Day"), *names, *sums], days, empty),
        ]
        has_more = len(found) > MOST_ROWS
        return Answer(tables if found else tables[:1], has_more, counted_at)

    def headers(self, request: HttpRequest) -> Sequence[str]:
        names = [_("Day"), _("For"), _("Paid by")]
        return [*names, _("Received"), _("Given back"), _("Net"), _("Currency")]

    def records(self, request: HttpRequest, asked: dict[str, Any]) -> Iterable[Sequence[Any]]:
        for place, money in by_day(asked["first"], asked["last"]).items():
            sums = (money.received, money.given_back, money.net)
            yield (place.day, *_names(place), *sums, place.currency)


def by_day(first: datetime.date, last: datetime.date) -> dict[Place, Money]:
    """Return what came in and went out from `first` to `last`, in order.

    What a payment was for is asked of the charges that it pays for now, so that a day's sum never
    differs from what its payments came to. A refund counts on the day on which it was made.
    """
    period = {"first": first, "last": last}
    start, end = midnight(first), midnight(last + datetime.timedelta(days=1))
    payments = Payment.objects.filter(paid_at__gte=start, paid_at__lt=end).exclude(provider="")
    used = Allocation.objects.filter(
        state=AllocationState.PAID, payment__paid_at__gte=start, payment__paid_at__lt=end
    ).exclude(payment__provider="")
    refunds = Refund.objects.filter(status=RefundStatus.DONE, done_at__gte=start, done_at__lt=end)
    found: dict[Place, Money] = {}
    for on, provider, currency, total in _sums(
        payments.annotate(day=LocalDay("paid_at", **period)),
        "provider",
        "paid_currency",
        of="paid_amount",
    ):
        found[Place(on, UNUSED, provider, currency)] = Money(received=total)
    names = ("charge__kind", "payment__provider", "payment__paid_currency")
    used = used.annotate(day=LocalDay("payment__paid_at", **period))
    for on, kind, provider, currency, total in _sums(used, *names, of="amount"):
        found[Place(on, kind, provider, currency)] = Money(received=total)
        found[Place(on, UNUSED, provider, currency)].received -= total
    names = ("payment__type", "payment__provider", "payment__paid_currency")
    refunds = refunds.annotate(day=LocalDay("done_at", **period))
    for on, kind, provider, currency, total in _sums(refunds, *names, of="amount"):
        found.setdefault(Place(on, kind, provider, currency), Money()).given_back = total
    return {place: found[place] for place in sorted(found, key=_order) if found[place] != Money()}


def _plain(first: datetime.date, last: datetime.date) -> list[tuple[Any, ...]]:
    """Return (place, sums) as plain values, to be remembered."""
    found = by_day(first, last).items()
    return [(tuple(place), (money.received, money.given_back)) for place, money in found]


def _sums(rows: QuerySet[Any], *names: str, of: str) -> Iterable[tuple[Any, ...]]:
    """Yield (day, names, sum in whole cents): SQLite sums in floating point."""
    for *group, total in rows.order_by().values_list("day", *names).annotate(total=Sum(of)):
        yield (*group, round(total or ZERO, 2))


def _order(place: Place) -> tuple[Any, ...]:
    return place.day, KINDS.index(place.kind), place.provider, place.currency


def _whole(found: dict[Place, Money]) -> list[tuple[Any, ...]]:
    """Return a row for each kind and provider, and one in all for each currency."""
    parts: dict[Place, Money] = {}
    currencies: dict[str, Money] = {}
    for place, money in found.items():
        parts.setdefault(place._replace(day=datetime.date.min), Money()).add(money)
        currencies.setdefault(place.currency, Money()).add(money)
    rows: list[tuple[Any, ...]] = [
        (*_names(place), *_cells(parts[place], place.currency))
        for place in sorted(parts, key=_order)
    ]
    return rows + [
        (_("In all"), "", *_cells(money, currency)) for currency, money in currencies.items()
    ]


def _names(place: Place) -> tuple[str, str]:
    if place.kind == UNUSED:
        kind = _("not for a charge: credit, or to be reviewed")
    else:
        kind = str(ChargeKind(place.kind).label) if place.kind else _("several")
    return kind, words.provider(place.provider)


def _cells(money: Money, currency: str) -> tuple[str, ...]:
    sums = (money.received, money.given_back, money.net)
    return tuple(words.amount(each, currency) for each in sums)
