"""Import: encodings, delimiters, headers, quoting, and files that are not what they seem."""

import gzip
import io
import zipfile
from datetime import date

import openpyxl
import pytest

from catalog import imports
from catalog.models import Book, Copy
from circulation.models import Reader
from tests.importing import counts, reasons, run

pytestmark = pytest.mark.django_db
POLISH = "title;author\nZażółć gęślą jaźń;Łękołodzki, Świętosław\nŻółw ćwiczy;Śmigły\n"
RUSSIAN = "title,author\nВойна и мир,Лев Толстой\nПреступление и наказание,Фёдор Достоевский\n"
FRENCH = "title\tauthor\nL'Étranger à l'été\tCamus, Françoise\nDéjà vu, où ça\tHélène Béart\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1250"])
def test_polish_is_read_in_every_encoding(encoding: str) -> None:
    report = run("books", POLISH.encode(encoding))
    assert counts(report) == (2, 0, 0, 0)
    assert Book.objects.filter(title="Zażółć gęślą jaźń", author__startswith="Łęko").exists()


def test_utf_16_big_endian_is_read() -> None:
    run("books", b"\xfe\xff" + POLISH.encode("utf-16-be"))
    assert Book.objects.filter(title="Żółw ćwiczy").exists()


@pytest.mark.parametrize(("text", "encoding"), [(RUSSIAN, "cp1251"), (FRENCH, "cp1252")])
def test_code_pages_are_detected(text: str, encoding: str) -> None:
    report = run("books", text.encode(encoding), dry_run=True)
    assert report.encoding == encoding


def test_a_chosen_encoding_is_used() -> None:
    run("books", POLISH.encode("cp1250"), encoding="cp1250")
    assert Book.objects.filter(title="Żółw ćwiczy").exists()


def test_an_unknown_encoding_is_a_message() -> None:
    with pytest.raises(imports.UnreadableError, match="klingon"):
        run("books", "title\nDune\n", encoding="klingon")


def test_an_undecodable_byte_is_an_error_with_its_line() -> None:
    content = "title\nŁódź\nŻółw\n".encode() + b"Bro\xffken\n" + "Śpiew\n".encode()
    report = run("books", content)
    assert counts(report) == (3, 0, 0, 1)
    assert "0xFF" in reasons(report)[4, "title"]
    assert not Book.objects.exists()


def test_a_broken_utf_16_file_is_a_message_with_a_line() -> None:
    content = "title\nDune\nSolaris\n".encode("utf-16") + b"\x00\xd8"
    with pytest.raises(imports.UnreadableError, match="line 4"):
        run("books", content)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters_are_detected(delimiter: str) -> None:
    text = delimiter.join(["title", "author"]) + "\n" + delimiter.join(["Dune", '"a, b; c\td"'])
    report = run("books", text)
    assert report.delimiter == delimiter
    assert Book.objects.get().author == "a, b; c\td"


def test_headers_match_whatever_their_case_and_spaces() -> None:
    run("books", ' TITLE , Published Year,call-number,DAILY_FEE\nDune,1965,X1,"1,50"\n')
    book = Book.objects.get()
    assert (book.published_year, book.call_number, str(book.daily_fee)) == (1965, "X1", "1.50")


def test_line_breaks_and_quotation_marks_in_quotes_are_one_row() -> None:
    report = run(
        "books", 'title,author\n"Line\none","Said ""so"""\nDune,-\n,x\n', skip_invalid=True
    )
    assert reasons(report) == {(5, "title"): "This cell must not be empty."}
    assert Book.objects.get(title="Line\none").author == 'Said "so"'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("title,author\n", "no rows"),
        ("title,author\n,\n", "no rows"),
        ('title\nDune\n"open\nmore\n', "line 3"),
        ('title\nDune\n"shut" badly\n', "line 3"),
        ("title\nDune\n" + "x" * 140_000 + "\n", "line 3.*128 KiB"),
        ("title,Title\nDune,x\n", "Line 1.*“Title”"),
        ("title,,author\nDune,x,y\n", "Line 1: column 2"),
        ("author,isbn\nHerbert,\n", "Line 1.*missing: title"),
        ("\x00\x00\x00", "Line 1|empty|missing"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_a_message(content: str, says: str) -> None:
    with pytest.raises(imports.UnreadableError, match=says):
        run("books", content, skip_invalid=True)
    assert not Book.objects.exists()


def test_short_and_long_rows_and_nul_bytes_are_errors_with_their_lines() -> None:
    report = run("books", "title,author\nDune,Herbert\nshort\nlong,x,y\nnul,a\0b\n")
    found = reasons(report)
    assert set(found) == {(3, ""), (4, ""), (5, "author")}
    assert "1 cells, the header has 2" in found[3, ""]
    assert "NUL" in found[5, "author"]


def test_usual_names_of_other_systems_are_known() -> None:
    run(
        "books",
        "Book Id,Title,Author,ISBN,ISBN13,Publisher,Binding,Year Published,Owned Copies,My Rating\n"
        '7,Dune,Frank Herbert,"=""0441172717""","=""9780441172719""",Ace,Mass Market Paperback,'
        "1990,2,5\n",
    )
    book = Book.objects.get()
    assert (book.source_id, book.isbn, book.cover) == ("7", "9780441172719", "SOFT")
    assert book.copies.count() == 2


def test_gutenbergs_columns_are_known() -> None:
    report = run(
        "books",
        "Text#,Type,Issued,Title,Language,Authors,Subjects,LoCC,Bookshelves\n"
        '1,Text,1971-12-01,Declaration,en,"Jefferson, Thomas",History,E201,Politics\n',
    )
    book = Book.objects.get()
    assert (book.source_id, book.published_year, book.call_number) == ("1", 1971, "E201")
    assert any("Type, Bookshelves" in warning for warning in report.warnings)


def test_a_mapping_names_columns_and_leaves_them_out() -> None:
    run("books", "Nazwa,Autor\nDune,Herbert\n", mapping={"nazwa": "title", "Autor": ""})
    book = Book.objects.get()
    assert (book.title, book.author) == ("Dune", "")


@pytest.mark.parametrize("mapping", [{"Nope": "title"}, {"Title": "nope"}])
def test_a_mapping_of_what_is_not_there_is_a_message(mapping: dict[str, str]) -> None:
    with pytest.raises(imports.UnreadableError, match=r"Nope|nope"):
        run("books", "Title\nDune\n", mapping=mapping)


def test_columns_of_rights_and_passwords_are_ignored_with_a_warning() -> None:
    report = run(
        "readers", "card_number,first_name,is_staff,is_superuser,password\n7,Anna,1,1,secret\n"
    )
    reader = Reader.objects.get()
    assert not reader.is_staff
    assert not reader.is_superuser
    assert not reader.has_usable_password()
    assert sum("never imported" in warning for warning in report.warnings) == 3


def test_an_error_file_can_be_mended_and_imported_as_it_is() -> None:
    report = run("books", "title,copies\nDune,x\n")
    lines = gzip.decompress(report.error_file or b"").decode()
    assert lines.splitlines()[0] == "line,column,reason,title,copies"
    assert counts(run("books", lines.replace("Dune,x", "Dune,2"))) == (1, 0, 0, 0)


def workbook(*rows: list[object]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    made = io.BytesIO()
    book.save(made)
    return made.getvalue()


def test_a_workbook_is_read_with_its_types() -> None:
    run("books", "title,source_id\nDune,1\n")
    content = workbook(
        ["barcode", "source_id", "price", "acquired_date", "note"],
        ["000123", 1, 2.5, date(2020, 5, 1), None],
        [124.0, "1", "1,50", "2020-05-02", "x", ""],
    )
    report = run("copies", content, name="copies.xlsx")
    assert counts(report) == (2, 0, 0, 0), report.errors
    first, second = Copy.objects.order_by("barcode")
    assert (first.barcode, str(first.price), first.acquired_date) == (
        "000123",
        "2.50",
        date(2020, 5, 1),
    )
    assert second.barcode == "124"
    assert [w for w in report.warnings if "leading zeros" in w and "124" in w]


def test_a_decompression_bomb_is_refused_by_its_directory() -> None:
    made = io.BytesIO(workbook(["title"], ["Dune"]))
    with zipfile.ZipFile(made, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet2.xml", b"0" * (50 << 20))
    assert len(made.getvalue()) < 100_000
    with pytest.raises(imports.UnreadableError, match="unpack"):
        run("books", made.getvalue(), name="books.xlsx")


def test_a_workbook_with_macros_is_refused_whatever_its_name() -> None:
    made = io.BytesIO(workbook(["title"], ["Dune"]))
    with zipfile.ZipFile(made, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"macro")
    with pytest.raises(imports.UnreadableError, match="macros"):
        run("books", made.getvalue(), name="books.xlsx")


@pytest.mark.parametrize("suffix", [".xlsm", ".xls", ".ods", ".pdf"])
def test_other_kinds_of_file_are_refused(suffix: str) -> None:
    with pytest.raises(imports.UnreadableError, match=suffix):
        run("books", "title\nDune\n", name=f"books{suffix}")


def test_a_file_that_is_not_what_its_name_says_is_refused() -> None:
    with pytest.raises(imports.UnreadableError, match="not an Excel workbook"):
        run("books", "title\nDune\n", name="books.xlsx")
    with pytest.raises(imports.UnreadableError, match="not text"):
        run("books", workbook(["title"], ["Dune"]), name="books.csv")
