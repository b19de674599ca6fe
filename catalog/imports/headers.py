"""How the headers of a file are matched with our columns, whoever's system wrote them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from catalog.imports.kinds import Column, UnreadableError

SPACING = re.compile(r"[\s_\-.]+")
# Never read from a file, whatever it says: who may sign in, and with what rights.
RIGHTS = frozenset(
    [
        "password",
        "passwordhash",
        "isstaff",
        "issuperuser",
        "isactive",
        "staff",
        "superuser",
        "groups",
        "permissions",
        "userpermissions",
        "userid",
        "pin",
    ]
)
# The columns that an error file begins with; it can be mended and imported as it is.
ERROR_FILE = ("line", "column", "reason")


@dataclass
class Layout:
    """Which cell of a row is which column; None is a cell that is not read."""

    header: list[str]
    columns: list[Column | None]
    ignored: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def present(self) -> frozenset[str]:
        return frozenset(column.name for column in self.columns if column)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The mapping as people see it: header in the file, our column or ""."""
        return [
            (title, column.name if column else "")
            for title, column in zip(self.header, self.columns, strict=True)
        ]


def fold(header: str) -> str:
    """Return the header without case, spaces and underscores: “Due Date” is “due_date”."""
    return SPACING.sub("", header.strip("\ufeff '\"")).casefold()


def match(
    header: Sequence[str], columns: Sequence[Column], *, mapping: Mapping[str, str]
) -> Layout:
    """Find our column for each header. Raises UnreadableError for what cannot be meant."""
    titles = [title.strip("\ufeff ") for title in header]
    _refuse_repeated(titles)
    by_name = {column.name: column for column in columns}
    chosen = _chosen(titles, by_name, mapping)
    taken = {name for name in chosen.values() if name}
    layout = Layout(titles, [None] * len(titles))
    skipped = _error_file_columns(titles)
    places = {fold(title): place for place, title in enumerate(titles)}
    for title, name in chosen.items():
        layout.columns[places[title]] = by_name[name] if name else None
    for column in columns:
        if column.name in taken:
            continue
        for word in (column.name, *column.aliases):
            place = places.get(fold(word))
            if place is None or fold(word) in chosen or place in skipped:
                continue
            if layout.columns[place] is None:
                layout.columns[place] = column
                break
    _note_ignored(layout, chosen, skipped)
    _refuse_missing(layout, columns)
    return layout


def _refuse_repeated(titles: Sequence[str]) -> None:
    seen: dict[str, int] = {}
    for place, title in enumerate(titles, start=1):
        key = fold(title)
        if not key:
            raise UnreadableError(
                _("Line 1: column %(number)d has no header. Name it, or delete the column.")
                % {"number": place}
            )
        if key in seen:
            raise UnreadableError(
                _("Line 1: the header “%(title)s” stands over columns %(one)d and %(other)d.")
                % {"title": title, "one": seen[key], "other": place}
            )
        seen[key] = place


def _chosen(
    titles: Sequence[str], by_name: Mapping[str, Column], mapping: Mapping[str, str]
) -> dict[str, str]:
    """Return folded header -> column name as the operator mapped them."""
    folded = {fold(title) for title in titles}
    names = {fold(name): name for name in by_name}
    chosen: dict[str, str] = {}
    for title, name in mapping.items():
        if fold(title) not in folded:
            raise UnreadableError(
                _("The mapping names the header “%(title)s”, which the file does not have.")
                % {"title": title}
            )
        if name and fold(name) not in names:
            raise UnreadableError(
                _("There is no column “%(name)s” to map to. There are: %(known)s.")
                % {"name": name, "known": ", ".join(by_name)}
            )
        ours = names[fold(name)] if name else ""
        if ours and ours in chosen.values():
            raise UnreadableError(
                _("Two headers are mapped to the column “%(name)s”.") % {"name": ours}
            )
        chosen[fold(title)] = ours
    return chosen


def _error_file_columns(titles: Sequence[str]) -> set[int]:
    leading = tuple(fold(title) for title in titles[: len(ERROR_FILE)])
    return set(range(len(ERROR_FILE))) if leading == ERROR_FILE else set()


def _note_ignored(layout: Layout, chosen: Mapping[str, str], skipped: set[int]) -> None:
    for place, title in enumerate(layout.header):
        if layout.columns[place] is not None or place in skipped:
            continue
        if fold(title) in RIGHTS:
            layout.warnings.append(
                _("The column “%(title)s” is ignored: rights and passwords are never imported.")
                % {"title": title}
            )
        elif fold(title) not in chosen:
            layout.ignored.append(title)
    if layout.ignored:
        layout.warnings.append(
            _("Columns that are not imported: %(titles)s.") % {"titles": ", ".join(layout.ignored)}
        )


def _refuse_missing(layout: Layout, columns: Sequence[Column]) -> None:
    missing = [c.name for c in columns if c.required and c.name not in layout.present]
    if missing:
        raise UnreadableError(
            _(
                "Line 1: a header is missing: %(missing)s. The file has: %(titles)s. Name the "
                "column that is meant, or map it."
            )
            % {"missing": ", ".join(missing), "titles": ", ".join(layout.header) or "–"}
        )
