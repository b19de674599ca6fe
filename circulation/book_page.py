"""What lending tells on a book's page: where its copies are, how often it was lent, who waits."""

from dataclasses import dataclass
from datetime import date
from typing import Any

from django.db.models import FilteredRelation, Max, OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    badge,
    day,
)
from alerts.counts import number_of
from catalog.models import Book, Copy
from circulation.models import Hold, HoldStatus, Loan, Reader
from circulation.reader_page import reader_link


@dataclass(frozen=True)
class Head:
    """What is above the book's form."""

    book: Any
    times_lent: int
    waiting: int
    knows_loans: bool
    knows_holds: bool
    hold_url: str


def head(request: HttpRequest, book: Any) -> Head:
    """Return the head of a book that comes with the numbers of its `available` copies and all."""
    may_place = request.user.has_perm("circulation.add_hold")
    times_lent, waiting = _counted(book)
    return Head(
        book=book,
        times_lent=times_lent,
        waiting=waiting,
        knows_loans=may_view(request, Loan),
        knows_holds=may_view(request, Hold),
        hold_url=f"{reverse('admin:circulation_hold_add')}?book={book.pk}" if may_place else "",
    )


def _counted(book: Book) -> tuple[int, int]:
    """Return how often the book was lent, and how many wait for it."""
    lent = Loan.objects.filter(copy__book=OuterRef("pk"), undone_at=None)
    queue = Hold.objects.active().filter(book=OuterRef("pk"))
    numbers: Any = Book.objects.filter(pk=book.pk).values_list(
        number_of(lent, "copy__book"), number_of(queue, "book")
    )
    times_lent, waiting = numbers.get()
    return times_lent, waiting


def loans_of(book: Book) -> QuerySet[Loan]:
    """Return the loans of a book that count: one that was undone was never made."""
    return Loan.objects.filter(copy__in=Copy.objects.filter(book=book), undone_at=None)


def with_whereabouts(copies: QuerySet[Copy]) -> QuerySet[Copy]:
    """Add what `whereabouts` and `last_lent` tell of each copy.

    The database keeps a copy to one unreturned loan and one ready hold, so no copy comes twice.
    """
    lent = Loan.objects.filter(copy=OuterRef("pk"), undone_at=None).order_by().values("copy")
    is_out = Q(loans__actual_return_date__isnull=True)
    is_ready = Q(holds__status=HoldStatus.READY)
    annotated: Any = copies.annotate(
        loan=FilteredRelation("loans", condition=is_out),
        kept=FilteredRelation("holds", condition=is_ready),
        last_lent_date=Subquery(lent.values(last=Max("borrow_date"))),
    )
    found: QuerySet[Copy] = annotated.select_related("loan__reader", "kept__reader")
    return found


def whereabouts(copy: Any, *, names_readers: bool) -> str | SafeString:
    """Say who has a copy, or for whom it is kept; a dash where nobody does."""
    loan: Loan | None = getattr(copy, "loan", None)
    kept: Hold | None = getattr(copy, "kept", None)
    if loan is not None and loan.lost_date is not None:
        text = _("{reader} lost it on {date}") if names_readers else _("Lost on {date}")
        return _told(text, loan.reader, loan.lost_date)
    if loan is not None:
        text = _("{reader}, due {date}") if names_readers else _("Due {date}")
        return _told(text, loan.reader, loan.expected_return_date)
    if kept is not None:
        text = _("Kept for {reader} until {date}") if names_readers else _("Kept until {date}")
        return _told(text, kept.reader, kept.pickup_until)
    return "–"


def _told(text: str, reader: Reader, on: date | None) -> SafeString:
    return format_html(text, reader=reader_link(reader), date=day(on))


def last_lent(copy: Any) -> str | SafeString:
    """Say when a copy was lent last; one without a number yet was never there to be lent."""
    if copy.pk is None:
        return "–"
    return day(copy.last_lent_date) if copy.last_lent_date else badge(_("never lent"))
