"""Roles: Django's groups, in Unfold's clothes."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from alerts.backoffice.pages import OfficeAdmin

admin.site.index_title = gettext_lazy("Library")
admin.site.unregister(Group)


class ChangedBySuperusers:
    """For pages through which one could give oneself any right, or run any code."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_superuser


@admin.register(Group)
class RoleAdmin(ChangedBySuperusers, OfficeAdmin, GroupAdmin):  # type: ignore[misc]
    """Looked at by those who may, changed by superusers. `config.roles` writes the usual ones."""
