"""Which role sees which page and does what there."""

from collections.abc import Iterator

from config import role_table
from config.documents.tables import row, rule
from config.roles import ROLES


def table() -> str:
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield row("", "Page", *ROLES)
    yield rule(len(ROLES) + 2)
    section = ""
    for line in role_table.lines():
        heading = "" if line.place.section == section else f"**{line.place.section}**"
        section = line.place.section
        yield row(heading, line.page, *(", ".join(line.acts[role]) or "–" for role in ROLES))
