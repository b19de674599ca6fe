"""Deliveries: each telling of an event, how often it was tried, what came of it, and again."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display

from alerts import office_acts, replay
from alerts.backoffice.acts import ActsAdmin, act
from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    AutocompleteFilter,
    ReadOnly,
    Table,
    badge,
    day,
    page_link,
)
from alerts.models import Delivery, DeliveryStatus

BADGES = {
    DeliveryStatus.QUEUED: "info",
    DeliveryStatus.SENT: "success",
    DeliveryStatus.DEAD: "danger",
}
SHOWN = 25


class LatelyFilter(DropdownFilter):
    """What needs somebody now; the older ones are found by their status."""

    title = gettext_lazy("lately")
    parameter_name = "lately"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("failed", _("Given up in the last 7 days"))]

    def queryset(self, request: HttpRequest, found: QuerySet[Delivery]) -> QuerySet[Delivery]:
        if self.value() != "failed":
            return found
        return found.filter(pk__in=Delivery.objects.failed_lately(at=timezone.now()).values("pk"))


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, ActsAdmin):
    list_display = (
        "what",
        "status_badge",
        "to",
        "channel",
        "attempts",
        "next_attempt",
        "note",
        "created_at",
    )
    list_select_related = ("channel", "recipient")
    search_fields = ("message_id",)
    search_help_text = gettext_lazy(
        "The id of a message, as the far end knows it, or a card number"
    )
    ordering = ("-id",)
    fields = (
        ("event_link", "channel_link"),
        ("to", "status_badge"),
        ("attempts", "next_attempt"),
        "note",
        ("created_at", "finished_at"),
        "message_id",
    )
    readonly_fields = ("event_link", "channel_link", "to", "status_badge", "next_attempt")
    actions = ("send_again",)
    actions_detail = actions
    refusals = (replay.ReplayRefusedError,)
    empty_list = gettext_lazy("Nothing has been told yet.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Delivery]:
        found: QuerySet[Delivery] = super().get_queryset(request)
        return found.select_related("channel", "recipient")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """Show who was told of what to those who may see readers."""
        if may_view(request, get_user_model()):
            return self.list_display
        return tuple(name for name in self.list_display if name != "to")

    def get_fields(self, request: HttpRequest, obj: Delivery | None = None) -> Any:
        if may_view(request, get_user_model()):
            return self.fields
        return [line if line != ("to", "status_badge") else "status_badge" for line in self.fields]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        filters: list[Any] = [
            LatelyFilter,
            ("status", ChoicesDropdownFilter),
            ("kind", ChoicesDropdownFilter),
            ("channel", RelatedDropdownFilter),
        ]
        if may_view(request, get_user_model()):
            filters.append(("recipient", AutocompleteFilter))
        return filters

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Delivery], search_term: str
    ) -> tuple[QuerySet[Delivery], bool]:
        term = search_term.replace("\x00", "").strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(message_id=UUID(term)), False
        except ValueError:
            pass
        if not may_view(request, get_user_model()):
            return queryset.none(), False
        return queryset.filter(recipient__card_number=term), False

    def fitting_acts(self, row: Delivery) -> Iterable[str]:
        return self.actions_detail if row.status == DeliveryStatus.DEAD else ()

    def get_tables(self, request: HttpRequest, obj: Delivery) -> Iterable[Table]:
        others = Delivery.objects.exclude(pk=obj.pk)
        if obj.message_id is not None:
            yield deliveries_table(
                request,
                others.filter(message_id=obj.message_id),
                title=_("Told in the same message"),
                empty=_("Nothing else was told in this message."),
            )
        yield deliveries_table(
            request,
            others.filter(event=obj.event_id),
            title=_("Other tellings of the same event"),
            empty=_("Nobody else is told of this event."),
        )

    @act(
        gettext_lazy("Send again"),
        permission="alerts.replay_delivery",
        question=gettext_lazy(
            "It is tried anew, with all that was in the same message and under the same id: a far "
            "end that did take it knows it by that."
        ),
        icon="replay",
    )
    def send_again(self, request: HttpRequest, delivery: Delivery) -> str:
        count = replay.send_again(delivery)
        office_acts.record(_("Sent again"), delivery, by=request.user)
        text = ngettext(
            "It is sent again.", "It is sent again, with all %(count)d of its message.", count
        )
        return text % {"count": count}

    @display(description=gettext_lazy("what"), ordering="kind")
    def what(self, delivery: Delivery) -> str:
        return delivery.get_kind_display()

    @display(description=gettext_lazy("event"))
    def event_link(self, delivery: Delivery) -> str | SafeString:
        return page_link(delivery.event)

    @display(description=gettext_lazy("channel"))
    def channel_link(self, delivery: Delivery) -> str | SafeString:
        return page_link(delivery.channel)

    @display(description=gettext_lazy("to"), ordering="recipient")
    def to(self, delivery: Delivery) -> str:
        return str(delivery.recipient or _("the whole staff"))

    @display(description=gettext_lazy("status"), ordering="status")
    def status_badge(self, delivery: Delivery) -> SafeString:
        return status_badge(delivery)

    @display(description=gettext_lazy("next attempt"), ordering="next_attempt_at")
    def next_attempt(self, delivery: Delivery) -> str:
        is_waiting = delivery.status == DeliveryStatus.QUEUED
        return day(delivery.next_attempt_at) if is_waiting else "–"


def status_badge(delivery: Delivery) -> SafeString:
    status = DeliveryStatus(delivery.status)
    return badge(status.label, BADGES.get(status, ""))


def deliveries_table(
    request: HttpRequest,
    rows: QuerySet[Delivery],
    *,
    title: str,
    empty: str = "",
    more_url: str = "",
) -> Table:
    """Return the newest of these deliveries, as far as the user may see whom they told."""
    names_readers = may_view(request, get_user_model())
    is_linked = may_view(request, Delivery)
    headers = [_("What"), _("Status"), _("Channel"), _("Attempts"), _("What came of it"), _("Made")]
    if names_readers:
        headers.insert(2, _("To"))
    shown = []
    for row in rows.select_related("channel", "recipient").order_by("-pk")[:SHOWN]:
        cells: list[Any] = [
            page_link(row, row.get_kind_display()) if is_linked else row.get_kind_display(),
            status_badge(row),
            row.channel,
            row.attempts,
            row.note or "–",
            day(row.created_at),
        ]
        if names_readers:
            cells.insert(2, row.recipient or "–")
        shown.append(cells)
    return Table(
        title,
        headers,
        shown,
        empty or _("Nothing yet."),
        more_url if is_linked and len(shown) == SHOWN else "",
    )
