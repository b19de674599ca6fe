"""One request to a far end, within a time and to an address that was checked."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from socket import socket
from typing import Any

import requests
from django.utils.translation import gettext as _
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import HTTPError

from alerts.backends import wire
from alerts.backends.base import TryLaterError
from alerts.backends.guard import RefusedAddressError

MOST_BYTES = 64 * 1024

Dial = Callable[[str, int], socket]


@dataclass(frozen=True)
class Answer:
    """What came back; of the body the first 64 KiB, or nothing where it broke off."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    limit: wire.Limit,
    check: Callable[[str], None] = wire.anywhere,
) -> Answer:
    """Send JSON. Redirects are not followed, nor the machine's proxies and passwords used.

    Raises TryLaterError where there is no answer, and what `check` raises.
    """
    sent = {"Content-Type": "application/json", **headers}
    return _ask("POST", url, body, headers=sent, limit=limit, check=check)


def get(url: str, *, headers: Mapping[str, str], limit: wire.Limit) -> Answer:
    """Ask an address that the site's own settings name; else as `post`."""
    return _ask("GET", url, b"", headers=headers, limit=limit, check=wire.anywhere)


def _ask(
    method: str,
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    limit: wire.Limit,
    check: Callable[[str], None],
) -> Answer:
    sent = {
        "User-Agent": "Carrel",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    with requests.Session() as session:
        session.trust_env = False
        adapter = _Adapter(partial(wire.dial, limit=limit, check=check))
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        try:
            response = session.request(
                method,
                url,
                data=body,
                headers=sent,
                timeout=limit.left,
                allow_redirects=False,
                stream=True,
            )
        except RefusedAddressError:
            raise
        except Exception as problem:  # after some resets urllib3 raises an AttributeError
            # Its own text may quote the URL or a header, and so a token.
            raise TryLaterError(_why(problem, limit)) from None
        return Answer(response.status_code, response.headers, _start_of(response))


def _start_of(response: requests.Response) -> bytes:
    """Return the start of the body as it comes, without unpacking it.

    The status alone says whether a message was taken: where the body breaks off, it was all the
    same, and would be sent twice.
    """
    try:
        return bytes(response.raw.read(MOST_BYTES, decode_content=False))
    except (HTTPError, OSError, ValueError):
        return b""
    finally:
        response.close()


def _why(problem: BaseException, limit: wire.Limit) -> str:
    if limit.is_over or isinstance(problem, requests.Timeout):
        return _("There was no answer within %(seconds)g seconds.") % {"seconds": limit.seconds}
    cause = problem
    while inner := cause.__cause__ or cause.__context__:
        cause = inner
    if isinstance(cause, ssl.SSLError):
        return _("No safe connection: %(problem)s.") % {"problem": cause.reason or "TLS"}
    return _("There was no answer (%(problem)s).") % {"problem": type(cause).__name__}


class _Adapter(HTTPAdapter):
    """Makes connections by `dial`, and trusts this machine's certificates beside requests' own."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        super().__init__()

    def build_connection_pool_key_attributes(self, *args: Any, **options: Any) -> Any:
        host, tls = super().build_connection_pool_key_attributes(*args, **options)
        if host["scheme"] == "https":
            tls["ssl_context"] = ssl.create_default_context()
        return host, tls

    def get_connection_with_tls_context(self, *args: Any, **options: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **options)
        kind = _TlsConnection if pool.scheme == "https" else _Connection
        pool.ConnectionCls = partial(kind, dial=self._dial)  # type: ignore[assignment]
        return pool


class _Connection(HTTPConnection):
    def __init__(self, *args: Any, dial: Dial, **options: Any) -> None:
        super().__init__(*args, **options)
        self._dial = dial

    def _new_conn(self) -> socket:
        return self._dial(self.host, self.port)


class _TlsConnection(_Connection, HTTPSConnection):
    """TLS names and verifies the host, not the address that was dialled."""
