"""The database, the queue and the cache: whether they are there, and fit for this release."""

import time
from collections.abc import Iterator

from django.conf import settings
from django.core.cache import caches
from django.db import connection
from django.utils.translation import gettext as _
from django_q.brokers import get_broker

from config import reaching, readiness
from config.doctor.findings import Finding, advice, ok, problem
from config.unsaid import without_secrets

MOST_SKEW = 5.0
"""Seconds: tokens and leases of several machines are compared with each other's clocks."""
LONG_QUEUE = 1000


def database() -> Iterator[Finding]:
    place = reaching.place()
    if why := reaching.folder_problem() or reaching.refusal():
        yield problem(
            _("The database cannot be reached (%(place)s): %(why)s") % {"place": place, "why": why},
            _("Start it, or mend DATABASE_URL."),
        )
        return
    yield ok(_("The database takes connections (%(place)s).") % {"place": place})
    if waiting := readiness.unapplied():
        names = ", ".join(sorted(f"{app} {name}" for app, name in waiting)[:3])
        yield problem(
            _("Migrations that are not applied: %(number)d (%(names)s …).")
            % {"number": len(waiting), "names": names},
            _("Run: python manage.py migrate"),
        )
    else:
        yield ok(_("All migrations are applied."))
    yield from _cache_table()
    yield from _clock()


def _cache_table() -> Iterator[Finding]:
    table = settings.CACHES["default"].get("LOCATION")
    is_table = settings.CACHES["default"]["BACKEND"].endswith(".DatabaseCache")
    if is_table and table not in connection.introspection.table_names():
        yield problem(
            _("The table that throttles are counted in is missing: nobody can use the API."),
            _("Run: python manage.py createcachetable"),
        )


def _clock() -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
        skew = float(cursor.fetchone()[0]) - time.time()
    if abs(skew) > MOST_SKEW:
        yield problem(
            _("The clocks of this machine and of the database differ by %(seconds)d seconds.")
            % {"seconds": abs(skew)},
            _("Have both set by the network (NTP)."),
        )


def queue() -> Iterator[Finding]:
    broker = get_broker()
    try:
        waiting = broker.queue_size()
        kind = broker.info()
    except Exception as away:  # whatever its driver raises
        why = without_secrets(str(away)).strip().split("\n")[0]
        yield problem(
            _("The queue does not answer: %(why)s") % {"why": why or type(away).__name__},
            _("Start Redis, or mend REDIS_URL. Loans are lent without it; messages wait.")
            if settings.REDIS_URL
            else _("It is in the database: mend that."),
        )
        return
    if not settings.REDIS_URL:
        yield ok(_("The queue and the cache are tables of the database."))
    else:
        yield ok(_("The queue and the cache answer (%(kind)s).") % {"kind": kind})
        yield from _forgetting()
    sentence = _("Tasks that wait in the queue: %(number)d.") % {"number": waiting}
    yield advice(sentence, _("Start more workers.")) if waiting > LONG_QUEUE else ok(sentence)


def _forgetting() -> Iterator[Finding]:
    """Tell of a Redis that throws away what it was given when it is full."""
    client = caches["default"]._cache.get_client()  # type: ignore[attr-defined]
    memory = client.info("memory")
    policy = memory.get("maxmemory_policy", "noeviction")
    if memory.get("maxmemory") and policy not in ("noeviction", "volatile-lru", "volatile-ttl"):
        yield problem(
            _("Redis throws tasks away when its memory is full (%(policy)s).") % {"policy": policy},
            _("Set maxmemory-policy to noeviction or volatile-lru."),
        )
