"""The import and export pages of the admin: permission, preview, confirmation, jobs."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from catalog import import_jobs, uploads
from catalog.models import Book, ImportRun
from catalog.uploads import Upload
from circulation.models import Reader
from tests.factories import make_book, make_staff

KINDS = {
    "books": "catalog_book",
    "copies": "catalog_copy",
    "readers": "circulation_reader",
    "loans": "circulation_loan",
    "charges": "billing_charge",
}
BOOKS = "title,isbn,copies\nDune,9780441172719,2\nSolaris,,1\n"


def sign_in(client: Client, *permissions: str) -> Reader:
    staff = make_staff("Maria", permissions=permissions)
    client.force_login(staff)
    return staff


def upload(client: Client, content: str | bytes, page: str = "catalog_book", **fields: Any) -> Any:
    raw = content.encode() if isinstance(content, str) else content
    name = fields.pop("name", "books.csv")
    return client.post(
        reverse(f"admin:{page}_import"),
        {"import_file": SimpleUploadedFile(name, raw), **fields},
    )


def confirm(client: Client, response: Any, page: str = "catalog_book") -> Any:
    form = response.context["confirm_form"]
    return client.post(reverse(f"admin:{page}_process_import"), form.initial, follow=True)


@pytest.fixture
def librarian(client: Client, db: None) -> Reader:
    return sign_in(
        client, "catalog.view_book", "catalog.import_book", "catalog.export_book",
        "catalog.view_importrun",
    )  # fmt: skip


def test_a_preview_writes_nothing_and_the_import_does_what_it_counted(
    client: Client, librarian: Reader
) -> None:
    response = upload(client, BOOKS)
    assert response.context["preview"].counts == [
        ("Read", 2), ("New", 2), ("Updated", 0), ("Unchanged", 0), ("Skipped", 0), ("Wrong", 0),
    ]  # fmt: skip
    assert not Book.objects.exists()
    assert not ImportRun.objects.exists()
    page = confirm(client, response)
    assert "books: 2 read, 2 new, 0 changed, 0 unchanged, 0 wrong" in page.content.decode()
    run = ImportRun.objects.get()
    assert (run.by, run.rows_new, run.status) == (librarian, 2, "done")
    assert Book.objects.filter(import_run=run).count() == 2
    assert not uploads.UploadPart.objects.exists()


def test_the_preview_shows_how_columns_and_encoding_were_understood(
    client: Client, librarian: Reader
) -> None:
    text = upload(client, "Tytuł;Shelf\nŻółw;3\n".encode("cp1250")).content.decode()
    assert "Żółw" in text
    assert "cp1250" in text
    assert "not imported" in text


def test_what_changed_after_the_preview_is_shown_anew(client: Client, librarian: Reader) -> None:
    response = upload(client, BOOKS)
    make_book("Dune", isbn="9780441172719", author="")
    page = confirm(client, response)
    assert "confirm again" in page.content.decode()
    assert page.context["preview"].counts[1] == ("New", 1)
    assert not ImportRun.objects.exists()
    confirm(client, page)
    assert ImportRun.objects.get().rows_new == 1


def test_wrong_rows_are_listed_and_cannot_be_confirmed(client: Client, librarian: Reader) -> None:
    response = upload(client, "title,copies\nDune,-5\nSolaris,1\n")
    text = response.content.decode()
    assert "confirm_form" not in response.context or response.context["confirm_form"] is None
    assert "Line" in text
    assert "-5" in text
    errors = client.get(response.context["errors_url"])
    assert errors.content.decode().splitlines()[1].startswith("2,copies,")


def test_wrong_rows_can_be_left_out_and_are_kept_with_the_import(
    client: Client, librarian: Reader
) -> None:
    response = upload(client, "title,copies\nDune,-5\nSolaris,1\n", skip_invalid="on")
    assert ("Skipped", 1) in response.context["preview"].counts
    confirm(client, response)
    run = ImportRun.objects.get()
    assert (run.rows_new, run.rows_wrong) == (1, 1)
    page = client.get(reverse("admin:catalog_importrun_change", args=[run.pk]))
    assert "Dune" not in page.content.decode()
    assert page.status_code == 200
    errors = client.get(reverse("admin:catalog_importrun_errors", args=[run.pk]))
    assert b"Dune,-5" in errors.content


def test_a_large_file_is_checked_and_imported_as_jobs(
    client: Client,
    librarian: Reader,
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: Any,
) -> None:
    monkeypatch.setattr("catalog.import_admin.MOST_ROWS_AT_ONCE", 1)
    queued: list[tuple[str, int]] = []
    monkeypatch.setattr("catalog.import_admin.async_task", lambda *call: queued.append(call))
    with django_capture_on_commit_callbacks(execute=True):
        response = upload(client, BOOKS)
    kept = Upload.objects.get()
    assert queued == [("catalog.import_jobs.check", kept.pk)]
    page = client.get(response.url)
    assert "import-progress" in page.content.decode()
    progress = client.get(reverse("admin:catalog_book_upload_progress", args=[kept.pk])).json()
    assert progress["busy"]
    import_jobs.check(kept.pk)
    page = client.get(response.url)
    with django_capture_on_commit_callbacks(execute=True):
        confirm(client, page)
    assert queued[1:] == [("catalog.import_jobs.confirm", kept.pk)]
    assert not Book.objects.exists()
    import_jobs.confirm(kept.pk)
    import_jobs.confirm(kept.pk)
    assert Book.objects.count() == 2
    assert client.get(response.url).status_code == 302


def test_an_upload_that_is_gone_is_a_message(client: Client, librarian: Reader) -> None:
    response = upload(client, BOOKS)
    Upload.objects.all().delete()
    assert "Upload it again" in confirm(client, response).content.decode()
    response = upload(client, BOOKS)
    uploads.UploadPart.objects.all().delete()
    assert "Upload it again" in confirm(client, response).content.decode()


def test_an_upload_belongs_to_whoever_made_it(client: Client, librarian: Reader) -> None:
    upload(client, BOOKS)
    other = make_staff("Ewa", permissions=("catalog.view_book", "catalog.import_book"))
    client.force_login(other)
    url = reverse("admin:catalog_book_upload", args=[Upload.objects.get().pk])
    assert client.get(url).status_code == 404


def test_abandoned_uploads_are_thrown_away(client: Client, librarian: Reader) -> None:
    upload(client, BOOKS)
    Upload.objects.update(created_at="2026-01-01T00:00:00Z")
    assert uploads.discard_abandoned() == 1
    assert not uploads.UploadPart.objects.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("books.csv", b""),
        ("books.csv", b"title,isbn\n"),
        ("books.csv", b'title\n"open\n'),
        ("books.csv", b"title,title\nx,y\n"),
        ("books.csv", b"PK\x03\x04 what"),
        ("books.xlsx", b"title\nDune\n"),
        ("books.xlsm", b"PK"),
        ("books.csv", b"\xff\xfet\x00"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_message(
    client: Client, librarian: Reader, name: str, content: bytes
) -> None:
    response = upload(client, content, name=name)
    assert response.status_code == 200
    assert not Book.objects.exists()
    assert response.context.get("failure") or response.context["form"].errors


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "{{ 7|add:7 }}", "{% now 'Y' %}"])
def test_markup_in_a_file_is_inert(client: Client, librarian: Reader, text: str) -> None:
    changed = make_book(text, isbn="9780441172719", author=text)
    content = f'title,isbn,copies,"{text}"\n"{text}",,"{text}",x\n"{text}",{changed.isbn},1,x\n'
    page = upload(client, content, skip_invalid="on").content.decode()
    assert "<script>alert" not in page
    assert "14 }}" not in page
    assert escape(text) in page
    assert (
        "<script>alert"
        not in confirm(
            client, upload(client, content, skip_invalid="on", name=f"{'x' * 3}.csv")
        ).content.decode()
    )


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_permission_there_is_no_button_and_no_page(
    client: Client, db: None, kind: str
) -> None:
    page = KINDS[kind]
    app, model = page.split("_")
    sign_in(client, f"{app}.view_{model}")
    listed = client.get(reverse(f"admin:{page}_changelist")).content.decode()
    for act in ("import", "export"):
        url = reverse(f"admin:{page}_{act}")
        assert url not in listed
        assert client.get(url).status_code == 403
        assert client.post(url).status_code == 403
    assert client.post(reverse(f"admin:{page}_process_import")).status_code == 403


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_permission_there_is_a_button_and_a_page(
    client: Client, db: None, kind: str
) -> None:
    page = KINDS[kind]
    app, model = page.split("_")
    sign_in(client, *(f"{app}.{act}_{model}" for act in ("view", "import", "export")))
    listed = client.get(reverse(f"admin:{page}_changelist")).content.decode()
    for act in ("import", "export"):
        url = reverse(f"admin:{page}_{act}")
        assert url in listed
        assert client.get(url).status_code == 200


def test_staff_actions_are_post_only(client: Client, librarian: Reader) -> None:
    assert client.get(reverse("admin:catalog_book_process_import")).status_code == 405


@pytest.mark.parametrize("file_format", ["csv", "xlsx"])
def test_export_hands_out_the_list_as_it_is_filtered(
    client: Client, librarian: Reader, file_format: str
) -> None:
    make_book("=Dune", cover="HARD")
    make_book("Solaris", cover="SOFT")
    url = reverse("admin:catalog_book_export")
    everything = client.post(url, {"format": file_format}).getvalue()
    filtered = client.post(f"{url}?cover__exact=HARD", {"format": file_format}).getvalue()
    if file_format == "csv":
        assert b"'=Dune" in everything
        assert b"Solaris" in everything
        assert b"Solaris" not in filtered
    assert len(filtered) < len(everything)
