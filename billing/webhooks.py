"""Webhooks of providers: checked, stored once, then the payment they hint at is settled."""

from collections.abc import Mapping

from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import doers
from billing import payments
from billing.gateways.base import Gateway, GatewayError, ProviderEvent
from billing.models import Payment, PaymentEvent

LONGEST_OUTCOME = 500
LONGEST_KIND = LONGEST_REFERENCE = 100
LONGEST_ID = 255


def receive(gateway: Gateway, body: bytes, headers: Mapping[str, str]) -> PaymentEvent:
    """Store a provider's event, and handle it unless that was done before.

    Raises BadSignatureError, with nothing stored; whatever else is raised is kept with the event,
    which the provider's next delivery or the reconcile job handles again.
    """
    event = _store(gateway, gateway.read_event(body, headers))
    try:
        with doers.acting(doers.PROVIDER, gateway.name.capitalize()):
            handle(event)
    except Exception as problem:
        unhandled = PaymentEvent.objects.filter(pk=event.pk, handled_at=None)
        unhandled.update(outcome=_reason(problem)[:LONGEST_OUTCOME])
        raise
    return event


def handle(event: PaymentEvent) -> None:
    """Settle the payment that an event is about. Raises GatewayError."""
    if event.handled_at is not None:
        return
    payment = _payment_of(event)
    if payment is not None and payment.session_id is None and payment.key is not None:
        # The provider was quicker than our own note of the session: ask for it by the same key.
        payment = payments.open_session(payment)
    if payment is None:
        _close(event, _("It is about no payment of this library."))
    elif event.session_id and event.session_id != payment.session_id:
        _close(event, _("Its session is not the one that was opened for this payment."))
    else:
        payments.settle(payment, event=event)


def _store(gateway: Gateway, seen: ProviderEvent) -> PaymentEvent:
    event, is_new = PaymentEvent.objects.get_or_create(
        provider=gateway.name,
        event_id=seen.id,
        defaults={
            "kind": seen.kind[:LONGEST_KIND],
            "session_id": seen.session_id[:LONGEST_ID],
            "transaction_id": seen.transaction_id[:LONGEST_ID],
            "reference": seen.reference[:LONGEST_REFERENCE],
        },
    )
    if not is_new:
        PaymentEvent.objects.filter(pk=event.pk).update(deliveries=F("deliveries") + 1)
    return event


def _payment_of(event: PaymentEvent) -> Payment | None:
    ours = Payment.objects.filter(provider=event.provider).select_related("reader")
    if event.session_id and (found := ours.filter(session_id=event.session_id).first()):
        return found
    if event.transaction_id and (found := ours.filter(transaction_id=event.transaction_id).first()):
        return found
    if event.reference.isdecimal() and len(event.reference) < 18:
        return ours.filter(pk=int(event.reference)).first()
    return None


def _reason(problem: Exception) -> str:
    """Return a gateway's own words, which are made for staff; others may quote what is in rows."""
    if isinstance(problem, GatewayError):
        return str(problem)
    return _("%(kind)s: see the log of this server.") % {"kind": type(problem).__name__}


def _close(event: PaymentEvent, outcome: str) -> None:
    event.handled_at = timezone.now()
    event.outcome = outcome
    event.save(update_fields=["handled_at", "outcome"])
