"""Credit: what a reader paid beyond what was owed, and what staff do with it."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction

from billing import accounts, ledger
from billing.accounts import ZERO
from billing.ledger import OvertakenError
from billing.models import Allocation, AllocationState, Charge, Payment, PaymentStatus

if TYPE_CHECKING:
    from circulation.models import Reader


def release_overpaid(charge: Charge, *, by: "Reader | None" = None) -> None:
    """Turn what was paid of a charge beyond what it comes to now into the reader's credit."""
    over = -accounts.owed(charge)
    paid = Allocation.objects.filter(charge=charge, state=AllocationState.PAID)
    for allocation in paid.order_by("-payment__paid_at", "-pk"):
        if over <= ZERO:
            return
        part = min(over, allocation.amount - allocation.refunded)
        allocation.amount -= part
        over -= part
        allocation._history_user = by
        allocation.save()


@transaction.atomic
def spend(charge: Charge, amount: Decimal, *, by: "Reader") -> None:
    """Pay a charge with what the reader has paid too much before, the oldest credit first.

    Raises OvertakenError where there is not as much credit, or not as much owed, any more.
    """
    accounts.lock(charge.reader_id)
    charge = Charge.objects.get(pk=charge.pk)  # it may have grown since the caller looked
    if amount > accounts.owed(charge) or amount <= ZERO:
        raise OvertakenError
    left = amount
    received = (PaymentStatus.PAID, PaymentStatus.REFUNDED)
    payments: Any = Payment.objects.filter(reader=charge.reader_id, status__in=received)
    for payment in payments.with_credit().filter(credit__gt=0).order_by("paid_at", "pk"):
        part = min(left, payment.credit)
        _add(payment, charge, part, by=by)
        left -= part
        if not left:
            ledger.follow(charge)
            return
    raise OvertakenError


def _add(payment: Payment, charge: Charge, amount: Decimal, *, by: "Reader") -> None:
    allocation = payment.allocations.filter(charge=charge).first()
    if allocation is None:
        allocation = Allocation(payment=payment, charge=charge, amount=ZERO)
    allocation.amount += amount
    allocation.state = AllocationState.PAID
    allocation._history_user = by
    allocation.save()
