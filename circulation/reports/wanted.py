"""What is most wanted, to buy more of it, and what nobody borrows, to show it or let it go."""

import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.db.models import (
    Count,
    Exists,
    F,
    Max,
    OuterRef,
    QuerySet,
    Subquery,
)
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

from alerts.backoffice.pages import Table, day, page_link
from alerts.backoffice.remembered import counted
from alerts.backoffice.reports import MOST_ROWS, Answer, Report, cut
from alerts.counts import number_of
from alerts.local_days import midnight
from alerts.spreadsheets import CHUNK
from catalog.models import Book, Copy, CopyStatus
from circulation.models import Hold, HoldStatus, Loan

OF_BOOK = OuterRef("pk")
GONE = (CopyStatus.WITHDRAWN, CopyStatus.LOST)


def _with_copies(books: QuerySet[Book]) -> Any:
    """Annotate how many copies there are to lend, and how many readers wait."""
    copies = Copy.objects.filter(book=OF_BOOK).exclude(status__in=GONE)
    waiting = Hold.objects.filter(book=OF_BOOK, status=HoldStatus.WAITING)
    return books.annotate(copies_here=number_of(copies, "book"), waiting=number_of(waiting, "book"))


class MostWanted(Report):
    code = "most-wanted"
    title = gettext_lazy("Most wanted")
    about = gettext_lazy("What is lent most and what readers wait for: to know what to buy.")
    icon = "trending_up"
    permissions = ("circulation.view_loan", "catalog.view_book")

    def usual(self, today: datetime.date) -> dict[str, Any]:
        year = today - datetime.timedelta(days=364)
        return {"first": year.isoformat(), "last": today.isoformat()}

    def answer(self, request: HttpRequest, asked: dict[str, Any]) -> Answer:
        most, counted_at = counted(self.code, asked, lambda: list(_lent(asked)[: MOST_ROWS + 1]))
        found, has_more = cut(most)
        lent = dict(found)
        books = _with_copies(Book.objects.all()).in_bulk(list(lent))
        headers = self.headers(request)
        short = [headers[0], headers[1], *headers[4:]]
        loans = [_wanted(books[pk], number) for pk, number in lent.items() if pk in books]
        waited, more_waited = cut(_waited_for()[: MOST_ROWS + 1])
        numbers, waited_at = _loans_of([book.pk for book in waited], asked)
        waits = [_wanted(book, numbers.get(book.pk, 0)) for book in waited]
        return Answer(
            [
                Table(_("Waited for now"), short, waits, _("Nobody waits for a book.")),
                Table(_("Lent most"), short, loans, _("Nothing was lent in this period.")),
            ],
            has_more or more_waited,
            counted_at and waited_at and min(counted_at, waited_at),
        )

    def headers(self, request: HttpRequest) -> Sequence[str]:
        return [
            _("Title"),
            _("Author"),
            _("ISBN"),
            _("Call number"),
            _("Loans"),
            _("Waiting now"),
            _("Copies"),
        ]

    def records(self, request: HttpRequest, asked: dict[str, Any]) -> Iterable[Sequence[Any]]:
        numbers = dict(_lent(asked))
        waited = _waited_for().values_list("pk", flat=True)
        order = [*numbers, *(pk for pk in waited if pk not in numbers)]
        for start in range(0, len(order), CHUNK):
            part = order[start : start + CHUNK]
            books = _with_copies(Book.objects.all()).in_bulk(part)
            for pk in part:
                if book := books.get(pk):
                    yield (
                        book.title,
                        book.author,
                        book.isbn or "",
                        book.call_number,
                        numbers.get(pk, 0),
                        book.waiting,
                        book.copies_here,
                    )


def _lent(asked: dict[str, Any]) -> QuerySet[Any, Any]:
    """Return (book, number of loans), most first."""
    loans = Loan.objects.filter(undone_at=None, borrow_date__range=(asked["first"], asked["last"]))
    counted = loans.order_by().values_list("copy__book").annotate(number=Count("*"))
    return counted.order_by("-number", "copy__book")


def _waited_for() -> Any:
    """Return the books that readers wait for, those with most waiting for each copy first.

    One more copy than there are is counted: a book may have lost its last one.
    """
    waiting = Hold.objects.filter(status=HoldStatus.WAITING).values("book")
    books = _with_copies(Book.objects.filter(pk__in=waiting))
    return books.order_by((F("waiting") * 1000 / (F("copies_here") + 1)).desc(), "title", "pk")


def _loans_of(
    books: Sequence[int], asked: dict[str, Any]
) -> tuple[dict[int, int], datetime.datetime | None]:
    """Return the numbers of loans of these books, and when they were counted."""
    loans = _lent(asked).filter(copy__book__in=books)
    return counted("waited-for", asked, lambda: dict(loans) if books else {}, books=books)


def _wanted(book: Any, loans: int) -> tuple[Any, ...]:
    return page_link(book), book.author, loans, book.waiting, book.copies_here


class IdleForm(forms.Form):
    years = forms.TypedChoiceField(
        label=gettext_lazy("Which books"),
        coerce=int,
        choices=(
            (0, gettext_lazy("never lent")),
            (1, gettext_lazy("not lent for a year")),
            (2, gettext_lazy("not lent for two years")),
            (5, gettext_lazy("not lent for five years")),
        ),
        widget=UnfoldAdminSelectWidget,
    )


class NeverLent(Report):
    code = "never-lent"
    title = gettext_lazy("Never lent")
    about = gettext_lazy(
        "Books that stand on the shelves and that nobody has borrowed, ever or for years: to show "
        "them to readers, or to let them go."
    )
    icon = "bedtime"
    permissions = ("circulation.view_loan", "catalog.view_book")
    form_class = IdleForm

    def usual(self, today: datetime.date) -> dict[str, Any]:
        return {"years": 0}

    def answer(self, request: HttpRequest, asked: dict[str, Any]) -> Answer:
        idle = _idle(asked["years"], on=timezone.localdate())
        found, has_more = cut(idle[: MOST_ROWS + 1])
        rows = [
            (
                page_link(book),
                book.author,
                book.call_number or "–",
                book.copies_here,
                day(timezone.localdate(book.created_at)),
                day(book.last_lent),
            )
            for book in found
        ]
        headers = [_("Title"), _("Author"), _("Call number"), _("Copies"), _("Added")]
        empty = _("Every book was lent in this time. Well chosen.")
        table = Table(_("By title"), [*headers, _("Last lent")], rows, empty)
        return Answer([table], has_more=has_more)

    def headers(self, request: HttpRequest) -> Sequence[str]:
        return [
            _("Title"),
            _("Author"),
            _("ISBN"),
            _("Call number"),
            _("Copies"),
            _("Added"),
            _("Last lent"),
        ]

    def records(self, request: HttpRequest, asked: dict[str, Any]) -> Iterable[Sequence[Any]]:
        idle = _idle(asked["years"], on=timezone.localdate())
        for book in idle.iterator(chunk_size=CHUNK):
            yield (
                book.title,
                book.author,
                book.isbn or "",
                book.call_number,
                book.copies_here,
                timezone.localdate(book.created_at),
                book.last_lent or "",
            )


def _idle(years: int, *, on: datetime.date) -> Any:
    """Return the books with copies to lend that were not lent for so many years; 0: never."""
    loans = Loan.objects.filter(copy__book=OF_BOOK, undone_at=None)
    here = Copy.objects.filter(book=OF_BOOK).exclude(status__in=GONE)
    books = Book.objects.filter(Exists(here))
    if years:
        since = on - datetime.timedelta(days=365 * years)
        books = books.filter(created_at__lt=midnight(since))
        loans_since = loans.filter(borrow_date__gte=since)
    else:
        loans_since = loans
    last = loans.order_by().values("copy__book").annotate(last=Max("borrow_date")).values("last")
    return (
        _with_copies(books.filter(~Exists(loans_since)))
        .annotate(last_lent=Subquery(last))
        .order_by("title", "pk")
    )
