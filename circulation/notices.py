"""Notices to readers: what the desk's acts record, and the nightly ones, due soon and overdue."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import outbox
from alerts.events import EventKind
from alerts.models import ChannelAudience, Delivery, DeliveryStatus
from alerts.outbox import Occurrence
from circulation.models import DeskAct, Hold, Loan

DUE_SOON_DAYS = 2
OVERDUE_STEPS = (1, 8, 22)
"""Days late. After an outage only the latest step is told."""
EXPIRING_DAYS = 1
CHUNK = 500
OF_AN_OPEN_LOAN = (EventKind.LOAN_DUE_SOON, EventKind.LOAN_OVERDUE)
OF_A_READY_HOLD = (EventKind.HOLD_READY, EventKind.HOLD_EXPIRING)
LOOKED_BACK = timedelta(hours=6)


def lent(loan: Loan) -> None:
    outbox.record(EventKind.LOAN_CREATED, loan, reader=loan.reader, **_about(loan))


def returned(loan: Loan, act: DeskAct) -> None:
    over(loan, _("The book was returned."))
    outbox.record(
        EventKind.LOAN_RETURNED,
        loan,
        reader=loan.reader,
        once=str(act.pk),
        return_date=loan.actual_return_date.isoformat() if loan.actual_return_date else "",
        **_about(loan),
    )


def renewed(loan: Loan, act: DeskAct) -> None:
    over(loan, _("The loan was renewed."))
    outbox.record(
        EventKind.LOAN_RENEWED, loan, reader=loan.reader, once=str(act.pk), **_about(loan)
    )


def over(loan: Loan, reason: str) -> None:
    """Keep back what is unsent about a due date that does not hold any more."""
    outbox.cancel(loan, OF_AN_OPEN_LOAN, reason=reason)


def undone(loan: Loan) -> None:
    """Keep back the confirmation of an act that was taken back."""
    confirmations = (EventKind.LOAN_CREATED, EventKind.LOAN_RETURNED, EventKind.LOAN_RENEWED)
    outbox.cancel(loan, (*confirmations, *OF_AN_OPEN_LOAN), reason=_("It was undone."))


def hold_ready(hold: Hold) -> None:
    outbox.record(
        EventKind.HOLD_READY,
        hold,
        reader=hold.reader,
        once=f"{hold.copy_id}:{hold.pickup_until}",
        **_about_hold(hold),
    )


def hold_expired(hold: Hold) -> None:
    hold_over(hold, _("The hold expired."))
    outbox.record(EventKind.HOLD_EXPIRED, hold, reader=hold.reader, **_about_hold(hold))


def hold_over(hold: Hold, reason: str) -> None:
    outbox.cancel(hold, OF_A_READY_HOLD, reason=reason)


def record_due_soon(*, on: date) -> int:
    """Record that loans are due within two days; each due date is told once."""
    soon = Q(expected_return_date__range=(on, on + timedelta(days=DUE_SOON_DAYS)))
    # Who borrows for a day or two knows it.
    long_enough = Q(expected_return_date__gt=F("borrow_date") + timedelta(days=DUE_SOON_DAYS))
    count = 0
    for loans in _locked_chunks(soon & long_enough):
        outbox.record_all(
            Occurrence(
                EventKind.LOAN_DUE_SOON,
                loan,
                loan.reader,
                once=str(loan.expected_return_date),
                data=_about(loan),
            )
            for loan in loans
        )
        count += len(loans)
    return count


def record_overdue(*, on: date) -> int:
    """Record that loans are 1, 8 or 22 days late, or more; each step of a due date once."""
    count = 0
    for loans in _locked_chunks(Q(expected_return_date__lt=on)):
        outbox.record_all(_overdue(loan, on=on) for loan in loans)
        count += len(loans)
    return count


def record_expiring_holds(*, on: date) -> int:
    """Record that holds end tomorrow, or today after a night without the job."""
    last_day = on + timedelta(days=EXPIRING_DAYS)
    holds = Hold.objects.ready().filter(pickup_until__range=(on, last_day))
    found = list(holds.select_related("reader", "book"))
    outbox.record_all(
        Occurrence(
            EventKind.HOLD_EXPIRING,
            hold,
            hold.reader,
            once=str(hold.pickup_until),
            data=_about_hold(hold),
        )
        for hold in found
    )
    return len(found)


def note_accepted(*, at: datetime | None = None) -> int:
    """Mark the loans whose overdue notice for the present due date a far end has accepted."""
    since = (at or timezone.now()) - LOOKED_BACK
    accepted = Delivery.objects.filter(
        kind=EventKind.LOAN_OVERDUE,
        status=DeliveryStatus.SENT,
        finished_at__gte=since,
        channel__audience=ChannelAudience.READERS,
    )
    told: dict[str, set[int]] = {}
    for subject, due in accepted.values_list("event__subject", "event__data__due_date"):
        told.setdefault(due, set()).add(int(subject.rpartition(":")[2]))
    return sum(
        Loan.objects.open()
        .filter(pk__in=loans, expected_return_date=due, notification_sent=False)
        .update(notification_sent=True)
        for due, loans in told.items()
    )


def _overdue(loan: Loan, *, on: date) -> Occurrence:
    days = (on - loan.expected_return_date).days
    step = max(step for step in OVERDUE_STEPS if step <= days)
    return Occurrence(
        EventKind.LOAN_OVERDUE,
        loan,
        loan.reader,
        once=f"{loan.expected_return_date}:{step}",
        data={**_about(loan), "days_late": days},
    )


def _locked_chunks(condition: Q) -> Iterator[Sequence[Loan]]:
    """Yield open loans, each chunk held until its notices are recorded.

    So no return or renewal comes between a look at a loan and the notice about it.
    """
    last = 0
    loans = Loan.objects.open().filter(condition).select_related("reader", "copy__book")
    while True:
        with transaction.atomic():
            chunk = list(
                loans.filter(pk__gt=last)
                .select_for_update(no_key=True, of=("self",))
                .order_by("pk")[:CHUNK]
            )
            if not chunk:
                return
            yield chunk
        last = chunk[-1].pk


def _about(loan: Loan) -> dict[str, Any]:
    return {
        "book_title": loan.copy.book.title,
        "author": loan.copy.book.author,
        "barcode": loan.copy.barcode,
        "due_date": loan.expected_return_date.isoformat(),
    }


def _about_hold(hold: Hold) -> dict[str, Any]:
    return {
        "book_title": hold.book.title,
        "author": hold.book.author,
        "pickup_date": hold.pickup_until.isoformat() if hold.pickup_until else "",
    }
