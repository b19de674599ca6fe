"""The queue for a book: which holds a copy touches, and who comes first."""

from dataclasses import dataclass

from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts.wording import day
from catalog.models import Copy, CopyStatus
from circulation.models import ACTIVE_HOLD, Hold, HoldStatus, Reader
from circulation.refusals import Block


@dataclass(frozen=True)
class AtStake:
    """The holds that lending a copy to a reader touches, one of each at most.

    `displaced` is another reader's, for which the copy is on the shelf; `own` is the reader's on
    the book.
    """

    displaced: Hold | None
    own: Hold | None


def holds_at_stake(reader: Reader, copy: Copy) -> AtStake:
    ready = Q(status=HoldStatus.READY, copy=copy)
    own = Q(ACTIVE_HOLD, book=copy.book_id, reader=reader)
    by_owner = {hold.reader_id == reader.pk: hold for hold in Hold.objects.filter(ready | own)}
    return AtStake(displaced=by_owner.get(False), own=by_owner.get(True))


def against_holds(copy: Copy, reader: Reader, stake: AtStake, *, by: Reader | None) -> list[Block]:
    """Return whether other readers come first for this copy.

    They do where it lies on the hold shelf for one of them, or where at least as many of them wait
    ahead of this reader as there are free copies. Who serves himself is told no names.
    """
    ready, own = stake.displaced, stake.own
    if ready is not None:
        message = _("This copy is on the hold shelf for %(reader)s until %(until)s.") % {
            "reader": _("another reader") if by == reader else ready.reader,
            "until": day(ready.pickup_until),
        }
        return [Block("held_for_others", message, is_overridable=True)]
    if own is not None and own.status == HoldStatus.READY:
        return []
    ahead = waiting_ahead(copy.book_id, own)
    if ahead and ahead >= free_copies(copy.book_id):
        message = ngettext(
            "%(count)d reader waits for this book and comes first.",
            "%(count)d readers wait for this book and come first.",
            ahead,
        ) % {"count": ahead}
        return [Block("held_for_others", message, is_overridable=True)]
    return []


def waiting_ahead(book_id: int, own: Hold | None) -> int:
    """Count the waiting holds of a book before `own`, or all of them where there is none."""
    queue = Hold.objects.waiting().filter(book=book_id)
    if own is not None:
        queue = queue.filter(
            Q(placed_at__lt=own.placed_at) | Q(placed_at=own.placed_at, pk__lt=own.pk)
        )
    return queue.count()


def free_copies(book_id: int) -> int:
    return Copy.objects.filter(book=book_id, status=CopyStatus.AVAILABLE).count()
