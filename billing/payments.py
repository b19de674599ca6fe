"""What is done about payments: opened at a provider, settled, closed, taken in cash.

The network is touched outside of any transaction: ask first, then write down what was seen.
"""

import logging
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from alerts.wording import money
from billing import accounts, drafts, gateways, ledger, refunds
from billing.drafts import NothingOwedError
from billing.gateways.base import (
    Gateway,
    GatewayError,
    Order,
    RejectedError,
    Snapshot,
    UnreachableError,
)
from billing.ledger import OvertakenError
from billing.models import Charge, Payment, PaymentEvent, PaymentStatus
from billing.settlements import RECEIVED

if TYPE_CHECKING:
    from circulation.models import Reader

log = logging.getLogger(__name__)

CASH = "CASH"
TRIES = 3
FRESH = timedelta(seconds=30)
"""A session that the provider was asked about since is taken to be as it was then."""


class PaymentRefusedError(Exception):
    """Nothing was paid or opened; the message says why and what can be done."""


class TooSmallError(PaymentRefusedError):
    """The provider takes no sum as small as this one."""

    def __init__(self, amount: Decimal, smallest: Decimal) -> None:
        self.amount, self.smallest = amount, smallest
        super().__init__(
            _("%(amount)s is too little to be paid online: the least is %(smallest)s.")
            % {"amount": money(amount), "smallest": money(smallest)}
        )


class ProviderAwayError(PaymentRefusedError):
    """The provider cannot be reached; nothing was lost."""

    def __init__(self) -> None:
        super().__init__(
            _("The payment provider cannot be reached at the moment. Try again in a few minutes.")
        )


def open_for(reader_id: int, charge_ids: Iterable[int]) -> Payment:
    """Return the payment in session for all that is owed on these charges of one reader.

    An open session for the same is returned again, one for anything else of these charges is
    closed first; what turns out to be paid is settled. Raises NothingOwedError, TooSmallError,
    ProviderAwayError, PaymentRefusedError.
    """
    charge_ids = list(charge_ids)
    gateway = gateways.online()
    if gateway is None:
        raise PaymentRefusedError(_("This library takes payments at the desk only."))
    for _try in range(TRIES):
        _refuse_too_small(gateway, reader_id, charge_ids)
        try:
            payment = ledger.freeze(reader_id, charge_ids, provider=gateway.name)
        except OvertakenError:
            for other in drafts.waiting_for(reader_id, charge_ids):
                _close_to_replace(other)
            continue
        payment = _opened(payment)
        _refuse_on_its_way(payment)
        if payment.is_open:
            return payment
    raise ProviderAwayError


def open_session(payment: Payment) -> Payment:
    """Make the session of a frozen payment, by its stored key: once, however often it is tried.

    Raises UnreachableError, RejectedError.
    """
    with translation.override(settings.LANGUAGE_CODE):
        description = _("Library account")  # the same whoever asks: a key is for one request
    order = Order(
        reference=payment.reference,
        key=str(payment.key),
        amount=payment.money_to_pay,
        currency=payment.currency,
        description=description,
        success_url=settings.SITE_URL + reverse("payment-success"),
        cancel_url=settings.SITE_URL + reverse("payment-cancel"),
    )
    try:
        session = gateways.called(payment.provider).open(order)
    except RejectedError as refused:
        log.warning("Payment %s was refused a session: %s", payment.pk, refused)
        ledger.failed_to_open(payment, str(refused), is_final=True)
        raise
    except UnreachableError as away:
        ledger.failed_to_open(payment, str(away), is_final=False)
        raise
    return ledger.opened(payment, session)


def settle(
    payment: Payment, *, by: "Reader | None" = None, event: PaymentEvent | None = None
) -> Payment:
    """Ask the provider how a payment stands, and write it down with what follows from it.

    An event or a redirect is only a hint to call this; the event is marked as handled in the same
    transaction. A session whose time is over is closed. Raises GatewayError.
    """
    if payment.session_id is None or not payment.provider:
        return payment
    if payment.status in (PaymentStatus.EXPIRED, PaymentStatus.FAILED):
        # Looking it up may capture what the reader approved; what was given up is only closed.
        return close(payment, by=by, event=event)
    try:
        gateway = gateways.called(payment.provider)
        seen = gateway.look_up(payment.session_id, key=str(payment.key))
    except RejectedError:
        if _is_over(payment):
            _give_up(payment, by=by)
        raise
    payment = _record(payment, seen, by=by, event=event)
    if payment.status == PaymentStatus.PENDING and _is_over(payment):
        return close(payment, by=by)
    return payment


def close(
    payment: Payment, *, by: "Reader | None" = None, event: PaymentEvent | None = None
) -> Payment:
    """Close a session at the provider; what was paid there in the meantime is settled.

    A session of which nobody knows whether it was made is made first, by the same key.
    Raises GatewayError.
    """
    if payment.session_id is None:
        payment = open_session(payment)
    assert payment.session_id is not None  # noqa: S101 - it is what was just opened
    gateway = gateways.called(payment.provider)
    seen = gateway.close(payment.session_id, key=str(payment.key))
    return _record(payment, seen, by=by, event=event)


def take_cash(
    reader: "Reader",
    amounts: Mapping[int, Decimal],
    *,
    by: "Reader",
    at: datetime | None = None,
    transaction_id: str = "",
) -> Payment:
    """Take cash for charges of a reader, as `{charge id: amount}`, in part or whole.

    A session that waits for the same is closed first; a provider that is away does not keep the
    desk from taking money. A `transaction_id` is taken once. Raises PaymentRefusedError.
    """
    amounts = {charge: amount for charge, amount in amounts.items() if amount}
    _refuse_bad_sums(reader, amounts)
    for other in drafts.waiting_for(reader.pk, amounts):
        _make_way_for_cash(other, by=by)
    try:
        return ledger.take(
            reader,
            amounts,
            provider=CASH,
            by=by,
            at=at or timezone.now(),
            transaction_id=transaction_id,
        )
    except (OvertakenError, NothingOwedError) as overtaken:
        raise PaymentRefusedError(
            _("The account has changed in the meantime: less is owed now. Nothing was taken.")
        ) from overtaken


def spread(
    reader: "Reader", amount: Decimal, *, among: Collection[int] | None = None
) -> dict[int, Decimal]:
    """Return how a sum goes towards the reader's charges, the oldest first, as for `take_cash`.

    With `among` only these charges count. Raises PaymentRefusedError for more than is owed.
    """
    amounts: dict[int, Decimal] = {}
    left = amount
    open_charges: Any = Charge.objects.open().filter(reader=reader).order_by("pk")
    if among is not None:
        open_charges = open_charges.filter(pk__in=among)
    for charge in open_charges:
        if left <= 0:
            break
        amounts[charge.pk] = min(left, round(charge.owed, 2))
        left -= amounts[charge.pk]
    if left > 0:
        owed = sum(amounts.values(), accounts.ZERO)
        raise PaymentRefusedError(
            _("Only %(owed)s is owed; %(amount)s is too much. Give the change back.")
            % {"owed": money(owed), "amount": money(amount)}
        )
    return amounts


@transaction.atomic
def _record(
    payment: Payment, seen: Snapshot, *, by: "Reader | None", event: PaymentEvent | None
) -> Payment:
    at = timezone.now()
    payment = ledger.record(payment, seen, at=at, by=by)
    refunds.record_seen(payment, seen.refunds)
    if event is not None:
        event.payment, event.handled_at, event.outcome = payment, at, payment.get_status_display()
        event.save(update_fields=["payment", "handled_at", "outcome"])
    return payment


def _opened(payment: Payment) -> Payment:
    """Return a frozen payment with a session that can be believed in."""
    try:
        if payment.session_id is None:
            return open_session(payment)
    except UnreachableError as away:
        raise ProviderAwayError from away
    except RejectedError as refused:
        raise PaymentRefusedError(
            _("The payment provider does not take this payment. Please pay at the desk.")
        ) from refused
    now = timezone.now()
    if payment.checked_at is not None and payment.checked_at > now - FRESH:
        return payment
    try:
        return settle(payment)
    except UnreachableError:
        return payment  # its page tells the reader more than we can
    except RejectedError:
        return _give_up(payment)  # what nobody can look at is not to be paid either


def _close_to_replace(payment: Payment) -> None:
    try:
        closed = close(payment)
    except RejectedError:
        _give_up(payment)
        return
    except UnreachableError as away:
        raise ProviderAwayError from away
    _refuse_on_its_way(closed)


def _refuse_on_its_way(payment: Payment) -> None:
    if payment.status == PaymentStatus.PROCESSING:
        raise PaymentRefusedError(
            _("A payment of %(sum)s is on its way already. Wait until it has arrived.")
            % {"sum": money(payment.money_to_pay)}
        )


@transaction.atomic
def _give_up(payment: Payment, *, by: "Reader | None" = None) -> Payment:
    """Give up a session that cannot be closed now, unless something has become of it."""
    payment = ledger.lock(payment)
    if payment.status == PaymentStatus.PENDING:
        ledger.give_up(payment, by=by)
    return payment


def _is_over(payment: Payment) -> bool:
    ends = payment.session_expires_at
    return ends is not None and ends < timezone.now()


def _make_way_for_cash(payment: Payment, *, by: "Reader") -> None:
    try:
        closed = close(payment, by=by)
    except GatewayError:
        closed = _give_up(payment, by=by)
    if closed.status == PaymentStatus.PROCESSING:
        raise PaymentRefusedError(
            _("An online payment of %(sum)s is on its way. Take no cash for the same.")
            % {"sum": money(closed.money_to_pay)}
        )
    if closed.status in RECEIVED:
        raise PaymentRefusedError(
            _("The reader has just paid %(sum)s online. Look at the account again.")
            % {"sum": money(closed.paid_amount or accounts.ZERO)}
        )


def _refuse_too_small(gateway: Gateway, reader_id: int, charge_ids: list[int]) -> None:
    charges: Any = Charge.objects.open().filter(reader=reader_id, pk__in=charge_ids)
    amount = sum((charge.owed for charge in charges), accounts.ZERO)
    smallest = gateway.smallest(settings.CURRENCY)
    if accounts.ZERO < amount < smallest:
        raise TooSmallError(amount, smallest)


def _refuse_bad_sums(reader: "Reader", amounts: Mapping[int, Decimal]) -> None:
    """Tell exactly what is wrong with an amount before anything is closed for it."""
    if not amounts:
        raise PaymentRefusedError(_("Give an amount above zero."))
    charges: Any = Charge.objects.open().filter(reader=reader, pk__in=amounts)
    owed = {charge.pk: charge.owed for charge in charges}
    for charge, amount in amounts.items():
        if not amount.is_finite() or amount <= 0:
            raise PaymentRefusedError(_("Give an amount above zero, in whole cents."))
        if amount > owed.get(charge, accounts.ZERO):
            raise PaymentRefusedError(
                _("Only %(owed)s is owed on it; %(amount)s is too much.")
                % {"owed": money(owed.get(charge, accounts.ZERO)), "amount": money(amount)}
            )
        if amount != round(amount, 2):
            raise PaymentRefusedError(_("Give an amount above zero, in whole cents."))
