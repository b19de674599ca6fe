"""What a report is: a question with answers to fill in, bounded on its page and whole as CSV."""

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from unfold.widgets import UnfoldAdminTextInputWidget

from alerts import office_acts, wording
from alerts.backoffice.pages import Table
from alerts.backoffice.remembered import MINUTES
from alerts.spreadsheets import csv_parts

FIRST_DAY = datetime.date(1970, 1, 1)
MOST_ROWS = 50
"""Of one table of a report's page."""


def day_from(text: str) -> datetime.date:
    """Read a date as browsers send it. Raises ValidationError."""
    try:
        return datetime.date.fromisoformat(text.strip())
    except ValueError as error:
        raise forms.ValidationError(
            _("“%(text)s” is not a date. Write it as in %(today)s.")
            % {"text": text, "today": timezone.localdate().isoformat()}
        ) from error


class DayField(forms.CharField):
    """A date as browsers send it, no later than today; what is wrong with it is said in words."""

    widget = UnfoldAdminTextInputWidget(attrs={"type": "date"})

    def __init__(self, *, label: Any) -> None:
        super().__init__(label=label, max_length=40)

    def clean(self, value: Any) -> Any:
        day = day_from(super().clean(value))
        if not FIRST_DAY <= day <= timezone.localdate():
            raise forms.ValidationError(
                _("Choose a day between %(first)s and today.") % {"first": wording.day(FIRST_DAY)}
            )
        return day


class Period(forms.Form):
    """From one day to another, both included."""

    most_days = 10 * 366
    first = DayField(label=gettext_lazy("From"))
    last = DayField(label=gettext_lazy("To"))

    def clean(self) -> None:
        first, last = self.cleaned_data.get("first"), self.cleaned_data.get("last")
        if first is None or last is None:
            return
        if first > last:
            self.add_error("last", _("The period ends before it begins."))
        elif (last - first).days >= self.most_days:
            text = _("At most %(days)d days at once. Choose a shorter period.")
            self.add_error("last", text % {"days": self.most_days})


@dataclass
class Answer:
    """What a report shows on its page."""

    tables: list[Table]
    has_more: bool = False
    """Whether the CSV holds rows that the page leaves out."""
    counted_at: datetime.datetime | None = None
    """The time that the figures are of, where they may be some minutes old; the CSV's never are."""
    context: dict[str, Any] = field(default_factory=dict)
    """What else the report's own template shows."""


class Report:
    """One page of the reports; subclasses say what is asked, of whom, and how it is answered."""

    code: str
    title: Any
    about: Any
    """In one sentence, for the list of reports: what it is good for."""
    icon = "table_chart"
    permissions: tuple[str, ...] = ()
    """All are needed to see it."""
    csv_permissions: tuple[str, ...] = ()
    """Needed as well to take it away as CSV."""
    form_class: type[forms.Form] = Period
    template = "office/report.html"

    def usual(self, today: datetime.date) -> dict[str, Any]:
        """Return what is asked before anything was filled in."""
        return {}

    def answer(self, request: HttpRequest, asked: dict[str, Any]) -> Answer:
        raise NotImplementedError

    def headers(self, request: HttpRequest) -> Sequence[str]:
        """Return the first line of the CSV."""
        raise NotImplementedError

    def records(self, request: HttpRequest, asked: dict[str, Any]) -> Iterable[Sequence[Any]]:
        """Return the other lines of the CSV, every one of them."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        return reverse(f"report-{self.code}")

    def may_look(self, request: HttpRequest) -> bool:
        return request.user.has_perms(self.permissions)

    def may_export(self, request: HttpRequest) -> bool:
        return self.may_look(request) and request.user.has_perms(self.csv_permissions)

    def urls(self) -> list[URLPattern]:
        site = admin.site
        return [
            path(f"{self.code}/", site.admin_view(require_safe(self.page)), name=self._name()),
            path(
                f"{self.code}/csv/",
                site.admin_view(require_safe(self.csv_file)),
                name=self._name("-csv"),
            ),
        ]

    def _name(self, ending: str = "") -> str:
        return f"report-{self.code}{ending}"

    def _form(self, request: HttpRequest) -> forms.Form:
        asked = {name: text for name, text in request.GET.items() if text}
        return self.form_class({**self.usual(timezone.localdate()), **asked})

    def page(self, request: HttpRequest) -> HttpResponse:
        refuse_unless(self.may_look(request))
        form = self._form(request)
        answer = self.answer(request, form.cleaned_data) if form.is_valid() else Answer([])
        context = {
            **admin.site.each_context(request),
            "title": self.title,
            "report": self,
            "form": form,
            "is_answered": form.is_valid(),
            "tables": answer.tables,
            "has_more": answer.has_more,
            "counted_at": answer.counted_at,
            "minutes": MINUTES,
            "most": MOST_ROWS,
            "query": request.GET.urlencode(),
            "csv_url": reverse(self._name("-csv")) if self.may_export(request) else "",
            **answer.context,
        }
        return TemplateResponse(request, self.template, context)

    def csv_file(self, request: HttpRequest) -> HttpResponseBase:
        refuse_unless(self.may_export(request))
        form = self._form(request)
        if not form.is_valid():  # the page says what is wrong
            return HttpResponseRedirect(f"{self.url}?{request.GET.urlencode()}")
        parts = csv_parts(self.headers(request), self.records(request, form.cleaned_data))
        name = f"{self.code}-{timezone.localdate()}.csv"
        office_acts.record(_("Exported"), by=request.user, about=f"{self.title}: {name}")
        return StreamingHttpResponse(
            parts,
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def refuse_unless(is_allowed: bool) -> None:
    if not is_allowed:
        raise PermissionDenied(_("Your account may not do this. Ask an administrator."))


def cut(rows: Iterable[Any], most: int = MOST_ROWS) -> tuple[list[Any], bool]:
    """Return the first rows of those that were read, and whether there was one more."""
    found = list(rows)
    return found[:most], len(found) > most
