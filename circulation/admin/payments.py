"""The pages of payments and refunds, found also by words of a reader's name."""

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy

from alerts.backoffice.paging import few
from billing.admin import payments as payment_pages
from billing.admin import refunds as refund_pages
from billing.models import Payment, Refund
from catalog.export_admin import ExportPages
from circulation.admin.finding import readers_matching

admin.site.unregister((Payment, Refund))


@admin.register(Payment)
class PaymentAdmin(ExportPages, payment_pages.PaymentAdmin):
    export_kind = "payments"
    search_help_text = gettext_lazy("Card number, name, payment number, session or transaction")

    def readers_called(self, term: str) -> Q:
        return Q(reader__in=few(readers_matching(term)))


@admin.register(Refund)
class RefundAdmin(refund_pages.RefundAdmin):
    search_help_text = gettext_lazy("Card number, name, payment number or the provider's number")

    def readers_called(self, term: str) -> Q:
        return Q(payment__reader__in=few(readers_matching(term)))
