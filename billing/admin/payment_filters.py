"""What the list of payments can be narrowed to."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter
from unfold.utils import parse_date_str

from alerts.backoffice.paging import any_of, few
from billing import gateways
from billing.models import Payment, PaymentStatus
from billing.settlements import IN_SESSION, PaymentType

SEVERAL = "several"
NO_PROVIDER = "none"
OTHER_PROVIDERS = "other"
PAYMENTS = Payment.objects.all()


class PaymentStateFilter(DropdownFilter):
    """Statuses, after the shortcuts to what needs somebody."""

    title = gettext_lazy("status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("review", _("To be reviewed")),
            ("problem", _("With a problem")),
            ("session", _("Open sessions")),
            ("waiting", _("Waiting, no session yet")),
            *((status.value, status.label) for status in PaymentStatus if status not in HIDDEN),
        ]

    def queryset(self, request: HttpRequest, payments: Any) -> QuerySet[Payment]:
        match self.value():
            case "review":
                return payments.filter(status=PaymentStatus.REVIEW)
            case "problem":
                return payments.exclude(last_error="")
            case "session":
                sessions = any_of(PAYMENTS, IN_SESSION, ~Q(provider="") & Q(must_close=True))
                return payments.filter(pk__in=few(sessions))
            case "waiting":
                return payments.drafts()
            case status if status in PaymentStatus.values:
                return payments.filter(status=status)
        return payments


HIDDEN = (PaymentStatus.PENDING, PaymentStatus.REVIEW)
"""What the shortcuts show already, and in clearer words."""


class ProviderFilter(DropdownFilter):
    title = gettext_lazy("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            *gateways.choices(),
            (NO_PROVIDER, _("None yet")),
            (OTHER_PROVIDERS, _("Not set up any more")),
        ]

    def queryset(self, request: HttpRequest, payments: Any) -> QuerySet[Payment]:
        known = [name for name, _label in gateways.choices()]
        match self.value():
            case str(name) if name in known:
                return payments.filter(provider=name)
            case "none":
                return payments.filter(provider="")
            case "other":
                return payments.filter(pk__in=few(any_of(PAYMENTS, *_between(["", *known]))))
        return payments


def _between(names: Iterable[str]) -> list[Q]:
    """Match what has none of these names, by an index: it lies between two of them, or beyond."""
    known = sorted(set(names))
    between = [Q(provider__gt=lower, provider__lt=upper) for lower, upper in pairwise(known)]
    return [Q(provider__lt=known[0]), *between, Q(provider__gt=known[-1])]


class PurposeFilter(DropdownFilter):
    title = gettext_lazy("what it is for")
    parameter_name = "for"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [*PaymentType.choices, (SEVERAL, _("Several"))]

    def queryset(self, request: HttpRequest, payments: Any) -> QuerySet[Payment]:
        value = self.value()
        if value in PaymentType.values:
            return payments.filter(type=value)
        return payments.filter(type="") if value == SEVERAL else payments


class DayFilter(RangeDateFilter):
    """Whole days of the library's own time, both included; what is no date limits nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("the day it was paid")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        name = self.parameter_name
        if first := self._day("from"):
            queryset = queryset.filter(**{f"{name}__gte": _start(first)})
        if last := self._day("to"):
            queryset = queryset.filter(**{f"{name}__lt": _start(last + timedelta(days=1))})
        return queryset

    def _day(self, end: str) -> date | None:
        day = parse_date_str(self.used_parameters.get(f"{self.parameter_name}_{end}", ""))
        return day if day and 1900 <= day.year <= 9000 else None


def _start(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
