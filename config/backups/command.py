"""What both commands do about trouble: a sentence and an exit status, and nothing half done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from django.core.management.base import CommandError
from django.db import DatabaseError
from django.utils.translation import gettext as _

from config.backups.files import BackupError
from config.unsaid import without_secrets


@contextmanager
def explained() -> Iterator[None]:
    """Raise CommandError for whatever stops a backup; Ctrl-C and SIGTERM clean up first."""
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except BackupError as problem:
        raise CommandError(str(problem)) from problem
    except DatabaseError as problem:
        message = _("The database says: %(problem)s") % {"problem": str(problem).strip()}
        raise CommandError(without_secrets(message)) from problem
    except KeyboardInterrupt:
        message = _("Stopped, and nothing was kept.")
        raise CommandError(message, returncode=128 + signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, _frame: FrameType | None) -> NoReturn:
    raise CommandError(_("Stopped, and nothing was kept."), returncode=128 + number)
