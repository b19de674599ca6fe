"""Uploads whose worker was killed, with a queue that forgot them: who waits is told."""

from datetime import timedelta

import pytest
from django.utils import timezone

from catalog import import_jobs, uploads
from catalog.models import Book
from catalog.uploads import Upload
from config import jobs
from tests.factories import make_member
from tests.office import page, signed_in

pytestmark = pytest.mark.django_db
BUSY = ("queued", "checking", "confirmed", "importing")


def make_upload(status: str, *, minutes_ago: int) -> Upload:
    upload = uploads.keep(
        [b"title\nSolaris\n"],
        kind="books",
        by=make_member("Librarian"),
        file_name="books.csv",
        status=status,
        seen_at=timezone.now() - timedelta(minutes=minutes_ago),
    )
    jobs.watch()
    upload.refresh_from_db()
    return upload


@pytest.mark.parametrize("status", BUSY)
def test_what_gave_no_sign_for_half_an_hour_is_given_up_and_says_so(status: str) -> None:
    upload = make_upload(status, minutes_ago=31)
    assert upload.status == Upload.Status.FAILED
    shown = signed_in(upload.by).get(f"{page(Book, 'import')}{upload.pk}/")
    assert "Its worker was stopped before it was done" in shown.text


@pytest.mark.parametrize("status", BUSY)
def test_what_may_still_be_at_work_is_left_alone(status: str) -> None:
    assert make_upload(status, minutes_ago=29).status == status


@pytest.mark.parametrize("status", ["ready", "done", "failed"])
def test_what_waits_for_nobody_is_left_alone(status: str) -> None:
    upload = make_upload(status, minutes_ago=600)
    assert (upload.status, upload.message) == (status, "")


def test_work_on_it_is_a_sign() -> None:
    upload = make_upload("queued", minutes_ago=29)
    before = upload.seen_at
    import_jobs.check(upload.pk)
    upload.refresh_from_db()
    assert upload.status == Upload.Status.READY
    assert upload.seen_at > before
