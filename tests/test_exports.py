"""Export: what leaves the library is safe in a spreadsheet and comes back without a change."""

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any

import openpyxl
import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from alerts import spreadsheets
from billing import charges, payments
from billing.models import Charge, ChargeKind, Payment
from catalog import exports, imports
from catalog.models import Book, Copy, CopyStatus, Cover, ItemType
from circulation import desk
from circulation.models import DeskAct, Loan, Reader, ReaderCategory
from tests.factories import (
    MONDAY,
    WARSAW,
    forget,
    make_book,
    make_copy,
    make_reader,
    march,
    noon,
)

NASTY = (
    "=1+1", "+48 123", "-2", "@SUM(A1)", "\tTab", "\rReturn", "  =spaced", "'=quoted", "''",
    "'s-Hertogenbosch", 'Said "so", twice', "Line\nbreak", "Line\r\nbreak", "ends in space ", " ",
    "<script>alert(1)</script>", "{{ 7*7 }}", "Łódź ’ – “x”", "_x0041_ as written", "bell \x07",
    "1e5", "000123", "＝full", ";,\t|", "nbsp\u00a0",
)  # fmt: skip
FORMATS = ("csv", "xlsx")


def exported(name: str, file_format: str) -> bytes:
    kind = imports.kind_called(name)
    rows = kind.to_export(kind.model._default_manager.all())
    return b"".join(exports.stream(rows, kind.exported, kind=file_format))


def imported_again(name: str, content: bytes, file_format: str, **options: Any) -> imports.Report:
    return imports.run(
        name,
        io.BytesIO(content),
        file_name=f"{name}.{file_format}",
        options=imports.Options(**options),
    )


@pytest.fixture
def library(db: None) -> None:
    """Books, copies, readers, loans and charges of every sort, with texts that invite trouble."""
    child = ReaderCategory.objects.create(name="=Child")
    dvd = ItemType.objects.create(name="@DVD")
    for number, text in enumerate(NASTY):
        book = make_book(text, author=text, subjects=text, source_id=f"{text}{number}")
        make_copy(book, barcode=f"=C{number}", note=text, item_type=dvd, price="1.50")
        make_copy(book, barcode=f"00{number:04d}", status=CopyStatus.WITHDRAWN)
    make_book("Gilgamesh", author="", published_year=-1200)
    make_book("Dune", isbn="9780441172719", cover=Cover.HARD, daily_fee="0.10", published_year=1965)
    anna = make_reader("Anna", last_name="=Nowak", category=child, phone="+48 123", language="pl")
    make_reader("Jan", email=None, expiry_date=date(2027, 1, 1), contact_email="a@example.org")
    make_reader("Ewa", card_number=None, is_blocked=True, block_reason="-lost books")
    lent = desk.check_out(anna, make_copy(make_book("Eden"), barcode="LENT"), on=MONDAY).loan
    desk.check_in(lent.copy, on=march(30), today=march(30))
    again = desk.check_out(anna, lent.copy, on=march(30)).loan
    desk.check_in(again.copy, on=march(30), today=march(30))
    desk.check_out(anna, again.copy, on=march(30))
    lost = desk.check_out(anna, make_copy(make_book("Fiasco"), barcode="LOST"), on=MONDAY).loan
    desk.mark_lost(lost, on=march(31))
    for _twice in range(2):
        charges.assess(anna, ChargeKind.FINE, Decimal("2.50"), description="=old debt", on=MONDAY)


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("name", ["books", "copies", "readers", "loans", "charges"])
def test_what_export_writes_import_reads_without_a_change(name: str, file_format: str) -> None:
    report = imported_again(name, exported(name, file_format), file_format)
    assert report.read == report.unchanged > 0, report.errors
    assert (report.new, report.changed, report.wrong) == (0, 0, 0)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(TEXT)
def test_escaping_is_undone_exactly(text: str) -> None:
    assert spreadsheets.unescape(spreadsheets.escape(text)) == text
    assert exports.unescape_controls(exports.escape_controls(text)) == text


@given(st.text(st.sampled_from("'=+-@ \t\r\nab"), max_size=8))
def test_no_cell_begins_like_a_formula(text: str) -> None:
    assert spreadsheets.escape(text).lstrip()[:1] not in {"=", "+", "-", "@"}


@pytest.mark.django_db
def test_numbers_stay_numbers_and_texts_stay_texts() -> None:
    make_book("=1+1", author="", daily_fee="1.50", published_year=-400)
    book = openpyxl.load_workbook(io.BytesIO(exported("books", "xlsx")))
    header, row = book.active.iter_rows(values_only=True)
    cells = dict(zip(header, row, strict=True))
    assert cells["title"] == "'=1+1"
    assert (cells["daily_fee"], cells["published_year"]) == (1.5, -400)
    (plain,) = csv.DictReader(io.StringIO(exported("books", "csv").decode("utf-8-sig")))
    assert (plain["title"], plain["published_year"]) == ("'=1+1", "-400")


@pytest.mark.django_db
def test_what_a_workbook_cannot_hold_is_refused_and_not_cut() -> None:
    make_book("Dune", subjects="x" * 40_000)
    with pytest.raises(exports.ExportRefusedError, match="CSV"):
        exported("books", "xlsx")
    report = imported_again("books", exported("books", "csv"), "csv")
    assert report.unchanged == 1


@pytest.mark.usefixtures("library")
def test_a_library_can_move_to_an_empty_one_by_its_files() -> None:
    kinds = ("books", "copies", "readers", "loans", "charges")
    files = {name: exported(name, "csv") for name in kinds}
    forget(Charge.objects.all())
    DeskAct.objects.all().delete()
    Loan.objects.all().delete()
    Reader.objects.all().delete()
    Copy.objects.all().delete()
    Book.objects.all().delete()
    for name in kinds:
        content = files[name]
        if name == "books":
            content = content.replace(b"copies", b"counted before")
        report = imported_again(name, content, "csv")
        assert report.wrong == 0, report.errors
    for name in kinds:
        assert exported(name, "csv").decode().splitlines() == files[name].decode().splitlines()


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("file_format", FORMATS)
def test_payments_are_exported_with_what_became_of_them(file_format: str) -> None:
    anna = Reader.objects.get(first_name="Anna")
    debt = charges.assess(anna, ChargeKind.FINE, Decimal("3.00"), description="Late", on=MONDAY)
    assert debt is not None
    at = noon(march(31))
    payment = payments.take_cash(anna, {debt.pk: Decimal("1.25")}, by=anna, at=at)
    kind = exports.kind_called("payments")
    rows = kind.to_export(Payment.objects.filter(pk=payment.pk))
    with timezone.override(WARSAW):
        content = b"".join(exports.stream(rows, kind.exported, kind=file_format))
    [row] = read(content, file_format)
    assert (row["status"], row["provider"], row["type"]) == ("PAID", "CASH", "FINE")
    assert Decimal(str(row["paid_amount"])) == Decimal("1.25")
    assert str(row["paid_at"]).startswith("2026-03-31 12:00:00")
    assert row["taken_by"] == row["card_number"] == anna.card_number


def read(content: bytes, file_format: str) -> list[dict[str, Any]]:
    if file_format == "csv":
        return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    workbook = openpyxl.load_workbook(io.BytesIO(content), read_only=True)
    header, *rows = workbook.worksheets[0].iter_rows(values_only=True)
    return [dict(zip(header, row, strict=True)) for row in rows]
