"""The checking and importing of an upload: at once for a small file, as a job for a large one."""

import time
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import outbox
from alerts.events import EventKind
from alerts.outbox import Occurrence
from catalog import imports, uploads
from catalog.models import ImportRun
from catalog.uploads import Upload

PREVIEW_ROWS = 100
ERRORS_SHOWN = 100
SECONDS_BETWEEN_SIGNS = 0.5
LOST_AFTER = timedelta(minutes=30)
"""The queue itself gives work to another worker after 20 minutes, where it still has it."""


def check(upload_id: int) -> None:
    """Find out what an import of the upload would do, and note it on the upload."""
    upload = Upload.objects.select_related("by").get(pk=upload_id)
    if upload.status not in (Upload.Status.QUEUED, Upload.Status.CHECKING):
        return
    _note(upload, status=Upload.Status.CHECKING)
    report = _run(upload, dry_run=True)
    if report is not None:
        _show(upload, report)


def confirm(upload_id: int) -> None:
    """Import the upload, if that still does exactly what was shown; else show it anew."""
    upload = Upload.objects.select_related("by").get(pk=upload_id)
    if upload.status not in (Upload.Status.CONFIRMED, Upload.Status.IMPORTING):
        return
    _note(upload, status=Upload.Status.IMPORTING)
    try:
        report = _run(upload, dry_run=False)
    except imports.StoppedError as stopped:
        message = _("%(reason)s Nothing was written. Look at the new preview and confirm again.")
        _note(upload, status=Upload.Status.CHECKING, message=message % {"reason": stopped})
        again = _run(upload, dry_run=True)
        if again is not None:
            _show(upload, again, message=upload.message)
        return
    if report is None:
        return
    _note(
        upload,
        status=Upload.Status.DONE,
        run_id=report.run_id,
        message=report.summary(),
    )
    uploads.discard_file(upload)


def put_back(upload: Upload) -> None:
    """Note that no worker was told of an upload: what was confirmed can be confirmed again."""
    upload.refresh_from_db()
    is_checked = upload.status == Upload.Status.CONFIRMED
    _note(
        upload,
        status=Upload.Status.READY if is_checked else Upload.Status.FAILED,
        message=_("The queue does not answer, so nothing was begun. Try again in a while."),
    )


def give_up_lost(*, at: datetime) -> int:
    """Say on uploads whose work was lost with its worker or its queue that nobody does it."""
    settled = (Upload.Status.READY, Upload.Status.DONE, Upload.Status.FAILED)
    lost = Upload.objects.filter(seen_at__lt=at - LOST_AFTER).exclude(status__in=settled)
    message = _(
        "Its worker was stopped before it was done. Look under Imports whether it is there; if "
        "not, upload the file again."
    )
    return lost.update(status=Upload.Status.FAILED, message=message)


def _run(upload: Upload, *, dry_run: bool) -> imports.Report | None:
    try:
        with uploads.opened(upload) as file:
            return imports.run(
                upload.kind,
                file,
                by=upload.by,
                dry_run=dry_run,
                options=imports.Options(**upload.options),
                file_name=upload.file_name,
                expect="" if dry_run else (upload.report or {}).get("fingerprint", "-"),
                preview=PREVIEW_ROWS if dry_run else 0,
                progress=_Signs(upload),
                written=_tell,
            )
    except imports.UnreadableError as refused:
        _note(upload, status=Upload.Status.FAILED, message=str(refused))
    except FileNotFoundError:
        message = _("The uploaded file is no longer here. Upload it again.")
        _note(upload, status=Upload.Status.FAILED, message=message)
    return None


def _tell(run: ImportRun) -> None:
    told = {"kind": run.kind, "file_name": run.file_name, "summary": run.message}
    outbox.record_all([Occurrence(EventKind.IMPORT_FINISHED, run, data=told)])


def _show(upload: Upload, report: imports.Report, *, message: str = "") -> None:
    shown: dict[str, Any] = {
        "counts": report.counts,
        "skipped": report.skipped,
        "is_accepted": report.is_accepted,
        "fingerprint": report.fingerprint,
        "encoding": report.encoding,
        "delimiter": report.delimiter,
        "mapping": report.mapping,
        "warnings": report.warnings[:ERRORS_SHOWN],
        "errors": [error.as_list() for error in report.errors[:ERRORS_SHOWN]],
        "rows": [asdict(row) for row in report.preview],
    }
    _note(
        upload,
        status=Upload.Status.READY,
        report=imports.plain(shown),
        error_file=report.error_file,
        message=message,
    )


def _note(upload: Upload, **fields: Any) -> None:
    fields["seen_at"] = timezone.now()
    for name, value in fields.items():
        setattr(upload, name, value)
    upload.save(update_fields=list(fields))


class _Signs:
    """Writes how far the work has come, twice a second; others read it from the database."""

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self._last = time.monotonic()

    def __call__(self, done: int, expected: int) -> None:
        if time.monotonic() - self._last < SECONDS_BETWEEN_SIGNS and done < expected:
            return
        self._last = time.monotonic()
        Upload.objects.filter(pk=self._upload.pk).update(
            rows_done=done, rows_expected=expected, seen_at=timezone.now()
        )
