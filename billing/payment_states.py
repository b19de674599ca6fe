"""What readers who come back from a provider are told of a payment: no more than is known of it."""

import re
from dataclasses import replace
from decimal import Decimal
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import formats
from django.utils.translation import gettext as _

from billing import links
from billing.models import Payment, PaymentStatus
from billing.reader_page import Page, Tone

MOST_TRIES = 8
"""So often a page looks again by itself; then it has a button for it."""


def is_undecided(payment: Payment) -> bool:
    """Tell whether money may still come in: also in a session that only Carrel has given up."""
    return payment.is_open or payment.must_close


def address(payment: Payment, *, tries: int = 0) -> str:
    """Return where this is shown; `tries` is how often it has looked again by itself."""
    query = {"session_id": payment.session_id or ""} | ({"tries": str(tries)} if tries else {})
    return f"{reverse('payment-success')}?{urlencode(query)}"


def page(payment: Payment, *, answered: bool, tries: str) -> Page:
    """Return what is said; `answered` where the provider has just told how it stands."""
    said = _undecided(payment, answered) if is_undecided(payment) else _decided(payment)
    data = {
        "status": payment.status,
        "money_to_pay": str(payment.money_to_pay),
        "currency": payment.currency,
    }
    said = replace(said, data=data)
    if said.tone != Tone.WAITING:
        return said
    tried = int(tries) if re.fullmatch(r"[0-9]{1,3}", tries) else 0
    if tried < MOST_TRIES:
        return replace(said, looks_again=address(payment, tries=tried + 1))
    if said.link:
        return said
    return replace(said, link=address(payment), link_label=_("Look again"))


def _undecided(payment: Payment, answered: bool) -> Page:
    asked = _sum(payment.money_to_pay, payment.currency)
    if payment.status == PaymentStatus.PROCESSING:
        text = _(
            "%(sum)s is not confirmed yet: with some ways to pay this takes days. "
            "Please do not pay again."
        )
        return Page("on_its_way", _("Your payment is on its way"), text % asked, Tone.WAITING)
    if payment.status == PaymentStatus.PENDING and answered:
        text = _("The payment provider has not received %(sum)s so far.")
        return Page(
            "not_paid_yet",
            _("Not paid yet"),
            text % asked,
            Tone.WAITING,
            link=links.for_payment(payment),
            link_label=_("Go on paying"),
        )
    text = _(
        "We wait for the payment provider to tell us about %(sum)s. "
        "Please do not pay again before you know."
    )
    return Page("being_confirmed", _("Your payment is being confirmed"), text % asked, Tone.WAITING)


def _decided(payment: Payment) -> Page:
    if payment.paid_amount is None:
        return Page(
            "not_paid",
            _("Not paid"),
            _("This payment of %(sum)s was not completed.")
            % _sum(payment.money_to_pay, payment.currency),
            Tone.BAD,
            link=links.for_payment(payment),
            link_label=_("Try again"),
        )
    received = _sum(payment.paid_amount, payment.paid_currency or payment.currency)
    if payment.status == PaymentStatus.REFUNDED:
        text = _("Your payment of %(sum)s was given back.")
        return Page("refunded", _("Payment refunded"), text % received)
    if payment.status == PaymentStatus.REVIEW:
        text = _("Your payment of %(sum)s has arrived. The library will look at it.")
        return Page("review", _("Payment received"), text % received, Tone.GOOD)
    text = _("Your payment of %(sum)s has arrived.")
    return Page("paid", _("Thank you"), text % received, Tone.GOOD)


def _sum(amount: Decimal, currency: str) -> dict[str, str]:
    """Return a sum as it was asked for or paid, whatever the site's currency is by now."""
    return {"sum": f"{formats.number_format(amount, 2)} {currency}"}
