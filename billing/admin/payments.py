"""Payments: looked at here and acted on; what is paid is only ever written by the ledger."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import LONGEST_ID, AutocompleteFilter, ReadOnly, Table, badge, day
from alerts.backoffice.paging import any_of
from billing import gateways, links
from billing.admin import payment_tables, words
from billing.admin.notice import notices
from billing.admin.payment_acts import PaymentActs
from billing.admin.payment_filters import (
    DayFilter,
    PaymentStateFilter,
    ProviderFilter,
    PurposeFilter,
)
from billing.models import Charge, Payment, PaymentStatus

MOST_FOUND = 25


@admin.register(Payment)
class PaymentAdmin(ReadOnly, AuditedAdmin, PaymentActs):
    list_display = ("number", "who", "purpose", "to_pay", "amount_paid", "by", "state", "when")
    list_display_links = ("number",)
    list_select_related: tuple[str, ...] = ("reader",)
    list_filter = (
        PaymentStateFilter,
        ProviderFilter,
        PurposeFilter,
        ("paid_at", DayFilter),
        ("reader", AutocompleteFilter),
    )
    search_fields: tuple[str, ...] = ("=reader__card_number",)
    search_help_text = gettext_lazy("Card number, payment number, session or transaction")
    ordering = ("-id",)
    order_by_index = ("id",)
    list_before_template = "billing/notices.html"
    empty_list = gettext_lazy("Each charge makes a payment that waits to be made.")
    readonly_fields = (
        "number", "account", "purpose", "state", "to_pay", "amount_paid", "given_back", "credit",
        "by", "paid_on", "pay_link", "session_link", "problem",
    )  # fmt: skip

    def get_queryset(self, request: HttpRequest) -> QuerySet[Payment]:
        """Join and sum on a payment's page alone: the list skips many rows to its last page."""
        found: Any = super().get_queryset(request)
        if request.resolver_match and "object_id" in request.resolver_match.kwargs:
            joined = ("reader", "taken_by", "borrowing__copy", "borrowing__reader")
            return found.with_credit().select_related(*joined)
        return found

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Payment], search_term: str
    ) -> tuple[QuerySet[Payment], bool]:
        term = search_term.replace("\x00", " ").strip()
        if not term:
            return queryset, False
        return any_of(queryset, Q(pk__in=payments_called(term)), self.readers_called(term)), False

    def readers_called(self, term: str) -> Q:
        return Q(reader__card_number=term)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changelist_view(request, {**(extra_context or {}), "notices": notices()})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show what a payment has: a session, cash in a hand, a doubt, a problem."""
        if obj is None:
            return super().get_fieldsets(request, obj)
        main: list[Any] = [("number", "reader", "account"), ("purpose", "borrowing", "state")]
        if obj.review_reason:
            main.append("review_reason")
        if obj.last_error:
            main.append("problem")
        main += [("to_pay", "amount_paid"), ("given_back", "credit")]
        main += [("by", "taken_by"), ("created_at", "paid_on")]
        if can_be_paid_online(obj):
            main.append("pay_link")
        shown: list[Any] = [(None, {"fields": main})]
        if obj.key is not None:
            session = [("session_id", "session_link", "session_expires_at")]
            fields = [*session, ("transaction_id", "checked_at")]
            shown.append((_("At the provider"), {"fields": fields}))
        return shown

    def get_tables(self, request: HttpRequest, obj: Payment) -> Iterable[Table]:
        return payment_tables.tables(request, obj)

    @display(description=gettext_lazy("number"), ordering="id")
    def number(self, payment: Payment) -> str:
        return str(payment.pk)

    @display(description=gettext_lazy("reader"))
    def who(self, payment: Payment) -> str:
        return str(payment.reader)

    @display(description=gettext_lazy("account"))
    def account(self, payment: Payment) -> str:
        return words.account_link(payment.reader_id)

    @display(description=gettext_lazy("for"))
    def purpose(self, payment: Payment) -> str:
        return words.purpose(payment)

    @display(description=gettext_lazy("to pay"))
    def to_pay(self, payment: Payment) -> str:
        return words.amount(payment.money_to_pay, payment.currency)

    @display(description=gettext_lazy("paid"))
    def amount_paid(self, payment: Payment) -> str:
        return words.amount(payment.paid_amount, payment.paid_currency)

    @display(description=gettext_lazy("given back"))
    def given_back(self, payment: Payment) -> str:
        return words.amount(payment.refunded_amount, payment.paid_currency)

    @display(description=gettext_lazy("credit left"))
    def credit(self, payment: Any) -> str:
        """What is to be reviewed is nobody's credit before it is accepted."""
        counts = payment.status in (PaymentStatus.PAID, PaymentStatus.REFUNDED)
        return words.amount(payment.credit if counts else None, payment.paid_currency)

    @display(description=gettext_lazy("by"))
    def by(self, payment: Payment) -> str:
        return words.provider(payment.provider)

    @display(description=gettext_lazy("status"))
    def state(self, payment: Payment) -> str:
        return words.payment_badge(payment)

    @display(description=gettext_lazy("when"), ordering="paid_at")
    def when(self, payment: Payment) -> str:
        return day(payment.paid_at or payment.created_at)

    @display(description=gettext_lazy("paid on"))
    def paid_on(self, payment: Payment) -> str:
        return day(payment.paid_at)

    @display(description=gettext_lazy("last problem"))
    def problem(self, payment: Payment) -> str:
        return format_html("{} {}", badge(_("problem"), "danger"), payment.last_error)

    @display(description=gettext_lazy("pay link, for the reader"))
    def pay_link(self, payment: Payment) -> str:
        return render_to_string("billing/pay_link.html", {"url": links.for_payment(payment)})

    @display(description=gettext_lazy("session's page"))
    def session_link(self, payment: Payment) -> str:
        if not (payment.is_open and payment.session_url):
            return "–"
        text = _("Open the provider's page")
        return format_html(
            '<a class="text-link" href="{}" rel="noreferrer">{}</a>', payment.session_url, text
        )


def payments_called(term: str) -> list[int]:
    """Return the ids of the payments with this number, session or transaction.

    Looked up one by one, so that each is a search in an index.
    """
    found: set[int] = set()
    lookups = [Q(session_id=term), Q(transaction_id=term)]
    if term.isascii() and term.isdecimal() and len(term) <= LONGEST_ID:
        lookups.append(Q(pk=int(term)))
    for lookup in lookups:
        found.update(Payment.objects.filter(lookup).values_list("pk", flat=True)[:MOST_FOUND])
    return sorted(found)


def can_be_paid_online(payment: Payment) -> bool:
    """Tell whether the pay link of a payment leads to more than a sentence."""
    if gateways.online() is None:
        return False
    return Charge.objects.open().filter(allocations__payment=payment).exists()
