"""CSV that a spreadsheet opens as it is: nothing that people typed runs there as a formula."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

CHUNK = 2000
# What a spreadsheet takes for a formula, and what stripping a cell would lose.
FORMULA = re.compile(r"[\s=+\-@＝＋－＠]|.*\s\Z", re.DOTALL)


def escape(text: str) -> str:
    """Return text that a spreadsheet shows as it is; `unescape` gives back exactly the text."""
    return f"'{text}" if text and FORMULA.match(text.lstrip("'")) else text


def unescape(cell: str) -> str:
    """Undo `escape`; a cell that was not escaped is only stripped."""
    if cell.startswith("'") and FORMULA.match(cell.lstrip("'")):
        return cell[1:]
    return cell.strip()


class _Lines:
    """What csv.writer writes to: keeps the line and hands it on."""

    def write(self, line: str) -> str:
        return line


def csv_parts(headers: Sequence[str], records: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Yield a file of records in parts."""
    writer = csv.writer(_Lines())
    # The byte order mark tells Excel that this is UTF-8.
    part = ["\ufeff" + writer.writerow(headers)]
    for record in records:
        part.append(writer.writerow([_cell(value) for value in record]))
        if len(part) >= CHUNK:
            yield "".join(part).encode()
            part = []
    yield "".join(part).encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return timezone.localtime(value).isoformat(" ", "seconds")
    return value
