"""`manage.py export_csv KIND`: write all books, readers, payments and so on to a file."""

import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _

from catalog import exports


class Command(BaseCommand):
    help = (
        "Export all records of a kind, in a form that import_csv reads (but for payments) and a "
        "spreadsheet shows as it is: text that looks like a formula begins with an apostrophe."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=list(settings.EXPORT_KINDS))
        parser.add_argument(
            "-o", "--output", type=Path, metavar="FILE", help="where to (default: standard output)"
        )
        parser.add_argument(
            "--format",
            choices=list(exports.FORMATS),
            help="default: by the name of the file, else csv",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        kind = exports.kind_called(options["kind"])
        output: Path | None = options["output"]
        chosen = options["format"] or _format_of(output)
        rows = kind.to_export(kind.model._default_manager.all())
        parts = exports.stream(rows, kind.exported, kind=chosen)
        try:
            if output is None:
                sys.stdout.buffer.writelines(parts)
                return
            with output.open("wb") as file:
                file.writelines(parts)
        except exports.ExportRefusedError as refused:
            raise CommandError(str(refused)) from refused
        except OSError as refused:
            message = _("“%(path)s” cannot be written: %(reason)s.")
            raise CommandError(
                message % {"path": output or "-", "reason": refused.strerror}
            ) from refused


def _format_of(output: Path | None) -> str:
    return "xlsx" if output is not None and output.suffix.lower() == ".xlsx" else "csv"
