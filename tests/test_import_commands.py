"""`manage.py import_csv` and `export_csv`: last line, exit status, options."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Book, ImportRun
from tests.factories import make_book, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def books(tmp_path: Path) -> Path:
    file = tmp_path / "books.csv"
    file.write_text("title,copies\nDune,1\nSolaris,x\n")
    return file


def test_the_last_line_counts_and_the_exit_status_is_0_when_nothing_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "books.csv"
    file.write_text("title\nDune\nSolaris\n")
    call_command("import_csv", "books", str(file))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "books: 2 read, 2 new, 0 changed, 0 unchanged, 0 wrong"


def test_the_exit_status_is_1_when_a_row_is_wrong(
    books: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        call_command("import_csv", "books", str(books))
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == "books: 2 read, 1 new, 0 changed, 0 unchanged, 1 wrong"
    assert "Line 3, copies “x”" in shown.err
    assert not Book.objects.exists()


def test_wrong_rows_can_be_skipped_and_are_written_to_a_file(books: Path, tmp_path: Path) -> None:
    errors = tmp_path / "errors.csv"
    call_command("import_csv", "books", str(books), "--skip-invalid", "--errors", str(errors))
    assert Book.objects.get().title == "Dune"
    assert errors.read_text().splitlines()[1].startswith("3,copies,")


def test_a_dry_run_only_says_what_it_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "books.csv"
    file.write_text("Their title;Autor\nDune;Herbert\n")
    call_command(
        "import_csv", "books", str(file), "--dry-run", "--map", "Their title=title", "Autor=",
        "--delimiter", ";", "--encoding", "utf-8", "--copies", "1", "--accept-bad-isbn",
    )  # fmt: skip
    assert "1 new" in capsys.readouterr().out
    assert not Book.objects.exists()
    assert not ImportRun.objects.exists()


def test_the_importer_can_be_named(tmp_path: Path) -> None:
    maria = make_staff(email="maria@example.org")
    file = tmp_path / "books.csv"
    file.write_text("title\nDune\n")
    call_command("import_csv", "books", str(file), "--by", "Maria@example.org")
    assert ImportRun.objects.get().by == maria
    with pytest.raises(CommandError, match="staff"):
        call_command("import_csv", "books", str(file), "--by", "nobody@example.org")


@pytest.mark.parametrize(
    "arguments",
    [("books", "no such file.csv"), ("books", "."), ("ships", "x.csv"),
     ("books", "x.csv", "--map", "nothing"), ("books", "x.csv", "--delimiter", "xx"),
     ("books", "x.csv", "--copies", "-1")],
)  # fmt: skip
def test_what_cannot_be_done_is_a_message(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        call_command("import_csv", *arguments)


@pytest.mark.parametrize("name", ["books.csv", "books.xlsx"])
def test_an_exported_file_is_imported_without_a_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    make_book("=1+1", isbn="9780441172719")
    file = tmp_path / name
    call_command("export_csv", "books", "-o", str(file))
    call_command("import_csv", "books", str(file))
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "books: 1 read, 0 new, 0 changed, 1 unchanged, 0 wrong"


def test_a_file_that_cannot_be_written_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_csv", "books", "-o", str(tmp_path / "no" / "folder.csv"))
