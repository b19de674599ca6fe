"""The only writer of payments: drafts that follow what is owed, and what became of each payment.

Nothing here touches the network. Every function holds the reader's account while it writes.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import outbox
from alerts.events import EventKind
from alerts.wording import money
from billing import accounts, drafts, queue
from billing.gateways.base import Session, Snapshot, State
from billing.models import (
    Adjustment,
    AdjustmentKind,
    Allocation,
    AllocationState,
    Charge,
    Payment,
    PaymentStatus,
    RefundStatus,
)
from billing.settlements import RECEIVED

if TYPE_CHECKING:
    from circulation.models import Reader

ZERO = accounts.ZERO
LONGEST_ERROR = 500
CLOSE_SESSION = "billing.tasks.close_session"


class OvertakenError(Exception):
    """What was chosen has changed in the meantime: look at the account again."""


def follow(charge: Charge, *, opens: bool = False) -> None:
    """Bring the payment that waits for a charge in step with what is owed on it.

    A draft follows the charge. A session that asks for more than is owed now is given up; one that
    asks for less stands, and the rest is asked for after it. With `opens` a new draft gets its
    session by a job. The caller holds the account.
    """
    left = accounts.owed(charge)
    if not left:
        nothing = _("Nothing is owed on it any more.")
        outbox.cancel(charge, [EventKind.CHARGE_OPENED], reason=nothing)
    waiting = drafts.waiting(charge)
    if waiting is None:
        if left > ZERO:
            drafts.draft(charge, left, opens=opens)
        return
    payment = waiting.payment
    if not payment.is_draft:
        if waiting.amount > left and payment.status == PaymentStatus.PENDING:
            give_up(payment)
            follow(charge, opens=opens)
        return
    Allocation.objects.filter(pk=waiting.pk).update(amount=left)
    payment.money_to_pay = left
    Payment.objects.filter(pk=payment.pk).update(money_to_pay=left)
    if not left:
        _close_draft(payment, charge)
    elif opens:
        drafts.ask_for_session(payment)


def give_up(payment: Payment, *, by: "Reader | None" = None) -> None:
    """Give a session up, here and now; a job closes it at the provider.

    What is paid there all the same is settled when it is seen. The caller holds the account.
    """
    payment.must_close = payment.key is not None
    _end(payment, PaymentStatus.EXPIRED, by=by)
    if payment.must_close:
        queue.after_commit(CLOSE_SESSION, payment.pk)


@transaction.atomic
def freeze(reader_id: int, charge_ids: Iterable[int], *, provider: str) -> Payment:
    """Return the payment in which all that is owed on these charges is asked of a provider.

    The one that is in session for exactly this is returned again. Its idempotency key is stored
    before the provider is called. Raises NothingOwedError, and OvertakenError where another
    session has to be closed first.
    """
    accounts.lock(reader_id)
    amounts = drafts.owed_on(reader_id, charge_ids)
    payment = drafts.waiting_for_exactly(amounts)
    if payment is not None and not payment.is_draft:
        return payment
    if drafts.waiting_for(reader_id, amounts):
        raise OvertakenError
    if payment is None:
        payment = drafts.joint_payment(amounts)
    payment.provider = provider
    payment.key = uuid.uuid4()
    payment.must_open = False
    payment.save()
    return payment


@transaction.atomic
def opened(payment: Payment, session: Session) -> Payment:
    """Write down the session that the provider made for a payment, whatever became of it since."""
    payment = lock(payment)
    payment.session_id = session.id
    payment.session_url = session.url
    payment.session_expires_at = session.expires_at
    payment.last_error = ""
    payment.save()
    return payment


@transaction.atomic
def failed_to_open(payment: Payment, problem: str, *, is_final: bool) -> Payment:
    """Write down why a session was not made; for good, the debt waits in a new draft."""
    payment = lock(payment)
    payment.last_error = problem[:LONGEST_ERROR]
    payment.checked_at = timezone.now()
    is_over = is_final and payment.session_id is None
    if is_over:
        payment.must_close = False  # there is nothing to close
    if is_over and payment.is_open:
        _end(payment, PaymentStatus.FAILED)
    else:
        payment.save()
    return payment


@transaction.atomic
def take(
    reader: "Reader",
    amounts: Mapping[int, Decimal],
    *,
    provider: str,
    by: "Reader",
    at: datetime,
    transaction_id: str = "",
) -> Payment:
    """Write down money that staff hold in their hands, as `{charge id: amount}`.

    Raises OvertakenError where less is owed by now, where a session waits for it, or where this
    transaction of the reader has been written down.
    """
    accounts.lock(reader.pk)
    if transaction_id and reader.payments.filter(transaction_id=transaction_id).exists():
        raise OvertakenError
    owed = drafts.owed_on(reader.pk, amounts)
    if any(amount > owed.get(charge, ZERO) for charge, amount in amounts.items()):
        raise OvertakenError
    if drafts.waiting_for(reader.pk, amounts):
        raise OvertakenError
    payment = drafts.waiting_for_exactly(amounts) or drafts.new_payment(
        Charge.objects.filter(pk__in=amounts), amounts, state=AllocationState.RELEASED
    )
    payment.provider = provider
    payment.taken_by = by
    total = round(sum(amounts.values(), ZERO), 2)
    seen = Snapshot(
        State.PAID,
        payment.reference,
        amount=total,
        currency=payment.currency,
        transaction_id=transaction_id,
    )
    return _write_down(payment, seen, at=at, by=by)


@transaction.atomic
def record(
    payment: Payment, seen: Snapshot, *, at: datetime, by: "Reader | None" = None
) -> Payment:
    """Write down how a payment stands at its provider. What was received stays received."""
    return _write_down(lock(payment), seen, at=at, by=by)


@transaction.atomic
def accept(payment: Payment, *, by: "Reader") -> Payment:
    """Count a payment that was to be reviewed as paid; what is not owed becomes credit.

    Raises OvertakenError where it is not to be reviewed any more, or in another currency.
    """
    payment = lock(payment)
    fits = payment.paid_currency == payment.currency and not payment.refunded_amount
    if payment.status != PaymentStatus.REVIEW or not fits:
        raise OvertakenError
    _pay(payment, by=by)
    return payment


def lock(payment: Payment) -> Payment:
    """Hold the account of a payment, and the payment; return it as it is now."""
    accounts.lock(payment.reader_id)
    return (
        Payment.objects.select_for_update(no_key=True, of=("self",))
        .select_related("reader")
        .get(pk=payment.pk)
    )


def recount_refunds(payment: Payment, *, by: "Reader | None" = None) -> None:
    """Mark a payment as refunded once all of it was given back. The caller holds the payment."""
    given = payment.refunds.filter(status=RefundStatus.DONE)
    is_whole = sum((each.amount for each in given), ZERO) == payment.paid_amount
    if is_whole == (payment.status == PaymentStatus.REFUNDED):
        return
    if is_whole:
        payment.status = PaymentStatus.REFUNDED
    else:
        payment.status = PaymentStatus.REVIEW if payment.review_reason else PaymentStatus.PAID
    payment._history_user = by
    payment.save()


def _write_down(
    payment: Payment, seen: Snapshot, *, at: datetime, by: "Reader | None" = None
) -> Payment:
    payment.checked_at = at
    payment.last_error = ""
    if seen.state not in (State.OPEN, State.PROCESSING):
        payment.must_close = False
    elif not payment.is_open and payment.status not in RECEIVED:
        payment.must_close = True  # given up, and not yet over
    if payment.status in RECEIVED:
        _note_check(payment)
    elif seen.state == State.PAID:
        _receive(payment, seen, at=at, by=by)
    elif payment.status == PaymentStatus.PENDING and seen.state == State.PROCESSING:
        payment.status = PaymentStatus.PROCESSING
        payment.save()
    elif payment.is_open and seen.state == State.FAILED:
        _end(payment, PaymentStatus.FAILED, by=by)
    elif payment.is_open and seen.state == State.EXPIRED:
        _end(payment, PaymentStatus.EXPIRED, by=by)
    else:
        _note_check(payment)
    return payment


def _note_check(payment: Payment) -> None:
    """Nothing has changed: no line in the audit for having asked."""
    fields = ("checked_at", "last_error", "must_close")
    Payment.objects.filter(pk=payment.pk).update(
        **{name: getattr(payment, name) for name in fields}
    )


def _receive(payment: Payment, seen: Snapshot, *, at: datetime, by: "Reader | None") -> None:
    payment.paid_amount = seen.amount or ZERO
    payment.paid_currency = seen.currency
    payment.paid_at = at
    payment.transaction_id = seen.transaction_id
    doubt = _doubt(payment, seen)
    if doubt is None:
        _pay(payment, by=by)
        return
    payment.review_reason = doubt
    _end(payment, PaymentStatus.REVIEW, by=by)
    _tell_staff(payment, doubt)


def _doubt(payment: Payment, seen: Snapshot) -> str | None:
    """Return why staff have to look at money that came in, or None."""
    if seen.reference != payment.reference:
        return _("The provider's session is marked as belonging to another payment.")
    if seen.currency != payment.currency:
        return _("Paid in %(paid)s, asked for in %(asked)s.") % {
            "paid": seen.currency or "?",
            "asked": payment.currency,
        }
    if seen.amount != payment.money_to_pay:
        return _("Paid %(paid)s, asked for %(asked)s.") % {
            "paid": money(seen.amount or ZERO),
            "asked": money(payment.money_to_pay),
        }
    if seen.amount and not _still_owed(payment):
        return _("Nothing is owed any more on what this paid: it was settled in another way.")
    return None


def _still_owed(payment: Payment) -> bool:
    return any(accounts.owed(charge) > ZERO for charge in drafts.charges_of(payment))


def _pay(payment: Payment, *, by: "Reader | None") -> None:
    """Count the money towards the charges, as far as they are owed; the rest is credit."""
    received = payment.paid_amount or ZERO
    spent = ZERO
    for allocation in payment.allocations.select_related("charge").order_by("charge_id"):
        part = min(allocation.amount, accounts.owed(allocation.charge), received - spent)
        allocation.amount = max(part, ZERO)
        allocation.state = AllocationState.PAID
        allocation._history_user = by
        allocation.save()
        spent += allocation.amount
    payment.status = PaymentStatus.PAID
    payment.review_reason = ""
    payment._history_user = by
    payment.save()
    for charge in drafts.charges_of(payment):
        follow(charge)
    if received:
        outbox.record(
            EventKind.PAYMENT_COMPLETED, payment, reader=payment.reader, amount=str(received)
        )
    if received > spent:
        credit = _("%(sum)s more than was owed: it is the reader's credit.")
        _tell_staff(payment, credit % {"sum": money(received - spent)})


def _tell_staff(payment: Payment, why: str) -> None:
    outbox.record(EventKind.PAYMENT_NEEDS_REVIEW, payment, reader=payment.reader, why=why)


def _end(payment: Payment, status: PaymentStatus, *, by: "Reader | None" = None) -> None:
    """Let the charges go; what is owed on them waits in new drafts."""
    payment.status = status
    payment._history_user = by
    payment.save()
    charges = drafts.charges_of(payment)
    payment.allocations.update(state=AllocationState.RELEASED)
    for charge in charges:
        follow(charge)


def _close_draft(payment: Payment, charge: Charge) -> None:
    """Nothing is left to pay: settled here without a provider, or taken back for good."""
    if Adjustment.objects.filter(charge=charge, kind=AdjustmentKind.VOIDED).exists():
        _end(payment, PaymentStatus.EXPIRED)
        return
    nothing = Snapshot(State.PAID, payment.reference, amount=ZERO, currency=payment.currency)
    _write_down(payment, nothing, at=timezone.now())
