"""Restoring a backup into a database in which nothing is: all of it, or nothing."""

from pathlib import Path

from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.models import OrmQ

from alerts import secrets
from alerts.models import Channel
from catalog.models import BarcodeCounter, Book
from circulation.models import Loan, Reader
from config.backups import checks, files
from config.backups.files import BackupError
from config.backups.making import engine
from config.backups.told import Tell, nobody
from config.models import JobRun

NUMBERS_SKIPPED = 100_000
"""What was numbered after the backup stands on labels, in pay links and in other systems: it must
not lead to somebody else's copy, loan or payment."""
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


def restore(backup: Path, *, accept_unsound: bool = False, tell: Tell = nobody) -> None:
    """Restore a backup, bring it up to this version of Carrel, and check it.

    Raises BackupError, with the database as empty as it was.
    """
    _refuse_foreign(backup)
    using = engine()
    using.refuse_full()
    with using.loaded(backup, tell):
        _migrate(tell)
        _end_what_was_under_way()
        verdict = checks.of_this_database()
        if verdict.wrong and not accept_unsound:
            raise BackupError(
                _(
                    "Something is wrong in this backup, so it was not restored; --accept-unsound "
                    "does it all the same. %(verdict)s"
                )
                % {"verdict": verdict}
            )
        tell(str(verdict))
        using.skip_numbers(NUMBERS_SKIPPED)
        BarcodeCounter.objects.update(next_number=F("next_number") + NUMBERS_SKIPPED)
        tell(_contents())
        _tell_of_secrets(tell)


def _refuse_foreign(backup: Path) -> None:
    made_on = files.engine_of(backup)
    if made_on != connection.vendor:
        raise BackupError(
            _(
                "%(file)s is a backup of %(theirs)s, and DATABASE_URL leads to %(ours)s. Restore "
                "it into a database of its own kind."
            )
            % {"file": backup, "theirs": NAMES[made_on], "ours": NAMES[connection.vendor]}
        )


def _migrate(tell: Tell) -> None:
    executor = MigrationExecutor(connection)
    missing = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    call_command("migrate", interactive=False, verbosity=0)
    if missing:
        tell(_("It was of an older Carrel. Migrations applied: %(count)d.") % {"count": missing})


def _end_what_was_under_way() -> None:
    """Forget the queue, and note as ended the jobs that ran: the backup's own job among them.

    Staff would be told that these were killed, and what waited was done since or is found again in
    the rows it is about.
    """
    OrmQ.objects.all().delete()
    JobRun.objects.filter(finished_at=None).update(
        finished_at=timezone.now(), result=_("It was under way when the backup was made.")
    )


def _contents() -> str:
    last = Loan.objects.order_by("-pk").first()
    return _(
        "It holds %(books)d books, %(readers)d readers and %(loans)d loans; last: %(last)s."
    ) % {
        "books": Book.objects.count(),
        "readers": Reader.objects.count(),
        "loans": Loan.objects.count(),
        "last": last.borrow_date if last else "–",
    }


def _tell_of_secrets(tell: Tell) -> None:
    shut = []
    for channel in Channel.objects.order_by("pk"):
        try:
            channel.settings()
        except secrets.UnreadableSecretError:
            shut.append(channel.name)
    if shut:
        tell(
            _(
                "The secrets of these channels were stored under another CHANNEL_SECRET_KEY or "
                "SECRET_KEY: %(names)s. Set the old one, or enter the secrets anew."
            )
            % {"names": ", ".join(shut)}
        )
