"""How payments were spread over charges; reached from a payment, for its history."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import OfficeAdmin, ReadOnly, page_link
from billing.admin import words
from billing.models import Allocation


@admin.register(Allocation)
class AllocationAdmin(ReadOnly, AuditedAdmin, OfficeAdmin):
    list_display = ("number", "payment_link", "charge_link", "amount", "refunded", "state")
    list_display_links = ("number",)
    list_select_related = ("payment", "charge")
    list_filter = (("state", ChoicesDropdownFilter),)
    search_fields: tuple[str, ...] = ("payment__reader__card_number__exact",)
    search_help_text = gettext_lazy("The whole card number of a reader")
    ordering = ("-id",)
    order_by_index = ("id",)
    fields = (("payment_link", "charge_link"), ("amount", "refunded", "state"))
    readonly_fields = ("payment_link", "charge_link")
    empty_list = gettext_lazy("Which charges each payment covers is listed here.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Allocation]:
        return super().get_queryset(request).select_related("payment", "charge")

    @display(description=gettext_lazy("number"), ordering="id")
    def number(self, allocation: Allocation) -> str:
        return str(allocation.pk)

    @display(description=gettext_lazy("payment"))
    def payment_link(self, allocation: Allocation) -> str:
        return words.payment_link(allocation.payment)

    @display(description=gettext_lazy("charge"))
    def charge_link(self, allocation: Allocation) -> str:
        return page_link(allocation.charge)
