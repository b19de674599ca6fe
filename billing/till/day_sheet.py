"""The end of the day: cash for each member of staff, the providers, line by line, and as CSV."""

import datetime
from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.conf import settings
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
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe
from unfold.widgets import UnfoldAdminTextInputWidget

from alerts import office_acts, wording
from alerts.backoffice.pages import Table, page_link
from alerts.backoffice.reports import day_from
from alerts.spreadsheets import csv_parts
from billing.admin import words
from billing.payments import CASH
from billing.till.takings import Day, Line, Taking, in_all

MOST_LINES = 50
FIRST_DAY = datetime.date(1970, 1, 1)


class DayForm(forms.Form):
    """Which day is looked at."""

    date = forms.CharField(
        label=gettext_lazy("Day"),
        max_length=40,
        widget=UnfoldAdminTextInputWidget(attrs={"type": "date"}),
    )

    def clean_date(self) -> datetime.date:
        day = day_from(self.cleaned_data["date"])
        if day > timezone.localdate():
            raise forms.ValidationError(
                _("%(day)s has not come yet: there are no takings.") % {"day": wording.day(day)}
            )
        if day < FIRST_DAY:
            raise forms.ValidationError(
                _("There are no takings before %(day)s.") % {"day": wording.day(FIRST_DAY)}
            )
        return day


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    _require(request, "billing.view_payment")
    form = _form(request)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Day's takings"),
        "form": form,
        "currency": settings.CURRENCY,
        "may_export": request.user.has_perm("billing.export_payment"),
    }
    if form.is_valid():
        context |= _sheet(form.cleaned_data["date"])
    return TemplateResponse(request, "billing/day_sheet.html", context)


@require_safe
def csv_file(request: HttpRequest) -> HttpResponseBase:
    _require(request, "billing.view_payment")
    _require(request, "billing.export_payment")
    form = _form(request)
    if not form.is_valid():  # the page says what is wrong with the date
        query = request.GET.urlencode()
        return HttpResponseRedirect(f"{reverse('billing-day')}?{query}")
    day: datetime.date = form.cleaned_data["date"]
    headers = [_("Time"), _("What"), _("Payment"), _("Amount"), _("Currency"), _("By")]
    headers += [_("Staff"), _("Card"), _("Reader"), _("For"), _("Status")]
    office_acts.record(_("Exported"), by=request.user, about=f"takings-{day}.csv")
    return StreamingHttpResponse(
        csv_parts(headers, _records(Day(day).lines())),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="takings-{day}.csv"'},
    )


def _form(request: HttpRequest) -> DayForm:
    return DayForm({"date": request.GET.get("date") or timezone.localdate().isoformat()})


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):
        raise PermissionDenied(_("Your account may not do this. Ask an administrator."))


def _sheet(day: datetime.date) -> dict[str, Any]:
    takings = Day(day).sums()
    cash = [each for each in takings if each.provider == CASH]
    online = [each for each in takings if each.provider != CASH]
    lines = list(Day(day).lines(most=MOST_LINES + 1))
    return {
        "day": day,
        "before": day - datetime.timedelta(days=1) if day > FIRST_DAY else None,
        "after": day + datetime.timedelta(days=1) if day < timezone.localdate() else None,
        "has_more": len(lines) > MOST_LINES,
        "most": MOST_LINES,
        "tables": [
            _cash_table(cash),
            _online_table(online),
            _lines_table(lines[:MOST_LINES]),
        ],
        "net": in_all(takings),
    }


def _cash_table(takings: list[Taking]) -> Table:
    rows = [(each.staff or "–", *_cash_cells(each)) for each in takings]
    if len(takings) > 1:
        rows += [(_("In all"), *_cash_cells(each)) for each in in_all(takings)]
    headers = [_("Staff"), _("Payments"), _("Taken"), _("Times given back"), _("Given back")]
    return Table(_("Cash"), [*headers, _("Net cash")], rows, _("No cash came in or went out."))


def _cash_cells(taking: Taking) -> tuple[Any, ...]:
    return (
        taking.payments,
        words.amount(taking.taken, taking.currency),
        taking.refunds,
        words.amount(taking.given_back, taking.currency),
        words.amount(taking.net, taking.currency),
    )


def _online_table(takings: list[Taking]) -> Table:
    rows = [
        (
            words.provider(each.provider),
            each.payments,
            words.amount(each.taken, each.currency),
            words.amount(each.to_review, each.currency) if each.to_review else "–",
            each.refunds,
            words.amount(each.given_back, each.currency),
            words.amount(each.net, each.currency),
        )
        for each in takings
    ]
    headers = [_("Provider"), _("Payments"), _("Paid"), _("of which to be reviewed")]
    headers += [_("Refunds"), _("Refunded"), _("Net")]
    return Table(_("Online"), headers, rows, _("Nothing was paid or refunded online."))


def _lines_table(lines: Iterable[Line]) -> Table:
    rows = [
        (
            _clock(line),
            _("Refund") if line.refund else _("Payment"),
            page_link(line.payment, f"{line.payment.pk}"),
            words.amount(line.amount, line.payment.paid_currency),
            words.provider(line.payment.provider),
            line.staff or "–",
            line.payment.reader,
            words.purpose(line.payment),
            words.refund_badge(line.refund) if line.refund else words.payment_badge(line.payment),
        )
        for line in lines
    ]
    headers = [_("Time"), _("What"), _("Payment"), _("Amount"), _("By"), _("Staff"), _("Reader")]
    headers += [_("For"), _("Status")]
    return Table(_("In the order of the day"), headers, rows, _("Nothing happened on this day."))


def _records(lines: Iterable[Line]) -> Iterator[tuple[Any, ...]]:
    for line in lines:
        payment = line.payment
        status: Any = line.refund or payment
        yield (
            line.at,
            _("Refund") if line.refund else _("Payment"),
            payment.pk,
            line.amount,
            payment.paid_currency,
            payment.provider,
            str(line.staff or ""),
            payment.reader.card_number or "",
            str(payment.reader),
            words.purpose(payment),
            status.get_status_display(),
        )


def _clock(line: Line) -> str:
    return formats.time_format(timezone.localtime(line.at), "H:i")
