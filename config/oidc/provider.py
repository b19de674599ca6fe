"""The OpenID Connect provider: what it says of itself, its keys, and asking it anything."""

import ipaddress
import json
import logging
from collections.abc import Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

from django.conf import settings
from django.core.cache import cache
from django.utils.translation import gettext as _

from alerts.backends import http, wire
from alerts.backends.base import TryLaterError

logger = logging.getLogger(__name__)

PATIENCE = 5
"""Seconds that one answer may take, to its last byte."""
DOCUMENT_LIFE = 60 * 60
KEYS_LIFE = 10 * 60
"""Seconds for which a key is believed that the provider may have withdrawn meanwhile."""
REFETCH_AFTER = 60
"""Anybody can make up the name of a key: looking for it again is not for each request."""
AWAY_FOR = 10
"""Seconds for which a provider that did not answer is not asked again."""
MOST_KEYS = 100
KEY_TYPES = ("RSA", "EC", "OKP")
KEY_FIELDS = ("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y")

Key = dict[str, Any]


class ProviderAwayError(Exception):
    """The provider does not answer, or not as one does; the log says what was wrong."""

    def __init__(self) -> None:
        super().__init__(_("The sign-in provider does not answer at the moment. Try again soon."))


class ProviderRefusedError(Exception):
    """The provider answered, and said no to what it was asked."""


def signs_in_callers() -> bool:
    return bool(settings.OIDC_ISSUER and settings.OIDC_AUDIENCE)


def signs_in_staff() -> bool:
    return bool(settings.OIDC_ISSUER and settings.OIDC_CLIENT_ID and settings.OIDC_CLIENT_SECRET)


def document() -> dict[str, Any]:
    """Return what the provider publishes of itself. Raises ProviderAwayError."""
    found: dict[str, Any] | None = cache.get(_place("document"))
    if found is None:
        address = f"{settings.OIDC_ISSUER.rstrip('/')}/.well-known/openid-configuration"
        found = _published(address)
        if found.get("issuer") != settings.OIDC_ISSUER:
            raise _away(address, f"it calls itself {found.get('issuer')!r}, not as OIDC_ISSUER")
        cache.set(_place("document"), found, DOCUMENT_LIFE)
    return found


def endpoint(name: str) -> str:
    """Return an address from the document. Raises ProviderAwayError where it names none."""
    address = document().get(name)
    if not isinstance(address, str):
        raise _away(settings.OIDC_ISSUER, f"its document has no {name}")
    if not is_allowed(address):
        raise _away(address, f"{name} is on a host that neither OIDC_ISSUER nor OIDC_HOSTS names")
    return address


def keys() -> list[Key]:
    """Return the keys that the provider signs with. Raises ProviderAwayError."""
    known: list[Key] | None = cache.get(_place("keys"))
    return _fetch_keys() if known is None else known


def keys_fetched_again() -> list[Key]:
    """Return the keys anew, for one was not among them; none where that was done just now."""
    return _fetch_keys() if cache.add(_place("refetched"), True, REFETCH_AFTER) else []


def ask(
    address: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Get a JSON object, or post a form for one.

    Raises ProviderAwayError, and ProviderRefusedError where the answer is 4xx.
    """
    if not is_allowed(address):
        raise _away(address, "this is no address that OIDC_ISSUER or OIDC_HOSTS allows")
    if cache.get(_place("away")):
        raise ProviderAwayError
    sent = {"Accept": "application/json", **(headers or {})}
    try:
        with wire.Limit(PATIENCE) as limit:
            if form is None:
                answer = http.get(address, headers=sent, limit=limit)
            else:
                sent["Content-Type"] = "application/x-www-form-urlencoded"
                body = urlencode(form).encode()
                answer = http.post(address, body, headers=sent, limit=limit)
    except TryLaterError as problem:
        raise _away(address, str(problem)) from problem
    return _object(address, answer)


def is_allowed(address: str) -> bool:
    """Tell whether Carrel calls there: where OIDC_ISSUER is, or by TLS at a host of OIDC_HOSTS.

    The document that names addresses is the provider's; without this, whoever can change it
    could make Carrel call what only its own network reaches.
    """
    try:
        parts, issuer = urlsplit(address), urlsplit(settings.OIDC_ISSUER)
        if (parts.scheme, parts.netloc) == (issuer.scheme, issuer.netloc):
            return is_safe(parts)
        return parts.scheme == "https" and parts.netloc in settings.OIDC_HOSTS
    except ValueError:
        return False


def is_safe(parts: SplitResult) -> bool:
    """Tell whether nobody can listen or answer instead: by TLS, on this machine, or in DEBUG."""
    if parts.scheme == "https":
        return bool(parts.hostname)
    return parts.scheme == "http" and (_is_here(parts.hostname or "") or settings.DEBUG)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _fetch_keys() -> list[Key]:
    address = endpoint("jwks_uri")
    given = _published(address).get("keys")
    if not isinstance(given, list):
        raise _away(address, "it lists no keys")
    found = [
        {field: key[field] for field in KEY_FIELDS if field in key}
        for key in given[:MOST_KEYS]
        if isinstance(key, dict) and key.get("kty") in KEY_TYPES and key.get("use") in (None, "sig")
    ]
    cache.set(_place("keys"), found, KEYS_LIFE)
    return found


def _published(address: str) -> dict[str, Any]:
    try:
        return ask(address)
    except ProviderRefusedError as refused:
        raise _away(address, str(refused)) from refused


def _object(address: str, answer: http.Answer) -> dict[str, Any]:
    if 400 <= answer.status < 500:
        raise ProviderRefusedError(f"it answered {answer.status}")
    if not answer.is_ok:
        raise _away(address, f"it answered {answer.status}")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise _away(address, f"no JSON object of less than {http.MOST_BYTES} bytes")
    return found


def _away(address: str, why: str) -> ProviderAwayError:
    cache.set(_place("away"), True, AWAY_FOR)
    logger.warning("OpenID Connect provider, %s: %s", address, why)
    return ProviderAwayError()


def _place(what: str) -> str:
    return f"oidc:{what}:{sha256(settings.OIDC_ISSUER.encode()).hexdigest()[:16]}"
