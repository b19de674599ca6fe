"""The pages of charges, found by reader."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from alerts.backoffice.paging import few
from billing.admin import charges as pages
from billing.models import Adjustment, Charge
from catalog.import_admin import ImportExportPages
from circulation.admin.finding import readers_matching

admin.site.unregister((Charge, Adjustment))


@admin.register(Charge)
class ChargeAdmin(ImportExportPages, pages.ChargeAdmin):
    import_kind = "charges"
    list_select_related = ("reader", "loan__copy")
    search_help_text = gettext_lazy("Card number, or words of a reader's name")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Charge], search_term: str
    ) -> tuple[QuerySet[Charge], bool]:
        if not search_term.strip():
            return queryset, False
        return queryset.filter(reader__in=few(readers_matching(search_term))), False


@admin.register(Adjustment)
class AdjustmentAdmin(pages.AdjustmentAdmin):
    search_help_text = gettext_lazy("Card number, or words of a reader's name")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        return queryset.filter(charge__reader__in=few(readers_matching(search_term))), False
