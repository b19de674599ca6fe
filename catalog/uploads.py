"""Uploaded files between preview and import: kept in the database, so that any machine can go on.

An upload is no import: it writes nothing of the library's, and it is thrown away after a day.
"""

import tempfile
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

PART = 1 << 20
MOST_BYTES = 128 * PART
KEPT_FOR = timedelta(days=1)


class Upload(models.Model):
    """A file that somebody uploaded, with what an import of it would do."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting to be checked")
        CHECKING = "checking", _("Being checked")
        READY = "ready", _("Checked")
        CONFIRMED = "confirmed", _("Waiting to be imported")
        IMPORTING = "importing", _("Being imported")
        DONE = "done", _("Imported")
        FAILED = "failed", _("Cannot be imported")

    kind = models.CharField(max_length=20)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    file_name = models.CharField(max_length=255)
    options = models.JSONField(default=dict)
    status = models.CharField(max_length=9, choices=Status, default=Status.QUEUED)
    rows_done = models.PositiveIntegerField(default=0)
    rows_expected = models.PositiveIntegerField(default=0)
    report = models.JSONField(null=True)
    error_file = models.BinaryField(null=True)
    message = models.TextField(blank=True)
    run = models.ForeignKey("catalog.ImportRun", models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(default=timezone.now, db_default=Now())
    """When it was handed to a worker, or the worker last gave a sign."""

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_busy(self) -> bool:
        return self.status not in (self.Status.READY, self.Status.DONE, self.Status.FAILED)


class UploadPart(models.Model):
    """One megabyte of an upload."""

    upload = models.ForeignKey(Upload, models.CASCADE, related_name="parts")
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("upload", "number"), name="upload_part_once"),
        )

    def __str__(self) -> str:
        return f"{self.upload} {self.number}"


@transaction.atomic
def keep(chunks: Iterable[bytes], **fields: Any) -> Upload:
    """Store an uploaded file."""
    upload = Upload.objects.create(**fields)
    for number, data in enumerate(chunks):
        UploadPart.objects.create(upload=upload, number=number, data=data)
    return upload


def opened(upload: Upload) -> BinaryIO:
    """Return the file, to be closed by the caller. Raises FileNotFoundError once it is gone."""
    file = tempfile.SpooledTemporaryFile(max_size=8 * PART)  # noqa: SIM115 - handed out open
    size = 0
    for data in upload.parts.order_by("number").values_list("data", flat=True).iterator(1):
        size += file.write(bytes(data))
    if not size:
        file.close()
        raise FileNotFoundError(upload.file_name)
    file.seek(0)
    return cast("BinaryIO", file)


def discard_file(upload: Upload) -> None:
    upload.parts.all().delete()


def discard_abandoned(*, at: datetime | None = None) -> int:
    """Delete uploads that nobody came back to within a day; return how many."""
    before = (at or timezone.now()) - KEPT_FOR
    return Upload.objects.filter(created_at__lt=before).delete()[1].get("catalog.Upload", 0)
