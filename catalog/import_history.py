"""The admin page of past imports: who, when, which file, what it did and what it refused."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from alerts.backoffice.pages import OfficeAdmin, ReadOnly, Table
from catalog.import_admin import error_file
from catalog.models import ImportRun

ERRORS_SHOWN = 100
BADGES = {
    ImportRun.Status.DONE: "success",
    ImportRun.Status.REFUSED: "danger",
}


@admin.register(ImportRun)
class ImportRunAdmin(ReadOnly, OfficeAdmin):
    list_display = (
        "file_name",
        "kind",
        "state",
        "by",
        "started_at",
        "rows_read",
        "rows_new",
        "rows_changed",
        "rows_wrong",
    )
    list_select_related = ("by",)
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("file_name",)
    ordering = ("-id",)
    empty_list = gettext_lazy("Nothing has been imported yet.")
    fields = (
        ("kind", "file_name"),
        ("status", "by"),
        ("started_at", "finished_at"),
        "message",
        "file_hash",
        "options",
        "wrong_rows",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[ImportRun]:
        runs: QuerySet[ImportRun] = super().get_queryset(request)
        return runs.defer("error_file", "errors", "warnings")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("wrong_rows",)

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.errors_view)
        return [
            path("<int:pk>/errors/", view, name="catalog_importrun_errors"),
            *super().get_urls(),
        ]

    def errors_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        run = self.get_object(request, str(pk))
        if run is None or not self.has_view_permission(request, run):
            return error_file(None)
        return error_file(run.error_file)

    @display(description=gettext_lazy("Result"), ordering="status", label=BADGES)
    def state(self, run: ImportRun) -> tuple[str, str]:
        return run.status, run.get_status_display()

    @display(description=gettext_lazy("Wrong rows"))
    def wrong_rows(self, run: ImportRun) -> str | SafeString:
        if not run.error_file:
            return "–"
        url = reverse("admin:catalog_importrun_errors", args=[run.pk])
        return format_html('<a class="text-link" href="{}">{}</a>', url, _("Download to mend"))

    def get_tables(self, request: HttpRequest, obj: ImportRun) -> list[Table]:
        wrong = Table(
            _("Wrong rows"),
            [_("Line"), _("Column"), _("Value"), _("Reason")],
            [error[:4] for error in obj.errors[:ERRORS_SHOWN]],
            _("No row was wrong."),
        )
        warnings = Table(
            _("Warnings"),
            [_("Warning")],
            [[warning] for warning in obj.warnings[:ERRORS_SHOWN]],
            _("There were no warnings."),
        )
        return [wrong, warnings]
