"""How an Excel workbook (.xlsx) is opened as a table, once its zip directory shows no bomb."""

import contextlib
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Any, BinaryIO

import openpyxl
from django.utils.translation import gettext as _

from catalog.exports import unescape_controls
from catalog.imports.kinds import UnreadableError
from catalog.imports.reading import LONGEST_FIELD, Table

EXTENSIONS = (".xlsx",)
MOST_PARTS = 1000
MOST_BYTES = 400 * 1024 * 1024
MOST_SHARED_TEXT = 100 * 1024 * 1024
# Real sheets pack 5 to 30 to one; only small parts may do better.
MOST_PACKED = 100
SMALL_PART = 4 * 1024 * 1024
MOST_COLUMNS = 500


class Number(str):
    """The text of a cell that holds a number: as a code it may have lost its leading zeros."""

    __slots__ = ()


@contextlib.contextmanager
def opened(file: BinaryIO) -> Iterator[Table]:
    """Open the first sheet. Raises UnreadableError."""
    check_zip(file)
    file.seek(0)
    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True, keep_links=False)
    except Exception as refused:
        # openpyxl raises whatever its parsers do for a damaged file.
        raise UnreadableError(_("This workbook is damaged and cannot be read.")) from refused
    try:
        if not book.worksheets:
            raise UnreadableError(_("This workbook has no sheet with cells."))
        yield _table(book)
    finally:
        book.close()


def check_zip(file: BinaryIO) -> None:
    """Refuse by the zip directory, before anything is unpacked, what is a bomb or has macros."""
    file.seek(0)
    try:
        parts = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, OSError) as refused:
        raise UnreadableError(
            _("This is not an Excel workbook (.xlsx). Save it as .xlsx or as CSV.")
        ) from refused
    names = {part.filename.lower() for part in parts}
    if "[content_types].xml" not in names or "xl/workbook.xml" not in names:
        raise UnreadableError(
            _("This is not an Excel workbook (.xlsx). Save it as .xlsx or as CSV.")
        )
    if any("vbaproject" in name for name in names):
        raise UnreadableError(_("This workbook holds macros. Save it as .xlsx without macros."))
    _refuse_bomb(parts)


def _refuse_bomb(parts: list[zipfile.ZipInfo]) -> None:
    too_packed = any(
        part.file_size > SMALL_PART and part.file_size > MOST_PACKED * max(part.compress_size, 1)
        for part in parts
    )
    shared = sum(p.file_size for p in parts if p.filename.lower().endswith("sharedstrings.xml"))
    if (
        too_packed
        or len(parts) > MOST_PARTS
        or sum(part.file_size for part in parts) > MOST_BYTES
        or shared > MOST_SHARED_TEXT
    ):
        raise UnreadableError(
            _("This workbook would unpack to far more than it should. Save it as CSV instead.")
        )


def _table(book: Any) -> Table:
    sheet = book.worksheets[0]
    expected = sheet.max_row or 1
    # What a workbook says about its own size is not to be trusted.
    sheet.reset_dimensions()
    rows = _rows(sheet)
    first = next(rows, None)
    if first is None:
        raise UnreadableError(_("The file is empty."))
    header = first[1]
    while header and not header[-1].strip():
        header.pop()
    warnings = []
    if len(book.worksheets) > 1:
        warnings.append(
            _("Only the first sheet, “%(title)s”, is imported.") % {"title": sheet.title}
        )
    return Table(
        header=[str(title) for title in header],
        rows=_of_width(rows, len(header)),
        expected_rows=expected,
        encoding="xlsx",
        may_hold_bad_characters=True,
        warnings=warnings,
    )


def _rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    try:
        for line, row in enumerate(
            sheet.iter_rows(values_only=True, max_col=MOST_COLUMNS), start=1
        ):
            if any(value not in (None, "") for value in row):
                yield line, [_text(value, line) for value in row]
    except UnreadableError:
        raise
    except Exception as refused:
        # openpyxl and its XML parser raise whatever they like in the middle of a damaged sheet.
        raise UnreadableError(_("This workbook is damaged and cannot be read.")) from refused


def _of_width(rows: Iterator[tuple[int, list[str]]], width: int) -> Iterator[tuple[int, list[str]]]:
    """Excel leaves out empty cells at the end of a row, and keeps ones that were cleared."""
    for line, cells in rows:
        while len(cells) > width and not cells[-1]:
            cells.pop()
        if len(cells) < width:
            cells.extend([""] * (width - len(cells)))
        yield line, cells


def _text(value: Any, line: int) -> str:
    if isinstance(value, str):
        if len(value) > LONGEST_FIELD:
            raise UnreadableError(
                _("In row %(line)d a cell is longer than 128 KiB.") % {"line": line}
            )
        return unescape_controls(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    return "" if value is None else str(value).lower()


def _number(value: float) -> Number:
    if not isfinite(value):
        return Number(value)
    return Number(int(value)) if value == int(value) else Number(f"{Decimal(repr(value)):f}")
