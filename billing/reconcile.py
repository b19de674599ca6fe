"""The job that finishes what webhooks, workers and killed processes have left unfinished."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import accounts, ledger, payments, refunds, webhooks
from billing.gateways.base import RejectedError, UnreachableError
from billing.ledger import NothingOwedError
from billing.models import (
    Allocation,
    AllocationState,
    Charge,
    ChargeQuerySet,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from billing.payments import PaymentRefusedError, ProviderAwayError
from billing.settlements import OPEN

log = logging.getLogger(__name__)

LONGEST_RUN = 240.0
"""Seconds; the rest is for the next run."""
SETTLED_BY_ITSELF = timedelta(minutes=2)
"""What is younger is left to the webhook, the success page and the workers."""
BATCH = 500
MOST_TROUBLES = 5
"""So many calls in a row without an answer: the provider is away, and is left alone this time."""


@dataclass
class Tally:
    """What a run has done."""

    done: int = 0
    failed: int = 0

    @property
    def sentence(self) -> str:
        return _("%(done)d looked at, %(failed)d could not be finished yet.") % {
            "done": self.done,
            "failed": self.failed,
        }


def run(*, at: datetime | None = None, seconds: float = LONGEST_RUN) -> Tally:
    """Finish what is unfinished, the longest neglected first, for at most so many seconds."""
    at = at or timezone.now()
    ends = time.monotonic() + seconds
    tally = Tally()
    for charge in uncovered()[:BATCH]:
        _cover(charge)
    for rows, finish in _unfinished(at - SETTLED_BY_ITSELF):
        _finish_all(rows, finish, tally, ends=ends)
    return tally


def uncovered() -> ChargeQuerySet:
    """Return the charges that are owed and for which no payment waits, as after an import."""
    covered = Allocation.objects.filter(state=AllocationState.OPEN).values("charge")
    return Charge.objects.open().exclude(pk__in=covered).order_by("pk")


def open_draft(payment: Payment) -> Payment:
    """Open the session that a draft wants by itself; only once, for it expires unused.

    Raises PaymentRefusedError.
    """
    charges = list(payment.allocations.values_list("charge", flat=True))
    try:
        return payments.open_for(payment.reader_id, charges)
    except ProviderAwayError:
        raise
    except (PaymentRefusedError, NothingOwedError):
        Payment.objects.filter(pk=payment.pk).update(must_open=False)
        raise


def _cover(charge: Charge) -> None:
    with transaction.atomic():
        accounts.lock(charge.reader_id)
        ledger.follow(charge)


def _unfinished(before: datetime) -> Iterator[tuple[QuerySet[Any], Callable[[Any], object]]]:
    """Yield what was left alone since `before`, with what finishes it."""
    all_payments = Payment.objects.select_related("reader").order_by(
        F("checked_at").asc(nulls_first=True), "pk"
    )
    neglected = all_payments.filter(
        Q(checked_at__isnull=True) | Q(checked_at__lt=before), created_at__lt=before
    )
    frozen = neglected.filter(status__in=OPEN).exclude(provider="")
    yield frozen.filter(session_id=None), payments.open_session
    yield frozen.exclude(session_id=None), payments.settle
    yield all_payments.filter(must_close=True), payments.close
    yield neglected.filter(status=PaymentStatus.PENDING, provider="", must_open=True), open_draft
    refunding = Refund.objects.filter(status=RefundStatus.PENDING, created_at__lt=before)
    refunding = refunding.select_related("payment__reader").order_by("pk")
    yield refunding, _finish_refund
    yield PaymentEvent.objects.filter(handled_at=None, received_at__lt=before), webhooks.handle


def _finish_refund(made: Refund) -> None:
    if made.provider_id:
        payments.settle(made.payment)
    else:
        refunds.send(made)


def _finish_all(
    rows: QuerySet[Any], finish: Callable[[Any], object], tally: Tally, *, ends: float
) -> None:
    away = 0
    for row in rows[:BATCH]:
        if away >= MOST_TROUBLES or time.monotonic() > ends:
            return
        try:
            finish(row)
        except (UnreachableError, ProviderAwayError) as trouble:
            away += 1
            _note(row, trouble, tally)
        except (RejectedError, PaymentRefusedError, NothingOwedError, LookupError) as trouble:
            _note(row, trouble, tally)
        else:
            away = 0
            tally.done += 1


def _note(row: Any, trouble: Exception, tally: Tally) -> None:
    """Keep the problem where staff see it; the row goes to the end of the line."""
    tally.failed += 1
    log.warning("%s %s is unfinished: %s", row._meta.model_name, row.pk, trouble)
    if isinstance(row, Payment):
        Payment.objects.filter(pk=row.pk).update(
            checked_at=timezone.now(), last_error=str(trouble)[: ledger.LONGEST_ERROR]
        )
