"""`manage.py document`: what the README has from the code itself, printed or written into it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from config import documents


class Command(BaseCommand):
    help = (
        "Print a part of the README that is made from the code, as Markdown: the table of settings "
        "(from .env.sample), of jobs, of what each role may do on which page, or the diagram of "
        "the models (Mermaid). --write FILE puts all of them into a file, between the marks there."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        chosen = parser.add_mutually_exclusive_group(required=True)
        chosen.add_argument("piece", nargs="?", choices=list(documents.PIECES))
        chosen.add_argument("--write", metavar="FILE", type=Path, help="such as README.md")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["piece"]:
            self.stdout.write(documents.piece(options["piece"]))
            return
        file: Path = options["write"]
        try:
            text = file.read_text(encoding="utf-8")
            self._refuse_without_places(file, text)
            file.write_text(documents.renewed(text), encoding="utf-8")
        except OSError as unreadable:
            raise CommandError(str(unreadable)) from unreadable

    def _refuse_without_places(self, file: Path, text: str) -> None:
        lacking = documents.missing(text)
        if lacking:
            begin, end = documents.marks(lacking[0])
            raise CommandError(
                _("%(file)s has no lines “%(begin)s” and “%(end)s”. Put them in.")
                % {"file": file, "begin": begin, "end": end}
            )
