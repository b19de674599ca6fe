"""`manage.py import_csv KIND FILE`: import books, copies, readers, loans or charges."""

import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.translation import gettext as _
from tqdm import tqdm

from catalog import imports
from circulation.models import Reader

MOST_ERRORS_SHOWN = 20
DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";"}


def pair(raw: str) -> tuple[str, str]:
    title, equals, name = raw.rpartition("=")
    if not equals or not title.strip():
        raise ArgumentTypeError(_("“%(raw)s” is not of the form HEADER=FIELD.") % {"raw": raw})
    return title.strip(), name.strip()


def one_character(raw: str) -> str:
    delimiter = DELIMITERS.get(raw.lower(), raw)
    if len(delimiter) != 1 or delimiter in '"\r\n':
        raise ArgumentTypeError(_("A delimiter is one character: , or ; or tab."))
    return delimiter


class Command(BaseCommand):
    help = (
        "Import a file: CSV, TSV or XLSX. Nothing is written unless every row is right, or "
        "--skip-invalid is given. The same file again changes nothing. Exit status 0 means that "
        "nothing was wrong, or that wrong rows were skipped as asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("kind", choices=list(settings.IMPORT_KINDS))
        parser.add_argument("file", type=Path, help="the file; its first line is the header")
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what the import would do"
        )
        parser.add_argument(
            "--skip-invalid", action="store_true", help="leave wrong rows out and import the others"
        )
        parser.add_argument(
            "--errors",
            type=Path,
            metavar="OUT.csv",
            help="write the wrong rows here, with line, column and reason, to be mended",
        )
        parser.add_argument("--encoding", default="", help="utf-8, cp1250 ... (default: detected)")
        parser.add_argument(
            "--delimiter", type=one_character, help=", ; or tab (default: detected)"
        )
        parser.add_argument(
            "--map",
            dest="mapping",
            type=pair,
            nargs="+",
            action="extend",
            default=[],
            metavar="HEADER=FIELD",
            help='which field a header means, as "Their header=our_field"; "Their header=" leaves '
            "that column out. Usual names of other systems are known without",
        )
        parser.add_argument(
            "--accept-bad-isbn",
            action="store_true",
            help="take books whose ISBN has a wrong check digit, and keep that ISBN as printed",
        )
        parser.add_argument(
            "--copies",
            type=int,
            default=0,
            metavar="N",
            help="make N copies, with barcodes of our own making, of each new book for which the "
            "file gives neither a number of copies nor a barcode (default: none)",
        )
        parser.add_argument(
            "--by", default="", metavar="EMAIL", help="the member of staff to note as the importer"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            report = self._run(options)
        except (imports.UnreadableError, imports.StoppedError) as refused:
            raise CommandError(str(refused)) from refused
        for warning in report.warnings:
            self.stderr.write(_("Warning: %(text)s") % {"text": warning})
        for error in report.errors[:MOST_ERRORS_SHOWN]:
            self.stderr.write(_error_line(error))
        if report.wrong > MOST_ERRORS_SHOWN:
            self.stderr.write(_("... --errors OUT.csv writes all the wrong rows to a file."))
        if not report.is_accepted and not options["dry_run"]:
            self.stderr.write(
                _("Nothing was imported. Mend the rows, or leave them out with --skip-invalid.")
            )
        self.stdout.write(report.summary())
        if not report.is_accepted:
            sys.exit(1)

    def _run(self, options: dict[str, Any]) -> imports.Report:
        with tqdm(
            desc=options["kind"], unit=" rows", disable=None, file=sys.stderr, leave=False
        ) as bar:

            def show(done: int, expected: int) -> None:
                bar.total = expected
                bar.update(done - bar.n)

            return imports.run(
                options["kind"],
                options["file"],
                by=_importer(options["by"]),
                dry_run=options["dry_run"],
                options=imports.Options(
                    skip_invalid=options["skip_invalid"],
                    encoding=options["encoding"],
                    delimiter=options["delimiter"] or "",
                    mapping=dict(options["mapping"]),
                    accept_bad_isbn=options["accept_bad_isbn"],
                    copies=_number(options["copies"]),
                ),
                errors_to=options["errors"],
                progress=show,
            )


def _importer(email: str) -> Reader | None:
    if not email:
        return None
    reader = Reader.objects.filter(email=email.lower(), is_staff=True).first()
    if reader is None:
        raise CommandError(_("No member of staff has the email %(email)s.") % {"email": email})
    return reader


def _number(copies: int) -> int:
    if not 0 <= copies <= imports.MOST_COPIES:
        raise CommandError(
            _("--copies takes a number from 0 to %(most)d.") % {"most": imports.MOST_COPIES}
        )
    return copies


def _error_line(error: imports.CellError) -> str:
    place = _("Line %(line)d") % {"line": error.line}
    if error.column:
        place += f", {error.column}"
    value = f" “{error.value[:60]}”" if error.value else ""
    return f"{place}{value}: {error.reason}"
