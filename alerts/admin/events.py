"""Events: what was recorded, whether it was handed on, and why what was cancelled is not told."""

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from alerts.admin.deliveries import deliveries_table
from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    OfficeAdmin,
    ReadOnly,
    Table,
    badge,
    page_link,
)
from alerts.models import Delivery, Event


class StateFilter(DropdownFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("waiting", _("Waits to be handed on")),
            ("handed_on", _("Handed on")),
            ("cancelled", _("Cancelled")),
        ]

    def queryset(self, request: HttpRequest, found: QuerySet[Event]) -> QuerySet[Event]:
        match self.value():
            case "waiting":
                return found.filter(fanned_out_at=None)
            case "handed_on":
                return found.filter(fanned_out_at__isnull=False)
            case "cancelled":
                return found.filter(cancelled_at__isnull=False)
        return found


@admin.register(Event)
class EventAdmin(ReadOnly, OfficeAdmin):
    list_display = ("what", "about", "reader", "created_at", "state")
    list_select_related = ("reader",)
    list_filter = (("kind", ChoicesDropdownFilter), StateFilter)
    search_fields = ("subject__exact",)
    search_help_text = gettext_lazy("What it is about, written as circulation.loan:12")
    ordering = ("-id",)
    fields = (
        ("what", "about"),
        ("reader_link", "state"),
        ("created_at", "fanned_out_at"),
        ("cancelled_at", "cancel_reason"),
        "details",
    )
    readonly_fields = ("what", "about", "reader_link", "state", "details")
    empty_list = gettext_lazy("Nothing has happened yet that anybody is told of.")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        if may_view(request, get_user_model()):
            return self.list_display
        return tuple(name for name in self.list_display if name != "reader")

    def get_fields(self, request: HttpRequest, obj: Event | None = None) -> Any:
        if may_view(request, get_user_model()):
            return self.fields
        return [line if "reader_link" not in line else "state" for line in self.fields]

    def get_tables(self, request: HttpRequest, obj: Event) -> Iterable[Table]:
        yield deliveries_table(
            request,
            Delivery.objects.filter(event=obj),
            title=_("Who is told"),
            empty=_("Nobody: no channel tells of this, or it was not handed on yet."),
        )

    @display(description=gettext_lazy("what happened"), ordering="kind")
    def what(self, event: Event) -> str:
        return event.get_kind_display()

    @display(description=gettext_lazy("about"))
    def about(self, event: Event) -> str | SafeString:
        """Link to the row, as “loan 12”; it may be gone by now."""
        label, _colon, number = event.subject.rpartition(":")
        try:
            meta = apps.get_model(label)._meta
        except (LookupError, ValueError):
            return event.subject
        text = f"{capfirst(str(meta.verbose_name))} {number}"
        try:
            url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[number])
        except NoReverseMatch:
            return text
        return format_html('<a class="text-link" href="{}">{}</a>', url, text)

    @display(description=gettext_lazy("reader"))
    def reader_link(self, event: Event) -> str | SafeString:
        return page_link(event.reader)

    @display(description=gettext_lazy("state"))
    def state(self, event: Event) -> str | SafeString:
        if event.cancelled_at is not None:
            label = badge(_("Cancelled"), "warning")
            return format_html("{} {}", label, event.cancel_reason)
        if event.fanned_out_at is None:
            return badge(_("Waits to be handed on"), "info")
        return badge(_("Handed on"), "success")

    @display(description=gettext_lazy("recorded details"))
    def details(self, event: Event) -> str | SafeString:
        known = (
            (capfirst(name.replace("_", " ")), value)
            for name, value in event.data.items()
            if value not in ("", None)
        )
        return format_html_join("", "<p><b>{}</b>: {}</p>", known) or "–"
