"""What a kind of import is made of: its columns, its options, and the words for them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from catalog.imports.values import Parser


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column that a file may have."""

    name: str
    parse: Parser = str
    aliases: tuple[str, ...] = ()
    required: bool = False
    empty: Any = None
    """What an empty cell means. With `keeps` it means: leave the stored value alone."""
    keeps: bool = False
    is_code: bool = False
    """A code that a spreadsheet may have robbed of its leading zeros."""
    into: str = ""
    """The staging column it fills, where that has another name: a foreign key's `..._id`."""

    @property
    def stage_name(self) -> str:
        return self.into or self.name


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the operator chose for one import."""

    skip_invalid: bool = False
    encoding: str = ""
    delimiter: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    """Header in the file -> our column; "" leaves a column out."""
    accept_bad_isbn: bool = False
    copies: int = 0
    """Copies for each new book of a file that says nothing about copies."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class UnreadableError(Exception):
    """The file as a whole cannot be imported; the message names what, where and what to do."""


class RowError(Exception):
    """A row that contradicts itself: the column, the value and the reason."""

    def __init__(self, column: str, value: object, reason: str) -> None:
        super().__init__(reason)
        self.column = column
        self.value = "" if value is None else str(value)
        self.reason = reason
