"""Calls to PayPal's REST API: the token, the time limit, and what a refusal says."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from time import monotonic
from typing import Any

import requests
from django.conf import settings
from django.utils.translation import gettext as _
from requests.auth import AuthBase, HTTPBasicAuth

from billing.gateways.base import TIMEOUT_SECONDS, RejectedError, UnreachableError

Answer = dict[str, Any]

RENEW_BEFORE_SECONDS = 60
"""A token is not used in its last minute: it could end while a call is under way."""

_tokens: dict[tuple[str, str], tuple[str, float]] = {}
"""Token and end of use for each base URL and client. In memory alone: a token is a secret."""
_lock = Lock()


class RefusedError(RejectedError):
    """PayPal's no: `issues` are its own codes, such as ORDER_ALREADY_CAPTURED."""

    def __init__(self, status: int, issues: frozenset[str], debug_id: str) -> None:
        self.status = status
        self.issues = issues
        values = {
            "issues": ", ".join(sorted(issues)) or _("no reason given"),
            "status": status,
            "debug_id": debug_id or "-",
        }
        message = _("PayPal refused: %(issues)s (HTTP %(status)s, debug id %(debug_id)s).")
        super().__init__(message % values)


class _Bearer(AuthBase):
    """As `auth`, because a header alone gives way to the machine's .netrc."""

    def __init__(self, token: str) -> None:
        self.token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token}"
        return request


def get(path: str) -> Answer:
    return _call("GET", path)


def post(path: str, body: Mapping[str, object], *, request_id: str = "") -> Answer:
    """Post once for each `request_id`: PayPal answers a repeated one with what the first made."""
    return post_text(path, json.dumps(body), request_id=request_id)


def post_text(path: str, text: str, *, request_id: str = "") -> Answer:
    """Post JSON that is written already, where each byte counts."""
    headers = {"Content-Type": "application/json", "Prefer": "return=representation"}
    if request_id:
        headers["PayPal-Request-Id"] = request_id
    return _call("POST", path, data=text.encode(), headers=headers)


@contextmanager
def understood() -> Iterator[None]:
    """Turn an answer that is not of the documented form into an UnreachableError."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as problem:
        raise _unreachable(type(problem).__name__) from None


def _call(method: str, path: str, **request: Any) -> Answer:
    response = _send(method, path, auth=_Bearer(_token()), **request)
    if response.status_code == requests.codes.unauthorized:
        with _lock:
            _tokens.pop(_holder(), None)
        response = _send(method, path, auth=_Bearer(_token()), **request)
    return _read(response)


def _send(method: str, path: str, **request: Any) -> requests.Response:
    url = f"{settings.PAYPAL_API_BASE}{path}"
    try:
        return requests.request(
            method, url, timeout=TIMEOUT_SECONDS, allow_redirects=False, **request
        )
    except requests.RequestException as problem:
        # Its own text may quote a header, and so the token.
        raise _unreachable(type(problem).__name__) from None


def _read(response: requests.Response) -> Answer:
    """Return the answer. Raises UnreachableError where the same call may follow, else RefusedError.

    HTTP 409 is PayPal's PREVIOUS_REQUEST_IN_PROGRESS: somebody is making the same call right now.
    """
    status = response.status_code
    if status in {requests.codes.conflict, requests.codes.too_many_requests} or status >= 500:
        raise _unreachable(f"HTTP {status}")
    try:
        answer = response.json()
    except ValueError:
        answer = None
    if status >= 300:
        raise _refusal(status, answer)
    if not isinstance(answer, dict):
        raise _unreachable(f"HTTP {status}")
    return answer


def _refusal(status: int, answer: object) -> RefusedError:
    if not isinstance(answer, dict):
        return RefusedError(status, frozenset(), "")
    details = answer.get("details")
    named = [each.get("issue") for each in details or () if isinstance(each, dict)]
    issues = frozenset(filter(None, map(_code, [answer.get("name"), *named])))
    return RefusedError(status, issues, _code(answer.get("debug_id")))


def _code(value: object) -> str:
    """Return what staff may see as it is, else "": other texts of PayPal's may quote data."""
    return value if isinstance(value, str) and re.fullmatch(r"\w{1,64}", value, re.ASCII) else ""


def _token() -> str:
    """Return a token from memory, or a new one. Raises RejectedError for wrong credentials."""
    with _lock:
        token, good_until = _tokens.get(_holder(), ("", 0.0))
    return token if monotonic() < good_until else _new_token()


def _new_token() -> str:
    response = _send(
        "POST",
        "/v1/oauth2/token",
        data={"grant_type": "client_credentials"},
        auth=HTTPBasicAuth(
            settings.PAYPAL_CLIENT_ID.encode(), settings.PAYPAL_CLIENT_SECRET.encode()
        ),
    )
    if response.status_code == requests.codes.unauthorized:
        message = _("PayPal knows no such client: check PAYPAL_CLIENT_ID and PAYPAL_CLIENT_SECRET.")
        raise RejectedError(message)
    answer = _read(response)
    with understood():
        token: str = answer["access_token"]
        if not re.fullmatch(r"[!-~]+", token):
            # The client of HTTP would refuse it in a sentence that quotes it.
            raise ValueError
        good_until = monotonic() + int(answer["expires_in"]) - RENEW_BEFORE_SECONDS
    with _lock:
        _tokens[_holder()] = token, good_until
    return token


def _holder() -> tuple[str, str]:
    return settings.PAYPAL_API_BASE, settings.PAYPAL_CLIENT_ID


def _unreachable(reason: str) -> UnreachableError:
    message = _("PayPal did not answer as expected (%(reason)s); the call can be made again.")
    return UnreachableError(message % {"reason": reason})
