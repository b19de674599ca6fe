"""Loans as the desk wrote them: looked at here, and acted on, but never edited."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import SEARCH_VAR
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from alerts.backoffice.acts import ActRefusedError, ActsAdmin, act
from alerts.backoffice.closed import may_view
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import (
    AutocompleteFilter,
    OfficeAdmin,
    ReadOnly,
    Table,
    day,
    money,
    page_link,
    staff,
)
from alerts.backoffice.paging import few
from alerts.backoffice.prints import prints
from billing.models import Charge
from catalog.finding import with_book
from catalog.import_admin import ImportExportPages
from circulation import desk, personal_data, policy, undo
from circulation.admin.finding import readers_matching
from circulation.admin.loan_states import OPEN_STATES, LoanStateFilter, status_badge
from circulation.models import DeskAct, Loan, Override
from circulation.refusals import RefusedError

UNDO = "undo"


@admin.register(Loan)
class LoanAdmin(ImportExportPages, ReadOnly, AuditedAdmin, ActsAdmin):
    import_kind = "loans"
    list_display = (
        "title",
        "copy",
        "reader",
        "lent",
        "due",
        "returned",
        "renewals",
        "status",
    )
    list_display_links = ("title",)
    list_select_related = ("copy__book", "reader")
    list_filter = (
        LoanStateFilter,
        ("reader", AutocompleteFilter),
        ("copy__book", AutocompleteFilter),
    )
    search_fields = ("copy__barcode",)
    search_help_text = gettext_lazy("Barcode, card number, or words of a name or title")
    ordering = ("-borrow_date", "-id")
    order_by_index = ("borrow_date", "copy__book__title", "copy", "reader")
    actions = ("take_back", "renew", "mark_lost", "found", "undo_last", "print_letters")
    actions_detail = actions
    refusals = (RefusedError,)
    empty_list = gettext_lazy("Lend the first copy at the desk.")
    readonly_fields = ("title", "status", "fine_rate")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("title", "copy", "reader"),
                    ("status", "borrow_date", "expected_return_date"),
                    ("actual_return_date", "lost_date", "renewals"),
                    ("lent_by", "taken_back_by", "notification_sent"),
                )
            },
        ),
        (
            gettext_lazy("Terms, as they were at check-out"),
            {
                "fields": (
                    ("loan_days", "max_renewals", "grace_days"),
                    ("fine_rate", "fine_cap", "lost_fee"),
                    ("daily_fee", "created_at"),
                    ("source_id", "import_run"),
                )
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Loan]:
        found = super().get_queryset(request)
        return found.select_related("copy__book", "reader", "lent_by", "taken_back_by")

    def get_order_by_index(self, request: HttpRequest) -> Sequence[str]:
        """Add the due date where the loans are open: an index has those in its order."""
        by_index = super().get_order_by_index(request)
        if request.GET.get("state") in OPEN_STATES and not request.GET.get(SEARCH_VAR):
            return (*by_index, "expected_return_date")
        return by_index

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Loan], search_term: str
    ) -> tuple[QuerySet[Loan], bool]:
        term = search_term.replace("\x00", " ").strip()
        if not term:
            return queryset, False
        readers = Q(reader__in=few(readers_matching(term)))
        others = (readers, Q(copy__barcode=term))
        return with_book(request, queryset, term, *others, book="copy__book"), False

    def may(self, request: HttpRequest, permission: str) -> bool:
        """Who may do any of the acts may undo that one; which it was, is asked on undoing."""
        if permission == UNDO:
            return any(request.user.has_perm(needed) for needed in undo.PERMISSIONS.values())
        return super().may(request, permission)

    def fitting_acts(self, row: Loan) -> Iterable[str]:
        if row.is_open:
            yield from ("take_back", "renew", "mark_lost")
        elif row.actual_return_date is None:
            yield "found"
        if row.is_overdue(on=timezone.localdate()):
            yield "print_letters"
        if row.acts.filter(undone_at=None, date=timezone.localdate()).exists():
            yield "undo_last"

    def get_tables(self, request: HttpRequest, obj: Loan) -> Iterable[Table]:
        if may_view(request, Charge):
            yield _charges(obj)
        acts = [
            (
                act.get_kind_display(),
                day(act.date),
                act.by or "–",
                _("undone") if act.undone_at else "",
            )
            for act in obj.acts.select_related("by")[:50]
        ]
        headers = (_("What"), _("When"), _("By"), "")
        yield Table(_("Acts"), headers, acts, _("Nothing was done at the desk with this loan yet."))
        overrides = [
            (override.message, override.reason, override.by, day(override.created_at))
            for override in obj.overrides.select_related("by")[:50]
        ]
        headers = (
            _("What stood against it"),
            _("Reason to override"),
            _("By"),
            _("When"),
        )
        yield Table(_("Overrides"), headers, overrides, _("Nothing was overridden."))

    @display(description=gettext_lazy("book"), ordering="copy__book__title")
    def title(self, loan: Loan) -> str:
        return loan.copy.book.title

    @display(description=gettext_lazy("lent"), ordering="borrow_date")
    def lent(self, loan: Loan) -> str:
        return day(loan.borrow_date)

    @display(description=gettext_lazy("due"), ordering="expected_return_date")
    def due(self, loan: Loan) -> str:
        return day(loan.expected_return_date)

    @display(description=gettext_lazy("returned"), ordering="actual_return_date")
    def returned(self, loan: Loan) -> str:
        return day(loan.actual_return_date)

    @display(description=gettext_lazy("fine per open day"))
    def fine_rate(self, loan: Loan) -> str:
        return policy.rate_text(loan.fine_per_day)

    @display(description=gettext_lazy("status"))
    def status(self, loan: Loan) -> str:
        return status_badge(loan, on=timezone.localdate())

    print_letters = prints(
        gettext_lazy("Print overdue letters"),
        permission=personal_data.SEE,
        url_name="print-letters",
        parameter="loan",
        name="print_letters",
    )

    @act(
        gettext_lazy("Take back"),
        permission="circulation.check_in",
        question=gettext_lazy("Take back today? A fine for lateness is settled as of today."),
        icon="keyboard_return",
    )
    def take_back(self, request: HttpRequest, loan: Loan) -> str:
        if not loan.is_open:
            raise ActRefusedError(_("This loan is not open."))
        return _outcome(desk.check_in(loan.copy, by=staff(request)))

    @act(
        gettext_lazy("Renew"),
        permission="circulation.renew",
        question=gettext_lazy("Renew from today, on the terms of the loan?"),
        icon="update",
    )
    def renew(self, request: HttpRequest, loan: Loan) -> str:
        renewal = desk.renew(loan, by=staff(request))
        text = _("Renewed until %(due)s.") % {"due": day(renewal.loan.expected_return_date)}
        fee = renewal.fee
        return f"{text} {fee.description}: {money(fee.amount)}" if fee else text

    @act(
        gettext_lazy("Mark lost"),
        permission="circulation.mark_lost",
        question=gettext_lazy("Give the copy up as lost? The reader is charged for it."),
        icon="search_off",
    )
    def mark_lost(self, request: HttpRequest, loan: Loan) -> str:
        charge = desk.mark_lost(loan, by=staff(request))
        if charge is None:
            return _("Marked lost; nothing is charged.")
        return _("Marked lost; %(amount)s is charged.") % {"amount": money(charge.amount)}

    @act(
        gettext_lazy("Found"),
        permission="circulation.mark_lost",
        question=gettext_lazy("Is the lost copy back? The charge for it is taken back."),
        icon="where_to_vote",
    )
    def found(self, request: HttpRequest, loan: Loan) -> str:
        if loan.lost_date is None or loan.actual_return_date is not None:
            raise ActRefusedError(_("This copy is not lost."))
        return _outcome(desk.check_in(loan.copy, by=staff(request)))

    @act(
        gettext_lazy("Undo"),
        permission=UNDO,
        question=gettext_lazy("Undo what was done last today, with its money?"),
        icon="undo",
    )
    def undo_last(self, request: HttpRequest, loan: Loan) -> str:
        last = loan.acts.filter(undone_at=None).order_by("-pk").first()
        if last is None:
            raise ActRefusedError(_("There is nothing to undo."))
        if not request.user.has_perm(undo.PERMISSIONS[DeskAct.Kind(last.kind)]):
            raise ActRefusedError(_("You may not undo this: %(act)s") % {"act": last})
        undo.undo(last, by=staff(request))
        return _("Undone: %(act)s") % {"act": last.get_kind_display()}


def _outcome(done: desk.CheckIn) -> str:
    """Return what a return came to: the message, the fine and who waits for the copy."""
    parts = [done.message]
    if done.fine is not None and done.fine.amount:
        fine = {"amount": money(done.fine.amount), "why": done.fine.description}
        parts.append(_("Fine %(amount)s: %(why)s.") % fine)
    if done.shelved is not None:
        hold = done.shelved.hold
        shelf = {"reader": hold.reader, "until": day(hold.pickup_until)}
        parts.append(_("Put it on the hold shelf for %(reader)s until %(until)s.") % shelf)
    return " ".join(parts)


def _charges(loan: Loan) -> Table:
    found: Any = loan.charges.with_owed()
    rows = [
        (
            page_link(charge, charge.get_kind_display()),
            money(charge.amount),
            money(charge.owed),
            charge.description,
        )
        for charge in found[:50]
    ]
    headers = (_("Charge"), _("Amount"), _("Still owed"), _("Why"))
    return Table(_("Charges"), headers, rows, _("This loan has cost nothing so far."))


@admin.register(Override)
class OverrideAdmin(ReadOnly, OfficeAdmin):
    list_display = ("message", "loan", "reason", "by", "created_at")
    list_select_related = ("loan__copy", "loan__reader", "by")
    list_filter = (("by", AutocompleteFilter), ("loan__reader", AutocompleteFilter))
    ordering = ("-id",)
    order_by_index = ("created_at",)
    fields = ("message", "loan", "reason", ("by", "created_at"))
    empty_list = gettext_lazy("Blocks that staff set aside at the desk are listed here.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Override]:
        return super().get_queryset(request).select_related("loan__copy", "loan__reader", "by")
