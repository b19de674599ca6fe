"""Money given back: reserved first, sent by a job outside the transaction, written down once."""

import uuid
from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts.wording import money
from billing import accounts, charges, gateways, ledger, queue
from billing.gateways.base import RefundSeen, RejectedError, State, UnreachableError
from billing.models import (
    Allocation,
    AllocationState,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from billing.settlements import RECEIVED

if TYPE_CHECKING:
    from circulation.models import Reader

ZERO = accounts.ZERO
SEND_REFUND = "billing.tasks.send_refund"
LONGEST_REASON = 300


class RefundRefusedError(Exception):
    """Nothing was given back; the message says why."""


@transaction.atomic
def refund(
    payment: Payment, amount: Decimal, *, by: "Reader", reason: str, waives: bool = False
) -> Refund:
    """Give money back. Credit goes first; what was paid towards a charge is owed again.

    With `waives` what would be owed again is waived. Cash is handed over at once, a provider is
    asked by a job. Raises RefundRefusedError.
    """
    payment = ledger.lock(payment)
    _refuse(payment, amount, reason)
    try:
        gateway = gateways.called(payment.provider)
    except gateways.UnknownGatewayError as gone:
        raise RefundRefusedError(str(gone)) from gone
    made = Refund(
        payment=payment,
        amount=amount,
        key=uuid.uuid4(),
        by=by,
        reason=reason.strip()[:LONGEST_REASON],
    )
    _reserve(payment, amount, by=by, waives=made.reason if waives else "")
    if gateway.is_online:
        _save(made, by)
        queue.after_commit(SEND_REFUND, made.pk)
        return made
    _finish(made, payment, by=by)
    return made


def send(made: Refund) -> Refund:
    """Ask the provider for a refund, by its stored key: once, however often it is tried.

    Raises UnreachableError. What the provider refuses is put back where it was.
    """
    if made.status != RefundStatus.PENDING or made.provider_id:
        return made
    payment = made.payment
    try:
        seen = gateways.called(payment.provider).refund(
            payment.transaction_id,
            made.amount,
            payment.paid_currency,
            key=str(made.key),
            reference=str(made.pk),
        )
    except RejectedError as refused:
        return _failed(made, str(refused))
    except UnreachableError as away:
        Refund.objects.filter(pk=made.pk).update(last_error=str(away)[:500])
        raise
    with transaction.atomic():
        record_seen(ledger.lock(payment), [seen])
    made.refresh_from_db()
    return made


def record_seen(payment: Payment, seen: Iterable[RefundSeen]) -> None:
    """Write down the refunds that a provider knows of, those made there included, once each.

    The caller holds the payment.
    """
    for each in seen:
        made = _known(payment, each)
        if made is None:
            if each.state != State.FAILED and payment.status in RECEIVED:
                _made_at_provider(payment, each)
            continue
        if made.provider_id is None:
            made.provider_id = each.id
            _save(made, None)
        if made.status == RefundStatus.FAILED and each.state != State.FAILED:
            _reserve_again(made, payment)
        if made.status == RefundStatus.PENDING and each.state == State.PAID:
            _finish(made, payment)
        elif made.status != RefundStatus.FAILED and each.state == State.FAILED:
            _put_back(made, payment, _("The provider could not send the money back."))


def _refuse(payment: Payment, amount: Decimal, reason: str) -> None:
    if not reason.strip():
        raise RefundRefusedError(_("Give a reason: it is kept with the refund."))
    if not amount.is_finite() or amount <= 0:
        raise RefundRefusedError(_("Give an amount above zero, in whole cents."))
    if payment.status not in RECEIVED:
        raise RefundRefusedError(_("Nothing was received in this payment: it cannot be refunded."))
    left = (payment.paid_amount or ZERO) - payment.refunded_amount
    if amount > left:
        raise RefundRefusedError(
            _("Only %(left)s of this payment is left to give back; %(amount)s is too much.")
            % {"left": money(left), "amount": money(amount)}
        )
    if amount != round(amount, 2):
        raise RefundRefusedError(_("Give an amount above zero, in whole cents."))


def _reserve(payment: Payment, amount: Decimal, *, by: "Reader | None", waives: str = "") -> None:
    """Take the sum from the payment: from its credit first, then from what it paid last."""
    left = amount - _credit_of(payment)
    payment.refunded_amount += amount
    payment._history_user = by
    payment.save()
    for allocation in _paid(payment).order_by("-charge_id"):
        if left <= ZERO:
            return
        part = min(left, allocation.amount - allocation.refunded)
        if not part:
            continue
        allocation.refunded += part
        left -= part
        allocation._history_user = by
        allocation.save()
        if waives and by is not None:
            charges.waive(allocation.charge, part, by=by, reason=waives)
        else:
            ledger.follow(allocation.charge)


def _put_back(made: Refund, payment: Payment, problem: str) -> None:
    """The money was not sent: count it again towards what is owed, else as credit."""
    made.status = RefundStatus.FAILED
    made.last_error = problem[:500]
    _save(made, None)
    payment.refunded_amount -= made.amount
    payment.save()
    ledger.recount_refunds(payment)
    left = made.amount
    for allocation in _paid(payment).order_by("charge_id"):
        part = min(left, allocation.refunded)
        if part <= ZERO:
            continue
        surplus = part - min(part, accounts.owed(allocation.charge))
        allocation.refunded -= part
        allocation.amount -= surplus
        left -= part
        allocation.save()
        ledger.follow(allocation.charge)


@transaction.atomic
def _failed(made: Refund, problem: str) -> Refund:
    payment = ledger.lock(made.payment)
    made = Refund.objects.get(pk=made.pk)
    if made.status == RefundStatus.PENDING and not made.provider_id:
        _put_back(made, payment, problem)
    return made


def _make_room(payment: Payment, amount: Decimal) -> Decimal:
    """Return how much of a sum can be reserved, once refunds that were not sent give way to it."""
    left = (payment.paid_amount or ZERO) - payment.refunded_amount
    for ours in payment.refunds.filter(status=RefundStatus.PENDING, provider_id=None):
        if left < amount:  # the provider has given back already what we were about to
            _put_back(ours, payment, _("It was refunded at the provider in the meantime."))
            left += ours.amount
    return min(amount, left)


def _reserve_again(made: Refund, payment: Payment) -> None:
    """The provider sent what it was thought to have refused: its first answer had been lost."""
    if _make_room(payment, made.amount) < made.amount:
        return
    _reserve(payment, made.amount, by=None)
    made.status = RefundStatus.PENDING
    made.last_error = ""
    _save(made, None)


def _made_at_provider(payment: Payment, seen: RefundSeen) -> None:
    amount = _make_room(payment, seen.amount)
    if amount <= ZERO:
        return
    _reserve(payment, amount, by=None)
    label = gateways.called(payment.provider).label
    reason = _("Made at %(provider)s.") % {"provider": label}
    made = Refund(
        payment=payment, amount=amount, key=uuid.uuid4(), provider_id=seen.id, reason=reason
    )
    if seen.state == State.PAID:
        _finish(made, payment)
    else:
        _save(made, None)


def _finish(made: Refund, payment: Payment, *, by: "Reader | None" = None) -> None:
    made.status = RefundStatus.DONE
    made.done_at = timezone.now()
    made.last_error = ""
    _save(made, by)
    ledger.recount_refunds(payment, by=by)


def _known(payment: Payment, seen: RefundSeen) -> Refund | None:
    made = payment.refunds.filter(provider_id=seen.id).first()
    if made is None and seen.reference.isdecimal():
        made = payment.refunds.filter(pk=int(seen.reference), provider_id=None).first()
    return made


def _credit_of(payment: Payment) -> Decimal:
    if payment.status == PaymentStatus.REVIEW:
        return (payment.paid_amount or ZERO) - payment.refunded_amount
    found: Any = Payment.objects.with_credit().get(pk=payment.pk)
    credit: Decimal = found.credit
    return max(credit, ZERO)


def _paid(payment: Payment) -> QuerySet[Allocation]:
    return Allocation.objects.filter(payment=payment, state=AllocationState.PAID).select_related(
        "charge"
    )


def _save(made: Refund, by: "Reader | None") -> None:
    made._history_user = by
    made.save()
