"""What the preview page shows: counts, columns, warnings, wrong rows, and the first rows."""

from collections.abc import Mapping
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from alerts.backoffice.pages import badge

LONGEST_SHOWN = 80
DELIMITERS = {"\t": "⇥"}


class Preview:
    """A report, as an upload keeps it, in words and tables; everything is escaped on the page."""

    def __init__(self, report: Mapping[str, Any]) -> None:
        self._report = report
        self.fingerprint: str = report["fingerprint"]
        self.is_accepted: bool = report["is_accepted"]
        self.warnings: list[str] = report["warnings"]

    @property
    def has_something_to_do(self) -> bool:
        _read, new, changed, _unchanged, _wrong = self._report["counts"]
        return bool(new or changed)

    @property
    def wrong(self) -> int:
        return int(self._report["counts"][4])

    @property
    def counts(self) -> list[tuple[str, int]]:
        read, new, changed, unchanged, wrong = self._report["counts"]
        return [
            (_("Read"), read),
            (_("New"), new),
            (_("Updated"), changed),
            (_("Unchanged"), unchanged),
            (_("Skipped"), self._report["skipped"]),
            (_("Wrong"), wrong),
        ]

    @property
    def reading(self) -> str:
        """How the file was understood."""
        if not self._report["delimiter"]:
            return _("Read as an Excel workbook.")
        delimiter = self._report["delimiter"]
        return _("Read as %(encoding)s, columns divided by %(delimiter)s") % {
            "encoding": self._report["encoding"],
            "delimiter": DELIMITERS.get(delimiter, delimiter),
        }

    @property
    def mapping(self) -> dict[str, Any]:
        rows = [[title, name or _("not imported")] for title, name in self._report["mapping"]]
        return {"headers": [_("Header in the file"), _("Our column")], "rows": rows}

    @property
    def errors(self) -> dict[str, Any]:
        return {
            "headers": [_("Line"), _("Column"), _("Value"), _("Reason")],
            "rows": [
                [line, column or "–", _short(value), reason]
                for line, column, value, reason in self._report["errors"]
            ],
        }

    @property
    def rows(self) -> dict[str, Any]:
        rows = self._report["rows"]
        names = list(rows[0]["values"]) if rows else []
        return {
            "headers": [_("Line"), "", *names],
            "rows": [
                [
                    row["line"],
                    _verdict(row["verdict"]),
                    *(_cell(row["values"][name], row["before"], name) for name in names),
                ]
                for row in rows
            ],
        }


def _verdict(verdict: str) -> SafeString:
    texts = {
        "n": (pgettext("row", "New"), "success"),
        "c": (pgettext("row", "Updated"), "info"),
        "u": (pgettext("row", "Unchanged"), ""),
    }
    return badge(*texts[verdict])


def _cell(value: Any, before: Mapping[str, Any], name: str) -> str | SafeString:
    if name not in before:
        return _short(value)
    return format_html("<del>{}</del> {}", _short(before[name]) or "–", _short(value) or "–")


def _short(value: Any) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
