"""The demo's library, step by step; each step does only what is still missing."""

from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from tqdm import tqdm

from catalog import imports
from catalog.models import Book, Copy
from circulation.models import Loan, Reader
from config.demo import lending, people, stock

AUDIO_FEE = Decimal("0.20")


def prepare() -> None:
    """Make what the demo shows. The loans come last, so where there are any, all is there."""
    if Loan.objects.exists():
        return
    today = timezone.localdate()
    staff = people.make_staff()
    librarian = staff["Librarian"]
    with transaction.atomic():
        stock.make_rules(today=today)
        people.make_readers(today=today)
    if not Book.objects.exists():
        _import("books", stock.CATALOGUE, by=librarian, label=_("Titles"))
    if not Copy.objects.exists():
        _import("copies", stock.copies_file(), by=librarian, label=_("Copies"))
    _ask_a_fee_for_recordings(by=librarian)
    lending.play(today=today, assistant=staff["Assistant"], librarian=librarian)


def _import(kind: str, source: Path | BinaryIO, *, by: Reader, label: str) -> None:
    """Import as staff do, with a progress bar. Raises UnreadableError."""
    with tqdm(desc=label, unit=" rows", disable=None) as bar:

        def show(done: int, expected: int) -> None:
            bar.total = expected
            bar.update(done - bar.n)

        name = source.name if isinstance(source, Path) else f"{kind}.csv"
        report = imports.run(kind, source, by=by, file_name=name, progress=show)
    if not report.is_accepted:
        raise imports.UnreadableError(f"{report.summary()}: {report.errors[0].reason}")


@transaction.atomic
def _ask_a_fee_for_recordings(*, by: Reader) -> None:
    for book in Book.objects.filter(copies__item_type__name=stock.AUDIO, daily_fee=0).distinct():
        book.daily_fee = AUDIO_FEE
        book._history_user = by
        book.save()
