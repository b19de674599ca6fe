"""The tables below a payment: what it covers, what was given back, what its provider sent."""

from collections.abc import Iterable
from typing import Any

from django.db.models import F
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    Table,
    badge,
    day,
    money,
    page_link,
)
from billing.admin import words
from billing.models import (
    Allocation,
    AllocationState,
    Charge,
    Payment,
    PaymentEvent,
    Refund,
)

MOST_ROWS = 100


def tables(request: HttpRequest, payment: Payment) -> Iterable[Table]:
    """Return the tables for what the user may see."""
    if may_view(request, Charge):
        yield _covered(payment, with_history=may_view(request, Allocation))
    if may_view(request, Refund) and (payment.paid_amount or payment.refunded_amount):
        yield _refunds(payment)
    if may_view(request, PaymentEvent) and payment.key is not None:
        yield _events(payment)


def _covered(payment: Payment, *, with_history: bool) -> Table:
    open_charges: Any = Charge.objects.with_owed().filter(allocations__payment=payment)
    owed = dict(open_charges.order_by().values_list("pk", "owed"))
    rows = []
    for allocation in payment.allocations.select_related("charge")[:MOST_ROWS]:
        charge = allocation.charge
        row = [
            page_link(charge, charge.get_kind_display()),
            charge.description or "–",
            money(allocation.amount),
            money(allocation.refunded),
            _counts(allocation),
            money(owed[charge.pk]),
        ]
        rows.append([*row, _history_link(allocation)] if with_history else row)
    headers = [_("Charge"), _("Why"), _("Covered"), _("Given back"), _("State"), _("Still owed")]
    if with_history:
        headers.append("")
    return Table(_("What it covers"), headers, rows, _("It covers no charge: it is all credit."))


def _refunds(payment: Payment) -> Table:
    rows = [
        (
            page_link(refund, words.amount(refund.amount, payment.paid_currency)),
            words.refund_badge(refund),
            refund.reason,
            refund.by or "–",
            day(refund.created_at),
            day(refund.done_at),
            refund.last_error or "–",
        )
        for refund in payment.refunds.select_related("by")[:MOST_ROWS]
    ]
    headers = (
        _("Given back"), _("State"), _("Reason"), _("By"), _("Made"), _("Done"), _("Problem"),
    )  # fmt: skip
    return Table(_("Refunds"), headers, rows, _("Nothing of it was given back."))


def _events(payment: Payment) -> Table:
    newest = payment.events.order_by(F("received_at").desc(), "-pk")
    rows = [
        (
            page_link(event),
            day(event.received_at),
            event.outcome or "–",
            badge(_("handled"), "success") if event.handled_at else badge(_("waiting"), "warning"),
        )
        for event in newest[:MOST_ROWS]
    ]
    headers = (_("What"), _("Received"), _("What it led to"), _("State"))
    title = _("What %(provider)s sent") % {"provider": words.provider(payment.provider)}
    return Table(title, headers, rows, _("No event about this payment has come in."))


def _counts(allocation: Allocation) -> str:
    match allocation.state:
        case AllocationState.OPEN:
            return badge(_("waits to be paid"), "info")
        case AllocationState.PAID:
            return badge(_("counts"), "success")
    return badge(_("does not count"))


def _history_link(allocation: Allocation) -> str:
    url = reverse("admin:billing_allocation_history", args=[allocation.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', url, _("History"))
