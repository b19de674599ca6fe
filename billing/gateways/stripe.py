"""Stripe Checkout: a hosted page for each payment, by Stripe's own library."""

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import requests
import stripe
from django.conf import settings
from django.core.checks import CheckMessage
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from billing.currencies import UnpayableAmountError
from billing.gateways import stripe_amounts, stripe_checks
from billing.gateways.base import (
    TIMEOUT_SECONDS,
    BadSignatureError,
    Gateway,
    GatewayError,
    Order,
    ProviderEvent,
    RefundSeen,
    RejectedError,
    Session,
    Snapshot,
    State,
    UnreachableError,
)

# The library would keep a number of this machine in the home directory and send it along.
stripe.enable_telemetry = False

TOLERANCE_SECONDS = 300
REFUSALS = (
    stripe.AuthenticationError,
    stripe.PermissionError,
    stripe.InvalidRequestError,
    stripe.IdempotencyError,
    stripe.CardError,
)
LOST = ("requires_payment_method", "canceled")
REFUND_STATES = {"succeeded": State.PAID, "failed": State.FAILED, "canceled": State.FAILED}
SECRET = re.compile(r"\b(?:[rsp]k|whsec)_\S+")


class Stripe(Gateway):
    name = "STRIPE"
    label = gettext_lazy("Stripe")

    def missing(self) -> list[str]:
        return [] if settings.STRIPE_SECRET_KEY else ["STRIPE_SECRET_KEY"]

    def smallest(self, currency: str) -> Decimal:
        return stripe_amounts.smallest(currency)

    def open(self, order: Order) -> Session:
        metadata = {"payment": order.reference}
        joint = "&" if "?" in order.success_url else "?"
        with _asking() as client:
            session = client.v1.checkout.sessions.create(
                {
                    "mode": "payment",
                    "line_items": [
                        {
                            "quantity": 1,
                            "price_data": {
                                "currency": order.currency.lower(),
                                "unit_amount": stripe_amounts.to_minor(
                                    order.amount, order.currency
                                ),
                                "product_data": {"name": order.description},
                            },
                        }
                    ],
                    "client_reference_id": order.reference,
                    "metadata": metadata,
                    "payment_intent_data": {"metadata": metadata},
                    "success_url": f"{order.success_url}{joint}session_id={{CHECKOUT_SESSION_ID}}",
                    "cancel_url": order.cancel_url,
                },
                {"idempotency_key": order.key},
            )
            expires_at = datetime.fromtimestamp(session.expires_at, tz=UTC)
            return Session(session.id, session.url or "", expires_at)

    def look_up(self, session_id: str, *, key: str) -> Snapshot:
        with _asking() as client:
            return _look_up(client, session_id)

    def close(self, session_id: str, *, key: str) -> Snapshot:
        with _asking() as client:
            try:
                client.v1.checkout.sessions.expire(session_id)
            except stripe.InvalidRequestError:
                seen = _look_up(client, session_id)
                if seen.state is State.OPEN:
                    raise
                return seen
            return _look_up(client, session_id)

    def refund(
        self, transaction_id: str, amount: Decimal, currency: str, *, key: str, reference: str
    ) -> RefundSeen:
        with _asking() as client:
            made = client.v1.refunds.create(
                {
                    "payment_intent": transaction_id,
                    "amount": stripe_amounts.to_minor(amount, currency),
                    "metadata": {"refund": reference},
                },
                {"idempotency_key": key},
            )
            return _refund_seen(made)

    def read_event(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        given = {name.lower(): value for name, value in headers.items()}
        _check_signature(body, given.get("stripe-signature", ""))
        try:
            return _event(json.loads(body))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
            raise BadSignatureError("It is signed, but it is no event of Stripe's.") from None

    @property
    def can_check_events(self) -> bool:
        return bool(stripe_checks.webhook_secrets())

    def check(self, *, debug: bool) -> list[CheckMessage]:
        if not self.is_configured:
            return []
        return [
            *stripe_checks.check_key(debug=debug),
            *stripe_checks.check_webhook_secret(debug=debug),
        ]


@contextmanager
def _asking() -> Iterator[stripe.StripeClient]:
    """Give a client on a connection of its own; raise UnreachableError or RejectedError.

    Without retries by the library: who asks keeps the key and asks again. What the library raised
    is not chained, for its messages repeat a part of the secret key.
    """
    if not settings.STRIPE_SECRET_KEY:
        raise RejectedError(_("Stripe cannot be used before STRIPE_SECRET_KEY is set."))
    with requests.Session() as connection:
        client = stripe.StripeClient(
            settings.STRIPE_SECRET_KEY,
            base_addresses={"api": settings.STRIPE_API_BASE},
            http_client=stripe.RequestsClient(timeout=TIMEOUT_SECONDS, session=connection),
            max_network_retries=0,
        )
        try:
            yield client
        except stripe.StripeError as error:
            raise _translated(error) from None
        except UnpayableAmountError as error:
            raise RejectedError(str(error)) from None
        except AttributeError as error:
            raise UnreachableError(_("Stripe's answer lacks something: %s") % error) from error


def _translated(error: stripe.StripeError) -> GatewayError:
    """Return in our words what became of a call, with nothing of the key in it."""
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return RejectedError(_("Stripe does not accept the key in STRIPE_SECRET_KEY for this."))
    if isinstance(error, REFUSALS):
        return RejectedError(
            _("Stripe refused: %(why)s (request %(request)s)")
            % {"why": SECRET.sub("…", error.user_message or ""), "request": error.request_id or "-"}
        )
    if error.http_status:
        return UnreachableError(_("Stripe cannot do it now (HTTP %s).") % error.http_status)
    return UnreachableError(_("Stripe cannot be reached."))


def _look_up(client: stripe.StripeClient, session_id: str) -> Snapshot:
    session = client.v1.checkout.sessions.retrieve(session_id)
    intent, currency = _id_of(session.payment_intent), (session.currency or "").upper()
    state = _state(client, session, intent)
    minor = session.amount_total
    return Snapshot(
        state=state,
        reference=_kept(session.metadata, "payment"),
        amount=None if minor is None else stripe_amounts.from_minor(minor, currency),
        currency=currency,
        transaction_id=intent,
        refunds=_refunds(client, intent) if state is State.PAID and intent else (),
    )


def _state(client: stripe.StripeClient, session: stripe.checkout.Session, intent: str) -> State:
    if session.status == "open":
        return State.OPEN
    if session.status == "expired":
        return State.EXPIRED
    if session.payment_status != "unpaid":
        return State.PAID
    # Completed with a slow method. The session never says that the money did not come.
    if intent and client.v1.payment_intents.retrieve(intent).status in LOST:
        return State.FAILED
    return State.PROCESSING


def _refunds(client: stripe.StripeClient, intent: str) -> list[RefundSeen]:
    listed = client.v1.refunds.list({"payment_intent": intent, "limit": 100})
    return [_refund_seen(refund) for refund in listed.auto_paging_iter()]


def _refund_seen(refund: stripe.Refund) -> RefundSeen:
    return RefundSeen(
        id=refund.id,
        amount=stripe_amounts.from_minor(refund.amount, refund.currency.upper()),
        state=REFUND_STATES.get(refund.status or "", State.PROCESSING),
        reference=_kept(refund.metadata, "refund"),
    )


def _kept(metadata: Any, name: str) -> str:
    return str(metadata[name]) if metadata and name in metadata else ""


def _id_of(related: Any) -> str:
    """Return the id of an object that Stripe names, shows in full, or leaves out."""
    if isinstance(related, Mapping):
        return str(related["id"])
    return str(getattr(related, "id", related or ""))


def _check_signature(body: bytes, header: str) -> None:
    """Raise BadSignatureError, also for a time that is far in the future (the library takes it)."""
    for secret in stripe_checks.webhook_secrets():
        try:
            stripe.WebhookSignature.verify_header(body, header, secret, TOLERANCE_SECONDS)
        except (stripe.SignatureVerificationError, UnicodeDecodeError, TypeError):
            continue  # TypeError: a signature with other letters than ASCII's
        stamp = next(item[2:] for item in header.split(",") if item.startswith("t="))
        if int(stamp) > time.time() + TOLERANCE_SECONDS:
            raise BadSignatureError("It is signed for a time in the future.")
        return
    raise BadSignatureError("No secret of STRIPE_WEBHOOK_SECRET made its signature in time.")


def _event(event: Any) -> ProviderEvent:
    number, kind, subject = event["id"], event["type"], event["data"]["object"]
    if not (isinstance(number, str) and number and isinstance(kind, str)):
        raise ValueError("An event has an id and a type.")
    transaction = _id_of(subject.get("payment_intent"))
    if kind.startswith("checkout.session."):
        reference = _kept(subject.get("metadata"), "payment")
        return ProviderEvent(number, kind, _id_of(subject), transaction, reference)
    if kind.startswith("payment_intent."):
        reference = _kept(subject.get("metadata"), "payment")
        return ProviderEvent(number, kind, "", _id_of(subject), reference)
    if kind.startswith(("charge.refund", "refund.")):
        return ProviderEvent(number, kind, transaction_id=transaction)
    return ProviderEvent(number, kind)
