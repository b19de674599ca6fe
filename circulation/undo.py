"""Undo: the last act on a loan is taken back, with its money, on the day it was done."""

from datetime import date

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import accounts, charges
from billing.models import Adjustment, Charge, ChargeKind
from catalog import inventory
from catalog.models import Copy, CopyStatus
from circulation import fines, holds, notices
from circulation.models import DeskAct, Hold, HoldStatus, Loan, Reader
from circulation.refusals import Block, RefusedError

PERMISSIONS = {
    DeskAct.Kind.CHECK_OUT: "circulation.check_out",
    DeskAct.Kind.CHECK_IN: "circulation.check_in",
    DeskAct.Kind.RENEW: "circulation.renew",
    DeskAct.Kind.MARK_LOST: "circulation.mark_lost",
    DeskAct.Kind.FOUND: "circulation.check_in",
}
"""Who may do an act may undo it."""


class UndoRefusedError(RefusedError):
    """The act stands: too much has happened since."""


@transaction.atomic
def undo(act: DeskAct, *, by: Reader | None = None, on: date | None = None) -> Loan:
    """Take back a check-out, check-in, renewal or loss. Raises UndoRefusedError."""
    on = on or timezone.localdate()
    copy, loan, act = _lock(act)
    _refuse_if_overtaken(act, on=on)
    match act.kind:
        case DeskAct.Kind.CHECK_OUT:
            _undo_check_out(act, loan, copy, on=on, by=by)
        case DeskAct.Kind.CHECK_IN:
            _undo_check_in(loan, copy, on=on, by=by)
        case DeskAct.Kind.RENEW:
            _undo_renewal(act, loan, on=on, by=by)
        case DeskAct.Kind.MARK_LOST:
            _undo_loss(loan, copy, on=on, by=by)
        case DeskAct.Kind.FOUND:
            _undo_find(act, loan, copy, on=on, by=by)
    loan._history_user = by
    loan.save()
    notices.undone(loan, act)
    act.undone_at = timezone.now()
    act.save(update_fields=["undone_at"])
    return loan


def _lock(act: DeskAct) -> tuple[Copy, Loan, DeskAct]:
    copy = Copy.objects.get(pk=act.loan.copy_id)
    inventory.lock_book(copy.book_id)
    accounts.lock(act.loan.reader_id)
    copy = Copy.objects.select_for_update(no_key=True).get(pk=copy.pk)
    loan = (
        Loan.objects.select_for_update(no_key=True, of=("self",))
        .select_related("reader")
        .get(pk=act.loan_id)
    )
    return copy, loan, DeskAct.objects.select_for_update(no_key=True).get(pk=act.pk)


def _refuse_if_overtaken(act: DeskAct, *, on: date) -> None:
    if act.undone_at is not None:
        raise UndoRefusedError([Block("undone_already", _("This was undone already."))])
    if act.date != on:
        message = _("Only an act of today can be undone. Take the copy back or renew instead.")
        raise UndoRefusedError([Block("undo_too_late", message)])
    later = DeskAct.objects.filter(loan__copy=act.loan.copy_id, pk__gt=act.pk, undone_at=None)
    if later.exists():
        message = _("Something else was done with this copy since; undo that first.")
        raise UndoRefusedError([Block("undo_overtaken", message)])


def _undo_check_out(act: DeskAct, loan: Loan, copy: Copy, *, on: date, by: Reader | None) -> None:
    loan.undone_at = timezone.now()
    loan.actual_return_date = loan.borrow_date
    for fee in Charge.objects.filter(loan=loan):
        charges.void(fee, by=by, reason=_("The check-out was undone."))
    _put_back(act, loan, copy, on=on, by=by)


def _put_back(act: DeskAct, loan: Loan, copy: Copy, *, on: date, by: Reader | None) -> None:
    """Put the copy where it was before it was lent, and the reader's hold too."""
    was_ready_with = act.before.get("hold_was_ready_with")
    hold = _fulfilled_hold(act, loan)
    if hold is not None:
        hold.closed_at = None
        if was_ready_with == copy.pk:
            hold.status = HoldStatus.READY
            hold.pickup_until = date.fromisoformat(act.before["pickup_until"])
            holds.save(hold, by)
            notices.hold_ready(hold)
            inventory.set_status(copy, CopyStatus.ON_HOLD_SHELF, by=by)
            return
        holds.back_to_queue(hold, by=by)
    if was_ready_with or act.before["copy_status"] == CopyStatus.ON_HOLD_SHELF:
        # Lending it sent somebody's hold back to the queue, or passed another copy on.
        holds.put_on_shelf(copy, on=on, by=by)
    else:
        inventory.set_status(copy, CopyStatus.AVAILABLE, by=by)


def _fulfilled_hold(act: DeskAct, loan: Loan) -> Hold | None:
    """Return the hold that the check-out closed, unless the reader has placed another since."""
    hold = Hold.objects.filter(pk=act.before.get("hold")).first()
    if hold is None or Hold.objects.active().filter(book=hold.book_id, reader=loan.reader).exists():
        return None
    return hold


def _undo_check_in(loan: Loan, copy: Copy, *, on: date, by: Reader | None) -> None:
    _take_off_shelf(copy, by=by)
    loan.actual_return_date = None
    loan.taken_back_by = None
    inventory.set_status(copy, CopyStatus.ON_LOAN, by=by)
    _grow_again(loan, on=on, by=by)


def _take_off_shelf(copy: Copy, *, by: Reader | None) -> None:
    """Take a copy that has come back out of the shelves again, also out of the hold shelf."""
    if copy.status == CopyStatus.ON_HOLD_SHELF:
        holds.back_to_queue(Hold.objects.get(copy=copy, status=HoldStatus.READY), by=by)
    elif copy.status != CopyStatus.AVAILABLE:
        message = _("The copy is marked: %(status)s. Put that right first.") % {
            "status": copy.get_status_display()
        }
        raise UndoRefusedError([Block("undo_overtaken", message)])


def _undo_renewal(act: DeskAct, loan: Loan, *, on: date, by: Reader | None) -> None:
    for fee in Charge.objects.filter(loan=loan, kind=ChargeKind.PAYMENT).exclude(
        pk__in=act.before["charges"]
    ):
        charges.void(fee, by=by, reason=_("The renewal was undone."))
    loan.expected_return_date = date.fromisoformat(act.before["due"])
    loan.notification_sent = act.before["notification_sent"]
    loan.renewals -= 1
    _grow_again(loan, on=on, by=by)


def _undo_loss(loan: Loan, copy: Copy, *, on: date, by: Reader | None) -> None:
    if loan.actual_return_date is not None or copy.status != CopyStatus.LOST:
        message = _("The copy is not lost any more: it was found, or put elsewhere.")
        raise UndoRefusedError([Block("undo_overtaken", message)])
    for charge in Charge.objects.filter(loan=loan, kind=ChargeKind.LOST):
        charges.void(charge, by=by, reason=_("Marking it lost was undone."))
    loan.lost_date = None
    inventory.set_status(copy, CopyStatus.ON_LOAN, by=by)
    _grow_again(loan, on=on, by=by)


def _undo_find(act: DeskAct, loan: Loan, copy: Copy, *, on: date, by: Reader | None) -> None:
    """Lose the copy again; what was taken off its charge is charged anew."""
    if copy.status != act.before["status"]:
        _take_off_shelf(copy, by=by)
    for taken in Adjustment.objects.filter(pk__in=act.before["adjustments"]):
        charges.assess(
            loan.reader,
            ChargeKind.LOST,
            taken.amount,
            description=taken.charge.description,
            loan=loan,
            on=on,
            by=by,
        )
    loan.actual_return_date = None
    loan.taken_back_by = None
    inventory.set_status(copy, CopyStatus(act.before["status"]), by=by)


def _grow_again(loan: Loan, *, on: date, by: Reader | None) -> None:
    """The loan is open again, so its fine grows on, from what it comes to on `on`."""
    fines.assess(loan, on=on, is_final=False, by=by)
