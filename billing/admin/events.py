"""What providers sent, and what became of it."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from alerts.backoffice.acts import ActRefusedError, ActsAdmin, act
from alerts.backoffice.pages import ReadOnly, badge, day
from alerts.backoffice.paging import any_of
from billing import webhooks
from billing.admin import words
from billing.admin.asking import refuse_when_late, refusing, usable_gateway
from billing.admin.payment_filters import ProviderFilter
from billing.admin.payments import payments_called
from billing.models import PaymentEvent


class HandledFilter(DropdownFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("waiting", _("Not handled")), ("handled", _("Handled"))]

    def queryset(self, request: HttpRequest, events: QuerySet[Any]) -> QuerySet[Any]:
        match self.value():
            case "waiting":
                return events.filter(handled_at__isnull=True)
            case "handled":
                return events.filter(handled_at__isnull=False)
        return events


@admin.register(PaymentEvent)
class PaymentEventAdmin(ReadOnly, ActsAdmin):
    list_display = ("kind", "sender", "about", "received", "deliveries", "state", "outcome")
    list_display_links = ("kind",)
    list_select_related = ("payment",)
    list_filter = (HandledFilter, ProviderFilter)
    search_fields = ("event_id",)
    search_help_text = gettext_lazy("The whole number of an event, session, transaction or payment")
    ordering = ("-id",)
    order_by_index = ("id",)
    readonly_fields = ("sender", "about", "state")
    fields = (
        ("kind", "sender", "state"),
        ("about", "received_at", "handled_at"),
        ("outcome", "deliveries"),
        ("event_id", "session_id"),
        ("transaction_id", "reference"),
    )
    actions = ("handle_again",)
    actions_detail = actions
    empty_list = gettext_lazy("What a payment provider tells this site by itself is listed here.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[PaymentEvent]:
        return super().get_queryset(request).select_related("payment")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PaymentEvent], search_term: str
    ) -> tuple[QuerySet[PaymentEvent], bool]:
        term = search_term.replace("\x00", " ").strip()
        if not term:
            return queryset, False
        own = (Q(event_id=term), Q(session_id=term), Q(transaction_id=term))
        return any_of(queryset, *own, Q(payment__in=payments_called(term))), False

    def fitting_acts(self, row: PaymentEvent) -> Iterable[str]:
        return self.actions_detail if row.handled_at is None else ()

    @display(description=gettext_lazy("from"))
    def sender(self, event: PaymentEvent) -> str:
        return words.provider(event.provider)

    @display(description=gettext_lazy("payment"))
    def about(self, event: PaymentEvent) -> str:
        return words.payment_link(event.payment)

    @display(description=gettext_lazy("received"), ordering="id")
    def received(self, event: PaymentEvent) -> str:
        return day(event.received_at)

    @display(description=gettext_lazy("state"))
    def state(self, event: PaymentEvent) -> str:
        if event.handled_at:
            return badge(_("handled"), "success")
        return badge(_("not handled"), "warning")

    @act(
        gettext_lazy("Handle again"),
        permission="billing.reconcile_payment",
        question=gettext_lazy("The provider is asked how the payment stands that this is about."),
        icon="sync",
    )
    def handle_again(self, request: HttpRequest, event: PaymentEvent) -> str:
        if event.handled_at is not None:
            raise ActRefusedError(_("This was handled already."))
        refuse_when_late(request)
        usable_gateway(event.provider)
        with refusing():
            webhooks.handle(event)
        event.refresh_from_db()
        return _("Handled: %(outcome)s.") % {"outcome": event.outcome.rstrip(".")}
