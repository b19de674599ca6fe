"""Writing a book's record together with the number of its copies."""

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from catalog import inventory
from catalog.models import Book

if TYPE_CHECKING:
    from circulation.models import Reader


@transaction.atomic
def save(
    book: Book, *, by: "Reader | None", available: int | None = None, reason: str = ""
) -> None:
    """Write a new book, or one that the caller has locked; `available` sets its free copies.

    `reason` stands in the history of copies that are added, where no person does.

    Raises ValidationError by field, also for a number that another book took at the same moment,
    and InventoryRefusedError.
    """
    book.normalise()
    book.validate_constraints()
    book._history_user = by
    try:
        with transaction.atomic():
            book.save()
    except IntegrityError:
        book.validate_constraints()
        raise
    if available is not None:
        inventory.set_inventory(book, available, by=by, reason=reason)
