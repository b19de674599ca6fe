"""The variables of the environment, as `.env.sample` explains them."""

import re
from collections.abc import Iterator

from django.conf import settings

from config.documents.tables import row, rule

SAMPLE = settings.BASE_DIR / ".env.sample"
SECTION = re.compile(r"# --- ([^.]+)(?:\. (.+))?")
VARIABLE = re.compile(r"(#?)([A-Z][A-Z_]*)=(.*)")
NOTE = re.compile(r"# (.+)")


def table() -> str:
    return "\n".join([row("Variable", "in the sample", "what it is"), rule(3), *_rows()])


def _rows() -> Iterator[str]:
    """Yield the sections and variables; several that one note explains are one row."""
    note: list[str] = []
    variables: list[re.Match[str]] = []
    for line in [*SAMPLE.read_text(encoding="utf-8").splitlines(), ""]:
        if section := SECTION.fullmatch(line):
            yield row(f"**{section[1]}**", "", "")
            continue
        if variable := VARIABLE.fullmatch(line):
            variables.append(variable)
            continue
        if variables:
            yield _row(variables, note)
            note, variables = [], []
        if text := NOTE.fullmatch(line):
            note.append(text[1])
        elif not line:
            note = []


def _row(variables: list[re.Match[str]], note: list[str]) -> str:
    names = "<br>".join(f"`{variable[2]}`" for variable in variables)
    values = "<br>".join(f"`{variable[3]}`" if variable[3] else "–" for variable in variables)
    return row(names, values, " ".join(note))
