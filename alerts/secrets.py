"""Secrets of channels: encrypted where they are stored, in clear only while a message is sent."""

import base64
import json
from hashlib import sha256
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class UnreadableSecretError(Exception):
    """The key that these secrets were encrypted with is not set any more."""


def seal(secrets: dict[str, str]) -> str:
    """Return secrets as text that only this site's key opens; of none, nothing."""
    if not secrets:
        return ""
    return _cipher().encrypt(json.dumps(secrets).encode()).decode()


def unseal(sealed: str) -> dict[str, Any]:
    """Return what was sealed. Raises UnreadableSecretError."""
    if not sealed:
        return {}
    try:
        opened: dict[str, Any] = json.loads(_cipher().decrypt(sealed.encode()))
    except InvalidToken as wrong:
        raise UnreadableSecretError from wrong
    return opened


def _cipher() -> MultiFernet:
    """The first of CHANNEL_SECRET_KEY encrypts, all open, so that a key can be changed.

    Without any, the key is made of SECRET_KEY: changing that makes the secrets unreadable.
    """
    keys = settings.CHANNEL_SECRET_KEY or [settings.SECRET_KEY]
    return MultiFernet([Fernet(_key(each)) for each in keys])


def _key(text: str) -> bytes:
    return base64.urlsafe_b64encode(sha256(f"alerts.channel:{text}".encode()).digest())
