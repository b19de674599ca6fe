"""The payments that wait to be made: one for each charge that is owed, or one for several.

The caller holds the reader's account.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import transaction

from billing import accounts, queue
from billing.models import (
    Allocation,
    AllocationState,
    Charge,
    ChargeQuerySet,
    Payment,
    PaymentStatus,
)

ZERO = accounts.ZERO
OPEN_SESSION = "billing.tasks.open_session"


class NothingOwedError(Exception):
    """Nothing is owed on what was chosen."""


def draft(charge: Charge, amount: Decimal, *, opens: bool) -> Payment:
    """Make the payment that waits for a charge that none waits for yet."""
    payment = new_payment([charge], {charge.pk: amount}, state=AllocationState.OPEN)
    if opens:
        ask_for_session(payment)
    return payment


def uncovered() -> ChargeQuerySet:
    """Return the charges that are owed and for which no payment waits, as after an import."""
    covered = Allocation.objects.filter(state=AllocationState.OPEN).values("charge")
    return Charge.objects.open().exclude(pk__in=covered).order_by("pk")


@transaction.atomic
def cover(charge_ids: Sequence[int]) -> int:
    """Make the payments that wait for charges which none waits for yet, many at once."""
    accounts.lock_all(charge_ids)
    charges: list[Any] = list(uncovered().filter(pk__in=charge_ids))
    payments = [_unpaid([charge], charge.owed) for charge in charges]
    Payment.objects.bulk_create(payments)
    Allocation.objects.bulk_create(
        Allocation(payment=payment, charge=charge, amount=charge.owed)
        for payment, charge in zip(payments, charges, strict=True)
    )
    return len(charges)


def waiting_for(reader_id: int, charge_ids: Iterable[int]) -> list[Payment]:
    """Return the sessions that wait to be paid for any of these charges."""
    covering = Allocation.objects.filter(charge__in=charge_ids, state=AllocationState.OPEN)
    payments = Payment.objects.in_session().filter(
        reader=reader_id, pk__in=covering.values("payment")
    )
    return list(payments.order_by("pk"))


def ask_for_session(payment: Payment) -> None:
    if not queue.has_provider_for(payment.money_to_pay):
        return
    Payment.objects.filter(pk=payment.pk).update(must_open=True)
    queue.after_commit(OPEN_SESSION, payment.pk)


def new_payment(
    charges: Iterable[Charge], amounts: Mapping[int, Decimal], *, state: AllocationState
) -> Payment:
    """Write a draft. It gets no line in the audit before something happens to it."""
    payment = _unpaid(charges, sum(amounts.values(), ZERO))
    Payment.objects.bulk_create([payment])
    Allocation.objects.bulk_create(
        Allocation(payment=payment, charge_id=charge_id, amount=amount, state=state)
        for charge_id, amount in sorted(amounts.items())
    )
    return payment


def _unpaid(charges: Iterable[Charge], amount: Decimal) -> Payment:
    """Return a draft for charges of one reader, not written yet."""
    charges = list(charges)
    kinds = {charge.kind for charge in charges}
    loans = {charge.loan_id for charge in charges}
    return Payment(
        reader_id=charges[0].reader_id,
        type=kinds.pop() if len(kinds) == 1 else "",
        borrowing_id=loans.pop() if len(loans) == 1 else None,
        money_to_pay=amount,
        currency=settings.CURRENCY,
    )


def joint_payment(amounts: Mapping[int, Decimal]) -> Payment:
    """Make one payment for several charges in place of their drafts."""
    drafts = Payment.objects.drafts().filter(
        pk__in=Allocation.objects.filter(charge__in=amounts).values("payment")
    )
    for draft in drafts:
        draft.status = PaymentStatus.EXPIRED
        draft.save()
        draft.allocations.update(state=AllocationState.RELEASED)
    charges = Charge.objects.filter(pk__in=amounts)
    return new_payment(charges, amounts, state=AllocationState.OPEN)


def waiting(charge: Charge) -> Allocation | None:
    return (
        Allocation.objects.filter(charge=charge, state=AllocationState.OPEN)
        .select_related("payment")
        .first()
    )


def waiting_for_exactly(amounts: Mapping[int, Decimal]) -> Payment | None:
    """Return the open payment that asks for exactly these sums, if there is one."""
    covering = Allocation.objects.filter(charge__in=amounts, state=AllocationState.OPEN)
    payments = Payment.objects.filter(pk__in=covering.values("payment"))[:2]
    if len(payments) != 1:
        return None
    asked = dict(payments[0].allocations.values_list("charge", "amount"))
    return payments[0] if asked == dict(amounts) else None


def owed_on(reader_id: int, charge_ids: Iterable[int]) -> dict[int, Decimal]:
    """Return what is owed on these charges. Raises NothingOwedError where that is nothing."""
    charges: Any = Charge.objects.open().filter(reader=reader_id, pk__in=list(charge_ids))
    amounts = {charge.pk: round(charge.owed, 2) for charge in charges.order_by("pk")}
    if not amounts:
        raise NothingOwedError
    return amounts


def charges_of(payment: Payment) -> list[Charge]:
    return list(Charge.objects.filter(allocations__payment=payment).order_by("pk"))
