"""`manage.py show_roles`: which role sees which page and does what there, as a Markdown table."""

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import translation
from django.utils.translation import gettext as _

from config import role_table
from config.roles import ROLES

BEGIN, END = "<!-- manage.py show_roles: begin -->", "<!-- manage.py show_roles: end -->"


def table() -> str:
    """Return the table in English, as the README has it, whatever the language of the site."""
    with translation.override("en"):
        return "\n".join(_rows())


def _rows() -> Iterator[str]:
    yield _row("", "Page", *ROLES)
    yield _row(*["---"] * (len(ROLES) + 2))
    section = ""
    for line in role_table.lines():
        heading = "" if line.place.section == section else f"**{line.place.section}**"
        section = line.place.section
        yield _row(heading, line.page, *(", ".join(line.acts[role]) or "–" for role in ROLES))


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


class Command(BaseCommand):
    help = (
        "Print a Markdown table of the pages of the back-office: which role sees each, and what "
        "it may do there. --write puts it into a file, between the marks that are there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--write", metavar="FILE", type=Path, help="such as README.md")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path | None = options["write"]
        if file is None:
            self.stdout.write(table())
            return
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as unreadable:
            raise CommandError(str(unreadable)) from unreadable
        before, begin, rest = text.partition(BEGIN)
        _old, end, after = rest.partition(END)
        if not (begin and end):
            marks = {"file": file, "begin": BEGIN, "end": END}
            raise CommandError(
                _("%(file)s has no lines “%(begin)s” and “%(end)s”. Put them in.") % marks
            )
        file.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")
