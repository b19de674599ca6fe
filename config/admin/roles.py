"""Roles: Django's groups, in Unfold's clothes."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin
from django.contrib.auth.models import Group
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts import office_acts
from alerts.backoffice.pages import OfficeAdmin, Table
from config import role_table

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

    list_before_template = "office/about.html"
    about = gettext_lazy(
        "What members of staff may do; a role is given on the page of the person. Librarian, "
        "Assistant, Cashier and Auditor come with Carrel and are set right at each update: for "
        "other rights add a role of your own."
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show the bare rights to those alone who can change them: the table says them in words."""
        return ["name", "permissions"] if self.has_change_permission(request, obj) else ["name"]

    def get_tables(self, request: HttpRequest, obj: Group) -> Iterable[Table]:
        rights = obj.permissions.values_list("content_type__app_label", "codename")
        seen = role_table.opened(
            role_table.request_with({f"{app}.{codename}" for app, codename in rights})
        )
        rows = [(place.section, page, ", ".join(acts)) for (place, page), acts in seen.items()]
        headers = (_("Part"), _("Page"), _("What may be done there"))
        return [Table(_("What this role opens"), headers, rows, _("It opens no page."))]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Keep which rights were given to a role and taken from it: groups have no history."""
        before = _rights_of(form.instance)
        super().save_related(request, form, formsets, change)
        what = _("Role changed") if change else _("Role added")
        record_rights(what, form.instance, before=before, by=request.user)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the roles themselves: a right that goes with one is no thing of its own."""
        _found, _counts, *rest = super().get_deleted_objects(objs, request)
        return [str(role) for role in objs], {}, *rest

    def delete_model(self, request: HttpRequest, obj: Group) -> None:
        office_acts.record(
            _("Role deleted"), obj, by=request.user, before=", ".join(sorted(_rights_of(obj)))
        )
        super().delete_model(request, obj)


def record_rights(what: str, role: Group, *, before: set[str], by: Any) -> None:
    """Keep what a role may now and might not before, and the other way round."""
    now = _rights_of(role)
    taken, given = sorted(before - now), sorted(now - before)
    if taken or given or by is not None:
        office_acts.record(what, role, by=by, before=", ".join(taken), after=", ".join(given))


def _rights_of(role: Group) -> set[str]:
    return set(role.permissions.order_by().values_list("name", flat=True))
