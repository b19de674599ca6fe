"""The parts of the README that are made from the code are as the code is."""

from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from circulation.models import Loan
from config import documents
from config.documents import diagram, settings

README = Path(__file__).parent.parent / "README.md"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with a place for each piece, between other words."""
    places = ("\n".join(documents.marks(name)) for name in documents.PIECES)
    file = tmp_path / "x.md"
    file.write_text("Before\n" + "\nbetween\n".join(places) + "\nAfter\n")
    return file


def test_the_readme_is_as_the_code_is() -> None:
    text = README.read_text(encoding="utf-8")
    assert documents.missing(text) == []
    assert documents.renewed(text) == text, "run: manage.py document --write README.md"


def test_the_pieces_are_written_where_the_marks_are(file: Path) -> None:
    call_command("document", write=file)
    text = file.read_text()
    assert text.startswith("Before\n")
    assert text.count("\nbetween\n") == len(documents.PIECES) - 1
    assert text.endswith("\nAfter\n")
    assert all(documents.piece(name) in text for name in documents.PIECES)
    call_command("document", write=file)
    assert file.read_text() == text


def test_a_file_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "x.md"
    file.write_text("no marks")
    with pytest.raises(CommandError, match="no lines"):
        call_command("document", write=file)
    assert file.read_text() == "no marks"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="nowhere"):
        call_command("document", write=tmp_path / "nowhere.md")


def test_a_piece_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("document", "jobs")
    assert "| `accrue_fines` | daily at 00:30 |" in capsys.readouterr().out


def test_the_pieces_are_in_english_whatever_the_site_speaks() -> None:
    with translation.override("pl"):
        assert "daily at" in documents.piece("jobs")


def test_every_variable_of_the_sample_is_in_the_table_with_its_note() -> None:
    table = settings.table()
    for line in settings.SAMPLE.read_text(encoding="utf-8").splitlines():
        if variable := settings.VARIABLE.fullmatch(line):
            [row] = [row for row in table.splitlines() if f"`{variable[2]}`" in row.split("|")[1]]
            assert row.split(" | ")[2].strip("| "), f"{variable[2]} has no note"


def test_the_diagram_shows_what_a_loan_belongs_to() -> None:
    shown = documents.piece("models").splitlines()
    assert "    Copy ||--o{ Loan : copy" in shown
    assert "    Reader ||--o{ Loan : reader" in shown
    assert "    Reader |o--o{ Loan : lent_by" in shown
    assert "        char barcode UK" in shown
    assert Loan in diagram.own_models()
    assert not any("Historical" in line for line in shown)
