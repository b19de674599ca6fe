"""A server on loopback that a test can let fail, hang, drop its answers or refuse connections."""

import contextlib
import json
import re
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

Object = dict[str, Any]


class RefusedRequestError(Exception):
    """The answer to a request that is not carried out."""

    def __init__(self, status: int, body: Object) -> None:
        self.status, self.body = status, body


@dataclass(frozen=True)
class Call:
    """A request as it came in; a form or query `a[b][0]=c` is {"a": {"b": {"0": "c"}}}."""

    method: str
    path: str
    params: Object
    headers: Mapping[str, str]
    body: bytes

    @property
    def key(self) -> str:
        return self.headers.get("Idempotency-Key", "")

    @property
    def text(self) -> str:
        return f"{self.method} {self.path} {json.dumps(self.params, ensure_ascii=False)}"


class ScriptedServer(ABC):
    """Use it as a context manager. Each request has a thread; what they share is under `lock`."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.lock = threading.RLock()
        self._failures: list[RefusedRequestError] = []
        self._drops = 0
        self._delays: list[float] = []
        self._stopping = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Listen, on the same port as before `down`."""
        handler = type("Handler", (_Handler,), {"scripted": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections. What was accepted before is kept."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def fail_next(self, status: int, times: int = 1, *, code: str = "", message: str = "") -> None:
        """Refuse the next requests before anything is done for them."""
        refusal = self.refusal(status, message or f"Scripted to fail with {status}.", code=code)
        self._failures += [refusal] * times

    def answer_after_accepting_then_drop(self, times: int = 1) -> None:
        """Do what the next requests ask, then close the connection without an answer."""
        self._drops += times

    def hang(self, seconds: float, times: int = 1) -> None:
        """Do what the next requests ask, and answer so much later."""
        self._delays += [seconds] * times

    def sent(self, method: str, path: str) -> list[Call]:
        """Return the requests to this path, in order; `{id}` stands for any one part of it."""
        pattern = re.compile(re.escape(path).replace(r"\{id\}", "[^/]+"))
        return [
            call for call in self.calls if call.method == method and pattern.fullmatch(call.path)
        ]

    @property
    def text(self) -> str:
        """All that was ever sent here, readable, to look for what must not be in it."""
        return "\n".join(call.text for call in self.calls)

    @abstractmethod
    def refusal(self, status: int, message: str, *, code: str = "") -> RefusedRequestError:
        """Return a refusal in the provider's words."""

    @abstractmethod
    def carry_out(self, call: Call) -> Object:
        """Return the answer. Raises RefusedRequestError."""

    def answer(self, call: Call) -> tuple[int, Object] | None:
        """Return status and body, or None where the connection is to be dropped."""
        with self.lock:
            self.calls.append(call)
            failure = self._failures.pop(0) if self._failures else None
        try:
            if failure:
                raise failure
            status, body = 200, self.carry_out(call)
        except RefusedRequestError as refusal:
            status, body = refusal.status, refusal.body
        with self.lock:
            seconds = self._delays.pop(0) if self._delays else 0
            if self._drops:
                self._drops -= 1
                return None
        self._stopping.wait(seconds)
        return status, body


class _Handler(BaseHTTPRequestHandler):
    scripted: ScriptedServer

    def do_GET(self) -> None:
        self._serve(b"", urlsplit(self.path).query)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        is_form = self.headers.get_content_subtype() == "x-www-form-urlencoded"
        self._serve(body, body.decode() if is_form else "")

    def log_message(self, *_words: object) -> None:
        """Stay silent: pytest shows what matters."""

    def _serve(self, body: bytes, form: str) -> None:
        path = urlsplit(self.path).path
        answer = self.scripted.answer(Call(self.command, path, nested(form), self.headers, body))
        if answer is None:
            return
        status, content = answer
        sent = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(sent)))
        self.send_header("Request-Id", f"req_{len(self.scripted.calls)}")
        self.end_headers()
        # Who asked may have given up meanwhile.
        with contextlib.suppress(ConnectionError):
            self.wfile.write(sent)


def nested(form: str) -> Object:
    result: Object = {}
    for name, value in parse_qsl(form, keep_blank_values=True):
        *path, last = re.findall(r"[^\[\]]+", name)
        inner = result
        for step in path:
            inner = inner.setdefault(step, {})
        inner[last] = value
    return result
