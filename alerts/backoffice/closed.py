"""Fields that name a row of a list which is closed to the one who looks: they are left out.

Django links such a field whoever looks, to a page that then refuses.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.db.models import Field, ForeignKey, Model
from django.http import HttpRequest


def may_view(request: HttpRequest, model: type[Model]) -> bool:
    label, name = model._meta.app_label, model._meta.model_name
    return request.user.has_perm(f"{label}.view_{name}") or request.user.has_perm(
        f"{label}.change_{name}"
    )


def leave_out(request: HttpRequest, form: Any, model: type[Model]) -> None:
    """Take from an admin form what is only shown, and belongs to a closed list."""
    shown = [field for field in model._meta.fields if field.name in form.readonly_fields]
    names = {field.name for field in shown if _is_closed(request, field)}
    if names:
        form.fieldsets = list(_without(form.fieldsets, names))


def _is_closed(request: HttpRequest, field: "Field[Any, Any]") -> bool:
    if not isinstance(field, ForeignKey) or field.related_model not in admin.site._registry:
        return False
    return not may_view(request, field.related_model)


def _without(
    fieldsets: Sequence[tuple[Any, dict[str, Any]]], names: Collection[str]
) -> Iterator[tuple[Any, dict[str, Any]]]:
    for title, options in fieldsets:
        rows = [(row,) if isinstance(row, str) else row for row in options["fields"]]
        left = [tuple(name for name in row if name not in names) for row in rows]
        if any(left):
            yield title, {**options, "fields": [row for row in left if row]}
