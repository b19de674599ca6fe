"""The Stripe gateway and an order that its tests pay."""

from decimal import Decimal

from billing.gateways import base, stripe
from billing.gateways.base import Order

ORDER = Order(
    reference="41",
    key="2f4b7c1e",
    amount=Decimal("19.99"),
    currency="USD",
    description="Fine, loan 7",
    success_url="http://testserver/api/payments/success/",
    cancel_url="http://testserver/api/payments/cancel/",
)
GATEWAY = stripe.Stripe()
SESSIONS = "/v1/checkout/sessions"


def look_up(session_id: str) -> base.Snapshot:
    return GATEWAY.look_up(session_id, key=ORDER.key)


def close(session_id: str) -> base.Snapshot:
    return GATEWAY.close(session_id, key=ORDER.key)


def refund(transaction_id: str, amount: str, *, key: str = "r1") -> base.RefundSeen:
    return GATEWAY.refund(transaction_id, Decimal(amount), "USD", key=key, reference="3")
