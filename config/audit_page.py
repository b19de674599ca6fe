"""The page “History”: who did what, when, before and after; by person, by day and by kind."""

from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from alerts.backoffice.pages import Autocomplete
from alerts.backoffice.reports import day_from
from alerts.office_acts import OfficeAct
from circulation.models import Reader
from config import audit, audit_words

PERMISSION = "alerts.view_officeact"
FIRST, LAST = date(1970, 1, 1), date(9990, 12, 31)
DAYS_OF_A_PERSON = 31
"""How many are looked through at once: what one person did has to be picked from what all did."""


def _kinds() -> list[tuple[str, str]]:
    found = {
        source.label: capfirst(str(source.about._meta.verbose_name_plural))
        for source in audit.sources()
    }
    return [("", _("Everything")), *sorted(found.items(), key=lambda kind: kind[1])]


class _DayField(forms.DateField):
    """A date as browsers send it, if any; what is wrong with it is said in words."""

    widget = UnfoldAdminTextInputWidget(attrs={"type": "date"})

    def to_python(self, value: Any) -> date | None:
        return day_from(value) if value else None


class HistoryForm(forms.Form):
    """What is looked for; nothing filled in is everything."""

    person = forms.ModelChoiceField(Reader.objects.all(), label=gettext_lazy("Who"), required=False)
    kind = forms.ChoiceField(
        label=gettext_lazy("About"),
        required=False,
        choices=_kinds,
        widget=UnfoldAdminSelectWidget,
    )
    first = _DayField(label=gettext_lazy("From"), required=False)
    last = _DayField(label=gettext_lazy("To"), required=False)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        field = self.fields["person"]
        field.widget = Autocomplete(OfficeAct._meta.get_field("by"), admin.site)
        field.widget.choices = field.choices  # type: ignore[attr-defined]

    def clean_first(self) -> date | None:
        return _within_reach(self.cleaned_data["first"])

    def clean_last(self) -> date | None:
        return _within_reach(self.cleaned_data["last"])

    def clean(self) -> None:
        first, last = self.cleaned_data.get("first"), self.cleaned_data.get("last")
        if first and last and last < first:
            self.add_error("last", _("This is before the first day."))

    @property
    def first_day(self) -> date | None:
        """The first day that is looked at, where that is not the library's first."""
        first: date | None = self.cleaned_data["first"]
        if first is not None or self.cleaned_data["person"] is None:
            return first
        return (self.cleaned_data["last"] or timezone.localdate()) - timedelta(DAYS_OF_A_PERSON)

    def asked(self) -> audit.Asked:
        given = self.cleaned_data
        person: Reader | None = given["person"]
        last: date | None = given["last"]
        return audit.Asked(
            person_id=person.pk if person else None,
            since=_midnight(self.first_day) if self.first_day else None,
            until=_midnight(last + timedelta(days=1)) if last else None,
            label=given["kind"],
        )


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied(_("Your account may not do this. Ask an administrator."))
    form = HistoryForm(request.GET or {})
    entries: list[audit_words.Entry] = []
    older_url = ""
    first_day = None
    if form.is_valid():
        first_day = form.first_day if form.cleaned_data["person"] else None
        mark = _mark(request.GET.get("older", ""))
        records, more = audit.newest(form.asked(), older_than=mark)
        entries = audit_words.entries(request, records)
        older_url = _older_url(request, more)
    context = {
        **admin.site.each_context(request),
        "title": _("History"),
        "form": form,
        "media": form.media,
        "entries": entries,
        "older_url": older_url,
        "first_day": first_day,
        "earlier_url": _earlier_url(request, first_day) if first_day and not older_url else "",
        "is_filtered": any(request.GET.get(name) for name in form.fields),
        "is_later_page": "older" in request.GET,
    }
    return TemplateResponse(request, "config/history.html", context)


def _within_reach(day: date | None) -> date | None:
    """Return the day, or the nearest that can be reckoned with: instants need days around it."""
    return day and min(max(day, FIRST), LAST)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _mark(text: str) -> audit.Mark | None:
    """Return the place in the list that a link named; None where nobody could have been there."""
    at, source, key = (*text.split("~"), "", "")[:3]
    try:
        instant = datetime.fromisoformat(at)
        return audit.Mark(instant.astimezone(), int(source[:3]), int(key[:18]))
    except (ValueError, OverflowError):
        return None


def _older_url(request: HttpRequest, more: audit.Mark | None) -> str:
    if more is None:
        return ""
    query = {name: value for name, value in request.GET.items() if name != "older" and value}
    query["older"] = f"{more.at.isoformat()}~{more.source}~{more.key}"
    return f"?{urlencode(query)}"


def _earlier_url(request: HttpRequest, first: date) -> str:
    """Return the address of the days before, of the same person."""
    query = {name: request.GET.get(name, "") for name in ("person", "kind")}
    return f"?{urlencode({**query, 'last': first - timedelta(days=1)})}"
