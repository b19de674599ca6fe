"""Money, providers and payments in a librarian's words."""

from decimal import Decimal

from django.conf import settings
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from alerts.backoffice.pages import badge, money, page_link
from billing import gateways
from billing.models import Payment, PaymentStatus, Refund, RefundStatus
from billing.settlements import RECEIVED

PAYMENT_COLOURS = {
    PaymentStatus.PROCESSING: "info",
    PaymentStatus.PAID: "success",
    PaymentStatus.FAILED: "danger",
    PaymentStatus.REVIEW: "danger",
}
REFUND_COLOURS = {
    RefundStatus.PENDING: "info",
    RefundStatus.DONE: "success",
    RefundStatus.FAILED: "danger",
}


def provider(name: str) -> str:
    """Return a provider's label; one that is listed no more keeps its name, as people write it."""
    if not name:
        return "–"
    known = dict(gateways.choices())
    return known.get(name) or _("%(provider)s (not set up any more)") % {
        "provider": name.capitalize()
    }


def amount(value: Decimal | None, currency: str) -> str:
    """Return a sum; the currency is named where it is not the library's."""
    if value is None or currency in ("", settings.CURRENCY):
        return money(value)
    return in_full(value, currency)


def in_full(value: Decimal, currency: str) -> str:
    """Return a sum with its currency, never broken over two lines."""
    return f"{money(value)}\xa0{currency}"


def purpose(payment: Payment) -> str:
    return payment.get_type_display() or _("several")


def left_to_refund(payment: Payment) -> Decimal:
    """Return what was received and not given back."""
    if payment.status not in RECEIVED:
        return Decimal("0.00")
    return (payment.paid_amount or Decimal("0.00")) - payment.refunded_amount


def payment_badge(payment: Payment) -> SafeString:
    """Return how a payment stands, with what its status alone does not say."""
    status = PaymentStatus(payment.status)
    if status == PaymentStatus.PENDING and payment.provider:
        return badge(_("session open"), "info")
    if status == PaymentStatus.PAID and not payment.paid_amount:
        return badge(_("nothing to pay"))
    if status == PaymentStatus.PAID and payment.refunded_amount:
        return badge(_("partly refunded"), "warning")
    if payment.must_close:
        return badge(_("given up, session not closed"), "warning")
    return badge(status.label, PAYMENT_COLOURS.get(status, ""))


def refund_badge(refund: Refund) -> SafeString:
    status = RefundStatus(refund.status)
    return badge(status.label, REFUND_COLOURS[status])


def payment_link(payment: Payment | None) -> str | SafeString:
    """Return a link to a payment, by its number and how it stands."""
    if payment is None:
        return "–"
    return page_link(
        payment, _("No. %(number)s: %(payment)s") % {"number": payment.pk, "payment": payment}
    )


def account_link(reader_id: int) -> SafeString:
    """Return a link to the account of a reader at the desk."""
    url = reverse("billing-account", args=[reader_id])
    return format_html('<a class="text-link" href="{}">{}</a>', url, _("Open the account"))
