"""What an import did or would do: counts, errors, warnings, examples, and the error file."""

import csv
import gzip
import io
import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from catalog.imports.headers import ERROR_FILE
from catalog.imports.reading import Table
from catalog.imports.staging import ERRORS, ROWS, Stage

if TYPE_CHECKING:
    from catalog.imports.planning import Plan

MOST_ERRORS_KEPT = 1000


@dataclass(frozen=True)
class CellError:
    line: int
    column: str
    value: str
    reason: str

    def as_list(self) -> list[Any]:
        return [self.line, self.column, self.value, self.reason]


@dataclass(frozen=True)
class PreviewRow:
    """One row as an example: what it says, and for a changed one what is stored now."""

    line: int
    verdict: str
    values: dict[str, Any]
    before: dict[str, Any]


@dataclass
class Report:
    kind: str
    read: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    wrong: int = 0
    skips_invalid: bool = False
    encoding: str = ""
    delimiter: str = ""
    mapping: list[tuple[str, str]] = field(default_factory=list)
    file_hash: str = ""
    fingerprint: str = ""
    errors: list[CellError] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    preview: list[PreviewRow] = field(default_factory=list)
    error_file: bytes | None = None
    """The wrong rows as CSV, gzipped."""
    run_id: int | None = None
    started_at: datetime = field(default_factory=timezone.now)

    @property
    def counts(self) -> tuple[int, int, int, int, int]:
        return (self.read, self.new, self.changed, self.unchanged, self.wrong)

    @property
    def skipped(self) -> int:
        """Wrong rows that are left out while the others are written."""
        return self.wrong if self.skips_invalid else 0

    @property
    def is_accepted(self) -> bool:
        return not self.wrong or self.skips_invalid

    def summary(self) -> str:
        """The last line of the command's output; other programs may read it."""
        read, new, changed, unchanged, wrong = self.counts
        return (
            f"{self.kind}: {read} read, {new} new, {changed} changed, "
            f"{unchanged} unchanged, {wrong} wrong"
        )


def error_rows(stage: Stage, most: int = MOST_ERRORS_KEPT) -> list[CellError]:
    rows = stage.fetch(
        f"SELECT line, col, value, reason FROM {ERRORS} ORDER BY line, col LIMIT %s",
        [most],
    )
    return [CellError(*row) for row in rows]


def preview_rows(plan: "Plan", most: int) -> list[PreviewRow]:
    """Return the first rows with what is stored now, those that change something first."""
    stage, target = plan.stage, plan.target
    names = [column.name for column in target.assigned]
    extra = [name for name in plan.kind.shown if name in plan.present and name not in names]
    listed = ", ".join([f"s.{name}" for name in [*names, *extra]] + [f"t.{name}" for name in names])
    rows = stage.fetch(
        f"SELECT s.line, {plan.kind.verdict} AS verdict, s.action, {listed} FROM {ROWS} s "
        f'LEFT JOIN "{target.table}" t ON t.id = s.target_id WHERE s.action <> %s '
        "ORDER BY s.line LIMIT %s",
        ["w", most],
    )
    examples = []
    for line, verdict, action, *cells in rows:
        said = dict(zip([*names, *extra], cells, strict=False))
        stored = dict(zip(names, cells[len(names) + len(extra) :], strict=True))
        before = {
            column.name: stored[column.name]
            for column in target.assigned
            if action == "c"
            and stored[column.name] != said[column.name]
            and not (column.keeps and said[column.name] is None)
        }
        examples.append(PreviewRow(line, verdict, said, before))
    return examples


def pack_error_file(table: Table, stage: Stage) -> bytes:
    """Return the wrong rows as they stand in the file, each with its line, column and reason.

    Once mended, the file can be imported as it is.
    """
    wrong: dict[int, list[tuple[str, str]]] = {}
    for line, column, reason in stage.stream(
        f"SELECT line, col, reason FROM {ERRORS} ORDER BY line, col"
    ):
        wrong.setdefault(line, []).append((column, reason))
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=5) as binary,
        io.TextIOWrapper(binary, "utf-8", errors="backslashreplace", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow([*ERROR_FILE, *table.header])
        for line, cells in table.rows:
            if line in wrong:
                writer.writerow([line, *_told(wrong[line]), *cells])
    return packed.getvalue()


def _told(errors: list[tuple[str, str]]) -> tuple[str, str]:
    columns = "; ".join(dict.fromkeys(column for column, _reason in errors if column))
    return columns, " ".join(dict.fromkeys(reason for _column, reason in errors))


def plain(value: Any) -> Any:
    """Return a report's parts as JSON takes them: dates and amounts become text."""
    return json.loads(json.dumps(value, default=str))
