"""Holds: the queue of each book, what to pull from the shelves, placing and cancelling."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from alerts.backoffice.acts import ActsAdmin, act
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import (
    Autocomplete,
    AutocompleteFilter,
    ReadOnly,
    badge,
    day,
    list_url,
    staff,
)
from alerts.backoffice.paging import few
from alerts.backoffice.prints import prints
from catalog.finding import with_book
from catalog.models import Book
from circulation import holds
from circulation.admin.finding import readers_matching
from circulation.models import Hold, Reader
from circulation.printing import slips
from circulation.refusals import RefusedError

STATUS_BADGES = {"waiting": "info", "ready": "success", "expired": "warning"}


def status_badge(hold: Hold) -> str:
    return badge(hold.get_status_display(), STATUS_BADGES.get(hold.status, ""))


class HoldStateFilter(DropdownFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        statuses = Hold._meta.get_field("status").choices or ()
        return [
            ("pull", _("To pull: a copy is free on the shelves")),
            ("active", _("Waiting or ready")),
            ("forgotten", _("Not picked up in time, in the last 7 days")),
            *statuses,
        ]

    def queryset(self, request: HttpRequest, found: QuerySet[Hold]) -> QuerySet[Hold]:
        match self.value():
            case None | "":
                return found
            case "pull":
                return holds.to_pull(found)
            case "active":
                return found.filter(pk__in=Hold.objects.active().values("pk"))
            case "forgotten":
                forgotten = Hold.objects.not_picked_up(on=timezone.localdate())
                return found.filter(pk__in=forgotten.values("pk"))
        return found.filter(status=self.value())


class PlaceHoldForm(forms.Form):
    book = forms.ModelChoiceField(label=gettext_lazy("Book"), queryset=Book.objects.all())
    reader = forms.ModelChoiceField(label=gettext_lazy("Reader"), queryset=Reader.objects.all())

    def __init__(self, *args: Any, site: admin.AdminSite, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget = Autocomplete(Hold._meta.get_field(name), site)
            field.widget.choices = field.choices  # type: ignore[attr-defined]


@admin.register(Hold)
class HoldAdmin(ReadOnly, AuditedAdmin, ActsAdmin):
    list_display = ("book", "reader", "place", "status_badge", "placed_at", "pickup_until", "copy")
    list_select_related = ("book", "reader", "copy")
    list_filter = (
        HoldStateFilter,
        ("reader", AutocompleteFilter),
        ("book", AutocompleteFilter),
    )
    search_fields = ("reader__card_number",)
    search_help_text = gettext_lazy("Card number, or words of a name or title")
    ordering = ("-placed_at", "-id")
    order_by_index = ("placed_at", "reader", "status")
    fields = (
        ("book", "reader"),
        ("status_badge", "place"),
        ("placed_at", "closed_at"),
        ("copy", "pickup_until"),
    )
    readonly_fields = ("status_badge", "place")
    actions = ("cancel", "print_slips")
    actions_detail = actions
    refusals = (RefusedError, holds.HoldNotActiveError)
    empty_list = gettext_lazy("Place a hold for a reader who waits for a book that is out.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Hold]:
        found = super().get_queryset(request).select_related("book", "reader", "copy")
        return holds.with_position(found)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Hold], search_term: str
    ) -> tuple[QuerySet[Hold], bool]:
        term = search_term.replace("\x00", " ").strip()
        if not term:
            return queryset, False
        readers = Q(reader__in=few(readers_matching(term)))
        found = with_book(request, queryset, term, readers, book="book", are_many=False)
        return found, False

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return request.user.has_perm("circulation.add_hold")

    def fitting_acts(self, row: Hold) -> Iterable[str]:
        return self.actions_detail if row.status in ("waiting", "ready") else ()

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Place a hold by the rules; what stands against it is shown in the form."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PlaceHoldForm(request.POST or None, initial=request.GET.dict(), site=self.admin_site)
        if request.method == "POST" and form.is_valid() and (hold := _placed(request, form)):
            message = _("Hold placed: %(hold)s") % {"hold": hold}
            self.message_user(request, message)
            return HttpResponseRedirect(list_url(Hold, state="active"))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Place a hold"),
            "form": form,
            "method": "post",
            "submit_text": _("Place the hold"),
            "opts": self.opts,
            "media": self.media + form.media,
        }
        return TemplateResponse(request, "office/form.html", context)

    @display(description=gettext_lazy("place in the queue"))
    def place(self, hold: Any) -> str:
        return str(hold.position) if hold.status == "waiting" else "–"

    @display(description=gettext_lazy("status"), ordering="status")
    def status_badge(self, hold: Hold) -> str:
        return status_badge(hold)

    print_slips = prints(
        gettext_lazy("Print slips"),
        permission=slips.MAY_PRINT,
        url_name="print-slips",
        parameter="hold",
        name="print_slips",
    )

    @act(
        gettext_lazy("Cancel"),
        permission="circulation.change_hold",
        question=gettext_lazy("Cancel? A copy on the hold shelf goes to the next in the queue."),
        icon="cancel",
    )
    def cancel(self, request: HttpRequest, hold: Hold) -> str:
        shelved = holds.cancel(hold, by=staff(request))
        if shelved is None:
            return _("Cancelled.")
        names = {"reader": shelved.hold.reader, "until": day(shelved.hold.pickup_until)}
        return _("Cancelled; the copy waits for %(reader)s until %(until)s.") % names


def _placed(request: HttpRequest, form: PlaceHoldForm) -> Hold | None:
    reader, book = form.cleaned_data["reader"], form.cleaned_data["book"]
    try:
        return holds.place(reader, book, by=staff(request))
    except holds.HoldRefusedError as refused:
        for block in refused.blocks:
            form.add_error(None, block.message)
    return None
