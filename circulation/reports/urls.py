"""The addresses of the reports, under /admin/reports/."""

from django.contrib import admin
from django.urls import path

from circulation.reports.index import REPORTS, page

urlpatterns = [
    path("", admin.site.admin_view(page), name="reports"),
    *(pattern for report in REPORTS for pattern in report.urls()),
]
