"""The receipt of a payment, made to be printed on whatever paper the desk has."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from alerts.wording import money
from billing import accounts
from billing.admin import words
from billing.models import AllocationState, Payment, PaymentStatus, Refund, RefundStatus

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


@require_safe
def page(request: HttpRequest, pk: int) -> HttpResponse:
    if not any(request.user.has_perm(permission) for permission in MAY_LOOK):
        raise PermissionDenied(_("Your account may not do this. Ask an administrator."))
    payment = Payment.objects.select_related("reader", "taken_by").filter(pk=pk).first()
    if payment is None or not is_given_for(payment):
        return _none(request, payment, pk)
    lines = _lines(payment)
    received = payment.paid_amount or accounts.ZERO
    still_owed = accounts.debt(payment.reader)
    context = {
        "payment": payment,
        "library": settings.LIBRARY_NAME,
        "lines": lines,
        "credit": received - sum((line.amount for line in lines), accounts.ZERO),
        "received": received,
        "currency": payment.paid_currency,
        "provider": words.provider(payment.provider),
        "refunds": _refunds(payment),
        "kept": received - payment.refunded_amount,
        "still_owed": still_owed,
        "still_owed_text": money(still_owed),
        "now": timezone.now(),
    }
    return TemplateResponse(request, "billing/receipt.html", context)


def _lines(payment: Payment) -> list[Line]:
    settled = payment.allocations.filter(state=AllocationState.PAID, amount__gt=0)
    return [
        Line(allocation.charge.get_kind_display(), allocation.charge.description, allocation.amount)
        for allocation in settled.select_related("charge").order_by("charge_id")
    ]


def _refunds(payment: Payment) -> list[Refund]:
    made = payment.refunds.exclude(status=RefundStatus.FAILED)
    return list(made.order_by("pk"))


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
    context: dict[str, Any] = {**admin.site.each_context(request), "title": _("No receipt")}
    return TemplateResponse(request, "billing/note.html", {**context, "text": text}, status=404)
