"""npm's `emulate` as a Stripe for Checkout, with a relay in front that adds what it lacks.

The emulator keeps the session's state and metadata, serves the page on which it is paid, and signs
its events. It knows no price_data, shows no amount, currency, expiry or PaymentIntent with a
session, has no refunds, and gives its events no id. The relay makes a product and a price first,
makes and confirms a PaymentIntent (the emulator's own) once a session is paid, repeats what the
session was asked for, and passes events on with an id, signed again by Stripe's library.
"""

import json
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any, Self

import requests
from stripe import WebhookSignature

from tests.emulators import HERE, node, running
from tests.scripted_server import Call, Object, RefusedRequestError, ScriptedServer

SECRET_KEY = "sk_test_of_the_emulator"
WEBHOOK_SECRET = "whsec_of_the_emulator"
SESSIONS = "/v1/checkout/sessions"
TIMEOUT = 20


@dataclass(frozen=True)
class Delivery:
    """A webhook with its signature header, as the emulator sent it and as it was passed on."""

    kind: str
    raw: bytes
    raw_headers: dict[str, str]
    body: bytes
    headers: dict[str, str]


class EmulatedStripe(ScriptedServer):
    """`forward_to` is the address that webhooks are passed on to; they are kept in any case."""

    def __init__(self) -> None:
        super().__init__()
        self.forward_to = ""
        self.deliveries: list[Delivery] = []
        self._asked: dict[str, Object] = {}
        self._completing = threading.Lock()
        self._numbers = count(1)
        self._open = ExitStack()
        self._emulator = ""

    def __enter__(self) -> Self:
        super().__enter__()
        command = [node(), str(HERE / "stripe.mjs"), f"{self.url}/webhook", WEBHOOK_SECRET]
        self._emulator = self._open.enter_context(running(command))
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()
        super().__exit__(*error)

    def environment(self) -> dict[str, str]:
        """Return what another process needs in its environment to be sent here."""
        return {
            "STRIPE_SECRET_KEY": SECRET_KEY,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": self.url,
        }

    def pay(self, session_id: str) -> str:
        """Press the button on the emulator's page; return where the reader is sent then."""
        address = f"{self._emulator}/checkout/{session_id}/complete"
        answer = requests.post(address, timeout=TIMEOUT, allow_redirects=False)
        return answer.headers["Location"]

    def delivered(self, kind: str) -> Delivery:
        """Return the latest webhook of this kind; it comes before `pay` or a closing returns."""
        return next(each for each in reversed(self.deliveries) if each.kind == kind)

    def refusal(self, status: int, message: str, *, code: str = "") -> RefusedRequestError:
        return RefusedRequestError(status, {"error": {"message": message, "code": code}})

    def carry_out(self, call: Call) -> Object:
        if call.path == "/webhook":
            return self._pass_on(call)
        if (call.method, call.path) == ("POST", SESSIONS):
            return self._create(call.params)
        if (call.method, call.path) == ("GET", "/v1/refunds"):
            return {"object": "list", "data": [], "has_more": False, "url": call.path}
        answer = self._ask(call.method, call.path)
        return self._complete(answer) if call.path.startswith(SESSIONS) else answer

    def _ask(self, method: str, path: str, form: Object | None = None) -> Object:
        headers = {"Authorization": f"Bearer {SECRET_KEY}"}
        address = f"{self._emulator}{path}"
        answer = requests.request(method, address, data=form, headers=headers, timeout=TIMEOUT)
        if not answer.ok:
            raise RefusedRequestError(answer.status_code, answer.json())
        found: Object = answer.json()
        return found

    def _create(self, params: Object) -> Object:
        price = params["line_items"]["0"]["price_data"]
        product = self._ask("POST", "/v1/products", price["product_data"])
        asked = {"currency": price["currency"], "unit_amount": price["unit_amount"]}
        made = self._ask("POST", "/v1/prices", {**asked, "product": product["id"]})
        form = {
            "mode": params["mode"],
            "success_url": params["success_url"],
            "cancel_url": params["cancel_url"],
            "line_items[0][price]": made["id"],
            "line_items[0][quantity]": 1,
            **{f"metadata[{name}]": value for name, value in params["metadata"].items()},
        }
        session = self._ask("POST", SESSIONS, form)
        self._asked[session["id"]] = {
            "amount_total": made["unit_amount"],
            "client_reference_id": params["client_reference_id"],
            "currency": made["currency"],
            "expires_at": int(time.time()) + 24 * 60 * 60,
            "payment_intent": None,
        }
        return self._complete(session)

    def _complete(self, session: Object) -> Object:
        """Add what the emulator does not tell about a session; once paid, a PaymentIntent."""
        with self._completing:
            asked = self._asked[session["id"]]
            if session["payment_status"] == "paid" and not asked["payment_intent"]:
                money = {"amount": asked["amount_total"], "currency": asked["currency"]}
                intent = self._ask("POST", "/v1/payment_intents", money)
                self._ask("POST", f"/v1/payment_intents/{intent['id']}/confirm")
                asked["payment_intent"] = intent["id"]
            return session | asked

    def _pass_on(self, call: Call) -> Object:
        signature = call.headers["Stripe-Signature"]
        event: dict[str, Any] = json.loads(call.body)
        if event["type"].startswith("checkout.session."):
            event["data"]["object"] = self._complete(event["data"]["object"])
        event |= {"id": f"evt_{next(self._numbers)}", "object": "event"}
        body = json.dumps(event)
        signed = WebhookSignature.generate_signature_header(body, WEBHOOK_SECRET)
        headers, raw_headers = {"Stripe-Signature": signed}, {"Stripe-Signature": signature}
        delivery = Delivery(event["type"], call.body, raw_headers, body.encode(), headers)
        self.deliveries.append(delivery)
        if self.forward_to:
            sent = {**headers, "Content-Type": "application/json"}
            answer = requests.post(self.forward_to, body, headers=sent, timeout=TIMEOUT)
            if not answer.ok:
                raise RefusedRequestError(answer.status_code, {})
        return {}
