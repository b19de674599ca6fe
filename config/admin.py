"""The admin pages of other packages: groups and the job queue, in Unfold's clothes."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from django_q import admin as _  # noqa: F401 - registers the pages that are replaced here
from django_q.models import Failure, OrmQ, Schedule, Success, Task
from unfold.decorators import display

from alerts.backoffice.pages import OfficeAdmin, ReadOnly

admin.site.index_title = gettext_lazy("Library")
admin.site.unregister((Group, Schedule, Success, Failure, OrmQ))


class SuperusersOnly:
    """For pages through which one could give oneself any right, or run any code."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(Group)
class RoleAdmin(OfficeAdmin, GroupAdmin):  # type: ignore[misc]
    """Looked at by those who may, changed by superusers. `config.roles` writes the usual ones."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(Schedule)
class ScheduleAdmin(SuperusersOnly, OfficeAdmin):
    """A schedule runs any function by its path. `sync_jobs` writes Carrel's own."""

    list_display = ("name", "schedule_type", "next_run", "last_run_went_well")
    list_display_links = ("name",)
    search_fields = ("name",)
    ordering = ("name",)
    empty_list = gettext_lazy("Run “manage.py sync_jobs” to schedule Carrel's jobs.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Schedule]:
        last = Task.objects.filter(id=OuterRef("task")).values("success")
        return super().get_queryset(request).annotate(last_success=Subquery(last))

    @display(description=gettext_lazy("last run went well"), boolean=True)
    def last_run_went_well(self, schedule: Any) -> bool | None:
        return schedule.last_success


class TaskAdmin(ReadOnly, OfficeAdmin):
    list_display = ("name", "func", "started", "stopped")
    search_fields = ("name", "func")
    ordering = ("-started",)
    fields = (("name", "group"), ("func", "attempt_count"), ("started", "stopped"), "result")


@admin.register(Success)
class SuccessAdmin(TaskAdmin):
    empty_list = gettext_lazy("Jobs that went well are listed here.")


@admin.register(Failure)
class FailureAdmin(TaskAdmin):
    empty_list = gettext_lazy("No job has failed.")


@admin.register(OrmQ)
class QueueAdmin(ReadOnly, OfficeAdmin):
    list_display = ("name", "func", "lock")
    ordering = ("id",)
    fields = ("name", "func", "lock")
    empty_list = gettext_lazy("No job is waiting.")
