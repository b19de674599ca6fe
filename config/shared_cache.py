"""The cache that processes share in Redis: while Redis is away it is empty, and that is logged.

Throttles and the keys of an OpenID Connect provider live there. Who signs in need not wait for
Redis to come back: bad passwords are counted in the database.
"""

import logging
from collections.abc import Callable
from typing import Any

from django.core.cache.backends import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT

log = logging.getLogger(__name__)


class Redis(redis.RedisCache):
    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return _tried(lambda: super(Redis, self).get(key, default, version), default)

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        _tried(lambda: super(Redis, self).set(key, value, timeout, version), None)

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return bool(_tried(lambda: super(Redis, self).add(key, value, timeout, version), True))


def _tried(act: Callable[[], Any], otherwise: Any) -> Any:
    # Its package is there with Redis only.
    from redis.exceptions import RedisError  # noqa: PLC0415

    try:
        return act()
    except RedisError as problem:
        log.error("The cache in Redis does not answer: %s", problem)
        return otherwise
