"""Copies that leave circulation and come back: withdrawn, in repair, missing, available again."""

from django.db import transaction
from django.utils.translation import gettext as _

from catalog import inventory
from catalog.models import Copy, CopyStatus
from circulation import holds
from circulation.models import Hold, Loan, Reader

OUT = (CopyStatus.WITHDRAWN, CopyStatus.IN_REPAIR, CopyStatus.LOST)


class StockRefusedError(Exception):
    """The copy, reader or book stays as it is; the message says why and what to do."""


@transaction.atomic
def take_out(copy: Copy, status: CopyStatus, *, by: Reader | None = None) -> Hold | None:
    """Withdraw a copy, send it to repair, or note that it is missing from the shelf.

    A hold that it lay on the shelf for goes back to the head of the queue and is returned.
    Raises StockRefusedError for a copy that is on loan, and for the repair of one that a reader
    lost: who repairs it has found it, and taking it back settles that loan.
    """
    copy = _locked(copy)
    if status not in OUT:
        raise ValueError(status)
    if Loan.objects.open().filter(copy=copy).exists():
        raise StockRefusedError(
            _("%(barcode)s is on loan. Take it back, or mark the loan lost.")
            % {"barcode": copy.barcode}
        )
    if status == CopyStatus.IN_REPAIR and Loan.objects.unreturned().filter(copy=copy).exists():
        raise StockRefusedError(_lost_by_a_reader(copy))
    hold = Hold.objects.ready().filter(copy=copy).first()
    if hold is not None:
        holds.back_to_queue(hold, by=by)
    inventory.set_status(copy, status, by=by)
    return hold


@transaction.atomic
def bring_back(copy: Copy, *, by: Reader | None = None) -> None:
    """Make a withdrawn, repaired or missing copy available again.

    Raises StockRefusedError for one that a reader lost: taking it back settles that loan.
    """
    copy = _locked(copy)
    if copy.status not in OUT:
        raise StockRefusedError(
            _("%(barcode)s is in circulation already.") % {"barcode": copy.barcode}
        )
    if Loan.objects.unreturned().filter(copy=copy).exists():
        raise StockRefusedError(_lost_by_a_reader(copy))
    inventory.set_status(copy, CopyStatus.AVAILABLE, by=by)


def _lost_by_a_reader(copy: Copy) -> str:
    return _("%(barcode)s was lost by a reader. Take it back at the desk.") % {
        "barcode": copy.barcode
    }


def _locked(copy: Copy) -> Copy:
    inventory.lock_book(copy.book_id)
    return Copy.objects.select_for_update(no_key=True).get(pk=copy.pk)
