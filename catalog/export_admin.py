"""Export on the list pages of the admin: what the list shows, as a file.

The page, its address, button and permission are django-import-export's; the work is that of
`catalog.exports`.
"""

from itertools import chain

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from import_export.admin import ExportMixin

from alerts import office_acts
from catalog import exports
from catalog.import_forms import ExportForm


class ExportPages(ExportMixin):
    """For a ModelAdmin: `export_kind` names what its rows are exported as."""

    export_kind = ""

    @property
    def exported_as(self) -> str:
        return self.export_kind or self.import_kind

    def export_action(self, request: HttpRequest) -> HttpResponseBase:
        """Hand out the records of the list, as it is filtered."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        form = ExportForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                return self._exported(request, form.cleaned_data["format"])
            except exports.ExportRefusedError as refused:
                form.add_error("format", str(refused))
        kind = exports.kind_called(self.exported_as)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Export"),
            "form": form,
            "opts": self.opts,
            "fields_list": [("", [header for header, _path in kind.exported])],
        }
        return TemplateResponse(request, [self.export_template_name], context)

    def _exported(self, request: HttpRequest, file_format: str) -> StreamingHttpResponse:
        kind = exports.kind_called(self.exported_as)
        rows = kind.model._default_manager.all()
        if request.GET:
            rows = rows.filter(pk__in=self.get_export_queryset(request).order_by().values("pk"))
        parts = exports.stream(kind.to_export(rows), kind.exported, kind=file_format)
        # What refuses does so before the first part, while a page can still say why.
        beginning = next(parts)
        name = f"{self.exported_as}-{timezone.localdate()}.{file_format}"
        which = _("those that the list showed") if request.GET else _("all")
        office_acts.record(_("Exported"), by=request.user, about=name, after=which)
        return StreamingHttpResponse(
            chain([beginning], parts),
            content_type=exports.FORMATS[file_format],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
