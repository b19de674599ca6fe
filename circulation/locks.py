"""Locks, taken in one order everywhere: book, reader, copy, loan, hold, charge.

On SQLite the IMMEDIATE transaction is the lock, and `select_for_update` does nothing.
"""

from billing import accounts
from catalog import inventory
from catalog.models import Book, Copy, CopyStatus
from circulation.models import Hold, Loan, Reader


def for_check_out(reader: Reader, item: Copy | Book) -> tuple[Reader, Copy | None]:
    """Return the reader and the copy to lend, locked and read again.

    For a book it is the copy on the hold shelf for this reader, else any free one, else None.
    """
    book_id = item.pk if isinstance(item, Book) else item.book_id
    inventory.lock_book(book_id)
    reader = Reader.objects.select_for_update(no_key=True).get(pk=reader.pk)
    copies = Copy.objects.select_for_update(no_key=True, of=("self",)).select_related("book")
    if isinstance(item, Copy):
        return reader, copies.get(pk=item.pk)
    ready = Hold.objects.ready().filter(book=book_id, reader=reader).values_list("copy", flat=True)
    kept = list(ready)
    if kept:
        return reader, copies.get(pk=kept[0])
    free = copies.filter(book=book_id, status=CopyStatus.AVAILABLE)
    return reader, free.order_by("pk").first()


def for_check_in(copy: Copy) -> tuple[Copy, Loan | None]:
    """Return the copy and its unreturned loan, both locked and read again."""
    inventory.lock_book(copy.book_id)
    reader_id = Loan.objects.unreturned().filter(copy=copy).values_list("reader", flat=True).first()
    if reader_id is not None:
        accounts.lock(reader_id)
    copy = (
        Copy.objects.select_for_update(no_key=True, of=("self",))
        .select_related("book")
        .get(pk=copy.pk)
    )
    loan = (
        Loan.objects.unreturned()
        .select_for_update(no_key=True, of=("self",))
        .select_related("reader")
        .filter(copy=copy)
        .first()
    )
    if loan is not None:
        loan.copy = copy
    return copy, loan
