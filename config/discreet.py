"""What is left out of logs and error reports: people, what they typed, and secrets."""

import re
from functools import cache
from typing import TYPE_CHECKING

from config.unsaid import HIDDEN, secrets, without_secrets

if TYPE_CHECKING:  # the log is there before Django is
    from django.http import HttpRequest
    from django.urls import ResolverMatch

EMAILS = re.compile(r"[\w.+%'-]+@[\w-]+(?:\.[\w-]+)*")
BEARERS = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE)
KEYS_OF_ROWS = re.compile(r"(Key \([^)]*\))=\(.*\)")
ROWS = re.compile(r"(Failing row contains )\(.*\)")
"""PostgreSQL tells of what it refuses with all its values."""
NAMED_PART = re.compile(r"<(?:(?P<converter>\w+):)?(?P<name>\w+)>|\(\?P<(?P<group>\w+)>[^)]*\)")
NUMBERS_OF_ROWS = ("pk", "object_id")
ROW = r"[0-9]{1,9}"
"""Shorter than most numbers of cards, which somebody may type there."""
UNKNOWN_PATH = "(unknown)"


def without_people(text: str) -> str:
    """Return the text without addresses of people, values of refused rows, and secrets."""
    text = ROWS.sub(rf"\1({HIDDEN})", KEYS_OF_ROWS.sub(rf"\1=({HIDDEN})", text))
    return EMAILS.sub(HIDDEN, BEARERS.sub(rf"\1 {HIDDEN}", without_secrets(text, _secrets())))


@cache
def _secrets() -> tuple[str, ...]:
    return tuple(secrets())


def path(request: "HttpRequest") -> str:
    """Return the path that was asked for, with names for what was typed or is secret in it.

    Only numbers of rows stay. What no page has may be anything.
    """
    match: ResolverMatch | None = getattr(request, "resolver_match", None)
    if match is None:
        return UNKNOWN_PATH
    route = NAMED_PART.sub(lambda part: _shown(part, match), match.route)
    return "/" + route.replace("^", "").replace("$", "").replace("\\Z", "")


def _shown(part: re.Match[str], match: "ResolverMatch") -> str:
    name = part["name"] or part["group"]
    value = match.kwargs.get(name)
    is_number = isinstance(value, int) or (
        name in NUMBERS_OF_ROWS and re.fullmatch(ROW, str(value)) is not None
    )
    return str(value) if is_number else f"<{name}>"
