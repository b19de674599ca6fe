"""The job queue's own pages, in Unfold's clothes and in words where there are any."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.db.models import F, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django_q import admin as replaced  # noqa: F401 - registers the pages that are replaced here
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from unfold.decorators import display

from alerts import office_acts, trial
from alerts.backoffice.pages import OfficeAdmin, ReadOnly
from config import jobs, runs
from config.admin.roles import ChangedBySuperusers
from config.unsaid import without_secrets

for theirs in (Schedule, Success, Failure, OrmQ):
    if admin.site.is_registered(theirs):  # OrmQ only where the database is the queue
        admin.site.unregister(theirs)

WORDS = {
    "circulation.tasks.deliver_alerts": gettext_lazy("Sends what waits to be told"),
    trial.TASK: gettext_lazy("Sends the test message of a channel"),
    "catalog.import_jobs.check": gettext_lazy("Checks a file to import"),
    "catalog.import_jobs.confirm": gettext_lazy("Imports a file"),
}


def in_words(function: str, group: str | None) -> str:
    """Return what a task does: a job by its name, others in words or by their path."""
    return str(group or function) if function == runs.RUN else str(WORDS.get(function, function))


def took_text(took: timedelta | None) -> str:
    return "–" if took is None else f"{took.total_seconds():.1f}\xa0s"


class SuperusersOnly(ChangedBySuperusers):
    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(Schedule)
class ScheduleAdmin(SuperusersOnly, OfficeAdmin):
    """A schedule runs any function by its path. `sync_jobs` writes Carrel's own."""

    list_display = ("name", "does", "rhythm", "next_run", "last_failure")
    list_display_links = ("name",)
    search_fields = ("name",)
    ordering = ("name",)
    empty_list = gettext_lazy("Run “manage.py sync_jobs” to schedule Carrel's jobs.")

    def save_model(self, request: HttpRequest, obj: Schedule, form: Any, change: bool) -> None:
        """Keep what was changed: a schedule has no history, and runs whatever it names."""
        super().save_model(request, obj, form, change)
        what = _("Schedule changed") if change else _("Schedule added")
        before = "; ".join(f"{name}: {form.initial.get(name)}" for name in form.changed_data)
        after = "; ".join(f"{name}: {form.cleaned_data.get(name)}" for name in form.changed_data)
        office_acts.record(
            what, obj, by=request.user, about=obj.name or obj.func, before=before, after=after
        )

    def delete_model(self, request: HttpRequest, obj: Schedule) -> None:
        office_acts.record(_("Schedule deleted"), obj, by=request.user, about=obj.name or obj.func)
        super().delete_model(request, obj)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        last = Task.objects.filter(id=OuterRef("task")).values("success")
        return super().get_queryset(request).annotate(last_success=Subquery(last))

    @display(description=gettext_lazy("what it does"))
    def does(self, schedule: Schedule) -> str:
        return _job_text(schedule.name, "does") or in_words(schedule.func, schedule.name)

    @display(description=gettext_lazy("how often"), ordering="schedule_type")
    def rhythm(self, schedule: Schedule) -> str:
        return _job_text(schedule.name, "rhythm") or str(schedule.get_schedule_type_display())

    @display(description=gettext_lazy("last run"))
    def last_failure(self, schedule: Any) -> str | SafeString:
        """The queue keeps what failed and forgets what went well."""
        if schedule.last_success is not False:
            return "–"
        url = reverse("admin:django_q_failure_change", args=[schedule.task])
        return format_html('<a class="text-link" href="{}">{}</a>', url, _("failed"))


def _job_text(name: str | None, attribute: str) -> str:
    try:
        return str(getattr(jobs.called(name or ""), attribute))
    except jobs.UnknownJobError:
        return ""


class TaskAdmin(ReadOnly, OfficeAdmin):
    list_display: tuple[str, ...] = ("what", "started", "took")
    search_fields = ("func", "group")
    search_help_text = gettext_lazy("A job's name, or a part of a function's path")
    ordering = ("-started",)
    fields = (("what", "attempt_count"), ("func", "group"), ("started", "took"), "outcome")
    readonly_fields = ("what", "took", "outcome")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Task]:
        return super().get_queryset(request).defer("args", "kwargs")

    @display(description=gettext_lazy("task"), ordering="func")
    def what(self, task: Task) -> str:
        return in_words(task.func, task.group)

    @display(description=gettext_lazy("took"), ordering=F("stopped") - F("started"))
    def took(self, task: Task) -> str:
        return took_text(task.stopped - task.started)

    @display(description=gettext_lazy("what came of it"))
    def outcome(self, task: Task) -> SafeString:
        text = without_secrets(str(task.result if task.result is not None else "–"))
        return format_html('<pre style="white-space: pre-wrap">{}</pre>', text)


@admin.register(Success)
class SuccessAdmin(TaskAdmin):
    empty_list = gettext_lazy(
        "The queue keeps no tasks that went well. The runs of jobs are under “Jobs”."
    )


@admin.register(Failure)
class FailureAdmin(TaskAdmin):
    list_display = ("what", "why", "started", "took")
    empty_list = gettext_lazy("No task has failed.")

    @display(description=gettext_lazy("why it failed"))
    def why(self, failure: Failure) -> str:
        return runs.why_it_failed(failure)


@admin.register(OrmQ)
class QueueAdmin(ReadOnly, OfficeAdmin):
    list_display = ("what", "lock")
    list_display_links = None
    ordering = ("id",)
    fields = ("what", "func", "lock")
    readonly_fields = ("what", "func")
    empty_list = gettext_lazy("No task is waiting.")

    @display(description=gettext_lazy("task"))
    def what(self, waiting: OrmQ) -> str:
        return in_words(waiting.func(), waiting.group())
