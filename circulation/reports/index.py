"""The list of reports and of what can be printed: each for those who may see it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from alerts.backoffice.reports import Report, refuse_unless
from billing.till.report import MoneyByDay
from circulation.printing.offers import offers
from circulation.reports.months import ByMonth
from circulation.reports.overdue import OverdueReaders
from circulation.reports.wanted import MostWanted, NeverLent

REPORTS: tuple[Report, ...] = (
    OverdueReaders(),
    MoneyByDay(),
    ByMonth(),
    MostWanted(),
    NeverLent(),
)


def may_look(request: HttpRequest) -> bool:
    """Tell whether there is anything on the page for this user."""
    return any(report.may_look(request) for report in REPORTS) or bool(offers(request))


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    reports = [report for report in REPORTS if report.may_look(request)]
    prints = offers(request)
    refuse_unless(bool(reports or prints))
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Reports and printing"),
        "reports": reports,
        "prints": prints,
    }
    return TemplateResponse(request, "circulation/reports/index.html", context)
