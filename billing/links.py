"""Signed pay links: they never expire, name nobody, and lead to what is owed when they are opened.

A link is for the charges of one payment, or for all that a reader owes.
"""

from dataclasses import dataclass

from django.conf import settings
from django.core import signing
from django.urls import reverse

from billing.models import Charge, Payment

_PAYMENT, _ACCOUNT = "p", "a"


class BadLinkError(Exception):
    """The link was not made here, or what it was for is gone."""


@dataclass(frozen=True)
class Selection:
    """What a pay link is for: a reader's charges that are still to be paid."""

    reader_id: int
    charge_ids: list[int]
    is_whole_account: bool


def for_payment(payment: Payment) -> str:
    """Return the address at which what this payment is for can be paid."""
    return _address(f"{_PAYMENT}{payment.pk}")


def for_account(reader_id: int) -> str:
    """Return the address at which a reader pays all that he or she owes."""
    return _address(f"{_ACCOUNT}{reader_id}")


def selection(token: str) -> Selection:
    """Return what a link is for. Raises BadLinkError."""
    try:
        target = _signer().unsign(token)
    except signing.BadSignature as bad:
        raise BadLinkError from bad
    kind, number = target[:1], int(target[1:])
    if kind == _ACCOUNT:
        return whole_account(number)
    payment = Payment.objects.filter(pk=number).first()
    if payment is None:
        raise BadLinkError
    covered = Charge.objects.open().filter(allocations__payment=payment)
    ids = list(covered.order_by("pk").values_list("pk", flat=True))
    return Selection(payment.reader_id, ids, is_whole_account=False)


def whole_account(reader_id: int) -> Selection:
    owing = Charge.objects.open().filter(reader=reader_id).order_by("pk")
    ids = list(owing.values_list("pk", flat=True))
    return Selection(reader_id, ids, is_whole_account=True)


def _address(target: str) -> str:
    token = _signer().sign(target)
    return f"{settings.SITE_URL}{reverse('pay', args=[token])}"


def _signer() -> signing.Signer:
    """Return what signs with SECRET_KEY, and takes what SECRET_KEY_FALLBACKS have signed."""
    return signing.Signer(salt="billing.pay-link")
