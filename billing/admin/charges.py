"""What readers owe, and what was taken off: written by the domain, waived here."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
)
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminTextInputWidget

from alerts.backoffice.acts import ActsAdmin, act
from alerts.backoffice.closed import may_view
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import (
    AutocompleteFilter,
    OfficeAdmin,
    ReadOnly,
    Table,
    badge,
    day,
    money,
    staff,
)
from billing import charges
from billing.admin import words
from billing.models import Adjustment, Charge, Payment


class WaiverForm(BaseDialogForm):
    amount = forms.DecimalField(
        label=gettext_lazy("Amount"),
        max_digits=10,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=300, widget=UnfoldAdminTextInputWidget
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        charge: Any = Charge.objects.with_owed().filter(pk=self.object_id).first()
        self.fields["amount"].initial = charge.owed if charge else None


class OwedFilter(DropdownFilter):
    title = gettext_lazy("what is owed")
    parameter_name = "owed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("Still owed")), ("settled", _("Settled"))]

    def queryset(self, request: HttpRequest, rows: Any) -> QuerySet[Any]:
        match self.value():
            case "open":
                return rows.filter(owed__gt=0)
            case "settled":
                return rows.settled()
        return rows


@admin.register(Charge)
class ChargeAdmin(ReadOnly, AuditedAdmin, ActsAdmin):
    list_display: tuple[str, ...] = (
        "kind",
        "reader",
        "amount",
        "owed_badge",
        "description",
        "created_at",
    )
    list_select_related: tuple[str, ...] = ("reader",)
    list_filter = (
        OwedFilter,
        ("kind", ChoicesDropdownFilter),
        ("reader", AutocompleteFilter),
    )
    search_fields: tuple[str, ...] = ("=reader__card_number",)
    search_help_text = gettext_lazy("The whole card number of a reader")
    ordering = ("-id",)
    order_by_index = ("reader",)
    fields = (
        ("reader", "account", "loan"),
        ("kind", "amount", "owed_badge"),
        "description",
        ("due_date", "assessed_date", "is_accruing"),
        ("created_at", "source_id", "import_run"),
    )
    readonly_fields = ("account", "owed_badge")
    actions_detail = ("waive",)
    refusals = (charges.AdjustmentRefusedError,)
    empty_list = gettext_lazy("Charges come from lending, late returns and lost copies.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Charge]:
        return super().get_queryset(request).with_owed()

    def fitting_acts(self, row: Any) -> Iterable[str]:
        return self.actions_detail if row.owed > 0 else ()

    def get_tables(self, request: HttpRequest, obj: Charge) -> Iterable[Table]:
        if may_view(request, Payment):
            yield _payments(obj)
        if may_view(request, Adjustment):
            yield _adjustments(obj)

    @display(description=gettext_lazy("account"))
    def account(self, charge: Charge) -> str:
        return words.account_link(charge.reader_id)

    @display(description=gettext_lazy("owed"))
    def owed_badge(self, charge: Any) -> str:
        return badge(money(charge.owed), "danger" if charge.owed > 0 else "success")

    @act(
        gettext_lazy("Waive"),
        permission="billing.waive_charge",
        question=gettext_lazy("The amount is no longer owed. Who did it and why is kept."),
        icon="money_off",
        form_class=WaiverForm,
    )
    def waive(self, request: HttpRequest, charge: Charge, *, amount: Decimal, reason: str) -> str:
        charges.waive(charge, amount, by=staff(request), reason=reason)
        return _("%(amount)s waived.") % {"amount": money(amount)}


@admin.register(Adjustment)
class AdjustmentAdmin(ReadOnly, AuditedAdmin, OfficeAdmin):
    list_display = ("kind", "charge", "amount", "reason", "by", "created_at")
    list_select_related = ("charge", "by")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("charge__reader", AutocompleteFilter),
        ("by", AutocompleteFilter),
    )
    search_fields: tuple[str, ...] = ("=charge__reader__card_number",)
    search_help_text = gettext_lazy("The whole card number of a reader")
    ordering = ("-id",)
    order_by_index = ("kind", "amount", "reason", "by", "created_at")
    fields = ("charge", ("kind", "amount"), "reason", ("by", "created_at"))
    empty_list = gettext_lazy("Waivers and corrections of charges are listed here.")


def _payments(charge: Charge) -> Table:
    rows = [
        (
            words.payment_link(allocation.payment),
            words.payment_badge(allocation.payment),
            money(allocation.amount),
            money(allocation.refunded),
            words.provider(allocation.payment.provider),
            day(allocation.payment.paid_at),
        )
        for allocation in charge.allocations.select_related("payment").order_by("-pk")[:100]
    ]
    headers = (
        _("Payment"), _("State"), _("Covers"), _("Given back"), _("By"), _("Paid"),
    )  # fmt: skip
    return Table(_("Payments"), headers, rows, _("No payment was made for this charge yet."))


def _adjustments(charge: Charge) -> Table:
    rows = [
        (row.get_kind_display(), money(row.amount), row.reason, row.by or "–", day(row.created_at))
        for row in charge.adjustments.select_related("by")[:100]
    ]
    headers = (_("What"), _("Amount"), _("Reason"), _("By"), _("When"))
    return Table(_("Taken off"), headers, rows, _("Nothing was taken off this charge."))
