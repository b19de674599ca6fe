"""Which lists are known to be long: a process believes it for some minutes and counts no more.

To learn that a thousand books have no copy took longer than to show some of them.
"""

import time
from hashlib import blake2b
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet

BELIEVED, MOST_KNOWN = 300, 1000
"""For how many seconds, and of how many lists."""

_until: dict[str, float] = {}


def counted(keys: QuerySet[Any, Any], most: int) -> int:
    """Return how many rows a list has, or `most` where it has as many or lately had."""
    try:
        asked = f"{most} {name_of(keys)}"
    except EmptyResultSet:
        return 0
    if _until.get(asked, 0) > time.monotonic():
        return most
    number = int(keys[:most].count())
    if number == most:
        _believe(asked)
    return number


def name_of(keys: QuerySet[Any, Any]) -> str:
    """Return a name for what is asked for. Raises EmptyResultSet where that can be nothing."""
    query = repr(keys.query.sql_with_params())
    return blake2b(query.encode(), digest_size=16).hexdigest()


def _believe(asked: str) -> None:
    if len(_until) >= MOST_KNOWN:
        _until.clear()
    _until[asked] = time.monotonic() + BELIEVED


def forget() -> None:
    """Count all anew."""
    _until.clear()
