"""PayPal on 127.0.0.1: an account behind HTTP, and what goes wrong on the way to it.

In another process, `environment()` is what makes Carrel talk to it.
"""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlencode

from tests.paypal_account import Account, RefusalError, Request, Resource

RETURN_URL = ("payment_source", "paypal", "experience_context", "return_url")


class ScriptedPayPal(Account):
    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._statuses: list[int] = []
        self._drop_next = False
        self._hang_next = 0.0
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._port = 0
        self._server: ThreadingHTTPServer | None = None
        self.up()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        if self._server:
            self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def environment(self) -> dict[str, str]:
        return {
            "PAYPAL_API_BASE": self.url,
            "PAYPAL_CLIENT_ID": self.client_id,
            "PAYPAL_CLIENT_SECRET": self.client_secret,
            "PAYPAL_WEBHOOK_ID": self.webhook_id,
        }

    def asked(self, method: str, path: str) -> list[Request]:
        """Return the requests so far whose path ends like this."""
        return [
            each
            for each in self.requests
            if (each.method, each.path[-len(path) :]) == (method, path)
        ]

    # What goes wrong. None of it meets the token's call, which a cached token would spare.

    def down(self) -> None:
        """Refuse connections until `up`; what PayPal knows stays."""
        server, self._server = self._server, None
        assert server, "it is down already"
        server.shutdown()
        server.server_close()

    def up(self) -> None:
        handler = type("Handler", (_Handler,), {"paypal": self})
        self._server = _Server(("127.0.0.1", self._port), handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def fail_next(self, status: int, times: int = 1) -> None:
        """Answer the next calls like this, and do nothing of what they ask."""
        self._statuses += [status] * times

    def drop_after_accepting(self) -> None:
        """Do what the next call asks, and hang up without an answer."""
        self._drop_next = True

    def hang(self, seconds: float) -> None:
        """Do what the next call asks, and keep the caller waiting for the answer."""
        self._hang_next = seconds

    # How calls are answered.

    def answer(self, request: Request) -> tuple[int, Resource] | None:
        """Return status and body, or None for no answer at all."""
        with self._lock:
            self.requests.append(request)
            if request.path == "/v1/oauth2/token":
                return self._attempt(request)
            status = self._statuses.pop(0) if self._statuses else 0
            done = (status, {"name": "SCRIPTED"}) if status else self._attempt(request)
            drop, self._drop_next = self._drop_next, False
            wait, self._hang_next = self._hang_next, 0.0
        if wait:
            self._closing.wait(wait)
        return None if drop else done

    def _attempt(self, request: Request) -> tuple[int, Resource]:
        try:
            resource = self._route(request)
        except RefusalError as refusal:
            return refusal.status, refusal.body
        minimal = request.headers["Prefer"] != "return=representation"
        if request.method == "POST" and request.path.startswith("/v2/") and minimal:
            resource = {name: resource[name] for name in ("id", "status", "links")}
        return (200 if request.method == "GET" else 201), json.loads(json.dumps(resource))

    def _route(self, request: Request) -> Resource:
        call = f"{request.method} {request.path}"
        if call == "POST /v1/oauth2/token":
            return self.token(request)
        if request.headers["Authorization"] not in {f"Bearer {token}" for token in self.tokens}:
            raise RefusalError(401, "AUTHENTICATION_FAILURE")
        if call == "POST /v2/checkout/orders":
            return self.create_order(request, self.url)
        if call == "POST /v1/notifications/verify-webhook-signature":
            return self.verify(request)
        if found := re.fullmatch(r"POST /v2/checkout/orders/(\w+)/capture", call):
            return self.capture(request, found[1])
        if found := re.fullmatch(r"POST /v2/payments/captures/(\w+)/refund", call):
            return self.refund(request, found[1])
        if found := re.fullmatch(r"GET /v2/checkout/orders/(\w+)", call):
            return self.order(found[1])
        raise RefusalError(404, "RESOURCE_NOT_FOUND")

    def approve_in_browser(self, order_id: str) -> str:
        """Approve, and return where PayPal sends the reader then."""
        self.approve(order_id)
        url: Any = self.orders[order_id]
        for name in RETURN_URL:
            url = url[name]
        query = urlencode({"token": order_id, "PayerID": "PAYER0OF0TESTS"})
        return f"{url}{'&' if '?' in url else '?'}{query}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # with 5, callers in a race wait a second for their connection


class _Handler(BaseHTTPRequestHandler):
    paypal: ScriptedPayPal

    def do_GET(self) -> None:
        path, _, order_id = self.path.partition("/checkoutnow?token=")
        if not path and order_id:
            self.send_response(302)
            self.send_header("Location", self.paypal.approve_in_browser(order_id))
            self.end_headers()
            return
        self._reply(b"")

    def do_POST(self) -> None:
        self._reply(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def _reply(self, raw: bytes) -> None:
        answer = self.paypal.answer(Request(self.command, self.path, self.headers, raw))
        if not answer:
            return
        status, resource = answer
        body = json.dumps(resource).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except ConnectionError:
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Say nothing: the test reads `requests`."""
