"""Figures that take a while to count: kept for some minutes, with their time."""

import datetime
import time
from collections.abc import Callable
from hashlib import blake2b
from typing import Any, TypeVar

from django.core.cache import cache
from django.utils import timezone

LONG = datetime.timedelta(days=62)
"""From so many days on a period is long: what is shorter is always counted anew."""
MINUTES, WORTH_IT = 10, 0.1
"""For how long figures are kept that took so many seconds; what is counted sooner never is."""
T = TypeVar("T")


def counted(
    name: str, asked: dict[str, Any], count: Callable[[], T], **more: Any
) -> tuple[T, datetime.datetime | None]:
    """Return what `count` returns, and when that was, if it may have been some minutes ago.

    `asked` has the days `first` and `last`; `more` is what else the figures depend on.
    """
    if asked["last"] - asked["first"] < LONG:
        return count(), None
    about = repr((name, asked["first"], asked["last"], sorted(more.items())))
    return now_and_then(about, count, worth=WORTH_IT)


def now_and_then(
    about: str, count: Callable[[], T], *, worth: float = 0
) -> tuple[T, datetime.datetime | None]:
    """Return what `count` returned in the last minutes, and when; what took less is not kept.

    The figures must be plain values, which a later release of Carrel can read as well.
    """
    key = f"figures:{blake2b(about.encode(), digest_size=16).hexdigest()}"
    known: tuple[T, datetime.datetime] | None = cache.get(key)
    if known is not None:
        return known
    began = time.perf_counter()
    figures = count()
    if time.perf_counter() - began < worth:
        return figures, None
    now = timezone.now()
    cache.set(key, (figures, now), 60 * MINUTES)
    return figures, now
