"""Receipts of payments, made to be printed on whatever paper the desk has."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Prefetch, QuerySet, Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from alerts.backoffice.pages import list_url
from alerts.backoffice.prints import chosen
from alerts.backoffice.reports import refuse_unless
from alerts.wording import money
from billing import accounts
from billing.admin import words
from billing.models import (
    Allocation,
    AllocationState,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)

MAY_LOOK = ("billing.view_payment", "billing.take_cash")
SETTLED = (PaymentStatus.PAID, PaymentStatus.REFUNDED)


@dataclass(frozen=True)
class Line:
    """What a part of the money was for."""

    what: str
    why: str
    amount: Decimal


def is_given_for(payment: Payment) -> bool:
    """Tell whether money came in that nobody has to look at any more."""
    return payment.status in SETTLED and bool(payment.provider)


@dataclass(frozen=True)
class Receipt:
    payment: Payment
    lines: list[Line]
    refunds: list[Refund]
    still_owed: Decimal
    """By the reader, when the receipt is printed."""

    @property
    def received(self) -> Decimal:
        return self.payment.paid_amount or accounts.ZERO

    @property
    def credit(self) -> Decimal:
        return self.received - sum((line.amount for line in self.lines), accounts.ZERO)

    @property
    def kept(self) -> Decimal:
        return self.received - self.payment.refunded_amount

    @property
    def provider(self) -> str:
        return words.provider(self.payment.provider)

    @property
    def still_owed_text(self) -> str:
        return money(self.still_owed)


@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    _refuse_others(request)
    payment = _payments().filter(pk=pk).first()
    if payment is None or not is_given_for(payment):
        return _none(request, payment, pk)
    title = _("Receipt no. %(number)s") % {"number": pk}
    back_url = reverse("billing-account", args=[payment.reader_id])
    return _printed(request, [payment], title, back_url, _("Back to the account"))


@require_safe
def several(request: HttpRequest) -> HttpResponse:
    """Show the receipts of the payments chosen in their list, one to a page."""
    _refuse_others(request)
    found = _payments().filter(pk__in=chosen(request, "payment")).order_by("pk")
    payments = [payment for payment in found if is_given_for(payment)]
    if not payments:
        text = _("Nothing was received in these payments, or it has to be reviewed first.")
        return _note(request, text)
    return _printed(request, payments, _("Receipts"), list_url(Payment), _("Back to the list"))


def _refuse_others(request: HttpRequest) -> None:
    refuse_unless(any(request.user.has_perm(permission) for permission in MAY_LOOK))


def _payments() -> QuerySet[Payment]:
    settled = Allocation.objects.filter(state=AllocationState.PAID, amount__gt=0)
    made = Refund.objects.exclude(status=RefundStatus.FAILED)
    parts: Any = Prefetch(
        "allocations", settled.select_related("charge").order_by("charge_id"), "settled"
    )
    given_back: Any = Prefetch("refunds", made.order_by("pk"), "given_back")
    joined = Payment.objects.select_related("reader", "taken_by")
    return joined.prefetch_related(parts, given_back)


def _printed(
    request: HttpRequest, payments: list[Payment], title: str, back_url: str, back: str
) -> HttpResponse:
    debts = accounts.OWED.filter(reader__in={payment.reader_id for payment in payments})
    summed = debts.order_by().values_list("reader").annotate(total=Sum("owed"))
    owed = {reader: round(total, 2) for reader, total in summed}
    receipts = [_receipt(payment, owed.get(payment.reader_id)) for payment in payments]
    context = {
        "title": title,
        "receipts": receipts,
        "library": settings.LIBRARY_NAME,
        "back_url": back_url,
        "back": back,
        "now": timezone.now(),
    }
    return TemplateResponse(request, "billing/receipt.html", context)


def _receipt(payment: Any, owed: Decimal | None) -> Receipt:
    lines = [
        Line(part.charge.get_kind_display(), part.charge.description, part.amount)
        for part in payment.settled
    ]
    return Receipt(payment, lines, payment.given_back, owed or accounts.ZERO)


def _none(request: HttpRequest, payment: Payment | None, pk: int) -> HttpResponse:
    if payment is None:
        text = _("There is no payment no. %(number)s.") % {"number": pk}
    elif payment.status == PaymentStatus.REVIEW:
        text = _("Payment no. %(number)s has to be reviewed first: then there is a receipt.") % {
            "number": pk
        }
    else:
        text = _("Nothing was received in payment no. %(number)s: there is no receipt.") % {
            "number": pk
        }
    return _note(request, text)


def _note(request: HttpRequest, text: str) -> HttpResponse:
    context: dict[str, Any] = {**admin.site.each_context(request), "title": _("No receipt")}
    return TemplateResponse(request, "billing/note.html", {**context, "text": text}, status=404)
