"""What serving and working need: the database, its migrations, the queue and a worker."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.brokers import get_broker

from config import health, patience
from config.unsaid import without_secrets

log = logging.getLogger(__name__)

PATIENCE = 3.0
"""Seconds that all checks together may take."""

Migration = tuple[str, str]


@dataclass(frozen=True)
class Check:
    """Something that is needed: `find` returns what is wrong with it, or nothing.

    Without what is `vital` no request can be served. Without the rest, loans are lent and taken
    back all the same; messages and jobs wait.
    """

    name: str
    find: Callable[[], str]
    vital: bool = False


@dataclass(frozen=True)
class Readiness:
    """What is wrong with each that was checked, in words for strangers: "" is nothing."""

    problems: Mapping[str, str]

    @property
    def is_well(self) -> bool:
        return not any(self.problems.values())

    @property
    def is_ready(self) -> bool:
        return not any(self.problems[check.name] for check in CHECKS if check.vital)


def asked() -> Readiness:
    """Ask all at once, for some seconds: what does not answer takes no time of the others."""
    ends = time.monotonic() + PATIENCE
    begun = [(names, question.begin()) for names, question in QUESTIONS.items()]
    found = {check.name: _("No answer.") for check in CHECKS}
    for names, answer in begun:
        try:
            found.update(answer(ends - time.monotonic()))
        except patience.NoAnswerError:
            log.warning("Readiness: no answer within %g seconds: %s", PATIENCE, ", ".join(names))
    return Readiness(found)


def database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return ""


def migrations() -> str:
    number = len(unapplied())
    message = _("Migrations that are not applied: %(number)d. Run: python manage.py migrate")
    return message % {"number": number} if number else ""


def unapplied() -> list[Migration]:
    """Return the migrations of this release that the database lacks, in no order.

    It may have others: the next release begins before this one ends.
    """
    applied = MigrationRecorder(connection).applied_migrations().keys()
    return [
        migration
        for migration, replaced in _on_disk().items()
        if migration not in applied and not (replaced and applied >= replaced)
    ]


@cache
def _on_disk() -> Mapping[Migration, frozenset[Migration]]:
    """Return the migrations of this release, each with those that it takes the place of."""
    found = MigrationLoader(None).disk_migrations or {}
    return {key: frozenset(migration.replaces) for key, migration in found.items()}


def worker() -> str:
    if health.is_alive(at=timezone.now()):
        return ""
    minutes = health.HEARTBEAT.seconds // 60
    return _("No job has run for %(minutes)d minutes: no worker is at work.") % {"minutes": minutes}


def queue() -> str:
    get_broker().queue_size()
    return ""


def _answers(checks: Iterable[Check]) -> dict[str, str]:
    """Ask one after the other, as far as there are answers."""
    found = {}
    for check in checks:
        try:
            found[check.name] = check.find()
        except Exception as problem:  # whatever a driver raises: for the log, not for strangers
            why = without_secrets(str(problem)).strip().replace("\n", " ")
            log.warning("Readiness: %s: %s: %s", check.name, type(problem).__name__, why)
            break
    return found


IN_DATABASE = (
    Check("database", database, vital=True),
    Check("migrations", migrations, vital=True),
    Check("worker", worker),
)
IN_QUEUE = (Check("queue", queue),)
CHECKS = (*IN_DATABASE, *IN_QUEUE)
QUESTIONS = {
    tuple(check.name for check in checks): patience.Question(partial(_answers, checks))
    for checks in (IN_DATABASE, IN_QUEUE)
}
