"""The pages of charges, found by reader."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts import wording
from alerts.backoffice.pages import Table, day, list_url, money, page_link
from billing import accounts
from billing.admin import charges as pages
from billing.models import Adjustment, Charge
from catalog.import_admin import ImportExportPages
from circulation.admin.finding import readers_matching
from circulation.models import Reader

MOST_ROWS = 25

admin.site.unregister((Charge, Adjustment))


def charges_table(reader: Reader) -> Table:
    """Return the newest charges of a reader, below what the account comes to and the way to it."""
    found: Any = reader.charges.with_owed()
    rows = [
        (
            page_link(charge, charge.get_kind_display()),
            charge.description,
            day(charge.created_at),
            money(charge.amount),
            money(charge.owed),
        )
        for charge in found[:MOST_ROWS]
    ]
    sums = _("Charges: owes %(owed)s, credit %(credit)s") % {
        "owed": wording.money(accounts.debt(reader)),
        "credit": wording.money(accounts.credit(reader)),
    }
    url = reverse("billing-account", args=[reader.pk])
    title = format_html('{} · <a class="text-link" href="{}">{}</a>', sums, url, _("Account"))
    headers = (_("Charge"), _("Why"), _("Opened"), _("Amount"), _("Still owed"))
    empty = _("This reader was never charged anything.")
    return Table(title, headers, rows, empty, list_url(Charge, reader__id__exact=reader.pk))


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
        return queryset.filter(reader__in=readers_matching(search_term).values("pk")), False


@admin.register(Adjustment)
class AdjustmentAdmin(pages.AdjustmentAdmin):
    search_help_text = gettext_lazy("Card number, or words of a reader's name")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term.strip():
            return queryset, False
        readers = readers_matching(search_term).values("pk")
        return queryset.filter(charge__reader__in=readers), False
