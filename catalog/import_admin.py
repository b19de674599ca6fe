"""Import and export on the list pages of the admin, with preview, confirmation and progress.

The pages, their addresses, buttons and permissions are django-import-export's, in Unfold's dress.
Its resources hold a whole file in memory and go row by row, so the work itself is that of
`catalog.imports` and `catalog.exports`.
"""

import gzip
import logging
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseRedirect,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.tasks import async_task
from import_export.admin import ImportExportMixin

from catalog import import_jobs, imports, uploads
from catalog.export_admin import ExportPages
from catalog.import_forms import ConfirmForm, UploadForm
from catalog.import_preview import Preview
from catalog.uploads import Upload

log = logging.getLogger(__name__)

MOST_ROWS_AT_ONCE = 20_000
MOST_WORKBOOK_BYTES_AT_ONCE = 1 << 20


class ImportExportPages(ExportPages, ImportExportMixin):
    """For a ModelAdmin: `import_kind` names what its rows are imported and exported as."""

    import_kind = ""
    import_template_name = "catalog/import.html"

    def get_urls(self) -> list[URLPattern]:
        name = "{}_{}".format(*self.get_model_info())
        wrap = self.admin_site.admin_view
        own = [
            path("import/<int:pk>/", wrap(self.upload_view), name=f"{name}_upload"),
            path(
                "import/<int:pk>/progress/",
                wrap(self.progress_view),
                name=f"{name}_upload_progress",
            ),
            path("import/<int:pk>/errors/", wrap(self.errors_view), name=f"{name}_upload_errors"),
        ]
        return [*own, *super().get_urls()]

    def import_action(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """Take a file, and show what an import of it would do."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        form = UploadForm(request.POST or None, request.FILES or None, kind=self.import_kind)
        if request.method == "POST" and form.is_valid():
            uploads.discard_abandoned()
            upload = self._keep(request, form)
            self._do(import_jobs.check, upload, later=_is_large(form.cleaned_data["import_file"]))
            upload.refresh_from_db()
            if upload.is_busy:
                return HttpResponseRedirect(self._upload_url(upload))
            return self._preview(request, upload, form)
        return self._page(request, form=form)

    def process_import(self, request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        """Import what was previewed and confirmed."""
        if not self.has_import_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponse(status=405, headers={"Allow": "POST"})
        form = ConfirmForm(request.POST)
        upload = (
            self._uploads(request).filter(pk=form.data.get("upload") or 0).first()
            if form.is_valid()
            else None
        )
        if upload is None:
            messages.error(request, _("The uploaded file is no longer here. Upload it again."))
            return HttpResponseRedirect(self._url("import"))
        agreed = self._uploads(request).filter(
            pk=upload.pk,
            status=Upload.Status.READY,
            report__is_accepted=True,
            report__fingerprint=form.cleaned_data["fingerprint"],
        )
        now = timezone.now()
        if agreed.update(status=Upload.Status.CONFIRMED, rows_done=0, seen_at=now):
            later = (upload.report or {}).get("counts", [0])[0] > MOST_ROWS_AT_ONCE
            self._do(import_jobs.confirm, upload, later=later)
        return HttpResponseRedirect(self._upload_url(upload))

    def upload_view(self, request: HttpRequest, pk: int) -> HttpResponseBase:
        """Show how far an upload is: progress, preview, result, or why it cannot be imported."""
        upload = self._upload(request, pk)
        if upload.status == Upload.Status.DONE:
            messages.success(request, _("Imported. %(summary)s") % {"summary": upload.message})
            return HttpResponseRedirect(self._url("changelist"))
        if upload.is_busy:
            return self._page(request, upload=upload, title=upload.get_status_display())
        return self._preview(request, upload, UploadForm(kind=self.import_kind))

    def progress_view(self, request: HttpRequest, pk: int) -> JsonResponse:
        upload = self._upload(request, pk)
        return JsonResponse(
            {
                "busy": upload.is_busy,
                "state": upload.get_status_display(),
                "done": upload.rows_done,
                "expected": upload.rows_expected,
            }
        )

    def errors_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Hand out the wrong rows of a preview."""
        return error_file(self._upload(request, pk).error_file)

    def _keep(self, request: HttpRequest, form: UploadForm) -> Upload:
        file: UploadedFile[Any] = form.cleaned_data["import_file"]
        return uploads.keep(
            file.chunks(uploads.PART),
            kind=self.import_kind,
            by=request.user,
            file_name=file.name,
            options=form.options().as_dict(),
        )

    def _do(self, job: Any, upload: Upload, *, later: bool) -> None:
        if not later:
            job(upload.pk)
            return
        transaction.on_commit(lambda: _hand_over(job, upload))

    def _uploads(self, request: HttpRequest) -> Any:
        return Upload.objects.filter(kind=self.import_kind, by_id=request.user.pk)

    def _upload(self, request: HttpRequest, pk: int) -> Upload:
        if not self.has_import_permission(request):
            raise PermissionDenied
        upload: Upload | None = self._uploads(request).filter(pk=pk).first()
        if upload is None:
            raise Http404
        return upload

    def _preview(self, request: HttpRequest, upload: Upload, form: UploadForm) -> TemplateResponse:
        if upload.report is None or upload.status == Upload.Status.FAILED:
            return self._page(request, form=form, failure=upload.message)
        preview = Preview(upload.report)
        confirm = None
        if preview.is_accepted and preview.has_something_to_do:
            confirm = ConfirmForm(initial={"upload": upload.pk, "fingerprint": preview.fingerprint})
        return self._page(
            request,
            form=form,
            upload=upload,
            preview=preview,
            confirm_form=confirm,
            errors_url=self._url("upload_errors", upload.pk) if upload.error_file else "",
        )

    def _page(self, request: HttpRequest, **extra: Any) -> TemplateResponse:
        upload = extra.get("upload")
        kind = imports.kind_called(self.import_kind)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Import"),
            "opts": self.opts,
            "fields_list": [("", [c.name for c in kind.columns(imports.Options())])],
            "progress_url": self._url("upload_progress", upload.pk) if upload else "",
            **extra,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, [self.import_template_name], context)

    def _url(self, page: str, *args: Any) -> str:
        label, name = self.get_model_info()
        return reverse(f"{self.admin_site.name}:{label}_{name}_{page}", args=args)

    def _upload_url(self, upload: Upload) -> str:
        return self._url("upload", upload.pk)


def error_file(packed: bytes | memoryview | None) -> HttpResponse:
    """Return the wrong rows as a file to mend. Raises Http404 where there is none."""
    if not packed:
        raise Http404
    return HttpResponse(
        gzip.decompress(bytes(packed)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="errors.csv"'},
    )


def _hand_over(job: Any, upload: Upload) -> None:
    """Give the work to a worker, or say on the upload that nobody does it."""
    try:
        async_task(f"{job.__module__}.{job.__name__}", upload.pk)
    except Exception:  # whatever a broker that is away raises
        log.exception("Upload %s could not be handed to a worker", upload.pk)
        import_jobs.put_back(upload)


def _is_large(file: "UploadedFile[Any]") -> bool:
    """Tell whether checking the file takes longer than a person should wait for a page."""
    if (file.name or "").lower().endswith(".xlsx"):
        return (file.size or 0) > MOST_WORKBOOK_BYTES_AT_ONCE
    lines = sum(chunk.count(b"\n") for chunk in file.chunks())
    file.seek(0)
    return bool(lines > MOST_ROWS_AT_ONCE)
