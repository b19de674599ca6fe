"""What must be true of charges and payments: one function per invariant.

Each is one statement, so that it sees one moment of a busy desk, and yields what is wrong and
where, by record number: nothing here names a person.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db.models import (
    Case,
    CharField,
    Count,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Round

from billing.models import (
    Allocation,
    AllocationState,
    Charge,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from billing.settlements import MONEY, NOTHING, OPEN

SETTLED = (PaymentStatus.PAID, PaymentStatus.REFUNDED)


def charges_are_not_overdrawn() -> Iterator[str]:
    for charge in Charge.objects.overdrawn().order_by("pk").iterator():
        yield f"charge {charge.pk}: more is paid and taken off than its {charge.amount}"


def open_charges_wait_in_one_payment() -> Iterator[str]:
    waiting = Allocation.objects.filter(charge=OuterRef("pk"), state=AllocationState.OPEN)
    number = waiting.order_by().values("charge").values(number=Count("pk"))
    charges: Any = Charge.objects.open().annotate(
        waiting=Coalesce(Subquery(number, output_field=IntegerField()), 0)
    )
    for charge in charges.exclude(waiting=1).order_by("pk").iterator():
        yield f"charge {charge.pk}: {charge.waiting} payments wait for it"


def payments_ask_for_what_is_owed() -> Iterator[str]:
    """A draft follows its charge; a session may ask for less, as a fine grows on, never for more.

    One that is on its way already cannot be called back, whatever becomes of its charges.
    """
    charges: Any = Charge.objects.with_owed().filter(pk=OuterRef("charge"))
    asked: Any = Allocation.objects.filter(
        state=AllocationState.OPEN, payment__status=PaymentStatus.PENDING
    ).annotate(owed=Subquery(charges.values("owed"), output_field=MONEY))
    wrong = Q(amount__gt=F("owed")) | Q(payment__provider="", amount__lt=F("owed"))
    for each in asked.filter(wrong).order_by("pk").iterator():
        yield (
            f"payment {each.payment_id}: asks for {each.amount} of charge {each.charge_id}, "
            f"on which {each.owed:.2f} is owed"
        )


def payments_ask_for_the_sum_of_their_charges() -> Iterator[str]:
    asked = _summed(Allocation.objects.filter(state=AllocationState.OPEN), "amount")
    payments: Any = Payment.objects.filter(status__in=OPEN).annotate(asked=asked)
    for payment in payments.exclude(asked=F("money_to_pay")).order_by("pk").iterator():
        yield f"payment {payment.pk}: {payment.money_to_pay} for charges of {payment.asked:.2f}"


def allocations_stand_as_their_payment() -> Iterator[str]:
    should = Case(
        When(payment__status__in=OPEN, then=Value(AllocationState.OPEN)),
        When(payment__status=PaymentStatus.PAID, then=Value(AllocationState.PAID)),
        # Money that was to be reviewed may have gone back without having paid for anything.
        When(
            Q(payment__status=PaymentStatus.REFUNDED, state=AllocationState.PAID),
            then=Value(AllocationState.PAID),
        ),
        default=Value(AllocationState.RELEASED),
        output_field=CharField(),
    )
    wrong: Any = Allocation.objects.annotate(should=should).exclude(state=F("should"))
    for each in wrong.select_related("payment").order_by("pk").iterator():
        yield (
            f"payment {each.payment_id} is {each.payment.status}: "
            f"its part of charge {each.charge_id} is {each.state}"
        )


def payments_cover_no_more_than_was_paid() -> Iterator[str]:
    covered = _summed(Allocation.objects.filter(state=AllocationState.PAID), "amount")
    received: Any = Payment.objects.filter(status__in=SETTLED).with_credit()
    wrong = received.annotate(covered=covered).filter(
        Q(credit__lt=0) | Q(covered__gt=F("paid_amount"))
    )
    for payment in wrong.order_by("pk").iterator():
        yield f"payment {payment.pk}: covers {payment.covered:.2f} with {payment.paid_amount}"


def refunds_come_to_what_was_given_back() -> Iterator[str]:
    sent = Refund.objects.exclude(status=RefundStatus.FAILED)
    taken = Allocation.objects.filter(state=AllocationState.PAID)
    payments: Any = Payment.objects.annotate(
        sent=_summed(sent, "amount"), taken=_summed(taken, "refunded")
    )
    wrong = ~Q(sent=F("refunded_amount")) | Q(taken__gt=F("refunded_amount"))
    for payment in payments.filter(wrong).order_by("pk").iterator():
        yield f"payment {payment.pk}: {payment.sent:.2f} in refunds, {payment.refunded_amount} kept"


def payments_are_refunded_when_all_is_given_back() -> Iterator[str]:
    done = _summed(Refund.objects.filter(status=RefundStatus.DONE), "amount")
    payments: Any = Payment.objects.filter(paid_amount__gt=Decimal(0)).annotate(done=done)
    whole, refunded = Q(done=F("paid_amount")), Q(status=PaymentStatus.REFUNDED)
    for payment in payments.filter(whole ^ refunded).order_by("pk").iterator():
        yield f"payment {payment.pk} is {payment.status}: {payment.done:.2f} was given back"


def payments_are_made_by_who_owes() -> Iterator[str]:
    strangers = Allocation.objects.exclude(charge__reader=F("payment__reader"))
    for each in strangers.order_by("pk").iterator():
        yield f"payment {each.payment_id}: charge {each.charge_id} is of another reader"


def _summed(rows: QuerySet[Any], field: str) -> Round:
    """Return the sum of a payment's rows, in whole cents: SQLite sums in floating point."""
    mine = rows.filter(payment=OuterRef("pk")).order_by().values("payment")
    total = Subquery(mine.values(total=Sum(field)), output_field=MONEY)
    return Round(Coalesce(total, NOTHING), 2, output_field=MONEY)
