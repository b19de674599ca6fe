"""Holds: placed, put on the shelf, passed on, cancelled, expired. The queue is their order."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts.counts import number_of
from billing import accounts
from catalog import inventory
from catalog.models import Book, Copy, CopyStatus
from circulation import blocks, notices, policy, queue, rules
from circulation.models import Hold, HoldStatus, Reader
from circulation.refusals import RefusedError

DEFAULT_SHELF_DAYS = 7


class HoldRefusedError(RefusedError):
    """The hold was not placed."""


class HoldNotActiveError(Exception):
    """The hold is over already: picked up, cancelled or expired."""


@dataclass(frozen=True)
class Shelved:
    """A copy that went onto the hold shelf, and for whom."""

    hold: Hold
    copy: Copy


@transaction.atomic
def place(
    reader: Reader, book: Book, *, by: Reader | None = None, at: datetime | None = None
) -> Hold:
    """Put the reader at the end of the book's queue. Raises HoldRefusedError with all reasons."""
    at = at or timezone.now()
    book = Book.objects.select_for_update(no_key=True).get(pk=book.pk)
    reader = Reader.objects.select_for_update(no_key=True).get(pk=reader.pk)
    item_type_id = (
        Copy.objects.filter(book=book)
        .exclude(status=CopyStatus.WITHDRAWN)
        .order_by(F("item_type").asc(nulls_first=True))
        .values_list("item_type", flat=True)
        .first()
    )
    rule = blocks.rule_for(reader, item_type_id, refusal=HoldRefusedError)
    if found := blocks.against_hold(book, reader, rule, on=timezone.localdate(at)):
        raise HoldRefusedError(found)
    hold = Hold(book=book, reader=reader, placed_at=at)
    return save(hold, by)


@transaction.atomic
def cancel(
    hold: Hold, *, by: Reader | None = None, at: datetime | None = None, on: date | None = None
) -> Shelved | None:
    """End a hold; a copy that lay on the shelf for it passes on. Raises HoldNotActiveError."""
    at = at or timezone.now()
    hold = _locked(hold)
    if hold.status not in (HoldStatus.WAITING, HoldStatus.READY):
        raise HoldNotActiveError(
            _("This hold is over already: %(status)s.") % {"status": hold.get_status_display()}
        )
    return _close(hold, HoldStatus.CANCELLED, by=by, at=at, on=on or timezone.localdate(at))


def expire(*, on: date, at: datetime | None = None) -> int:
    """Expire the ready holds not picked up before `on`; return how many.

    Their copies pass on to the next in the queue. Safe to run twice or late.
    """
    overdue = Hold.objects.ready().filter(pickup_until__lt=on).order_by("pickup_until", "pk")
    return sum(_expire_one(hold, on=on, at=at or timezone.now()) for hold in overdue)


@transaction.atomic
def _expire_one(hold: Hold, *, on: date, at: datetime) -> bool:
    hold = _locked(hold)
    if hold.status != HoldStatus.READY or hold.pickup_until is None or hold.pickup_until >= on:
        return False
    _close(hold, HoldStatus.EXPIRED, by=None, at=at, on=on)
    return True


def _locked(hold: Hold) -> Hold:
    """Lock in the one order: book, reader, copy, hold."""
    inventory.lock_book(hold.book_id)
    accounts.lock(hold.reader_id)
    return Hold.objects.select_for_update(no_key=True).get(pk=hold.pk)


def _close(
    hold: Hold, status: HoldStatus, *, by: Reader | None, at: datetime, on: date
) -> Shelved | None:
    copy = hold.copy if hold.status == HoldStatus.READY else None
    hold.status = status
    hold.closed_at = at
    save(hold, by)
    if status == HoldStatus.EXPIRED:
        notices.hold_expired(hold)
    else:
        notices.hold_over(hold, _("The hold was cancelled."))
    return put_on_shelf(copy, on=on, by=by) if copy else None


def put_on_shelf(copy: Copy, *, on: date, by: Reader | None) -> Shelved | None:
    """Give a locked copy that is in the library to the first in the queue, or set it free.

    The copy is in someone's hand, or lies on the hold shelf already.
    """
    hold = (
        Hold.objects.waiting()
        .select_for_update(no_key=True, of=("self",))
        .select_related("reader", "book")
        .filter(book=copy.book_id)
        .first()
    )
    if hold is None:
        inventory.set_status(copy, CopyStatus.AVAILABLE, by=by)
        return None
    hold.status = HoldStatus.READY
    hold.copy = copy
    hold.pickup_until = _pickup_until(hold.reader, copy, on=on)
    save(hold, by)
    notices.hold_ready(hold)
    inventory.set_status(copy, CopyStatus.ON_HOLD_SHELF, by=by)
    return Shelved(hold, copy)


def _pickup_until(reader: Reader, copy: Copy, *, on: date) -> date:
    try:
        rule = rules.applicable(category_id=reader.category_id, item_type_id=copy.item_type_id)[0]
        return rules.calendar().next_open_day(on + timedelta(days=rule.hold_shelf_days))
    except (rules.NoPolicyError, policy.NeverOpenError):
        # A return is never refused because a setting is wrong.
        return on + timedelta(days=DEFAULT_SHELF_DAYS)


def back_to_queue(hold: Hold, *, by: Reader | None) -> None:
    """Return a ready hold to its place in the queue; its copy goes elsewhere."""
    hold.status = HoldStatus.WAITING
    hold.copy = None
    hold.pickup_until = None
    save(hold, by)
    notices.hold_over(hold, _("The copy went elsewhere; the reader waits again."))


def fulfil(
    stake: queue.AtStake, copy: Copy, *, on: date, at: datetime, by: Reader | None
) -> Hold | None:
    """Close the reader's hold on the book of a copy that he or she takes now.

    Returns the hold as it was before, or None. Another copy that waited on the shelf for the reader
    passes on; a reader whose shelf copy was given away by override waits again.
    """
    if stake.displaced is not None:
        back_to_queue(stake.displaced, by=by)
    own = stake.own
    if own is None:
        return None
    before = Hold.objects.get(pk=own.pk)
    other = own.copy if own.copy_id not in (None, copy.pk) else None
    own.status = HoldStatus.FULFILLED
    own.copy = copy
    own.closed_at = at
    save(own, by)
    notices.hold_over(own, _("The book was picked up."))
    if other is not None:
        put_on_shelf(other, on=on, by=by)
    return before


def save(hold: Hold, by: Reader | None) -> Hold:
    hold._history_user = by
    hold.save()
    return hold


def with_position(holds: QuerySet[Hold]) -> QuerySet[Hold]:
    """Annotate `position`: the place of a waiting hold in its book's queue, from 1."""
    ahead = Hold.objects.filter(book=OuterRef("book"), status=HoldStatus.WAITING).filter(
        Q(placed_at__lt=OuterRef("placed_at"))
        | Q(placed_at=OuterRef("placed_at"), pk__lte=OuterRef("pk"))
    )
    return holds.annotate(position=number_of(ahead, "book"))


def to_pull(among: QuerySet[Hold] | None = None) -> QuerySet[Hold]:
    """Return the waiting holds (of all by default) for which a free copy stands in the shelves."""
    among = Hold.objects.all() if among is None else among
    copies = Copy.objects.filter(book=OuterRef("book"), status=CopyStatus.AVAILABLE)
    # Few have any: only of those the places in their queues are counted.
    waiting = among.filter(Exists(copies), status=HoldStatus.WAITING)
    return (
        with_position(waiting)
        .annotate(free=number_of(copies, "book"))
        .filter(Q(position__lte=F("free")))
        .order_by("placed_at", "id")
    )
