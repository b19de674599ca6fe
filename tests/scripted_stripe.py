"""A Stripe on loopback that a test can script: it remembers, replays keys, and plays the reader.

It speaks as much of Checkout sessions and refunds as the gateway does, and refuses parameters that
it does not know. Its state lives in the process of the test; other processes reach it over HTTP by
the variables of `environment()`.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from stripe import WebhookSignature

from tests.scripted_server import Call, Object, RefusedRequestError, ScriptedServer

SECRET_KEY = "sk_test_of_a_scripted_server"
WEBHOOK_SECRET = "whsec_of_a_scripted_server"
DAY = 24 * 60 * 60
SMALLEST = {"usd": 50, "jpy": 50}
KNOWN = {
    "cancel_url", "client_reference_id", "line_items", "metadata", "mode", "payment_intent_data",
    "success_url",
}  # fmt: skip


class ScriptedStripe(ScriptedServer):
    """`refund_status` is what becomes of a refund at first; `finish_refund` changes it later."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: dict[str, Object] = {}
        self.intents: dict[str, Object] = {}
        self.refunds: dict[str, Object] = {}
        self.refund_status = "succeeded"
        self._numbers = count(1)
        self._answers: dict[str, tuple[Any, Object]] = {}

    def environment(self) -> dict[str, str]:
        """Return what another process needs in its environment to be sent here."""
        return {
            "STRIPE_SECRET_KEY": SECRET_KEY,
            "STRIPE_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "STRIPE_API_BASE": self.url,
        }

    def pay(self, session_id: str) -> Object:
        """The reader pays by card."""
        session = self._complete(session_id, "paid")
        self.intents[session["payment_intent"]]["status"] = "succeeded"
        return session

    def pay_later(self, session_id: str) -> Object:
        """The reader chooses a slow method: complete, and still unpaid."""
        return self._complete(session_id, "unpaid")

    def succeed_later(self, session_id: str) -> Object:
        """The money of a slow method arrives."""
        session = self.sessions[session_id]
        session["payment_status"] = "paid"
        self.intents[session["payment_intent"]]["status"] = "succeeded"
        return session

    def fail_later(self, session_id: str) -> Object:
        """The money of a slow method does not arrive."""
        session = self.sessions[session_id]
        self.intents[session["payment_intent"]]["status"] = "requires_payment_method"
        return session

    def expire(self, session_id: str) -> Object:
        """The session's time is over."""
        with self.lock:
            session = self._find("checkout.session", self.sessions, session_id)
            if session["status"] != "open":
                message = 'Only Checkout Sessions with a status in ["open"] can be expired.'
                raise self.refusal(400, message)
            session |= {"status": "expired", "url": None}
            return session

    def change(self, session_id: str, **fields: Any) -> None:
        """Let the session be another than was asked for: `amount_total=1`, `currency="eur"`."""
        self.sessions[session_id] |= fields

    def refund_in_dashboard(self, session_id: str, minor: int | None = None) -> Object:
        """Staff send money back without asking Carrel: all that is left, or so much."""
        return self._refund({"payment_intent": self.sessions[session_id]["payment_intent"]}, minor)

    def finish_refund(self, refund_id: str, status: str) -> None:
        """A refund that was on its way is `succeeded`, `failed` or `canceled`."""
        self.refunds[refund_id]["status"] = status

    def event(
        self,
        kind: str,
        about: str | Object,
        *,
        event_id: str = "",
        at: float | None = None,
        secret: str = WEBHOOK_SECRET,
    ) -> tuple[bytes, dict[str, str]]:
        """Return a webhook's body and headers, signed by the SDK, about an object or its id."""
        shown = {number: self._shown(session) for number, session in self.sessions.items()}
        everything = shown | self.intents | self.refunds
        body = json.dumps({
            "id": event_id or f"evt_{next(self._numbers)}",
            "object": "event",
            "created": int(time.time()),
            "livemode": False,
            "type": kind,
            "data": {"object": everything[about] if isinstance(about, str) else about},
        })  # fmt: skip
        return body.encode(), self.signature(body, at=at, secret=secret)

    def signature(
        self, body: str, *, at: float | None = None, secret: str = WEBHOOK_SECRET
    ) -> dict[str, str]:
        """Return the header that goes with a body."""
        stamp = int(time.time() if at is None else at)
        signed = WebhookSignature.generate_signature_header(body, secret, timestamp=stamp)
        return {"Stripe-Signature": signed}

    def refusal(
        self, status: int, message: str, *, code: str = "", kind: str = ""
    ) -> RefusedRequestError:
        usual = "api_error" if status >= 500 else "invalid_request_error"
        kind = kind or {402: "card_error"}.get(status, usual)
        error = {"type": kind, "message": message} | ({"code": code} if code else {})
        return RefusedRequestError(status, {"error": error})

    def carry_out(self, call: Call) -> Object:
        given = call.headers.get("Authorization", "").removeprefix("Bearer ")
        if given != SECRET_KEY:
            raise self.refusal(401, f"Invalid API Key provided: {given[:8]}****{given[-4:]}")
        with self.lock:
            return self._remembered(call) if call.key else self._do(call)

    def _remembered(self, call: Call) -> Object:
        """Answer as before for the same key, whatever became of the object since."""
        asked = (call.path, call.params)
        before, answer = self._answers.get(call.key, (asked, None))
        if before != asked:
            message = "Keys for idempotent requests can only be used with the same parameters."
            raise self.refusal(400, message, kind="idempotency_error")
        if answer is None:
            answer = json.loads(json.dumps(self._do(call)))
            self._answers[call.key] = (asked, answer)
        return answer

    def _do(self, call: Call) -> Object:
        routes: list[tuple[str, str, Callable[..., Object]]] = [
            ("POST", r"/v1/checkout/sessions", self._create),
            ("GET", r"/v1/checkout/sessions/([^/]+)", self._retrieve),
            ("POST", r"/v1/checkout/sessions/([^/]+)/expire", self._expire),
            ("GET", r"/v1/payment_intents/([^/]+)", self._retrieve_intent),
            ("POST", r"/v1/refunds", self._refund),
            ("GET", r"/v1/refunds", self._list_refunds),
        ]
        for method, path, act in routes:
            if method == call.method and (match := re.fullmatch(path, call.path)):
                return act(call.params, *match.groups())
        raise self.refusal(404, f"Unrecognized request URL ({call.method}: {call.path}).")

    def _create(self, params: Object) -> Object:
        if unknown := params.keys() - KNOWN:
            raise self.refusal(400, f"Received unknown parameter: {min(unknown)}")
        if params.get("mode") != "payment" or not params.get("success_url"):
            raise self.refusal(400, "Missing required param: mode or success_url.")
        items = params["line_items"].values()
        prices = [(item["price_data"], int(item["quantity"])) for item in items]
        amount = sum(int(price["unit_amount"]) * quantity for price, quantity in prices)
        currency = prices[0][0]["currency"]
        if amount < SMALLEST.get(currency, 1):
            message = "The Checkout Session's total amount due must add up to at least $0.50 usd"
            raise self.refusal(400, message, code="amount_too_small")
        number = f"cs_test_{next(self._numbers)}"
        self.sessions[number] = {
            "id": number,
            "object": "checkout.session",
            "amount_total": amount,
            "client_reference_id": params.get("client_reference_id"),
            "currency": currency,
            "expires_at": int(time.time()) + DAY,
            "livemode": False,
            "metadata": params.get("metadata", {}),
            "mode": "payment",
            "payment_intent": None,
            "payment_intent_data": params.get("payment_intent_data", {}),
            "payment_status": "unpaid",
            "status": "open",
            "success_url": params["success_url"],
            "url": f"{self.url}/pay/{number}",
        }
        return self._shown(self.sessions[number])

    def _retrieve(self, _params: Object, session_id: str) -> Object:
        return self._shown(self._find("checkout.session", self.sessions, session_id))

    def _expire(self, _params: Object, session_id: str) -> Object:
        return self._shown(self.expire(session_id))

    def _retrieve_intent(self, _params: Object, intent_id: str) -> Object:
        return self._find("payment_intent", self.intents, intent_id)

    def _complete(self, session_id: str, payment_status: str) -> Object:
        with self.lock:
            session = self.sessions[session_id]
            assert session["status"] == "open", f"{session_id} is {session['status']}"
            number = f"pi_{next(self._numbers)}"
            self.intents[number] = {
                "id": number,
                "object": "payment_intent",
                "amount": session["amount_total"],
                "currency": session["currency"],
                "metadata": session["payment_intent_data"].get("metadata", {}),
                "status": "processing",
            }
            session |= {"status": "complete", "payment_status": payment_status, "url": None}
            session["payment_intent"] = number
            return session

    def _refund(self, params: Object, minor: int | None = None) -> Object:
        with self.lock:
            intent = self._find("payment_intent", self.intents, params["payment_intent"])
            left = intent["amount"] - sum(
                refund["amount"]
                for refund in self.refunds.values()
                if refund["payment_intent"] == intent["id"]
                and refund["status"] not in ("failed", "canceled")
            )
            amount = minor or int(params.get("amount", left))
            if intent["status"] != "succeeded" or not left:
                raise self.refusal(
                    400, "The charge cannot be refunded.", code="charge_already_refunded"
                )
            if amount > left:
                raise self.refusal(
                    400, f"Refund amount ({amount}) is greater than what is left ({left})."
                )
            number = f"re_{next(self._numbers)}"
            self.refunds[number] = {
                "id": number,
                "object": "refund",
                "amount": amount,
                "currency": intent["currency"],
                "metadata": params.get("metadata", {}),
                "payment_intent": intent["id"],
                "status": self.refund_status,
            }
            return self.refunds[number]

    def _list_refunds(self, params: Object) -> Object:
        mine = [
            refund
            for refund in reversed(self.refunds.values())
            if refund["payment_intent"] == params["payment_intent"]
        ]
        return {"object": "list", "data": mine, "has_more": False, "url": "/v1/refunds"}

    def _shown(self, session: Object) -> Object:
        return {name: value for name, value in session.items() if name != "payment_intent_data"}

    def _find(self, kind: str, among: Mapping[str, Object], number: str) -> Object:
        if number not in among:
            raise self.refusal(404, f"No such {kind}: '{number}'", code="resource_missing")
        return among[number]
