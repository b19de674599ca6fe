"""The jobs: what each does, when it ran and runs next, what came of it, and running one now."""

import logging
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from alerts import office_acts
from alerts.backoffice.pages import OfficeAdmin, ReadOnly, badge, list_url
from config import health, jobs
from config.admin.queue import took_text
from config.models import JobRun
from config.unfold import may_see_jobs

log = logging.getLogger(__name__)

A_MOMENT = timedelta(minutes=1)
"""The queue looks for what is due twice a minute."""


def may_run(request: HttpRequest) -> bool:
    return request.user.has_perm("config.run_job")


class JobFilter(DropdownFilter):
    title = gettext_lazy("job")
    parameter_name = "name"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(job.name, job.name) for job in jobs.JOBS]

    def queryset(self, request: HttpRequest, found: QuerySet[JobRun]) -> QuerySet[JobRun]:
        return found.filter(name=self.value()) if self.value() else found


class OutcomeFilter(DropdownFilter):
    title = gettext_lazy("outcome")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("failed", _("Failed")), ("done", _("Went well")), ("running", _("Under way"))]

    def queryset(self, request: HttpRequest, found: QuerySet[JobRun]) -> QuerySet[JobRun]:
        match self.value():
            case "failed":
                return found.exclude(error="")
            case "done":
                return found.filter(error="").exclude(finished_at=None)
            case "running":
                return found.filter(finished_at=None)
        return found


@admin.register(JobRun)
class JobRunAdmin(ReadOnly, OfficeAdmin):
    """The list has the single runs; `table` is the page of the jobs themselves."""

    list_display = ("name", "outcome", "started_at", "took", "said")
    list_filter = (JobFilter, OutcomeFilter)
    ordering = ("-id",)
    order_by_index = ("name", "started_at")
    fields = (("name", "outcome"), ("started_at", "finished_at", "took"), "said")
    readonly_fields = ("outcome", "took", "said")
    empty_list = gettext_lazy("No job has run yet. Start the worker: python manage.py run_worker")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may_see_jobs(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may_see_jobs(request)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("jobs/", wrap(self.table), name="config_jobs"),
            path("jobs/<slug:name>/run/", wrap(require_POST(self.run)), name="config_run_job"),
            *super().get_urls(),
        ]

    def table(self, request: HttpRequest) -> HttpResponse:
        """Show every job of the table, and above it what is wrong with them."""
        if not may_see_jobs(request):
            raise PermissionDenied
        standings = health.standings()
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            "title": _("Jobs"),
            "problems": health.problems(standings),
            "rows": [_row(standing) for standing in standings],
            "may_run": may_run(request),
            "runs_url": list_url(JobRun),
            "opts": self.opts,
            "media": self.media,
        }
        return TemplateResponse(request, "config/jobs.html", context)

    def run(self, request: HttpRequest, name: str) -> HttpResponse:
        """Hand a job to a worker."""
        if not may_run(request):
            raise PermissionDenied
        try:
            jobs.run_soon(jobs.called(name))
        except jobs.UnknownJobError as unknown:
            raise Http404(str(unknown)) from unknown
        except Exception:  # whatever a broker that is away raises
            log.exception("Job %s could not be handed to a worker", name)
            text = _("“%(job)s” could not be handed to a worker: the queue does not answer.")
            messages.error(request, text % {"job": name})
        else:
            office_acts.record(_("Job started by hand"), by=request.user, about=name)
            text = _("“%(job)s” was handed to a worker. Reload this page to see its run.")
            messages.success(request, text % {"job": name})
        return HttpResponseRedirect(reverse("admin:config_jobs"))

    @display(description=gettext_lazy("outcome"))
    def outcome(self, run: JobRun) -> str:
        return outcome_badge(run)

    @display(description=gettext_lazy("took"), ordering=F("finished_at") - F("started_at"))
    def took(self, run: JobRun) -> str:
        return took_text(run.took)

    @display(description=gettext_lazy("what came of it"))
    def said(self, run: JobRun) -> str:
        return run.error or run.result or "–"


def outcome_badge(run: JobRun) -> SafeString:
    if run.error:
        return badge(_("Failed"), "danger")
    if run.finished_at is None:
        return badge(_("Under way"), "info")
    return badge(_("Went well"), "success")


def _row(standing: health.Standing) -> dict[str, Any]:
    """Return what the table says of a job."""
    job, last = standing.job, standing.last
    planned: datetime | None = standing.schedule.next_run if standing.schedule else None
    return {
        "job": job,
        "last": last,
        "took": took_text(last.took) if last else "",
        "outcome": outcome_badge(last) if last else "",
        "runs_url": list_url(JobRun, name=job.name),
        "run_url": reverse("admin:config_run_job", args=[job.name]),
        "planned": planned,
        "is_due": planned is not None and planned < timezone.now() - A_MOMENT,
    }
