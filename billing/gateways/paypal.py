"""PayPal's Orders API, version 2: the reader approves an order, and we capture it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlsplit

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _

from billing import currencies
from billing.gateways import paypal_api, paypal_events
from billing.gateways.base import (
    Gateway,
    Order,
    ProviderEvent,
    RefundSeen,
    RejectedError,
    Session,
    Snapshot,
    State,
)

# fmt: off
CURRENCIES = frozenset({
    "AUD", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "JPY",
    "MXN", "MYR", "NOK", "NZD", "PHP", "PLN", "SEK", "SGD", "THB", "TWD", "USD",
})
# fmt: on
WHOLE = frozenset({"HUF", "JPY", "TWD"})
"""Both from PayPal's reference, "Currency codes"."""

ORDERS = "/v2/checkout/orders"
REDIRECT_WITHIN = timedelta(hours=3)
"""From the making of an order, where PayPal has agreed on nothing else: its Orders API, `links`."""
DESCRIPTION_BYTES = 127
READ_AGAIN = frozenset(
    {
        "INSTRUMENT_DECLINED",
        "ORDER_ALREADY_CAPTURED",
        "ORDER_NOT_APPROVED",
        "PAYER_ACTION_REQUIRED",
    }
)
"""Refusals of a capture after which the order itself says how it stands."""
GONE = frozenset({"ORDER_EXPIRED", "RESOURCE_NOT_FOUND"})

CAPTURES = {
    "COMPLETED": State.PAID,
    "PARTIALLY_REFUNDED": State.PAID,
    "REFUNDED": State.PAID,
    "PENDING": State.PROCESSING,
    "DECLINED": State.FAILED,
    "FAILED": State.FAILED,
}
REFUNDS = {
    "COMPLETED": State.PAID,
    "PENDING": State.PROCESSING,
    "CANCELLED": State.FAILED,
    "FAILED": State.FAILED,
}
BEST_FIRST = (State.PAID, State.PROCESSING, State.FAILED)
REFUND_PREFIX = "refund-"
"""A refund made at PayPal inherits the payment's number; ours must not be taken for one."""


class PayPal(Gateway):
    """Takes money only when an approved order is captured, which `look_up` alone does."""

    name = "PAYPAL"
    label = "PayPal"

    def missing(self) -> list[str]:
        needed = ("PAYPAL_CLIENT_ID", "PAYPAL_CLIENT_SECRET")
        return [name for name in needed if not getattr(settings, name)]

    def smallest(self, currency: str) -> Decimal:
        return Decimal(1).scaleb(-_places(currency))

    def open(self, order: Order) -> Session:
        made = paypal_api.post(ORDERS, _order_request(order), request_id=order.key)
        with paypal_api.understood():
            links = {link["rel"]: str(link["href"]) for link in made["links"]}
            return Session(
                id=str(made["id"]),
                url=links.get("payer-action") or links["approve"],
                expires_at=datetime.fromisoformat(made["create_time"]) + REDIRECT_WITHIN,
            )

    def look_up(self, session_id: str, *, key: str) -> Snapshot:
        order = _find(session_id)
        if order and order.get("status") == "APPROVED":
            order = _capture(session_id, key)
        return _snapshot(order)

    def close(self, session_id: str, *, key: str) -> Snapshot:
        """Return what is paid, or on its way; else EXPIRED, as nobody will capture the order.

        PayPal has no call that ends an order: one that is not captured ends by itself. So a session
        that was closed must not be looked up any more: that would capture what was approved late.
        """
        seen = _snapshot(_find(session_id))
        if seen.state in {State.PAID, State.PROCESSING, State.FAILED}:
            return seen
        return Snapshot(State.EXPIRED, seen.reference)

    def refund(
        self, transaction_id: str, amount: Decimal, currency: str, *, key: str, reference: str
    ) -> RefundSeen:
        made = paypal_api.post(
            f"/v2/payments/captures/{quote(transaction_id, safe='')}/refund",
            {"amount": _money(amount, currency), "custom_id": f"{REFUND_PREFIX}{reference}"},
            request_id=key,
        )
        with paypal_api.understood():
            state = REFUNDS.get(made["status"], State.PROCESSING)
            return RefundSeen(str(made["id"]), amount, state, reference)

    def read_event(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        return paypal_events.read(body, headers)

    @property
    def can_check_events(self) -> bool:
        return bool(settings.PAYPAL_WEBHOOK_ID)

    def check(self, *, debug: bool) -> list[checks.CheckMessage]:
        missing = self.missing()
        if missing:
            return [] if len(missing) == 2 else [_half_configured(missing[0])]
        return [*_check_base(debug=debug), *_check_webhook(debug=debug), *_check_currency()]


def _order_request(order: Order) -> dict[str, Any]:
    """Return an order without an invoice number.

    PayPal wants that unique in the whole account, and a second library there would count alike.
    """
    unit: dict[str, Any] = {
        "reference_id": order.reference,
        "custom_id": order.reference,
        "amount": _money(order.amount, order.currency),
    }
    if order.description:
        # PayPal counts bytes, so that the cut may go through a character.
        cut = order.description.encode()[:DESCRIPTION_BYTES]
        unit["description"] = cut.decode(errors="ignore")
    experience = {
        "return_url": order.success_url,
        "cancel_url": order.cancel_url,
        "user_action": "PAY_NOW",
        "shipping_preference": "NO_SHIPPING",
    }
    return {
        "intent": "CAPTURE",
        "purchase_units": [unit],
        "payment_source": {"paypal": {"experience_context": experience}},
    }


def _places(currency: str) -> int:
    return 0 if currency in WHOLE else currencies.decimals(currency)


def _money(amount: Decimal, currency: str) -> dict[str, str]:
    places = _places(currency)
    try:
        minor = currencies.to_minor(amount, places)
    except currencies.UnpayableAmountError as problem:
        raise RejectedError(str(problem)) from None
    return {"currency_code": currency, "value": f"{Decimal(minor).scaleb(-places):f}"}


def _find(session_id: str) -> paypal_api.Answer | None:
    """Return an order, None once PayPal has forgotten it, as it does with those not approved."""
    try:
        return paypal_api.get(f"{ORDERS}/{quote(session_id, safe='')}")
    except paypal_api.RefusedError as refusal:
        if refusal.issues & GONE:
            return None
        raise


def _capture(session_id: str, key: str) -> paypal_api.Answer | None:
    """Take the money, once: asked again with the same key, PayPal returns what was captured."""
    path = f"{ORDERS}/{quote(session_id, safe='')}/capture"
    try:
        return paypal_api.post(path, {}, request_id=f"{key}-capture")
    except paypal_api.RefusedError as refusal:
        if refusal.issues & READ_AGAIN:
            return _find(session_id)
        if refusal.issues & GONE:
            return None
        raise


def _snapshot(order: paypal_api.Answer | None) -> Snapshot:
    if order is None:
        return Snapshot(State.EXPIRED, reference="")
    with paypal_api.understood():
        unit = order["purchase_units"][0]
        payments = unit.get("payments") or {}
        state, capture = _best(payments.get("captures") or ())
        if capture is None or (state is State.FAILED and order["status"] != "COMPLETED"):
            state = _uncaptured(order["status"])
        money = (capture or unit)["amount"]
        return Snapshot(
            state=state,
            reference=str(unit.get("custom_id") or (capture or {}).get("custom_id") or ""),
            amount=Decimal(money["value"]),
            currency=str(money["currency_code"]),
            transaction_id=str(capture["id"]) if capture else "",
            refunds=[_refund_seen(refund) for refund in payments.get("refunds") or ()],
        )


def _best(captures: Sequence[dict[str, Any]]) -> tuple[State, dict[str, Any] | None]:
    """Return the capture that took money, if any did: others of the order may have failed."""
    states = [(CAPTURES.get(each["status"], State.PROCESSING), each) for each in captures]
    return min(states, key=lambda pair: BEST_FIRST.index(pair[0]), default=(State.OPEN, None))


def _uncaptured(status: str) -> State:
    if status == "VOIDED":
        return State.EXPIRED
    return State.PROCESSING if status == "COMPLETED" else State.OPEN


def _refund_seen(refund: dict[str, Any]) -> RefundSeen:
    custom_id = str(refund.get("custom_id") or "")
    ours = custom_id.startswith(REFUND_PREFIX)
    return RefundSeen(
        id=str(refund["id"]),
        amount=Decimal(refund["amount"]["value"]),
        state=REFUNDS.get(refund["status"], State.PROCESSING),
        reference=custom_id.removeprefix(REFUND_PREFIX) if ours else "",
    )


def _half_configured(name: str) -> checks.CheckMessage:
    return checks.Error(
        _("PayPal is configured in part: %(name)s is not set.") % {"name": name},
        hint=_("Set it, or remove the other, to go on without PayPal."),
        id="billing.E011",
    )


def _check_base(*, debug: bool) -> list[checks.CheckMessage]:
    parts = urlsplit(settings.PAYPAL_API_BASE)
    host = parts.hostname or ""
    if parts.scheme != "https" and host not in {"127.0.0.1", "localhost", "::1"}:
        message = _("PAYPAL_API_BASE does not begin with https://: the secret would be readable.")
        return [
            checks.Error(message, hint=_("Set it to https://api-m.paypal.com."), id="billing.E012")
        ]
    if debug and host in {"api.paypal.com", "api-m.paypal.com"}:
        message = _("DEBUG is on, and PayPal would take real money.")
        hint = _("Set PAYPAL_API_BASE=https://api-m.sandbox.paypal.com, or DEBUG=false.")
        return [checks.Error(message, hint=hint, id="billing.E013")]
    if not debug and host.endswith(".sandbox.paypal.com"):
        message = _("PAYPAL_API_BASE is PayPal's sandbox: no money is taken.")
        hint = _("Set PAYPAL_API_BASE=https://api-m.paypal.com once this site is for readers.")
        return [checks.Warning(message, hint=hint, id="billing.W011")]
    return []


def _check_webhook(*, debug: bool) -> list[checks.CheckMessage]:
    if debug or settings.PAYPAL_WEBHOOK_ID:
        return []
    message = _("PAYPAL_WEBHOOK_ID is not set: events of PayPal cannot be checked.")
    hint = _("Add the webhook in PayPal's dashboard and set the id that it is given there.")
    return [checks.Error(message, hint=hint, id="billing.E014")]


def _check_currency() -> list[checks.CheckMessage]:
    currency = settings.CURRENCY
    if currency not in CURRENCIES:
        message = _("PayPal does not take %(currency)s.") % {"currency": currency}
        hint = _("Set CURRENCY to one that it takes (%(all)s), or go on without PayPal.")
        listed = ", ".join(sorted(CURRENCIES))
        return [checks.Error(message, hint=hint % {"all": listed}, id="billing.E015")]
    if currency in WHOLE:
        message = _("PayPal takes %(currency)s in whole units alone.") % {"currency": currency}
        hint = _("Use whole sums for fees and fines; others can be paid in cash alone.")
        return [checks.Warning(message, hint=hint, id="billing.W012")]
    return []
