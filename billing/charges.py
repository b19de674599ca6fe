"""Charges: assessed, grown while they are fines of a book still out, waived, voided.

With every change the payment that waits for the charge follows. The desk's acts hold the reader's
account already when they come here; what staff do to a charge alone takes it here.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import Q, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from simple_history.utils import bulk_update_with_history

from alerts import doers, outbox
from alerts.events import EventKind
from alerts.histories import keep_before
from alerts.wording import money
from billing import accounts, credit, drafts, ledger, links
from billing.accounts import ZERO, adjusted, balance, owed
from billing.models import MONEY, Adjustment, AdjustmentKind, Charge, ChargeKind, Payment

if TYPE_CHECKING:
    from circulation.models import Loan, Reader

__all__ = [
    "LONGEST_REASON",
    "ZERO",
    "AdjustmentRefusedError",
    "adjusted",
    "assess",
    "assess_fine",
    "balance",
    "confirm_fines",
    "fined_for_other_due_dates",
    "owed",
    "reduce",
    "void",
    "waive",
]

LONGEST_REASON = 300


class AdjustmentRefusedError(Exception):
    """Nothing was taken off the charge; the message says why."""


def assess(
    reader: "Reader",
    kind: ChargeKind,
    amount: Decimal,
    *,
    description: str,
    loan: "Loan | None" = None,
    on: date | None = None,
    by: "Reader | None" = None,
) -> Charge | None:
    """Open a charge, with a payment that waits for it.

    A charge of nothing is none: no row is made and None is returned.
    """
    if not amount:
        return None
    charge = Charge(
        reader=reader,
        loan=loan,
        kind=kind,
        amount=amount,
        description=description,
        assessed_date=on,
    )
    _save(charge, by)
    _tell(charge, drafts.draft(charge, amount, opens=True))
    return charge


def assess_fine(
    loan: "Loan",
    amount: Decimal,
    *,
    description: str,
    on: date,
    is_final: bool,
    by: "Reader | None" = None,
) -> Charge | None:
    """Set the fine for the loan's present due date to what it comes to on the date `on`.

    A fine never falls below what was taken off it already, so that a waiver does not turn into
    money; what was paid beyond it becomes credit. No row is made while nothing is owed.
    """
    charge = (
        Charge.objects.select_for_update()
        .filter(loan=loan, kind=ChargeKind.FINE, due_date=loan.expected_return_date)
        .first()
    )
    if charge is None:
        if not amount:
            return None
        charge = Charge(
            reader=loan.reader,
            loan=loan,
            kind=ChargeKind.FINE,
            due_date=loan.expected_return_date,
        )
    before = (charge.amount, charge.is_accruing, charge.description)
    charge.amount = max(amount, adjusted(charge) if charge.pk else ZERO)
    charge.is_accruing = not is_final
    charge.description = description
    charge.assessed_date = on
    if charge.pk and before == (charge.amount, charge.is_accruing, charge.description):
        # Same sum as yesterday (a closed day, or the cap): no line in the audit for it.
        Charge.objects.filter(pk=charge.pk).update(assessed_date=on)
        return charge
    is_new = charge.pk is None
    _save(charge, by)
    if is_new:
        drafts.draft(charge, charge.amount, opens=is_final)
    else:
        if charge.amount < before[0]:
            credit.release_overpaid(charge, by=by)
        ledger.follow(charge, opens=is_final)
    if is_final:
        _tell(charge, Payment.objects.filter(allocations__charge=charge).order_by("pk").first())
    return charge


@transaction.atomic
def confirm_fines(found: Mapping[tuple[int, date], tuple[Decimal, str]], *, on: date) -> set[int]:
    """Note of growing fines that they come to the same on `on`; return the loans of those.

    `found` has the sum and its description by the loan and its due date. Nothing is owed that was
    not, so that no payment has to follow. What somebody is at work on is left to them.
    """
    growing = Charge.objects.select_for_update(skip_locked=True).filter(
        kind=ChargeKind.FINE,
        is_accruing=True,
        assessed_date__lt=on,
        loan__in={loan for loan, _due in found},
    )
    same: list[Charge] = []
    told_anew: list[Charge] = []
    for charge in growing:
        present: Any = (charge.loan_id, charge.due_date)
        amount, description = found.get(present, (None, ""))
        if amount != charge.amount:
            continue
        if description != charge.description:
            told_anew.append(charge)
        charge.description, charge.assessed_date = description, on
        same.append(charge)
    keep_before(Charge, [charge.pk for charge in told_anew])
    Charge.objects.filter(pk__in=[charge.pk for charge in same]).update(assessed_date=on)
    reason = doers.current() or None
    bulk_update_with_history(told_anew, Charge, ["description"], default_change_reason=reason)
    return {charge.loan_id for charge in same if charge.loan_id is not None}


def fined_for_other_due_dates(loans: Sequence["Loan"]) -> dict[int, Decimal]:
    """Return the loans' fines for earlier due dates; with the present one they share the cap."""
    due = {loan.pk: loan.expected_return_date for loan in loans}
    sums = dict.fromkeys(due, ZERO)
    fines = Charge.objects.filter(loan__in=loans, kind=ChargeKind.FINE)
    voided = Q(adjustments__kind=AdjustmentKind.VOIDED)
    less = Coalesce(Sum("adjustments__amount", filter=voided), ZERO, output_field=MONEY)
    rows = fines.order_by().annotate(less=less)
    for loan, missed, amount, taken_back in rows.values_list("loan", "due_date", "amount", "less"):
        if loan is not None and missed != due[loan]:
            sums[loan] += amount - round(taken_back, 2)
    return sums


@transaction.atomic
def waive(charge: Charge, amount: Decimal, *, by: "Reader", reason: str) -> Adjustment:
    """Forgive part or all of what is owed. Raises AdjustmentRefusedError."""
    return _take_off(charge, amount, AdjustmentKind.WAIVED, by=by, reason=reason)


@transaction.atomic
def reduce(charge: Charge, amount: Decimal, *, by: "Reader | None", reason: str) -> Adjustment:
    """Correct a charge that was too high. Raises AdjustmentRefusedError."""
    return _take_off(charge, amount, AdjustmentKind.REDUCED, by=by, reason=reason)


@transaction.atomic
def void(charge: Charge, *, by: "Reader | None", reason: str) -> Adjustment | None:
    """Take the whole charge back, because it should not have been made. Twice is once.

    What was paid of it becomes the reader's credit.
    """
    locked = _lock(charge)
    rest = locked.amount - adjusted(locked)
    if not rest:
        return None
    taken = _adjust(locked, rest, AdjustmentKind.VOIDED, by=by, reason=reason)
    credit.release_overpaid(locked, by=by)
    ledger.follow(locked)
    return taken


def _take_off(
    charge: Charge,
    amount: Decimal,
    kind: AdjustmentKind,
    *,
    by: "Reader | None",
    reason: str,
) -> Adjustment:
    locked = _lock(charge)
    left = owed(locked)
    if not reason.strip():
        raise AdjustmentRefusedError(_("Give a reason: it is kept with the charge."))
    if not amount.is_finite() or amount <= 0:
        raise AdjustmentRefusedError(_("Give an amount above zero, in whole cents."))
    if amount > left:
        raise AdjustmentRefusedError(
            _("Only %(left)s is left of this charge; %(amount)s cannot be taken off.")
            % {"left": money(left), "amount": money(amount)}
        )
    if amount != round(amount, 2):
        raise AdjustmentRefusedError(_("Give an amount above zero, in whole cents."))
    taken = _adjust(locked, amount, kind, by=by, reason=reason)
    ledger.follow(locked)
    return taken


def _adjust(
    charge: Charge, amount: Decimal, kind: AdjustmentKind, *, by: "Reader | None", reason: str
) -> Adjustment:
    adjustment = Adjustment(
        charge=charge, kind=kind, amount=amount, by=by, reason=reason.strip()[:LONGEST_REASON]
    )
    adjustment._history_user = by
    adjustment.save()
    return adjustment


def _tell(charge: Charge, payment: Payment | None) -> None:
    """Tell the reader of a charge that does not change any more, with the link to pay it."""
    outbox.record(
        EventKind.CHARGE_OPENED,
        charge,
        reader=charge.reader,
        amount=str(charge.amount),
        description=charge.description,
        pay_link=links.for_payment(payment) if payment else "",
    )


def _lock(charge: Charge) -> Charge:
    accounts.lock(charge.reader_id)
    return Charge.objects.select_for_update(no_key=True).get(pk=charge.pk)


def _save(charge: Charge, by: "Reader | None") -> None:
    charge._history_user = by
    charge.save()
