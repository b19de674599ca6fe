"""Variables that have to be of some form: a sentence with their name where they are not."""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf.locale import LANG_INFO
from django.core.exceptions import ImproperlyConfigured

DATABASE = "postgres://carrel:password@127.0.0.1:5432/carrel"
ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")
SCHEMES_OF_REDIS = ("redis", "rediss", "unix")


@contextmanager
def read(name: str, example: str) -> Iterator[None]:
    """Raise ImproperlyConfigured for whatever goes wrong: never with the value, for secrets."""
    try:
        with warnings.catch_warnings(action="error"):  # they quote it
            yield
    except Exception as wrong:
        message = f"{name} cannot be understood. It looks like: {name}={example}"
        raise ImproperlyConfigured(message) from wrong


def refuse_no_engine(database: Mapping[str, Any]) -> None:
    """Raise ImproperlyConfigured unless it is one of the databases that Carrel runs on."""
    with read("DATABASE_URL", DATABASE):
        if database["ENGINE"] not in ENGINES:
            raise ValueError


def refuse_no_redis(address: str) -> None:
    with read("REDIS_URL", "redis://127.0.0.1:6379/0"):
        if address and urlsplit(address).scheme not in SCHEMES_OF_REDIS:
            raise ValueError


def refuse_no_zone(name: str) -> None:
    with read("TIME_ZONE", "Europe/Warsaw"):
        ZoneInfo(name)


def refuse_no_language(code: str) -> None:
    with read("LANGUAGE_CODE", "pl"):
        if not {code.lower(), code.lower().partition("-")[0]} & LANG_INFO.keys():
            raise ValueError
