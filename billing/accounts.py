"""A reader's account: its lock, and what it comes to."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db.models import Count, F, Q, Sum

from billing.models import Allocation, AllocationState, Charge, Payment, PaymentStatus

if TYPE_CHECKING:
    from circulation.models import Reader

ZERO = Decimal("0.00")
# Put together once, to be narrowed: to make such sums anew takes longer than to read them.
OWED = Charge.objects.with_owed()
CREDIT = Payment.objects.with_credit()


def lock(reader_id: int) -> None:
    """Hold the account until the transaction ends.

    Whatever changes what a reader owes, or what pays for it, holds it: the reader's row comes
    before charges and payments in the order of locks. SQLite's IMMEDIATE transaction is the lock.
    """
    get_user_model().objects.select_for_update(no_key=True).only("pk").get(pk=reader_id)


def lock_all(charge_ids: Sequence[int]) -> None:
    """Hold the accounts of the readers who owe these charges, in one order."""
    owing = Charge.objects.filter(pk__in=charge_ids).values("reader")
    readers = get_user_model().objects.select_for_update(no_key=True).only("pk")
    list(readers.filter(pk__in=owing).order_by("pk"))


def adjusted(charge: Charge) -> Decimal:
    """Return what has been taken off the charge."""
    return total(charge.adjustments.aggregate(total=Sum("amount")))


def paid(charge: Charge) -> Decimal:
    """Return what has been paid of the charge and not given back."""
    settled = Allocation.objects.filter(charge=charge, state=AllocationState.PAID)
    return total(settled.aggregate(total=Sum(F("amount") - F("refunded"))))


def owed(charge: Charge) -> Decimal:
    """Return what is still owed on the charge."""
    return charge.amount - adjusted(charge) - paid(charge)


def debt(reader: "Reader") -> Decimal:
    """Return what is still owed on all the reader's charges, as assessed so far."""
    return total(OWED.filter(reader=reader).aggregate(total=Sum("owed")))


def credit(reader: "Reader") -> Decimal:
    """Return what the reader paid beyond what was owed, and did not get back."""
    received = Q(status__in=(PaymentStatus.PAID, PaymentStatus.REFUNDED))
    payments = CREDIT.filter(received, reader=reader)
    return total(payments.aggregate(total=Sum("credit")))


def balance(reader: "Reader") -> Decimal:
    """Return what the reader owes less the reader's credit: negative if the library owes."""
    return debt(reader) - credit(reader)


def outstanding() -> tuple[int, Decimal]:
    """Return how many charges are still owed by anybody, and what they come to.

    Asked of the payments that wait for them, for each open charge has one: what was paid long ago
    is not looked at. A draft asks for all that is owed; a session may ask for less, as a fine grows
    on, so that what its charges come to is corrected.
    """
    waiting = Allocation.objects.filter(state=AllocationState.OPEN)
    asked = waiting.aggregate(number=Count("pk"), total=Sum("amount"))
    in_session: Any = OWED.filter(
        allocations__state=AllocationState.OPEN,
        allocations__payment__in=Payment.objects.in_session(),
    )
    more = in_session.aggregate(
        settled=Count("pk", filter=Q(owed__lte=0)),
        total=Sum(F("owed") - F("allocations__amount")),
    )
    return asked.pop("number") - more.pop("settled"), total(asked) + total(more)


def total(aggregate: dict[str, Decimal | None]) -> Decimal:
    """Return an aggregate called `total` in whole cents: SQLite sums in floating point."""
    return round(aggregate["total"] or ZERO, 2)
