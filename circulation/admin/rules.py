"""The rules that staff set: loan policies, closed days, and which policy applies and why."""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import dates
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from alerts.backoffice.acts import ActRefusedError
from alerts.backoffice.deletion import DeletionAdmin
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import Table
from catalog import admin as catalogue
from catalog.models import ItemType
from circulation.admin.which_rule import Question, WhichRuleForm, explained, fine_text
from circulation.models import ClosedDay, ClosedWeekday, LoanPolicy, Reader, ReaderCategory

admin.site.unregister(ItemType)


@admin.register(LoanPolicy)
class LoanPolicyAdmin(AuditedAdmin, DeletionAdmin):
    list_display = (
        "covers",
        "loan_days",
        "max_loans",
        "max_holds",
        "max_renewals",
        "grace_days",
        "fine",
        "fine_cap",
        "hold_shelf_days",
    )
    list_select_related = ("category", "item_type")
    search_fields = ("category__name", "item_type__name")
    list_before_template = "office/which_rule_link.html"
    about = gettext_lazy(
        "For how long and how many copies are lent, and what lateness costs. A policy for a reader "
        "category or an item type beats the one for everybody; loans that are out keep their terms."
    )
    fieldsets = (
        (
            gettext_lazy("Whom and what it covers"),
            {
                "description": gettext_lazy(
                    "The most specific policy applies: one for category and item type beats one "
                    "for the category, which beats one for the item type, which beats the one for "
                    "everybody and everything."
                ),
                "fields": (("category", "item_type"),),
            },
        ),
        (
            gettext_lazy("Lending"),
            {
                "fields": (
                    ("loan_days", "max_loans", "max_renewals"),
                    ("max_holds", "hold_shelf_days", "debt_limit"),
                )
            },
        ),
        (
            gettext_lazy("Lateness and loss"),
            {
                "description": gettext_lazy(
                    "The fine is a fixed rate per open day, or a factor of the book's daily fee. "
                    "Loans that are out keep the terms they were lent on."
                ),
                "fields": (
                    ("fine_per_day", "fine_factor"),
                    ("grace_days", "fine_cap", "lost_fee"),
                ),
            },
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: LoanPolicy | None = None) -> Any:
        """The policy for everybody and everything stays that, so that something always applies."""
        return ("category", "item_type") if obj is not None and _covers_all(obj) else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_kept = isinstance(obj, LoanPolicy) and _covers_all(obj)
        return not is_kept and bool(super().has_delete_permission(request, obj))

    def delete_safely(self, request: HttpRequest, row: LoanPolicy) -> None:
        if _covers_all(row):
            message = _("The policy for any reader and any item must stay: change it instead.")
            raise ActRefusedError(message)
        super().delete_safely(request, row)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.which_rule)
        return [path("which/", view, name="circulation_which_rule"), *super().get_urls()]

    def which_rule(self, request: HttpRequest) -> HttpResponse:
        """Show which policy applies to a reader and a copy, why, and what follows from it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = WhichRuleForm(request.GET or None, site=self.admin_site)
        tables: Sequence[Table] = ()
        if form.is_valid():
            tables = explained(Question.from_form(form.cleaned_data))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Which rule applies, and why"),
            "form": form,
            "method": "get",
            "submit_text": _("Show the rule"),
            "tables": tables,
            "opts": self.opts,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "office/form.html", context)

    @display(description=gettext_lazy("policy"), ordering="category__name")
    def covers(self, row: LoanPolicy) -> str:
        return str(row)

    @display(description=gettext_lazy("fine per open day"))
    def fine(self, row: LoanPolicy) -> str:
        return fine_text(row)


def _covers_all(row: LoanPolicy) -> bool:
    return row.category_id is None and row.item_type_id is None


@admin.register(ClosedDay)
class ClosedDayAdmin(AuditedAdmin, DeletionAdmin):
    list_display = ("date", "weekday", "reason")
    search_fields = ("reason",)
    ordering = ("-date",)
    list_before_template = "office/about.html"
    about = gettext_lazy(
        "Holidays and other single dates: no loan falls due on them, and none is fined for them."
    )
    empty_list = gettext_lazy(
        "Add the dates on which the library is closed: nothing is due then, and no fine counts."
    )

    @display(description=gettext_lazy("weekday"))
    def weekday(self, row: ClosedDay) -> str:
        return str(dates.WEEKDAYS[row.date.weekday()])


@admin.register(ClosedWeekday)
class ClosedWeekdayAdmin(AuditedAdmin, DeletionAdmin):
    list_display = ("name",)
    ordering = ("weekday",)
    list_before_template = "office/about.html"
    about = gettext_lazy(
        "The days of every week on which the library is closed: no loan falls due on them, and "
        "none is fined for them. Holidays stand under “Closed days”."
    )
    empty_list = gettext_lazy("The library is open on all seven days. Add those it is closed on.")

    @display(description=gettext_lazy("weekday"), ordering="weekday")
    def name(self, row: ClosedWeekday) -> str:
        return str(row)


@admin.register(ItemType)
class ItemTypeAdmin(catalogue.ItemTypeAdmin):
    def delete_row(self, request: HttpRequest, row: ItemType) -> None:
        if row.loanpolicy_set.exists():
            message = _("There are loan policies for “%(name)s”. Delete those first.")
            raise ActRefusedError(message % {"name": row})
        super().delete_row(request, row)


@admin.register(ReaderCategory)
class ReaderCategoryAdmin(AuditedAdmin, DeletionAdmin):
    list_display = ("name",)
    search_fields = ("name",)
    list_before_template = "office/about.html"
    about = gettext_lazy(
        "Groups of readers that borrow on terms of their own. Name them here, give each a loan "
        "policy, and choose the category on the reader's page."
    )
    empty_list = gettext_lazy("Add groups of readers that have rules of their own, such as Child.")

    def delete_row(self, request: HttpRequest, row: ReaderCategory) -> None:
        if used := Reader.objects.filter(category=row).count():
            message = _("“%(name)s” is the category of %(used)d readers. Give them another first.")
            raise ActRefusedError(message % {"name": row, "used": used})
        if row.loanpolicy_set.exists():
            message = _("There are loan policies for “%(name)s”. Delete those first.")
            raise ActRefusedError(message % {"name": row})
        super().delete_row(request, row)
