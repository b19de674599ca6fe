"""What PayPal keeps for a merchant, as far as Carrel asks: orders, captures, refunds, webhooks.

A body that is not as PayPal describes it (`data/paypal_requests.json`) is refused with 400.
"""

import base64
import hmac
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Any
from zlib import crc32

from jsonschema import Draft202012Validator

SCHEMAS = json.loads((Path(__file__).parent / "data" / "paypal_requests.json").read_text())
WITHOUT_DECIMALS = ("HUF", "JPY", "TWD")
HOME = "https://api.sandbox.paypal.com"

Resource = dict[str, Any]


class RefusalError(Exception):
    """An answer other than what was asked for."""

    def __init__(self, status: int, name: str, issue: str = "") -> None:
        self.status = status
        self.body = {
            "name": name,
            "message": "A text that may quote the request.",
            "debug_id": "f00dbabe12345",
            "details": [{"issue": issue or name, "description": "Another such text."}],
        }


def unprocessable(issue: str) -> RefusalError:
    return RefusalError(422, "UNPROCESSABLE_ENTITY", issue)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    raw: bytes

    @property
    def id(self) -> str:
        return self.headers["PayPal-Request-Id"] or ""

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


def errors_in(what: str, value: object) -> list[str]:
    """Return where a value is not as PayPal describes `what`."""
    schema = {"$ref": f"#/$defs/{what}", "$defs": SCHEMAS["$defs"]}
    found = Draft202012Validator(schema).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def check(what: str, value: object) -> None:
    if errors_in(what, value):
        raise RefusalError(400, "INVALID_REQUEST", "INVALID_PARAMETER_SYNTAX")


class Account:
    client_secret, webhook_id = "SECRET-of-tests", "WEBHOOK0OF0TESTS"

    def __init__(self) -> None:
        # Its own for each server: Carrel keeps a token by it, and ports are used again.
        self.client_id = f"CLIENT-{token_hex(8)}"
        self.orders: dict[str, Resource] = {}
        self.captures: Counter[str] = Counter()
        """How often money was taken, by order."""
        self.tokens: set[str] = set()
        self.decline_next = self.pend_next = self.pend_next_refund = False
        self._remembered: dict[tuple[str, str], Resource] = {}
        self._numbers = count(1)

    # What Carrel asks for.

    def token(self, request: Request) -> Resource:
        pair = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        if request.headers["Authorization"] != f"Basic {pair}":
            raise RefusalError(401, "invalid_client")
        assert request.raw == b"grant_type=client_credentials"
        token = f"A21AA-TOKEN-of-tests-{next(self._numbers)}"
        self.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": 32400}

    def create_order(self, request: Request, url: str) -> Resource:
        check("create_order", request.body)
        check("request_id", request.id)
        made = self._remembered.get((request.path, request.id))
        return made or self._remember(request, self._new_order(request.body, url))

    def order(self, order_id: str) -> Resource:
        if order_id not in self.orders:
            raise RefusalError(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")
        return self.orders[order_id]

    def capture(self, request: Request, order_id: str) -> Resource:
        check("capture_order", request.body)
        check("request_id", request.id)
        order = self.order(order_id)
        if (request.path, request.id) in self._remembered:
            return order
        if order["status"] == "COMPLETED":
            raise unprocessable("ORDER_ALREADY_CAPTURED")
        if order["status"] != "APPROVED":
            raise unprocessable("ORDER_NOT_APPROVED")
        if self.decline_next:
            self.decline_next = False
            raise unprocessable("INSTRUMENT_DECLINED")
        self._take_money(order)
        return self._remember(request, order)

    def refund(self, request: Request, capture_id: str) -> Resource:
        check("refund_capture", request.body)
        check("request_id", request.id)
        made = self._remembered.get((request.path, request.id))
        if made:
            return made
        for order in self.orders.values():
            captures = order["purchase_units"][0].get("payments", {}).get("captures", ())
            if any(capture["id"] == capture_id for capture in captures):
                body = request.body
                return self._remember(request, self._give_back(order, **body))
        raise RefusalError(404, "RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID")

    def verify(self, request: Request) -> Resource:
        """Check a signature over the very bytes that were sent as the event, as PayPal does."""
        body = request.body
        check("verify_webhook_signature", body)
        event = request.raw.split(b'"webhook_event":', 1)[1].strip().removesuffix(b"}").strip()
        names = ("transmission_id", "transmission_time", "webhook_id")
        expected = self._signature(*(body[name] for name in names), event)
        good = hmac.compare_digest(expected, body["transmission_sig"])
        return {"verification_status": "SUCCESS" if good else "FAILURE"}

    # What else happens at PayPal.

    def approve(self, order_id: str) -> None:
        """The reader agrees, and comes back to the return URL."""
        assert self.orders[order_id]["status"] in {"PAYER_ACTION_REQUIRED", "APPROVED"}
        self.orders[order_id]["status"] = "APPROVED"

    def decline_next_capture(self) -> None:
        self.decline_next = True

    def pend_capture(self) -> None:
        """The next capture is of money that is yet to come."""
        self.pend_next = True

    def pend_refund(self) -> None:
        self.pend_next_refund = True

    def complete_pending(self, order_id: str, status: str = "COMPLETED") -> Resource:
        """The money of a pending capture, or of a pending refund, comes, or is DECLINED."""
        payments = self.orders[order_id]["purchase_units"][0]["payments"]
        [pending] = [
            each for all_of in payments.values() for each in all_of if each["status"] == "PENDING"
        ]
        pending["status"] = status
        return pending

    def refund_in_dashboard(self, order_id: str, value: str) -> Resource:
        """Give money back without Carrel: the refund inherits the order's custom_id."""
        amount = {**self.capture_of(order_id)["amount"], "value": value}
        order = self.orders[order_id]
        return self._give_back(order, amount, order["purchase_units"][0]["custom_id"])

    def void(self, order_id: str) -> None:
        self.orders[order_id]["status"] = "VOIDED"

    def forget(self, order_id: str) -> None:
        """PayPal answers 404 for an order that nobody approved in time."""
        del self.orders[order_id]

    def forget_tokens(self) -> None:
        self.tokens.clear()

    def capture_of(self, order_id: str) -> Resource:
        return self.orders[order_id]["purchase_units"][0]["payments"]["captures"][-1]

    def event(self, kind: str, resource: Resource) -> tuple[bytes, dict[str, str]]:
        """Return body and headers of a webhook that `verify` finds good."""
        event = {
            "id": f"WH-{next(self._numbers):017}",
            "event_type": kind,
            "summary": "Zapłacono",
            "resource": resource,
        }
        # Neither spaced nor escaped as json.dumps does it: only the very bytes pass.
        body = json.dumps(event, ensure_ascii=False, separators=(",", " :")).encode()
        return body, self.sign(body)

    def sign(self, body: bytes, *, at: datetime | None = None) -> dict[str, str]:
        sent = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")
        transmission = f"69cd13f0-d67a-11e5-baa3-{next(self._numbers):012}"
        return {
            "Content-Type": "application/json",
            "Paypal-Auth-Algo": "SHA256withRSA",
            "Paypal-Cert-Url": f"{HOME}/v1/notifications/certs/CERT-360caa42",
            "Paypal-Transmission-Id": transmission,
            "Paypal-Transmission-Sig": self._signature(transmission, sent, self.webhook_id, body),
            "Paypal-Transmission-Time": sent,
        }

    # How it is kept.

    def _signature(self, transmission: str, sent: str, webhook_id: str, body: bytes) -> str:
        signed = f"{transmission}|{sent}|{webhook_id}|{crc32(body)}"
        digest = hmac.digest(b"only PayPal has it", signed.encode(), "sha256")
        return base64.b64encode(digest).decode()

    def _remember(self, request: Request, resource: Resource) -> Resource:
        self._remembered[request.path, request.id] = resource
        return resource

    def _new_order(self, body: Resource, url: str) -> Resource:
        self._check_amount(body["purchase_units"][0]["amount"])
        order_id = f"5O{next(self._numbers):015}"
        order = {
            "id": order_id,
            "intent": "CAPTURE",
            "status": "PAYER_ACTION_REQUIRED",
            "create_time": _now(),
            "purchase_units": body["purchase_units"],
            "payment_source": body["payment_source"],
            "links": [
                {"rel": "self", "href": f"{url}/v2/checkout/orders/{order_id}"},
                {"rel": "payer-action", "href": f"{url}/checkoutnow?token={order_id}"},
            ],
        }
        self.orders[order_id] = order
        return order

    def _check_amount(self, amount: Resource) -> None:
        places = 0 if amount["currency_code"] in WITHOUT_DECIMALS else 2
        if -Decimal(amount["value"]).as_tuple().exponent > places:
            raise unprocessable("DECIMAL_PRECISION")
        if not Decimal(amount["value"]):
            raise unprocessable("CANNOT_BE_ZERO_OR_NEGATIVE")

    def _take_money(self, order: Resource) -> None:
        unit = order["purchase_units"][0]
        capture_id = f"3C{next(self._numbers):015}"
        capture = {
            "id": capture_id,
            "status": "PENDING" if self.pend_next else "COMPLETED",
            "amount": dict(unit["amount"]),
            "final_capture": True,
            "custom_id": unit["custom_id"],
            "supplementary_data": {"related_ids": {"order_id": order["id"]}},
            "links": [{"rel": "up", "href": f"{HOME}/v2/checkout/orders/{order['id']}"}],
        }
        self.pend_next = False
        unit.setdefault("payments", {}).setdefault("captures", []).append(capture)
        order["status"] = "COMPLETED"
        self.captures[order["id"]] += 1

    def _give_back(self, order: Resource, amount: Resource, custom_id: str) -> Resource:
        self._check_amount(amount)
        capture = self.capture_of(order["id"])
        refunds = order["purchase_units"][0]["payments"].setdefault("refunds", [])
        given = sum(Decimal(each["amount"]["value"]) for each in refunds)
        left = Decimal(capture["amount"]["value"]) - given - Decimal(amount["value"])
        if capture["status"] == "PENDING":
            raise unprocessable("PENDING_CAPTURE")
        if left < 0:
            raise unprocessable("REFUND_AMOUNT_EXCEEDED")
        capture["status"] = "PARTIALLY_REFUNDED" if left else "REFUNDED"
        refund = {
            "id": f"1R{next(self._numbers):015}",
            "status": "PENDING" if self.pend_next_refund else "COMPLETED",
            "amount": amount,
            "custom_id": custom_id,
            "links": [{"rel": "up", "href": f"{HOME}/v2/payments/captures/{capture['id']}"}],
        }
        self.pend_next_refund = False
        refunds.append(refund)
        return refund


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
