"""What lending adds to the pages of books and copies: loans, holds, stock acts, deletion."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter

from alerts.backoffice.acts import act
from alerts.backoffice.pages import Table, day, list_url, may_view, page_link, staff
from catalog import admin as catalogue
from catalog.models import Book, Copy, CopyStatus
from circulation import deletion, holds, stock
from circulation.admin.holds import status_badge as hold_badge
from circulation.admin.loan_states import status_badge as loan_badge
from circulation.models import Hold, Loan, Reader

MOST_ROWS = 25

admin.site.unregister((Book, Copy))


class HasHoldsFilter(DropdownFilter):
    title = gettext_lazy("holds")
    parameter_name = "holds"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Someone waits for it"))]

    def queryset(self, request: HttpRequest, books: QuerySet[Book]) -> QuerySet[Book]:
        if self.value() != "yes":
            return books
        return books.filter(Exists(Hold.objects.active().filter(book=OuterRef("pk"))))


@admin.register(Book)
class BookAdmin(catalogue.BookAdmin):
    list_filter = (*catalogue.BookAdmin.list_filter, HasHoldsFilter)
    refusals = (*catalogue.BookAdmin.refusals, deletion.DeletionRefusedError)

    def delete_row(self, request: HttpRequest, row: Book) -> None:
        deletion.delete_book(row, by=staff(request))

    def get_tables(self, request: HttpRequest, obj: Book) -> Iterable[Table]:
        if may_view(request, Loan):
            yield loans_table(
                request,
                Loan.objects.unreturned().filter(copy__book=obj),
                empty=_("No copy of this book is out. Lend one at the desk."),
                more_url=list_url(Loan, copy__book__id__exact=obj.pk),
            )
        if may_view(request, Hold):
            yield holds_table(
                request,
                Hold.objects.active().filter(book=obj),
                empty=_("Nobody waits for this book."),
                more_url=list_url(Hold, book__id__exact=obj.pk),
            )


@admin.register(Copy)
class CopyAdmin(catalogue.CopyAdmin):
    actions = ("withdraw", "to_repair", "note_missing", "bring_back", "delete_chosen")
    actions_detail = ("withdraw", "to_repair", "note_missing", "bring_back")
    refusals = (
        *catalogue.CopyAdmin.refusals,
        stock.StockRefusedError,
        deletion.DeletionRefusedError,
    )

    def fitting_acts(self, row: Copy) -> Iterable[str]:
        here = {
            CopyStatus.WITHDRAWN: "withdraw",
            CopyStatus.IN_REPAIR: "to_repair",
            CopyStatus.LOST: "note_missing",
        }
        if row.status in here:
            yield "bring_back"
        if row.status != CopyStatus.ON_LOAN:
            yield from (name for status, name in here.items() if status != row.status)

    def delete_row(self, request: HttpRequest, row: Copy) -> None:
        deletion.delete_copy(row, by=staff(request))

    def get_tables(self, request: HttpRequest, obj: Copy) -> Iterable[Table]:
        if may_view(request, Loan):
            yield loans_table(
                request,
                Loan.objects.filter(copy=obj),
                empty=_("This copy was never lent."),
                more_url=list_url(Loan, q=obj.barcode),
            )

    @act(
        gettext_lazy("Withdraw"),
        permission="catalog.change_copy",
        question=gettext_lazy("Take out of the library for good? A hold goes back to the queue."),
        icon="inventory",
    )
    def withdraw(self, request: HttpRequest, copy: Copy) -> str:
        return _taken_out(request, copy, CopyStatus.WITHDRAWN)

    @act(
        gettext_lazy("Send to repair"),
        permission="catalog.change_copy",
        question=gettext_lazy("Send to repair? A hold on it goes back to the queue."),
        icon="build",
    )
    def to_repair(self, request: HttpRequest, copy: Copy) -> str:
        return _taken_out(request, copy, CopyStatus.IN_REPAIR)

    @act(
        gettext_lazy("Note as missing"),
        permission="catalog.change_copy",
        question=gettext_lazy("Missing from the shelf? Scanning it at the desk finds it again."),
        icon="search_off",
    )
    def note_missing(self, request: HttpRequest, copy: Copy) -> str:
        return _taken_out(request, copy, CopyStatus.LOST)

    @act(
        gettext_lazy("Back into circulation"),
        permission="catalog.change_copy",
        question=gettext_lazy("Make available again?"),
        icon="settings_backup_restore",
    )
    def bring_back(self, request: HttpRequest, copy: Copy) -> str:
        stock.bring_back(copy, by=staff(request))
        return _("Available again.")


def _taken_out(request: HttpRequest, copy: Copy, status: CopyStatus) -> str:
    hold = stock.take_out(copy, status, by=staff(request))
    text = _("Marked: %(status)s.") % {"status": status.label}
    if hold is None:
        return text
    return text + " " + _("%(reader)s is first in the queue again.") % {"reader": hold.reader}


def loans_table(request: HttpRequest, loans: QuerySet[Loan], *, empty: str, more_url: str) -> Table:
    """Return the newest of the loans; who has them only for those who may see readers."""
    sees_readers = may_view(request, Reader)
    today = timezone.localdate()
    found = loans.select_related("copy__book", "reader").order_by("-borrow_date", "-pk")
    rows = [
        (
            page_link(loan, loan.copy.book.title),
            loan.copy.barcode,
            page_link(loan.reader) if sees_readers else "–",
            day(loan.borrow_date),
            day(loan.expected_return_date),
            loan_badge(loan, on=today),
        )
        for loan in found[:MOST_ROWS]
    ]
    headers = (_("Book"), _("Copy"), _("Reader"), _("Lent"), _("Due"), _("Status"))
    return Table(_("Loans"), headers, rows, empty, more_url)


def holds_table(request: HttpRequest, found: QuerySet[Hold], *, empty: str, more_url: str) -> Table:
    """Return holds in the order of the queue."""
    sees_readers = may_view(request, Reader)
    queue: Any = holds.with_position(found).select_related("book", "reader")
    rows = [
        (
            page_link(hold, hold.book.title),
            page_link(hold.reader) if sees_readers else "–",
            hold.position if hold.status == "waiting" else "–",
            hold_badge(hold),
            day(hold.pickup_until),
        )
        for hold in queue.order_by("placed_at", "pk")[:MOST_ROWS]
    ]
    headers = (_("Book"), _("Reader"), _("Place"), _("Status"), _("Pick up by"))
    return Table(_("Holds"), headers, rows, empty, more_url)
