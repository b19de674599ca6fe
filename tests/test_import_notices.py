"""Staff are told that an import of the admin has ended, if and only if it was written."""

from typing import Any

import pytest

from alerts.events import EventKind
from alerts.models import Event
from catalog import import_jobs, imports, uploads
from catalog.imports.books import BOOKS
from catalog.models import Book, ImportRun
from catalog.uploads import Upload
from circulation.models import Reader
from tests.factories import make_book

pytestmark = pytest.mark.django_db

FILE = b"title,copies\nDune,2\nSolaris,1\n"


@pytest.fixture
def upload(maria: Reader) -> Upload:
    """A file that was checked, and whose import was confirmed."""
    kept = uploads.keep([FILE], kind="books", by=maria, file_name="books.csv")
    import_jobs.check(kept.pk)
    Upload.objects.filter(pk=kept.pk).update(status=Upload.Status.CONFIRMED)
    return kept


def told() -> list[Event]:
    return list(Event.objects.filter(kind=EventKind.IMPORT_FINISHED))


def test_an_import_that_was_written_is_told_of_once(upload: Upload) -> None:
    assert told() == []
    import_jobs.confirm(upload.pk)
    import_jobs.confirm(upload.pk)
    (event,) = told()
    run = ImportRun.objects.get()
    assert event.subject == f"catalog.importrun:{run.pk}"
    assert event.data == {"kind": "books", "file_name": "books.csv", "summary": run.message}
    assert "2 new" in run.message


def test_an_import_that_was_stopped_is_not(upload: Upload) -> None:
    make_book("Dune", author="")
    import_jobs.confirm(upload.pk)
    assert told() == []


def test_an_import_that_fails_at_the_end_leaves_neither_rows_nor_news(
    upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(type(BOOKS), "write", fail)
    with pytest.raises(RuntimeError):
        import_jobs.confirm(upload.pk)
    assert told() == []
    assert not Book.objects.exists()


def test_news_that_cannot_be_written_undo_the_import(
    upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(import_jobs.outbox, "record_all", fail)
    with pytest.raises(RuntimeError):
        import_jobs.confirm(upload.pk)
    assert not Book.objects.exists()
    assert not ImportRun.objects.filter(status="done").exists()


def test_an_import_by_command_is_told_by_its_output(tmp_path: Any) -> None:
    path = tmp_path / "books.csv"
    path.write_bytes(FILE)
    imports.run("books", path)
    assert told() == []
