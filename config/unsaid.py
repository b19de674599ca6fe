"""What is left out of texts that come from errors: the site's secrets, passwords in addresses."""

import re
from collections.abc import Iterable, Iterator

from django.conf import settings

SECRET_SETTINGS = re.compile(r"(SECRET|TOKEN|PASSWORD|SECRET_KEY)$")
SHORTEST_SECRET = 6
HIDDEN = "***"
IN_ADDRESSES = re.compile(r"(?<=://)[^/\s@]+(?=@)")
BOT_TOKENS = re.compile(r"\b(?:bot)?\d{5,}:[\w-]{20,}")


def without_secrets(text: str, known: Iterable[str] | None = None) -> str:
    """Return the text without secrets; who has many texts looks for what they are once."""
    for secret in secrets() if known is None else known:
        text = text.replace(secret, HIDDEN)
    return BOT_TOKENS.sub(HIDDEN, IN_ADDRESSES.sub(HIDDEN, text))


def secrets() -> Iterator[str]:
    for name in filter(SECRET_SETTINGS.search, dir(settings)):
        value = getattr(settings, name)
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and len(each) >= SHORTEST_SECRET:
                yield each
