"""Refunds: how far each has come, and another try for those that were not sent."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from alerts.backoffice.acts import ActRefusedError, ActsAdmin, act
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import AutocompleteFilter, ReadOnly, day, staff
from alerts.backoffice.paging import any_of
from billing import ledger, payments, refunds
from billing.admin import words
from billing.admin.asking import refuse_when_late, refusing, usable_gateway
from billing.admin.payment_acts import told_of_refund
from billing.admin.payments import payments_called
from billing.models import Refund, RefundStatus


@admin.register(Refund)
class RefundAdmin(ReadOnly, AuditedAdmin, ActsAdmin):
    list_display = (
        "number",
        "payment_link",
        "who",
        "given_back",
        "state",
        "reason",
        "given_by",
        "made",
    )
    list_display_links = ("number",)
    list_select_related: tuple[str, ...] = ("payment__reader", "by")
    list_filter = (
        ("status", ChoicesDropdownFilter),
        ("payment__reader", AutocompleteFilter),
        ("by", AutocompleteFilter),
    )
    search_fields: tuple[str, ...] = ("=payment__reader__card_number",)
    search_help_text = gettext_lazy("Card number, payment number or the provider's number")
    ordering = ("-id",)
    order_by_index = ("id", "reason")
    readonly_fields = ("payment_link", "who", "given_back", "state", "account")
    fields = (
        ("payment_link", "who", "account"),
        ("given_back", "state"),
        "reason",
        ("by", "created_at", "done_at"),
        ("provider_id", "last_error"),
    )
    actions_detail = ("send_now", "make_again")
    refusals = (refunds.RefundRefusedError,)
    empty_list = gettext_lazy("Money is given back on the page of a payment.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Refund]:
        return super().get_queryset(request).select_related("payment__reader", "by")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Refund], search_term: str
    ) -> tuple[QuerySet[Refund], bool]:
        term = search_term.replace("\x00", " ").strip()
        if not term:
            return queryset, False
        called = Q(payment__in=payments_called(term))
        return any_of(queryset, called, Q(provider_id=term), self.readers_called(term)), False

    def readers_called(self, term: str) -> Q:
        return Q(payment__reader__card_number=term)

    def fitting_acts(self, row: Refund) -> Iterable[str]:
        if row.status == RefundStatus.PENDING:
            yield "send_now"
        if row.status == RefundStatus.FAILED:
            yield "make_again"

    @display(description=gettext_lazy("number"), ordering="id")
    def number(self, refund: Refund) -> str:
        return str(refund.pk)

    @display(description=gettext_lazy("payment"))
    def payment_link(self, refund: Refund) -> str:
        return words.payment_link(refund.payment)

    @display(description=gettext_lazy("reader"))
    def who(self, refund: Refund) -> str:
        return str(refund.payment.reader)

    @display(description=gettext_lazy("account"))
    def account(self, refund: Refund) -> str:
        return words.account_link(refund.payment.reader_id)

    @display(description=gettext_lazy("given back"))
    def given_back(self, refund: Refund) -> str:
        return words.amount(refund.amount, refund.payment.paid_currency)

    @display(description=gettext_lazy("state"))
    def state(self, refund: Refund) -> str:
        return words.refund_badge(refund)

    @display(description=gettext_lazy("by"))
    def given_by(self, refund: Refund) -> str:
        return str(refund.by or words.provider(refund.payment.provider))

    @display(description=gettext_lazy("made"), ordering="id")
    def made(self, refund: Refund) -> str:
        return day(refund.created_at)

    @act(
        gettext_lazy("Send now"),
        permission="billing.refund_payment",
        question=gettext_lazy(
            "The provider is asked once more to send it. It never sends the same refund twice."
        ),
        icon="send",
    )
    def send_now(self, request: HttpRequest, refund: Refund) -> str:
        if refund.status != RefundStatus.PENDING:
            raise ActRefusedError(_("This refund is not on its way any more."))
        refuse_when_late(request)
        gateway = usable_gateway(refund.payment.provider)
        with refusing():
            if refund.provider_id:
                payments.settle(refund.payment, by=staff(request))
            else:
                refunds.send(refund)
        refund.refresh_from_db()
        told = {"provider": gateway.label, "status": refund.get_status_display()}
        text = _("According to %(provider)s: %(status)s.") % told
        if refund.status == RefundStatus.FAILED:
            raise ActRefusedError(f"{text} {refund.last_error}")
        return text

    @act(
        gettext_lazy("Make again"),
        permission="billing.refund_payment",
        question=gettext_lazy(
            "The same sum is given back in a new refund, for the same reason. This one stays "
            "failed, as a record."
        ),
        icon="replay",
    )
    def make_again(self, request: HttpRequest, refund: Refund) -> str:
        gateway = usable_gateway(refund.payment.provider)
        made = _again(refund, by=staff(request))
        return told_of_refund(made.payment, made.amount, gateway)


@transaction.atomic
def _again(refund: Refund, *, by: Any) -> Refund:
    """Make a failed refund again, once. Raises ActRefusedError, RefundRefusedError."""
    payment = ledger.lock(refund.payment)
    if refund.status != RefundStatus.FAILED:
        raise ActRefusedError(_("This refund has not failed."))
    later = payment.refunds.exclude(status=RefundStatus.FAILED).filter(
        pk__gt=refund.pk, amount=refund.amount
    )
    if made := later.first():
        raise ActRefusedError(
            _("It was made again already: refund %(number)s.") % {"number": made.pk}
        )
    return refunds.refund(payment, refund.amount, by=by, reason=refund.reason)
