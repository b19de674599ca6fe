"""Charges: assessed, grown while they are fines of a book still out, waived, voided, summed."""

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from alerts.wording import money
from billing.models import Adjustment, AdjustmentKind, Charge, ChargeKind

if TYPE_CHECKING:
    from circulation.models import Loan, Reader

ZERO = Decimal("0.00")
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
    """Open a charge. A charge of nothing is none: no row is made and None is returned."""
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
    return _saved(charge, by)


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
    money. No row is made while nothing is owed.
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
    return _saved(charge, by)


def fined_for_other_due_dates(loan: "Loan") -> Decimal:
    """Return the loan's fines for earlier due dates; with the present one they share the cap."""
    fines = loan.charges.filter(kind=ChargeKind.FINE).exclude(due_date=loan.expected_return_date)
    voided = Adjustment.objects.filter(charge__in=fines, kind=AdjustmentKind.VOIDED)
    return _total(fines.aggregate(total=Sum("amount"))) - _total(
        voided.aggregate(total=Sum("amount"))
    )


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
    """Take the whole charge back, because it should not have been made. Twice is once."""
    locked = Charge.objects.select_for_update().get(pk=charge.pk)
    rest = locked.amount - adjusted(locked)
    if not rest:
        return None
    return _take_off(locked, rest, AdjustmentKind.VOIDED, by=by, reason=reason)


def adjusted(charge: Charge) -> Decimal:
    """Return what has been taken off the charge."""
    return _total(charge.adjustments.aggregate(total=Sum("amount")))


def owed(charge: Charge) -> Decimal:
    """Return what is still owed on the charge."""
    return charge.amount - adjusted(charge)


def balance(reader: "Reader") -> Decimal:
    """Return what the reader owes in all, as assessed so far."""
    return _total(Charge.objects.filter(reader=reader).with_owed().aggregate(total=Sum("owed")))


def _take_off(
    charge: Charge,
    amount: Decimal,
    kind: AdjustmentKind,
    *,
    by: "Reader | None",
    reason: str,
) -> Adjustment:
    locked = Charge.objects.select_for_update().get(pk=charge.pk)
    reason = reason.strip()[:LONGEST_REASON]
    left = owed(locked)
    if not reason:
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
    adjustment = Adjustment(charge=locked, kind=kind, amount=amount, by=by, reason=reason)
    adjustment._history_user = by
    adjustment.save()
    return adjustment


def _saved(charge: Charge, by: "Reader | None") -> Charge:
    charge._history_user = by
    charge.save()
    return charge


def _total(aggregate: dict[str, Decimal | None]) -> Decimal:
    return round(aggregate["total"] or ZERO, 2)
