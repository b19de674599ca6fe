"""The job that finishes what webhooks, workers and killed processes have left unfinished."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from billing import drafts, ledger, payments, refunds, webhooks
from billing.drafts import NothingOwedError
from billing.gateways.base import RejectedError, UnreachableError
from billing.models import (
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
REFUNDED_THERE = timedelta(days=30)
"""For so long a payment is looked at once a day: it may have been refunded at the provider."""
GONE_FOR_GOOD = timedelta(days=30)
"""A session that ended so long ago and cannot be closed is let be: nothing comes of it any more."""


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
    drafts.cover(list(drafts.uncovered().values_list("pk", flat=True)[:BATCH]))
    work = list(_unfinished(at))
    for left, (rows, finish) in zip(range(len(work), 0, -1), work, strict=True):
        now = time.monotonic()
        # However much there is of one kind, the others have their share of the time.
        _finish_all(rows, finish, tally, ends=now + (ends - now) / left)
    return tally


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


def _unfinished(at: datetime) -> Iterator[tuple[QuerySet[Any], Callable[[Any], object]]]:
    """Yield what nobody has looked at just now, with what finishes it."""
    before = at - SETTLED_BY_ITSELF
    all_payments = Payment.objects.select_related("reader").order_by(
        F("checked_at").asc(nulls_first=True), "pk"
    )
    neglected = all_payments.filter(
        Q(checked_at__isnull=True) | Q(checked_at__lt=before), created_at__lt=before
    )
    frozen = neglected.filter(status__in=OPEN).exclude(provider="")
    yield frozen.filter(session_id=None), payments.open_session
    yield frozen.exclude(session_id=None), payments.settle
    given_up = all_payments.filter(must_close=True)
    yield given_up.exclude(session_expires_at__lt=at - GONE_FOR_GOOD), payments.close
    yield neglected.filter(status=PaymentStatus.PENDING, provider="", must_open=True), open_draft
    refunding = Refund.objects.filter(status=RefundStatus.PENDING, created_at__lt=before)
    # In no order: those that always fail keep no others waiting.
    yield refunding.select_related("payment__reader").order_by("?"), _finish_refund
    events = PaymentEvent.objects.filter(handled_at=None, received_at__lt=before)
    yield events.order_by("?"), webhooks.handle
    received = all_payments.filter(
        status__in=(PaymentStatus.PAID, PaymentStatus.REVIEW),
        session_id__isnull=False,
        paid_at__gt=at - REFUNDED_THERE,
        checked_at__lt=at - timedelta(days=1),
    )
    yield received, payments.settle


def _finish_refund(made: Refund) -> None:
    """Look first: providers do not know a key for ever, and would send the money twice."""
    payments.settle(made.payment)
    made.refresh_from_db()
    refunds.send(made)


def _finish_all(
    rows: QuerySet[Any], finish: Callable[[Any], object], tally: Tally, *, ends: float
) -> None:
    away: Counter[str] = Counter()
    for row in rows[:BATCH]:
        provider = row.payment.provider if isinstance(row, Refund) else row.provider
        if time.monotonic() > ends:
            return
        if away[provider] >= MOST_TROUBLES:
            continue
        try:
            finish(row)
        except (UnreachableError, ProviderAwayError) as trouble:
            away[provider] += 1
            _note(row, str(trouble), tally)
        except (RejectedError, PaymentRefusedError, NothingOwedError) as trouble:
            _note(row, str(trouble), tally)
        except Exception as trouble:
            log.exception("Reconciling goes on with the next")
            _note(row, type(trouble).__name__, tally)
        else:
            away[provider] = 0
            tally.done += 1


def _note(row: Any, trouble: str, tally: Tally) -> None:
    """Keep the problem where staff see it; the row goes to the end of the line."""
    tally.failed += 1
    log.warning("%s %s is unfinished: %s", row._meta.model_name, row.pk, trouble)
    if isinstance(row, Payment):
        Payment.objects.filter(pk=row.pk).update(
            checked_at=timezone.now(), last_error=trouble[: ledger.LONGEST_ERROR]
        )
