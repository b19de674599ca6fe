"""Fixtures: far ends of alerts on loopback, with the settings that lead to them."""

import asyncio
import email
import email.policy
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pytest_django import Settings
from pytest_httpserver import HTTPServer

from alerts.backends.base import Message
from tests.faulty_server import FaultyServer

BOT_TOKEN = "7000000001:AAE-of_the_tests-0123456789abcdefghi"
BOT_PATH = f"/bot{BOT_TOKEN}/sendMessage"
MAIL_USER, MAIL_PASSWORD = "library", "correct horse"
HOOK_NAME = "hooks.example.org"


def make_message(**given: Any) -> Message:
    values: dict[str, Any] = {
        "id": UUID("0b9e6f1c-3c39-4d3f-9d7c-6f6f3a1c2b11"),
        "kind": "LOAN_OVERDUE",
        "notification_type": "overdue",
        "subject": "“Solaris” is overdue",
        "text": "“Solaris” was due on March 2.\nPlease bring it back.\n",
        "html": "<p>“Solaris” was due on March 2.</p>",
        "created_at": datetime(2026, 3, 3, 6, tzinfo=UTC),
        "recipient_id": 12,
        "recipient_email": "anna@example.org",
        "metadata": {"loan_id": "41", "book_title": "Solaris", "due_date": "2026-03-02"},
    }
    return Message(**{**values, **given})


class MailServer:
    """SMTP with STARTTLS and AUTH, both required; its replies can be scripted."""

    has_tls = True
    is_wrapped = False
    """TLS from the first byte on, and no AUTH."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.inbox: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.replies: dict[str, str] = {}
        """What is said to MAIL, RCPT or DATA instead of 250."""
        self.goodbye = "221 Bye"
        """What is said to QUIT; with "" nothing ever is."""
        self.port = _free_port()
        self._tls = tls
        self._controller: Controller | None = None

    def environment(self) -> dict[str, str]:
        """Return the variables that lead another process here, beside SSL_CERT_FILE."""
        password = MAIL_PASSWORD.replace(" ", "%20")
        return {"EMAIL_URL": f"smtp+tls://{MAIL_USER}:{password}@127.0.0.1:{self.port}"}

    def up(self) -> None:
        """Listen, on the same port as before `down`."""
        by_starttls = self.has_tls and not self.is_wrapped
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ssl_context=self._tls if self.is_wrapped else None,
            tls_context=self._tls if by_starttls else None,
            require_starttls=by_starttls,
            auth_required=by_starttls,
            authenticator=_authenticate,
        )
        self._controller.start()

    def down(self) -> None:
        """Refuse connections. What was accepted before is kept."""
        if self._controller:
            self._controller.stop()
            self._controller = None

    async def handle_MAIL(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        envelope.mail_from = address
        return self.replies.get("MAIL", "250 OK")

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        reply = self.replies.get("RCPT", "250 OK")
        if reply.startswith("2"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        reply = self.replies.get("DATA", "250 OK")
        if reply.startswith("2"):
            assert isinstance(envelope.content, bytes)
            parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
            self.inbox.append(parsed)
            self.recipients += envelope.rcpt_tos
        return reply

    async def handle_QUIT(  # noqa: N802
        self, server: SMTP, _session: Session, _envelope: Envelope
    ) -> str:
        if not self.goodbye:
            await asyncio.Event().wait()
        return self.goodbye


def _authenticate(
    _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: object
) -> AuthResult:
    wanted = (MAIL_USER.encode(), MAIL_PASSWORD.encode())
    is_right = isinstance(given, LoginPassword) and (given.login, given.password) == wanted
    return AuthResult(success=is_right, handled=False)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusted(
    authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> trustme.CA:
    """An authority whose certificates this process and its children trust."""
    path = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return authority


def tls_of(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    """Return what a server of these names shows."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.fixture
def mail_server(trusted: trustme.CA, settings: Settings) -> Iterator[MailServer]:
    server = MailServer(tls_of(trusted, "127.0.0.1"))
    server.up()
    settings.MAIL_IS_SET_UP = True
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_USE_TLS = True
    settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = MAIL_USER, MAIL_PASSWORD
    settings.DEFAULT_FROM_EMAIL = "Library <desk@library.example.org>"
    yield server
    server.down()


@pytest.fixture(scope="session")
def http_server() -> Iterator[HTTPServer]:
    with HTTPServer("127.0.0.1", 0) as server:
        yield server


@pytest.fixture
def hook_server(http_server: HTTPServer, settings: Settings) -> HTTPServer:
    """A far end of webhooks; this process may call it."""
    http_server.clear()
    settings.ALERT_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    return http_server


@pytest.fixture
def telegram_server(http_server: HTTPServer, settings: Settings) -> HTTPServer:
    """A Bot API that answers only what a test says, for BOT_TOKEN and the chat 4711."""
    http_server.clear()
    settings.TELEGRAM_BOT_TOKEN = BOT_TOKEN
    settings.TELEGRAM_CHAT_ID = "4711"
    settings.TELEGRAM_API_BASE = http_server.url_for("").rstrip("/")
    return http_server


@pytest.fixture
def tls_hook_server(trusted: trustme.CA, settings: Settings) -> Iterator[HTTPServer]:
    """A far end of webhooks by TLS, for HOOK_NAME alone, which `names` leads to."""
    settings.ALERT_ALLOWED_NETWORKS = ["127.0.0.0/8"]
    with HTTPServer("127.0.0.1", 0, ssl_context=tls_of(trusted, HOOK_NAME)) as server:
        yield server


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Names and the addresses that each look-up of them gives, the last one from then on."""
    told: dict[str, list[list[str]]] = {}
    really = socket.getaddrinfo

    def look_up(host: str, port: int, *args: Any, **options: Any) -> Any:
        if host not in told:
            return really(host, port, *args, **options)
        answers = told[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [each for address in addresses for each in really(address, port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return told


@pytest.fixture
def faulty_server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server
