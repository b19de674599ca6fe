"""How a file is opened as a table: its encoding, delimiter, header and numbered rows, streamed."""

import codecs
import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import charset_normalizer
from django.utils.translation import gettext as _

from catalog.imports.kinds import UnreadableError

BLOCK = 1 << 20
SAMPLE = 1 << 16
LONGEST_FIELD = 128 * 1024
DELIMITERS = (",", ";", "\t")
CODE_PAGES = ("cp1250", "cp1251", "cp1252")
BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
NOT_ASCII = re.compile(rb"[\x80-\xff]")
NOT_ASCII_CHARACTER = re.compile("[^\x00-\x7f]")
UNDECODED = re.compile("[\udc80-\udcff]")
UNREADABLE_CHARACTERS = re.compile("[\x00\ud800-\udfff]")
REFUSED_EXTENSIONS = (
    ".xls",
    ".xlsm",
    ".xlsb",
    ".xltm",
    ".xlam",
    ".ods",
    ".numbers",
    ".pdf",
    ".zip",
)


@dataclass
class Table:
    """An opened file: its header, and its rows as (line in the file, cells)."""

    header: list[str]
    rows: Iterator[tuple[int, list[str]]]
    expected_rows: int
    encoding: str = ""
    delimiter: str = ""
    may_hold_bad_characters: bool = False
    warnings: list[str] = field(default_factory=list)


@dataclass
class Survey:
    """What one pass over the bytes tells: hash, size, lines, and whether they are UTF-8."""

    sha256: str
    size: int
    lines: int
    head: bytes
    has_nul: bool
    valid_characters: int
    undecoded_bytes: int
    sample: bytes


def survey(file: BinaryIO) -> Survey:
    """Read the file once, in blocks, and go back to its beginning."""
    file.seek(0)
    digest = hashlib.sha256()
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    size = lines = valid = undecoded = 0
    head, sample, has_nul = b"", b"", False
    while block := file.read(BLOCK):
        digest.update(block)
        head = head or block[:SAMPLE]
        size += len(block)
        lines += block.count(b"\n")
        has_nul = has_nul or b"\0" in block
        decoded = decoder.decode(block)
        if not decoded.isascii():
            if bad := len(UNDECODED.findall(decoded)):
                undecoded += bad
                valid += len(NOT_ASCII_CHARACTER.findall(decoded)) - bad
            if len(sample) < SAMPLE:
                sample += _lines_with_accents(block)[:SAMPLE]
    undecoded += len(UNDECODED.findall(decoder.decode(b"", final=True)))
    file.seek(0)
    return Survey(digest.hexdigest(), size, lines, head, has_nul, valid, undecoded, sample)


def _lines_with_accents(block: bytes) -> bytes:
    return b"\n".join(line for line in block.splitlines() if NOT_ASCII.search(line))


def guess_encoding(seen: Survey) -> str:
    """Name the encoding: by the byte order mark, else UTF-8 where it fits, else a code page."""
    for mark, name in BOMS.items():
        if seen.head.startswith(mark):
            return name
    if not seen.undecoded_bytes or seen.valid_characters > seen.undecoded_bytes:
        return "utf-8"
    best = charset_normalizer.from_bytes(seen.sample, cp_isolation=list(CODE_PAGES)).best()
    return best.encoding if best else "cp1252"


def refuse_extension(suffix: str) -> None:
    """Raise UnreadableError for a kind of file that is not read."""
    if suffix in REFUSED_EXTENSIONS:
        raise UnreadableError(
            _("Files of the type %(suffix)s are not imported. Save it as .xlsx or as CSV.")
            % {"suffix": suffix}
        )


def open_text(
    file: BinaryIO, seen: Survey, *, encoding: str = "", delimiter: str = ""
) -> tuple[Table, io.TextIOWrapper]:
    """Open delimited text. Raises UnreadableError, which names the line where there is one.

    The text stream is returned too: detach it, or it closes the file.
    """
    if not seen.head.strip():
        raise UnreadableError(_("The file is empty."))
    if seen.head.startswith(b"PK\x03\x04"):
        raise UnreadableError(
            _("This is a spreadsheet or an archive, not text. Save it as .xlsx or as CSV.")
        )
    encoding = encoding or guess_encoding(seen)
    wide = encoding.replace("_", "-").lower().startswith("utf-16")
    if wide:
        _check_utf_16(file, encoding)
    try:
        stream = io.TextIOWrapper(
            file, encoding=encoding, errors="strict" if wide else "surrogateescape", newline=""
        )
    except LookupError:
        raise UnreadableError(
            _("There is no encoding “%(name)s”. Try utf-8, cp1250, cp1251 or cp1252.")
            % {"name": encoding}
        ) from None
    delimiter = delimiter or _guess_delimiter(stream)
    rows = _rows(stream, delimiter)
    first = next(rows, None)
    if first is None:
        raise UnreadableError(_("The file is empty."))
    plain = encoding in ("utf-8", "utf-8-sig") and not seen.has_nul and not seen.undecoded_bytes
    table = Table(
        header=first[1],
        rows=rows,
        expected_rows=max(seen.lines, 1),
        encoding=encoding,
        delimiter=delimiter,
        may_hold_bad_characters=not plain,
    )
    return table, stream


def _check_utf_16(file: BinaryIO, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    line = 1
    try:
        while block := file.read(SAMPLE):
            line += decoder.decode(block).count("\n")
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise UnreadableError(
            _("Near line %(line)d there are bytes that are not %(encoding)s. Choose the encoding.")
            % {"line": line, "encoding": encoding}
        ) from None
    file.seek(0)


def _guess_delimiter(stream: io.TextIOWrapper) -> str:
    """Choose the delimiter that the first line has most of, outside quotation marks."""
    beginning = stream.read(SAMPLE)
    stream.seek(0)
    unquoted = re.sub(r'"(?:[^"]|"")*"', "", beginning)
    lines = unquoted.lstrip("\ufeff\r\n").splitlines()
    line = lines[0] if lines else ""
    counts = {delimiter: line.count(delimiter) for delimiter in DELIMITERS}
    return max(DELIMITERS, key=lambda delimiter: counts[delimiter])


def _rows(stream: io.TextIOWrapper, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the line it begins on."""
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as refused:
        raise UnreadableError(_malformed(str(refused), line)) from refused


def _malformed(refusal: str, line: int) -> str:
    if "field larger" in refusal:
        return _(
            "In the row that begins on line %(line)d a field is longer than 128 KiB. Perhaps a "
            "quotation mark is not closed there."
        ) % {"line": line}
    if "unexpected end" in refusal:
        return _(
            "In the row that begins on line %(line)d a quotation mark is opened and never closed."
        ) % {"line": line}
    if "expected after" in refusal:
        return _(
            "In the row that begins on line %(line)d text follows a closing quotation mark. A "
            "quotation mark inside a quoted field is written twice."
        ) % {"line": line}
    return _("The row that begins on line %(line)d cannot be read: %(reason)s.") % {
        "line": line,
        "reason": refusal,
    }
