"""How the rows of a file are checked, cell by cell, and staged."""

from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _

from alerts.spreadsheets import unescape
from catalog.imports.headers import Layout
from catalog.imports.kinds import Column, RowError
from catalog.imports.planning import Kind
from catalog.imports.reading import UNREADABLE_CHARACTERS, Table
from catalog.imports.staging import Refusal, Stage
from catalog.imports.values import BadValueError
from catalog.imports.workbook import Number

BATCH = 2000
Progress = Callable[[int, int], None]
"""Called with the rows done and the rows expected (about)."""


def load(
    table: Table, layout: Layout, kind: Kind, stage: Stage, *, progress: Progress | None = None
) -> int:
    """Stage the good rows of a table and the errors of the bad ones; return how many were read."""
    reader = _RowReader(kind, layout, stage, checks_characters=table.may_hold_bad_characters)
    done = 0
    for line, cells in table.rows:
        done += 1
        reader.read(line, cells)
        if done % BATCH == 0:
            reader.flush()
            if progress:
                progress(done, max(table.expected_rows, done))
    reader.flush()
    if progress:
        progress(done, done)
    return done


class _RowReader:
    """Checks rows and hands them to the stage in batches."""

    def __init__(
        self, kind: Kind, layout: Layout, stage: Stage, *, checks_characters: bool
    ) -> None:
        self._kind = kind
        self._layout = layout
        self._stage = stage
        self._width = len(layout.columns)
        self._columns = [
            (place, column, column.stage_name, column.parse)
            for place, column in enumerate(layout.columns)
            if column
        ]
        self._template: dict[str, Any] = dict.fromkeys(stage.names)
        self._checks_characters = checks_characters
        self._rows: list[tuple[Any, ...]] = []
        self._errors: list[Refusal] = []

    def read(self, line: int, cells: list[str]) -> None:
        if len(cells) != self._width:
            self._refuse_width(line, cells)
            return
        if self._checks_characters and self._refuse_characters(line, cells):
            return
        record = self._template.copy()
        record["line"] = record["first_line"] = line
        known_errors = len(self._errors)
        for place, column, name, parse in self._columns:
            cell = cells[place]
            # Only a cell that export escaped keeps spaces at its ends.
            text = unescape(cell) if cell[:1] == "'" else cell.strip()
            if not text:
                self._take_empty(record, column)
                continue
            try:
                record[name] = parse(text)
            except BadValueError as refused:
                self._refuse(line, column.name, cell, str(refused))
            if column.is_code and type(cell) is Number:
                self._warn_of_lost_zeros(line, column, cell)
        if len(self._errors) == known_errors:
            self._complete(line, record)

    def _take_empty(self, record: dict[str, Any], column: Column) -> None:
        record[column.stage_name] = column.empty
        if column.required:
            self._refuse(record["line"], column.name, "", _("This cell must not be empty."))

    def flush(self) -> None:
        self._stage.add(self._rows)
        self._stage.add_errors(self._errors)
        self._rows = []
        self._errors = []

    def _complete(self, line: int, record: dict[str, Any]) -> None:
        try:
            self._kind.complete(record)
        except RowError as refused:
            self._refuse(line, refused.column, refused.value, refused.reason)
            return
        if warnings := self._kind.warnings_for(line, record):
            self._stage.warn(warnings)
        self._rows.append(tuple([record[name] for name in self._stage.names]))

    def _refuse_width(self, line: int, cells: list[str]) -> None:
        reason = _("The row has %(cells)d cells, the header has %(headers)d.") % {
            "cells": len(cells),
            "headers": self._width,
        }
        self._refuse(line, "", "", reason)

    def _refuse_characters(self, line: int, cells: list[str]) -> bool:
        for place, cell in enumerate(cells):
            if found := UNREADABLE_CHARACTERS.search(cell):
                column = self._layout.header[place]
                self._refuse(line, column, cell, _character_problem(found[0]))
                return True
        return False

    def _refuse(self, line: int, column: str, value: str, reason: str) -> None:
        shown = UNREADABLE_CHARACTERS.sub("\ufffd", value)[:200]
        self._errors.append((line, column, shown, reason))

    def _warn_of_lost_zeros(self, line: int, column: Column, cell: str) -> None:
        warning = _(
            "Line %(line)d: %(column)s %(value)s is stored as a number in the workbook; leading "
            "zeros, if it had any, are lost. Format the column as text."
        )
        self._stage.warn([warning % {"line": line, "column": column.name, "value": cell}])


def _character_problem(character: str) -> str:
    if character == "\0":
        return _("There is a NUL byte in this cell.")
    if "\udc80" <= character <= "\udcff":
        return _("The byte 0x%(byte)02X does not fit the encoding of the file.") % {
            "byte": ord(character) - 0xDC00
        }
    return _("There is half a character in this cell.")
