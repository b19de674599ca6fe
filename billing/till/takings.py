"""What came in and what was given back on one day of the library's own time."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from billing.accounts import ZERO
from billing.models import Payment, PaymentStatus, Refund, RefundStatus
from billing.payments import CASH

if TYPE_CHECKING:
    from circulation.models import Reader

CHUNK = 500


@dataclass
class Taking:
    """What was taken and given back by a member of staff, or through a provider."""

    provider: str
    currency: str
    staff: "Reader | None" = None
    payments: int = 0
    taken: Decimal = ZERO
    refunds: int = 0
    given_back: Decimal = ZERO
    to_review: Decimal = ZERO
    """What of `taken` staff still have to look at."""

    @property
    def net(self) -> Decimal:
        return self.taken - self.given_back


@dataclass(frozen=True)
class Line:
    """One payment, or one refund as a negative sum."""

    at: datetime
    payment: Payment
    refund: Refund | None = None

    @property
    def amount(self) -> Decimal:
        return -self.refund.amount if self.refund else (self.payment.paid_amount or ZERO)

    @property
    def staff(self) -> Any:
        return self.refund.by if self.refund else self.payment.taken_by


@dataclass(frozen=True)
class Day:
    """The takings of a day; each method asks the database once or twice, whatever happened."""

    date: date

    def payments(self) -> QuerySet[Payment]:
        """Return what was received: only that has a time, and a debt of nothing no provider."""
        start, end = self._bounds()
        return Payment.objects.filter(paid_at__gte=start, paid_at__lt=end).exclude(provider="")

    def refunds(self) -> QuerySet[Refund]:
        start, end = self._bounds()
        return Refund.objects.filter(status=RefundStatus.DONE, done_at__gte=start, done_at__lt=end)

    def sums(self) -> list[Taking]:
        """Return cash for each member of staff, then the providers, each in each currency."""
        found: dict[tuple[str, str, int | None], Taking] = {}
        review = Q(status=PaymentStatus.REVIEW)
        groups: Any = (
            self.payments().order_by().values_list("provider", "paid_currency", "taken_by")
        )
        summed = groups.annotate(
            number=Count("pk"),
            total=Sum("paid_amount"),
            doubtful=Sum("paid_amount", filter=review),
        )
        for provider, currency, staff, number, total, doubtful in summed:
            taking = _of(found, provider, currency, staff)
            taking.payments = number
            taking.taken = round(total, 2)
            taking.to_review = round(doubtful or ZERO, 2)
        back: Any = (
            self.refunds()
            .order_by()
            .values_list("payment__provider", "payment__paid_currency", "by")
        )
        for provider, currency, staff, number, total in back.annotate(
            number=Count("pk"), total=Sum("amount")
        ):
            taking = _of(found, provider, currency, staff)
            taking.refunds += number
            taking.given_back += round(total, 2)
        people = get_user_model().objects.in_bulk([key[2] for key in found if key[2]])
        for (_provider, _currency, staff), taking in found.items():
            taking.staff = people.get(staff) if staff else None
        return sorted(found.values(), key=_place)

    def lines(self, *, most: int | None = None) -> Iterator[Line]:
        """Yield payments and refunds in the order of the day, the first `most` or all of them."""
        payments = self.payments().select_related("reader", "taken_by").order_by("paid_at", "pk")
        refunds = self.refunds().select_related("payment__reader", "by").order_by("done_at", "pk")
        rows: list[Any] = [payments, refunds]
        if most is None:
            rows = [each.iterator(chunk_size=CHUNK) for each in rows]
        else:
            rows = [each[:most] for each in rows]
        merged = heapq.merge(
            (Line(payment.paid_at, payment) for payment in rows[0]),
            (Line(refund.done_at, refund.payment, refund) for refund in rows[1]),
            key=lambda line: line.at,
        )
        return islice(merged, most)

    def _bounds(self) -> tuple[datetime, datetime]:
        return _midnight(self.date), _midnight(self.date + timedelta(days=1))


def in_all(takings: list[Taking]) -> list[Taking]:
    """Return one sum for each currency: cash is counted in one drawer, whoever took it."""
    found: dict[str, Taking] = {}
    for each in takings:
        whole = found.setdefault(each.currency, Taking("", each.currency))
        whole.payments += each.payments
        whole.taken += each.taken
        whole.refunds += each.refunds
        whole.given_back += each.given_back
        whole.to_review += each.to_review
    return list(found.values())


def _of(
    found: dict[tuple[str, str, int | None], Taking],
    provider: str,
    currency: str,
    staff: int | None,
) -> Taking:
    """Return the sum that a group belongs to: cash by who held it, all else by provider."""
    key = (provider, currency, staff if provider == CASH else None)
    return found.setdefault(key, Taking(provider, currency))


def _place(taking: Taking) -> tuple[bool, str, str, str]:
    return taking.provider != CASH, taking.provider, str(taking.staff or ""), taking.currency


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
