"""Notices to readers: what the desk's acts record, and the nightly ones, due soon and overdue."""

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from operator import itemgetter
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from simple_history.utils import bulk_update_with_history

from alerts import outbox
from alerts.events import EventKind
from alerts.histories import keep_before
from alerts.models import ChannelAudience, Delivery, DeliveryStatus, Event
from alerts.outbox import Occurrence
from circulation import fines
from circulation.models import DeskAct, Hold, Loan

DUE_SOON_DAYS = 2
OVERDUE_STEPS = (1, 8, 22)
"""Days late. After an outage only the latest step is told."""
EXPIRING_DAYS = 1
CHUNK = 500
OF_AN_OPEN_LOAN = (EventKind.LOAN_DUE_SOON, EventKind.LOAN_OVERDUE)
OF_A_READY_HOLD = (EventKind.HOLD_READY, EventKind.HOLD_EXPIRING)
LOOKED_BACK = timedelta(minutes=20)
LOOKED_BACK_AT_NIGHT = timedelta(days=30)
"""For what was accepted in the moment in which a worker was killed, and no other followed soon."""


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


def undone(loan: Loan, act: DeskAct) -> None:
    """Keep back the confirmation of an act that was taken back, and what was due by it."""
    reason = _("It was undone.")
    match act.kind:
        case DeskAct.Kind.CHECK_OUT:
            outbox.cancel(loan, (EventKind.LOAN_CREATED, *OF_AN_OPEN_LOAN), reason=reason)
        case DeskAct.Kind.CHECK_IN:
            outbox.cancel(loan, [EventKind.LOAN_RETURNED], reason=reason)
        case DeskAct.Kind.RENEW:
            renewed = outbox.recorded(loan, [EventKind.LOAN_RENEWED], once=str(act.pk))
            outbox.cancel_events(renewed, reason=reason)
            over(loan, reason)


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


def is_due_soon(*, on: date) -> Q:
    """Select loans due within two days of which no other program has told the reader."""
    soon = Q(expected_return_date__range=(on, on + timedelta(days=DUE_SOON_DAYS)))
    # Who borrows for a day or two knows it.
    long_enough = Q(expected_return_date__gt=F("borrow_date") + timedelta(days=DUE_SOON_DAYS))
    return soon & long_enough & ~Q(told_due_date=F("expected_return_date"))


def record_due_soon(*, on: date) -> int:
    """Record that loans are due within two days; each due date is told once."""
    return _record_in_chunks(is_due_soon(on=on), _record_due_soon)


def _record_due_soon(loans: Sequence[Loan]) -> None:
    """Where the job is run for a day that is past, a reader may know already that it is late."""
    late = _steps_told(loans)
    outbox.record_all(due_soon(loan) for loan in loans if loan.pk not in late)


def record_overdue(*, on: date) -> int:
    """Record that loans are 1, 8 or 22 days late, or more; each step of a due date once.

    What is unsent of earlier steps is kept back. Loans of which another program has told their
    readers are left to it.
    """
    return _record_in_chunks(
        Q(expected_return_date__lt=on), lambda loans: _record_overdue(loans, on=on)
    )


def _record_overdue(loans: Sequence[Loan], *, on: date) -> None:
    elsewhere, told = _told_elsewhere(loans), _steps_told(loans)
    news = [
        loan
        for loan in loans
        if loan.pk not in elsewhere and told.get(loan.pk, 0) < _step(loan, on=on)
    ]
    sums = fines.so_far(news, on=on)
    found = [overdue(loan, on=on, fine=sums[loan.pk]) for loan in news]
    outbox.supersede(found, OF_AN_OPEN_LOAN, reason=_("A later reminder took its place."))
    outbox.record_all(found)


@transaction.atomic
def record_expiring_holds(*, on: date) -> int:
    """Record that holds end tomorrow, or today after a night without the job."""
    last_day = on + timedelta(days=EXPIRING_DAYS)
    holds = Hold.objects.ready().filter(pickup_until__range=(on, last_day)).order_by("pk")
    found = list(
        holds.select_for_update(no_key=True, of=("self",)).select_related("reader", "book")
    )
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


def told_elsewhere(loan: Loan, kinds: Collection[EventKind] = OF_AN_OPEN_LOAN) -> None:
    """Keep back our notices: another program has told the reader of this due date."""
    outbox.cancel(loan, kinds, reason=_("Another program has told the reader."))


def note_accepted(*, back: timedelta = LOOKED_BACK, at: datetime | None = None) -> int:
    """Mark the loans whose overdue notice for the present due date a far end has accepted."""
    since = (at or timezone.now()) - back
    accepted = _accepted(EventKind.LOAN_OVERDUE).filter(finished_at__gte=since)
    told = sorted(
        (int(subject.rpartition(":")[2]), due)
        for subject, due in accepted.values_list("event__subject", "event__data__due_date")
    )
    return sum(_mark_told(told[n : n + CHUNK]) for n in range(0, len(told), CHUNK))


def _mark_told(told: Collection[tuple[int, str]]) -> int:
    """Mark the loans of these numbers whose due dates are still these."""
    untold = Loan.objects.open().filter(pk__in={pk for pk, _due in told}, notification_sent=False)
    if not untold.exists():  # as for most of the wakes that a desk gives
        return 0
    with transaction.atomic():
        locked = untold.select_for_update(no_key=True).order_by("pk")
        found = [loan for loan in locked if (loan.pk, str(loan.expected_return_date)) in told]
        for loan in found:
            loan.notification_sent = True
        keep_before(Loan, [loan.pk for loan in found])
        reason = _("The overdue notice was accepted.")
        bulk_update_with_history(found, Loan, ["notification_sent"], default_change_reason=reason)
    return len(found)


def _accepted(kind: EventKind) -> QuerySet[Delivery]:
    return Delivery.objects.filter(
        kind=kind, status=DeliveryStatus.SENT, channel__audience=ChannelAudience.READERS
    )


def _told_elsewhere(loans: Sequence[Loan]) -> set[int]:
    """Return those marked as told of a due date of which no notice of ours was accepted."""
    marked = {outbox.subject_of(loan): loan for loan in loans if loan.notification_sent}
    if not marked:
        return set()
    accepted = _accepted(EventKind.LOAN_OVERDUE).filter(event__subject__in=marked)
    ours = set(accepted.values_list("event__subject", "event__data__due_date"))
    return {
        loan.pk
        for subject, loan in marked.items()
        if (subject, loan.expected_return_date.isoformat()) not in ours
    }


def due_soon(loan: Loan) -> Occurrence:
    return Occurrence(
        EventKind.LOAN_DUE_SOON,
        loan,
        loan.reader,
        once=str(loan.expected_return_date),
        data=_about(loan),
    )


def _steps_told(loans: Sequence[Loan]) -> dict[int, int]:
    """Return the step recorded for the present due dates of those that are known as late."""
    steps = {
        Occurrence(EventKind.LOAN_OVERDUE, loan, once=_once(loan, step)).key: (loan.pk, step)
        for loan in loans
        for step in OVERDUE_STEPS
    }
    recorded = Event.objects.filter(key__in=steps, cancelled_at=None)
    return dict(steps[key] for key in recorded.values_list("key", flat=True))


def overdue(loan: Loan, *, on: date, fine: Decimal) -> Occurrence:
    """Return the notice of the last step that an overdue loan has reached."""
    days = (on - loan.expected_return_date).days
    return Occurrence(
        EventKind.LOAN_OVERDUE,
        loan,
        loan.reader,
        once=_once(loan, _step(loan, on=on)),
        data={**_about(loan), "days_late": days, "fine": str(fine) if fine else ""},
    )


def _step(loan: Loan, *, on: date) -> int:
    days = (on - loan.expected_return_date).days
    return max(step for step in OVERDUE_STEPS if step <= days)


def _once(loan: Loan, step: int) -> str:
    return f"{loan.expected_return_date}:{step}"


def _record_in_chunks(condition: Q, record: Callable[[Sequence[Loan]], None]) -> int:
    """Record notices of open loans, each chunk held until they are; return of how many loans.

    So no return or renewal comes between a look at a loan and the notice about it.
    """
    loans = Loan.objects.open().filter(condition)
    count = 0
    for numbers in _by_reader(loans):
        with transaction.atomic():
            held = loans.filter(pk__in=numbers).select_for_update(no_key=True, of=("self",))
            chunk = list(held.select_related("reader", "copy__book").order_by("pk"))
            record(chunk)
        count += len(chunk)
    return count


def _by_reader(loans: QuerySet[Loan]) -> Iterator[list[int]]:
    """Yield the numbers of loans in chunks, with those of one reader together.

    A worker comes as soon as a chunk is recorded, and makes one message of what it finds.
    """
    chunk: list[int] = []
    pairs = list(loans.order_by("reader", "pk").values_list("reader", "pk"))
    for _reader, own in groupby(pairs, key=itemgetter(0)):
        chunk += [pk for _reader, pk in own]
        if len(chunk) >= CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


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
