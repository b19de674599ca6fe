"""What happens at the desk: check out, check in, renew, lose, find and undo, one function each.

Each is one transaction that locks in one order (book, reader, copy, loan, hold, charge), looks
again, and acts or refuses with all reasons. Dates are the library's local dates; `on` is the clock.
"""

from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts.wording import day
from billing import charges
from billing.models import Charge, ChargeKind
from catalog import inventory
from catalog.models import Book, Copy, CopyStatus
from circulation import blocks, fines, holds, locks, notices, policy, queue, rules, terms
from circulation.models import DeskAct, Hold, Loan, LoanPolicy, Override, Reader
from circulation.refusals import Block, Overriding, RefusedError, refuse_unless_overridden


class CheckOutRefusedError(RefusedError):
    """The copy was not lent."""


class CheckInRefusedError(RefusedError):
    """The return was not booked: its date cannot be."""


class RenewalRefusedError(RefusedError):
    """The loan was not renewed."""


class LoanNotOpenError(RefusedError):
    """The loan was returned, marked lost or undone in the meantime."""


@dataclass(frozen=True)
class CheckOut:
    loan: Loan
    act: DeskAct
    fee: Charge | None = None
    overridden: list[Block] = field(default_factory=list)


@dataclass(frozen=True)
class CheckIn:
    """What a scan in return mode did; `loan` is None where the copy was not on loan."""

    copy: Copy
    message: str
    loan: Loan | None = None
    fine: Charge | None = None
    shelved: holds.Shelved | None = None
    was_lost: bool = False
    act: DeskAct | None = None


@dataclass(frozen=True)
class Renewal:
    loan: Loan
    act: DeskAct
    fee: Charge | None = None
    overridden: list[Block] = field(default_factory=list)


@transaction.atomic
def check_out(
    reader: Reader,
    item: Copy | Book,
    *,
    due: date | None = None,
    by: Reader | None = None,
    override: Overriding | None = None,
    on: date | None = None,
) -> CheckOut:
    """Lend a copy, or any free copy of a book, to a reader.

    Raises CheckOutRefusedError with all the reasons against.
    """
    on = on or timezone.localdate()
    reader, copy = locks.for_check_out(reader, item)
    if copy is None:
        message = _("No copy of this book is free. Place a hold instead.")
        raise CheckOutRefusedError([Block("no_copy_available", message)])
    rule = blocks.rule_for(reader, copy.item_type_id, refusal=CheckOutRefusedError)
    stake = queue.holds_at_stake(reader, copy)
    found = blocks.against_check_out(reader, copy, rule, stake, due=due, on=on, by=by)
    refuse_unless_overridden(found, override=override, by=by, refusal=CheckOutRefusedError)
    granted = _due(CheckOutRefusedError, lent=on, loan_days=rule.loan_days, chosen=due)
    loan = _save(_new_loan(reader, copy, rule, on=on, due=granted.date, by=by), by)
    before: dict[str, Any] = {"copy_status": copy.status}
    hold = holds.fulfil(stake, copy, on=on, at=timezone.now(), by=by)
    if hold is not None:
        before["hold"] = hold.pk
        before["hold_was_ready_with"] = hold.copy_id
        before["pickup_until"] = hold.pickup_until.isoformat() if hold.pickup_until else None
    inventory.set_status(copy, CopyStatus.ON_LOAN, by=by)
    fee = terms.charge_days(loan, granted.days_granted, on=on, by=by)
    _record_overrides(loan, found, override, by)
    notices.lent(loan)
    return CheckOut(loan, _act(loan, DeskAct.Kind.CHECK_OUT, by, before, on), fee, found)


@transaction.atomic
def check_in(
    copy: Copy,
    *,
    on: date | None = None,
    by: Reader | None = None,
    today: date | None = None,
    expected: Loan | None = None,
) -> CheckIn:
    """Take a copy back with the effective date `on` (a book drop's), which is `today` by default.

    A copy that is not on loan is no error: the result says what it is. With `expected` that loan is
    closed or none: a reader's own, unless it is lost. Raises CheckInRefusedError for that, and for
    a date in the future or before the loan.
    """
    today = today or timezone.localdate()
    on = on or today
    copy, loan = locks.for_check_in(copy)
    if expected is not None:
        _refuse_unless_expected(expected, loan, by=by)
    if on > today:
        message = _("A return date in the future is not possible: %(date)s.") % {"date": day(on)}
        raise CheckInRefusedError([Block("return_in_future", message)])
    if loan is None:
        return _scan_idle(copy, on=today, by=by)
    if on < loan.borrow_date:
        message = _("The copy was lent on %(lent)s; it cannot have come back on %(date)s.") % {
            "lent": day(loan.borrow_date),
            "date": day(on),
        }
        raise CheckInRefusedError([Block("return_before_loan", message)])
    if loan.lost_date is not None:
        return _found(copy, loan, on=max(on, loan.lost_date), today=today, by=by)
    fine = fines.assess(loan, on=on, is_final=True, by=by)
    _close(loan, on=on, by=by)
    shelved = holds.put_on_shelf(copy, on=today, by=by)
    act = _act(loan, DeskAct.Kind.CHECK_IN, by, {}, today)
    notices.returned(loan, act)
    return CheckIn(copy, _("Taken back."), loan, fine, shelved, act=act)


@transaction.atomic
def renew(
    loan: Loan,
    *,
    due: date | None = None,
    by: Reader | None = None,
    override: Overriding | None = None,
    on: date | None = None,
) -> Renewal:
    """Lend the copy further from today, on the terms of the loan; never to an earlier date.

    A fine that has accrued stays as it is; later lateness is a second one under the same cap.
    Raises RenewalRefusedError, LoanNotOpenError.
    """
    on = on or timezone.localdate()
    loan = _lock_open(loan)
    rule = blocks.rule_for(loan.reader, loan.copy.item_type_id, refusal=RenewalRefusedError)
    found = blocks.against_renewal(loan, rule, due=due, on=on, by=by)
    refuse_unless_overridden(found, override=override, by=by, refusal=RenewalRefusedError)
    before = {
        "due": loan.expected_return_date.isoformat(),
        "notification_sent": loan.notification_sent,
        "charges": list(loan.charges.values_list("pk", flat=True)),
    }
    fines.assess(loan, on=on, is_final=True, by=by)
    try:
        granted = policy.renewed_due_date(
            present=loan.expected_return_date,
            renewed=on,
            loan_days=loan.loan_days,
            calendar=rules.calendar(),
            chosen=due,
        )
    except policy.NeverOpenError as closed:
        raise RenewalRefusedError([Block("never_open", str(closed))]) from closed
    loan.expected_return_date = granted.date
    loan.renewals += 1
    loan.notification_sent = False
    _save(loan, by)
    fee = terms.charge_days(loan, granted.days_granted, on=on, by=by)
    _record_overrides(loan, found, override, by)
    act = _act(loan, DeskAct.Kind.RENEW, by, before, on)
    notices.renewed(loan, act)
    return Renewal(loan, act, fee, found)


@transaction.atomic
def mark_lost(loan: Loan, *, by: Reader | None = None, on: date | None = None) -> Charge | None:
    """Give up a copy that is out: its fine stops, its price is charged once.

    Raises LoanNotOpenError where it came back or was marked lost before.
    """
    on = on or timezone.localdate()
    loan = _lock_open(loan)
    fines.assess(loan, on=on, is_final=True, by=by)
    loan.lost_date = on
    _save(loan, by)
    notices.over(loan, _("The copy was marked lost."))
    inventory.set_status(loan.copy, CopyStatus.LOST, by=by)
    price = loan.lost_fee if loan.copy.price is None else loan.copy.price
    description = _("Replacement of “%(title)s” (%(barcode)s)") % {
        "title": loan.copy.book.title[:300],
        "barcode": loan.copy.barcode,
    }
    charge = charges.assess(
        loan.reader, ChargeKind.LOST, price, description=description, loan=loan, on=on, by=by
    )
    _act(loan, DeskAct.Kind.MARK_LOST, by, {}, on)
    return charge


def _refuse_unless_expected(expected: Loan, loan: Loan | None, *, by: Reader | None) -> None:
    if loan is None or loan.pk != expected.pk:
        message = _("This loan is over: the copy was returned.")
        raise CheckInRefusedError([Block("already_returned", message)])
    permission = blocks.TAKING_BACK_PERMISSION
    if loan.lost_date and blocks.serves_self(loan.reader, by, permission=permission):
        message = _("This copy was marked lost on %(date)s. Bring it to the desk.")
        raise CheckInRefusedError([Block("loan_lost", message % {"date": day(loan.lost_date)})])


def _lock_open(loan: Loan) -> Loan:
    _copy, current = locks.for_check_in(Copy.objects.get(pk=loan.copy_id))
    if current is None or current.pk != loan.pk:
        message = _("This loan is over: the copy was returned.")
        raise LoanNotOpenError([Block("loan_not_open", message)])
    if not current.is_open:
        message = _("This copy was marked lost on %(date)s.") % {"date": day(current.lost_date)}
        raise LoanNotOpenError([Block("loan_lost", message)])
    return current


def _due(
    refusal: type[RefusedError], *, lent: date, loan_days: int, chosen: date | None
) -> policy.Due:
    try:
        return policy.due_date(
            lent=lent, loan_days=loan_days, calendar=rules.calendar(), chosen=chosen
        )
    except policy.NeverOpenError as closed:
        raise refusal([Block("never_open", str(closed))]) from closed


def _new_loan(
    reader: Reader, copy: Copy, rule: LoanPolicy, *, on: date, due: date, by: Reader | None
) -> Loan:
    return Loan(
        copy=copy,
        reader=reader,
        borrow_date=on,
        expected_return_date=due,
        lent_by=by,
        **terms.at_check_out(rule, copy.book),
    )


def _record_overrides(
    loan: Loan, found: list[Block], override: Overriding | None, by: Reader | None
) -> None:
    if override is None or by is None:
        return
    Override.objects.bulk_create(
        Override(
            loan=loan,
            block=block.code,
            message=block.message[:500],
            reason=override.reason.strip()[:300],
            by=by,
        )
        for block in found
    )


def _scan_idle(copy: Copy, *, on: date, by: Reader | None) -> CheckIn:
    """A copy without a loan was scanned in return mode: it is in someone's hand."""
    hold = Hold.objects.ready().select_related("reader").filter(copy=copy).first()
    if hold is not None:
        message = _("It is on the hold shelf for %(reader)s until %(until)s.") % {
            "reader": hold.reader,
            "until": day(hold.pickup_until),
        }
        return CheckIn(copy, message)
    if copy.status in (CopyStatus.IN_REPAIR, CopyStatus.WITHDRAWN):
        message = _("It is not checked out. It is marked: %(status)s.") % {
            "status": copy.get_status_display()
        }
        return CheckIn(copy, message)
    was_lost = copy.status == CopyStatus.LOST
    shelved = holds.put_on_shelf(copy, on=on, by=by)
    message = _("It was lost and is found again.") if was_lost else _("It is not checked out.")
    return CheckIn(copy, message, shelved=shelved, was_lost=was_lost)


def _found(copy: Copy, loan: Loan, *, on: date, today: date, by: Reader | None) -> CheckIn:
    """Close a lost loan: the replacement charge goes, what was paid of it becomes credit."""
    voided = [
        charges.void(charge, by=by, reason=_("The copy was found."))
        for charge in Charge.objects.filter(loan=loan, kind=ChargeKind.LOST)
    ]
    _close(loan, on=on, by=by)
    shelved = None
    status = copy.status
    if status == CopyStatus.LOST:
        shelved = holds.put_on_shelf(copy, on=today, by=by)
    before = {"status": status, "adjustments": [taken.pk for taken in voided if taken]}
    act = _act(loan, DeskAct.Kind.FOUND, by, before, today)
    message = _("It was lost and is found again; the charge for it is taken back.")
    return CheckIn(copy, message, loan, shelved=shelved, was_lost=True, act=act)


def _close(loan: Loan, *, on: date, by: Reader | None) -> None:
    loan.actual_return_date = on
    loan.taken_back_by = by
    _save(loan, by)


def _save(loan: Loan, by: Reader | None) -> Loan:
    loan._history_user = by
    loan.save()
    return loan


def _act(
    loan: Loan, kind: DeskAct.Kind, by: Reader | None, before: dict[str, Any], on: date
) -> DeskAct:
    return DeskAct.objects.create(loan=loan, kind=kind, by=by, before=before, date=on)
