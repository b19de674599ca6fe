"""Short cuts of the import tests: import a text as if it were a file."""

import io
from typing import Any

from catalog import imports


def run(
    kind: str, content: str | bytes, *, name: str = "", dry_run: bool = False, by: Any = None,
    **options: Any,
) -> imports.Report:  # fmt: skip
    raw = content.encode() if isinstance(content, str) else content
    return imports.run(
        kind,
        io.BytesIO(raw),
        file_name=name or f"{kind}.csv",
        dry_run=dry_run,
        by=by,
        options=imports.Options(**options),
    )


def counts(report: imports.Report) -> tuple[int, int, int, int]:
    """New, changed, unchanged, wrong; together they are all that was read."""
    assert sum(report.counts[1:]) == report.read
    return report.counts[1:]


def reasons(report: imports.Report) -> dict[tuple[int, str], str]:
    return {(error.line, error.column): error.reason for error in report.errors}
