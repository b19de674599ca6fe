"""Deleting readers, books and copies: only where no loan, debt or hold would be lost with them."""

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.translation import gettext as _

from alerts.wording import money
from billing import charges
from billing.models import Charge
from catalog import inventory
from catalog.models import Book, Copy
from circulation.models import Hold, HoldQuerySet, Loan, LoanQuerySet, Reader


class DeletionRefusedError(Exception):
    """Nothing was deleted; the message counts what stands against it and says what to do."""


@transaction.atomic
def delete_reader(reader: Reader, *, by: Reader | None = None) -> None:
    """Delete a reader who never borrowed or owed anything. Raises DeletionRefusedError."""
    reader = Reader.objects.select_for_update(no_key=True).get(pk=reader.pk)
    found = _loans(Loan.objects.filter(reader=reader)) + _holds(Hold.objects.filter(reader=reader))
    debt = charges.balance(reader)
    if debt > 0:
        found.append(_("%(debt)s owed") % {"debt": money(debt)})
    if not found and Charge.objects.filter(reader=reader).exists():
        found.append(_("settled charges"))
    if found:
        raise DeletionRefusedError(
            _("%(name)s cannot be deleted: %(found)s. Switch the account off instead.")
            % {"name": reader, "found": ", ".join(found)}
        )
    reader._history_user = by
    try:
        with transaction.atomic():
            reader.delete()
    except ProtectedError as used:
        raise DeletionRefusedError(
            _("%(name)s cannot be deleted: staff in %(count)d records. Switch the account off.")
            % {"name": reader, "count": len(used.protected_objects)}
        ) from used


@transaction.atomic
def delete_book(book: Book, *, by: Reader | None = None) -> None:
    """Delete a book none of whose copies was ever lent. Raises DeletionRefusedError."""
    book = Book.objects.select_for_update(no_key=True).get(pk=book.pk)
    found = _loans(Loan.objects.filter(copy__book=book)) + _holds(Hold.objects.filter(book=book))
    if found:
        raise DeletionRefusedError(
            _("“%(title)s” cannot be deleted: %(found)s. Withdraw its copies instead.")
            % {"title": book.title, "found": ", ".join(found)}
        )
    for copy in Copy.objects.filter(book=book):
        _delete_copy(copy, by)
    book._history_user = by
    book.delete()


@transaction.atomic
def delete_copy(copy: Copy, *, by: Reader | None = None) -> None:
    """Delete a copy that was never lent. Raises DeletionRefusedError."""
    inventory.lock_book(copy.book_id)
    found = _loans(Loan.objects.filter(copy=copy)) + _holds(Hold.objects.filter(copy=copy))
    if found:
        raise DeletionRefusedError(
            _("%(barcode)s cannot be deleted: %(found)s. Withdraw it instead.")
            % {"barcode": copy.barcode, "found": ", ".join(found)}
        )
    _delete_copy(copy, by)


def _delete_copy(copy: Copy, by: Reader | None) -> None:
    copy._history_user = by
    copy.delete()


def _loans(loans: LoanQuerySet) -> list[str]:
    out = loans.unreturned().count()
    past = loans.filter(actual_return_date__isnull=False).count()
    return _counted(out, _("loans not returned: %(count)d")) + _counted(
        past, _("past loans: %(count)d")
    )


def _holds(holds: HoldQuerySet) -> list[str]:
    active = holds.active().count()
    past = holds.count() - active
    return _counted(active, _("holds: %(count)d")) + _counted(past, _("past holds: %(count)d"))


def _counted(count: int, text: str) -> list[str]:
    return [text % {"count": count}] if count else []
