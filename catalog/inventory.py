"""Copies: their status, their number, and the barcodes that Carrel makes itself."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from simple_history.utils import bulk_create_with_history

from catalog.models import BarcodeCounter, Book, Copy, CopyStatus

if TYPE_CHECKING:
    from circulation.models import Reader

BARCODE_PREFIX = "C"
BARCODE_DIGITS = 8
MOST_COPIES_AT_ONCE = 1000


class InventoryRefusedError(Exception):
    """The copies stay as they are; the message says why."""


def lock_book(book_id: int) -> None:
    """Hold a book, with its copies and its queue, until the transaction ends.

    It comes first in the order of locks. SQLite's IMMEDIATE transaction is the lock.
    """
    Book.objects.select_for_update(no_key=True).only("pk").get(pk=book_id)


def set_status(copy: Copy, status: CopyStatus, *, by: "Reader | None") -> None:
    """Write the status of a copy that the caller has locked. No other code does."""
    if copy.status == status:
        return
    copy.status = status
    copy._history_user = by
    copy.save(update_fields=["status"])


def is_taken(code: str) -> bool:
    """Tell whether a barcode or a card has this number: they share one namespace."""
    if Copy.objects.filter(barcode=code).exists():
        return True
    return get_user_model().objects.filter(card_number=code).exists()


def available(book: Book) -> int:
    return Copy.objects.filter(book=book, status=CopyStatus.AVAILABLE).count()


@transaction.atomic
def make_barcodes(count: int) -> list[str]:
    """Reserve `count` barcodes that no copy and no card has."""
    counter, _created = BarcodeCounter.objects.select_for_update().get_or_create(pk=1)
    made: list[str] = []
    number = counter.next_number
    while len(made) < count:
        span = range(number, number + count - len(made))
        made.extend(_free(f"{BARCODE_PREFIX}{n:0{BARCODE_DIGITS}d}" for n in span))
        number = span.stop
    counter.next_number = number
    counter.save()
    return made


def _free(codes: Iterable[str]) -> list[str]:
    """Return those of a span of codes that no copy and no card has.

    They are as long as each other, so that the database can look for the span in its order.
    """
    wanted = list(codes)
    span = (wanted[0], wanted[-1])
    readers = get_user_model().objects
    taken: set[str | None] = {
        *Copy.objects.filter(barcode__range=span).values_list("barcode", flat=True),
        *readers.filter(card_number__range=span).values_list("card_number", flat=True),
    }
    return [code for code in wanted if code not in taken]


@transaction.atomic
def add_copies(
    book: Book, count: int, *, by: "Reader | None", reason: str = "", **fields: Any
) -> list[Copy]:
    """Add `count` available copies with barcodes of our own making; `reason` is for their history.

    Raises InventoryRefusedError for a count below 1 or beyond what anyone means.
    """
    if not 1 <= count <= MOST_COPIES_AT_ONCE:
        raise InventoryRefusedError(
            _("Add between 1 and %(most)d copies at once.") % {"most": MOST_COPIES_AT_ONCE}
        )
    lock_book(book.pk)
    copies = [
        Copy(book=book, barcode=barcode, has_generated_barcode=True, **fields)
        for barcode in make_barcodes(count)
    ]
    created: list[Copy] = bulk_create_with_history(
        copies, Copy, default_user=by, default_change_reason=reason or None
    )
    return created


@transaction.atomic
def add_copy(book: Book, barcode: str, *, by: "Reader | None") -> Copy:
    """Add one available copy that has its barcode already.

    Raises InventoryRefusedError for a barcode that is taken, or that is none.
    """
    lock_book(book.pk)
    copy = Copy(book=book, barcode=barcode)
    try:
        copy.full_clean()
    except ValidationError as error:
        raise InventoryRefusedError(" ".join(error.messages)) from error
    copy._history_user = by
    copy.save()
    return copy


@transaction.atomic
def set_inventory(book: Book, available: int, *, by: "Reader | None", reason: str = "") -> None:
    """Make exactly `available` copies free to lend: add some, or withdraw free ones.

    Of the free ones, those that were never lent and have a barcode of our own making go first.
    Raises InventoryRefusedError.
    """
    if available < 0:
        raise InventoryRefusedError(_("The inventory cannot be below zero."))
    lock_book(book.pk)
    free = list(dispensable(book))
    if available > len(free):
        add_copies(book, available - len(free), by=by, reason=reason)
    for copy in free[: max(len(free) - available, 0)]:
        set_status(copy, CopyStatus.WITHDRAWN, by=by)


def dispensable(book: Book) -> QuerySet[Copy]:
    """Return the free copies of a book, those that are missed least first."""
    return (
        Copy.objects.filter(book=book, status=CopyStatus.AVAILABLE)
        .annotate(times_lent=Count("loans"))
        .order_by("times_lent", "-has_generated_barcode", "-id")
    )
