"""Whether what the library knows would outlive its disk."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _

from config.backups import nightly
from config.doctor.findings import Finding, advice, ok, problem

LONGEST_GAP = timedelta(hours=26)
"""A day, and what a night's job may be late by."""


def backups() -> Iterator[Finding]:
    if not settings.BACKUP_DIR:
        yield advice(_("No backup is made at night."), _("Set BACKUP_DIR to a folder for them."))
        return
    folder = settings.BASE_DIR / settings.BACKUP_DIR
    if not folder.is_dir():
        sentence = _("The folder %(folder)s for the backups is not there.")
        yield problem(sentence % {"folder": folder}, _("Make it, or mount its disk."))
        return
    newest = nightly.newest()
    make_one = _("Run: python manage.py run_job back_up, and see what it says.")
    if newest is None:
        yield advice(_("There is no good backup in BACKUP_DIR yet."), make_one)
        return
    when = {"when": f"{timezone.localtime(newest.made_at):%Y-%m-%d %H:%M}"}
    if newest.made_at < timezone.now() - LONGEST_GAP:
        yield problem(_("The newest good backup is of %(when)s.") % when, make_one)
    else:
        yield ok(_("The newest good backup is of %(when)s.") % when)
