"""The addresses of the desk's pages of money, under /admin/money/.

The account is a tab of the reader's page, which `config.urls` mounts as `billing-account`.
"""

from collections.abc import Callable

from django.contrib import admin
from django.http import HttpResponseBase
from django.urls import URLPattern, path

from billing.till import day_sheet, receipt


def _page(route: str, view: Callable[..., HttpResponseBase], name: str) -> URLPattern:
    return path(route, admin.site.admin_view(view), name=name)


urlpatterns = [
    _page("receipt/<int:pk>/", receipt.page, "billing-receipt"),
    _page("receipts/", receipt.several, "billing-receipts"),
    _page("day/", day_sheet.page, "billing-day"),
    _page("day/csv/", day_sheet.csv_file, "billing-day-csv"),
]
