"""PayPal's webhooks: PayPal itself says whether one is its own, and what it is about is read."""

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from billing.gateways import paypal_api
from billing.gateways.base import (
    BadSignatureError,
    ProviderEvent,
    RejectedError,
    UnreachableError,
)

HEADERS = {
    "auth_algo": "paypal-auth-algo",
    "cert_url": "paypal-cert-url",
    "transmission_id": "paypal-transmission-id",
    "transmission_sig": "paypal-transmission-sig",
    "transmission_time": "paypal-transmission-time",
}
AHEAD = timedelta(minutes=5)
"""How far PayPal's clock may be before ours."""
OLDEST = timedelta(days=3) + AHEAD
"""PayPal repeats an event for three days, and one of the first time must still be believed then."""


def read(body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
    """Return what a webhook is about.

    Raises BadSignatureError where it is not PayPal's, without asking PayPal if that shows already,
    and UnreachableError where PayPal cannot be asked.
    """
    if not settings.PAYPAL_WEBHOOK_ID:
        raise BadSignatureError(_("PAYPAL_WEBHOOK_ID is not set: no event can be checked."))
    text, event = _parse(body)
    _ask_paypal(text, _transmission(headers))
    return _hint(event)


def _parse(body: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = body.decode()
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise BadSignatureError(_("The event is not JSON.")) from None
    if not isinstance(event, dict) or not (_text(event, "id") and _text(event, "event_type")):
        raise BadSignatureError(_("The event has no id or no type."))
    return text, event


def _transmission(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that PayPal signed, by the names that its API has for them."""
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in HEADERS.values() if not given.get(name)]
    if missing:
        raise BadSignatureError(_("Without %(names)s.") % {"names": ", ".join(missing)})
    sent = {field: given[name] for field, name in HEADERS.items()}
    if not re.fullmatch(r"[A-Za-z0-9]{1,100}", sent["auth_algo"]):
        raise BadSignatureError(_("The signature's algorithm has no such name."))
    if not _is_paypals(sent["cert_url"]):
        raise BadSignatureError(_("The certificate is not on a server of PayPal's."))
    _check_time(sent["transmission_time"])
    return sent


def _is_paypals(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    at_home = host == "paypal.com" or host.endswith(".paypal.com")
    return parts.scheme == "https" and at_home and port in {None, 443} and "@" not in parts.netloc


def _check_time(sent: str) -> None:
    try:
        age = timezone.now() - datetime.fromisoformat(sent)
    except (TypeError, ValueError, OverflowError):
        raise BadSignatureError(_("The time of the transmission cannot be read.")) from None
    if not -AHEAD <= age <= OLDEST:
        raise BadSignatureError(_("The event was sent too long ago, or is yet to be sent."))


def _ask_paypal(text: str, transmission: dict[str, str]) -> None:
    """Have PayPal check the signature, over the body as it came: written anew it would differ."""
    fields = json.dumps({**transmission, "webhook_id": settings.PAYPAL_WEBHOOK_ID})
    question = f'{fields[:-1]}, "webhook_event": {text}}}'
    try:
        answer = paypal_api.post_text("/v1/notifications/verify-webhook-signature", question)
    except paypal_api.RefusedError as refusal:
        if refusal.status in {400, 422}:
            raise BadSignatureError(str(refusal)) from None
        raise UnreachableError(str(refusal)) from None
    except RejectedError as refusal:
        raise UnreachableError(str(refusal)) from None
    if answer.get("verification_status") != "SUCCESS":
        raise BadSignatureError(_("PayPal says that the event is not its own."))


def _hint(event: dict[str, Any]) -> ProviderEvent:
    kind = _text(event, "event_type")
    session_id = transaction_id = reference = ""
    resource = _part(event, "resource")
    if kind.startswith("CHECKOUT.ORDER."):
        session_id = _text(resource, "id")
        units = resource.get("purchase_units")
        if isinstance(units, list) and units and isinstance(units[0], dict):
            reference = _text(units[0], "custom_id")
    elif kind.startswith(("PAYMENT.CAPTURE.", "PAYMENT.REFUND.")):
        related = _part(_part(resource, "supplementary_data"), "related_ids")
        session_id = _text(related, "order_id")
        refunded = _refunded_capture(resource)
        transaction_id = refunded or _text(resource, "id")
        reference = "" if refunded else _text(resource, "custom_id")
    return ProviderEvent(
        id=_text(event, "id"),
        kind=kind,
        session_id=session_id,
        transaction_id=transaction_id,
        reference=reference,
    )


def _refunded_capture(resource: dict[str, Any]) -> str:
    """Return the capture above a refund; a capture itself has its order above it."""
    links = resource.get("links")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("rel") == "up":
            found = re.search(r"/captures/(\w+)$", _text(link, "href"))
            return found[1] if found else ""
    return ""


def _part(whole: dict[str, Any], name: str) -> dict[str, Any]:
    part = whole.get(name)
    return part if isinstance(part, dict) else {}


def _text(whole: dict[str, Any], name: str) -> str:
    value = whole.get(name)
    return value if isinstance(value, str) else ""
