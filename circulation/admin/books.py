"""What lending adds to the pages of books and copies: loans, holds, stock acts, deletion."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from alerts.backoffice.acts import act
from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    Table,
    code,
    day,
    list_url,
    page_link,
    staff,
)
from catalog import admin as catalogue
from catalog.models import Book, Copy, CopyStatus
from circulation import book_page, deletion, holds, stock
from circulation.admin.holds import status_badge as hold_badge
from circulation.admin.loan_states import status_badge as loan_badge
from circulation.models import Hold, Loan, Reader
from circulation.printing import labels
from circulation.reader_page import reader_link

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
        return books.filter(pk__in=Hold.objects.active().values("book"))


class WhereaboutsInline(catalogue.CopyInline):
    """The copies of a book, with who has each, for those who may know."""

    fields: tuple[str, ...] = (
        "barcode",
        "item_type",
        "status_badge",
        "where",
        "lent_last",
        "price",
        "acquired_date",
        "note",
    )
    readonly_fields: tuple[str, ...] = ("status_badge", "where", "lent_last")
    names_readers = False

    def get_fields(self, request: HttpRequest, obj: Book | None = None) -> Any:
        if may_view(request, Loan):
            return self.fields
        return catalogue.CopyInline.fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Copy]:
        self.names_readers = may_view(request, Reader)  # an inline is made anew for each request
        copies = super().get_queryset(request)
        return book_page.with_whereabouts(copies) if may_view(request, Loan) else copies

    @display(description=gettext_lazy("who has it"))
    def where(self, copy: Copy) -> str:
        return book_page.whereabouts(copy, names_readers=self.names_readers)

    @display(description=gettext_lazy("last lent"))
    def lent_last(self, copy: Copy) -> str:
        return book_page.last_lent(copy)


@admin.register(Book)
class BookAdmin(catalogue.BookAdmin):
    inlines = (WhereaboutsInline,)
    actions = ("print_labels", *catalogue.BookAdmin.actions)
    actions_detail = (*catalogue.BookAdmin.actions_detail, "print_labels")
    print_labels = labels.action("book")
    change_form_outer_before_template = "circulation/book_head.html"
    list_filter = (*catalogue.BookAdmin.list_filter, HasHoldsFilter)
    refusals = (*catalogue.BookAdmin.refusals, deletion.DeletionRefusedError)

    def get_fieldsets(self, request: HttpRequest, obj: Book | None = None) -> Any:
        """Fold what the head says already: whoever opens a book mostly wants its copies."""
        fieldsets = super().get_fieldsets(request, obj)
        if obj is None:
            return fieldsets
        (_unnamed, options), *others = fieldsets
        folded = {**options, "classes": ("collapse",)}
        return [(_("Title, author, ISBN and fee"), folded), *others]

    def delete_row(self, request: HttpRequest, row: Book) -> None:
        deletion.delete_book(row, by=staff(request))

    def get_tables(self, request: HttpRequest, obj: Book) -> Iterable[Table]:
        if may_view(request, Hold):
            yield holds_table(
                request,
                Hold.objects.active().filter(book=obj),
                empty=_("Nobody waits for this book."),
                more_url=list_url(Hold, book__id__exact=obj.pk),
            )
        if may_view(request, Loan):
            yield loans_table(
                request,
                book_page.loans_of(obj),
                empty=_("This book was never lent. Lend a copy of it at the desk."),
                more_url=list_url(Loan, copy__book__id__exact=obj.pk),
            )

    def get_head(self, request: HttpRequest, obj: Book) -> book_page.Head:
        return book_page.head(request, obj)


@admin.register(Copy)
class CopyAdmin(catalogue.CopyAdmin):
    actions = (
        "withdraw",
        "to_repair",
        "note_missing",
        "bring_back",
        "print_labels",
        "delete_chosen",
    )
    actions_detail = ("withdraw", "to_repair", "note_missing", "bring_back", "print_labels")
    print_labels = labels.action("copy")
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
        if row.status != CopyStatus.WITHDRAWN:
            yield "print_labels"

    def delete_row(self, request: HttpRequest, row: Copy) -> None:
        deletion.delete_copy(row, by=staff(request))

    def get_tables(self, request: HttpRequest, obj: Copy) -> Iterable[Table]:
        if may_view(request, Loan):
            yield loans_table(
                request,
                Loan.objects.filter(copy=obj, undone_at=None),
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
    """Return the newest of the loans; who had them only for those who may see readers."""
    sees_readers = may_view(request, Reader)
    today = timezone.localdate()
    found = loans.select_related("copy", "reader").order_by("-borrow_date", "-pk")
    rows = [
        (
            page_link(loan, day(loan.borrow_date)),
            code(loan.copy.barcode),
            reader_link(loan.reader) if sees_readers else "–",
            day(loan.expected_return_date),
            day(loan.actual_return_date),
            loan_badge(loan, on=today),
        )
        for loan in found[:MOST_ROWS]
    ]
    headers = (_("Lent"), _("Copy"), _("Reader"), _("Due"), _("Returned"), _("Status"))
    return Table(_("Loan history"), headers, rows, empty, more_url)


def holds_table(request: HttpRequest, found: QuerySet[Hold], *, empty: str, more_url: str) -> Table:
    """Return holds in the order of the queue."""
    sees_readers = may_view(request, Reader)
    queue: Any = holds.with_position(found).select_related("reader", "copy")
    rows = [
        (
            page_link(hold, day(hold.placed_at)),
            reader_link(hold.reader) if sees_readers else "–",
            hold.position if hold.status == "waiting" else "–",
            hold_badge(hold),
            code(hold.copy and hold.copy.barcode),
            day(hold.pickup_until),
        )
        for hold in queue.order_by("placed_at", "pk")[:MOST_ROWS]
    ]
    headers = (_("Placed"), _("Reader"), _("Place"), _("Status"), _("Copy"), _("Pick up by"))
    return Table(_("Holds queue"), headers, rows, empty, more_url)
