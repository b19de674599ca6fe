"""How the library's records leave it: streamed as CSV or XLSX, safe in a spreadsheet, lossless."""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO, Protocol

import openpyxl
from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from openpyxl.cell import WriteOnlyCell

from alerts.spreadsheets import CHUNK, csv_parts, escape

FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# A workbook cannot hold these as they are; Excel itself writes them as _xHHHH_.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
ESCAPED_CONTROL = re.compile(r"_x([0-9A-Fa-f]{4})_")
LONGEST_CELL = 32_767
MOST_SHEET_ROWS = 1_048_576


class Kind(Protocol):
    """What can be exported: the rows of a model, by header and ORM path."""

    @property
    def model(self) -> type[Model]: ...

    @property
    def exported(self) -> Sequence[tuple[str, str]]: ...

    def to_export(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Prepare rows of the model for `exported`."""


def kind_called(name: str) -> Kind:
    """Return what is exported by this name (settings.EXPORT_KINDS). Raises KeyError."""
    kind: Kind = import_string(settings.EXPORT_KINDS[name])
    return kind


class ExportRefusedError(Exception):
    """The records do not fit into this kind of file; the message says which to choose."""


def escape_controls(text: str) -> str:
    """Write what a workbook cannot hold in the way that Excel does."""
    return CONTROL.sub(lambda found: f"_x{ord(found[0]):04X}_", text)


def unescape_controls(text: str) -> str:
    if "_x" not in text:
        return text
    return ESCAPED_CONTROL.sub(lambda found: chr(int(found[1], 16)), text)


def stream(
    rows: QuerySet[Any], columns: Sequence[tuple[str, str]], *, kind: str
) -> Iterator[bytes]:
    """Yield a file of records in parts. Raises ExportRefusedError.

    `columns` are header and ORM path; `kind` is csv or xlsx.
    """
    headers = [header for header, _path in columns]
    paths = [path for _header, path in columns]
    records = rows.order_by("pk").values_list(*paths).iterator(chunk_size=CHUNK)
    make: Callable[..., Iterator[bytes]] = _workbook if kind == "xlsx" else csv_parts
    return make(headers, records)


def _workbook(headers: Sequence[str], records: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(headers)
    try:
        for number, record in enumerate(records, start=2):
            if number > MOST_SHEET_ROWS:
                raise ExportRefusedError(_("A workbook holds 1,048,575 rows. Export as CSV."))
            sheet.append([_for_workbook(sheet, value) for value in record])
    except ExportRefusedError:
        sheet.close()
        raise
    with tempfile.TemporaryFile() as file:
        book.save(file)
        file.seek(0)
        yield from _blocks(file)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(1 << 16):
        yield block


def _for_workbook(sheet: Any, value: Any) -> Any:
    if isinstance(value, datetime):
        # A workbook knows no time zones: it gets the library's own time.
        cell = WriteOnlyCell(sheet, timezone.make_naive(value))
        cell.number_format = "yyyy-mm-dd hh:mm:ss"
        return cell
    if isinstance(value, date):
        cell = WriteOnlyCell(sheet, value)
        cell.number_format = "yyyy-mm-dd"
        return cell
    if not isinstance(value, str):
        return value
    text = escape_controls(escape(value))
    if len(text) > LONGEST_CELL:
        raise ExportRefusedError(
            _("“%(beginning)s…” is longer than a workbook's cell can be. Export as CSV.")
            % {"beginning": value[:60]}
        )
    return text
