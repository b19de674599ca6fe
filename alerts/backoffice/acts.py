"""Acts on rows: a button on the page or an action on the list, confirmed, and only by POST."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib import messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from alerts.backoffice.pages import OfficeAdmin

MOST_ROWS = 100

Do = Callable[..., str]


def act(
    description: Any,
    *,
    permission: str,
    question: Any,
    icon: str = "",
    form_class: type[BaseDialogForm] = BaseDialogForm,
) -> Callable[[Do], Callable[..., HttpResponse | None]]:
    """Make `do(admin, request, row, **answers) -> sentence` a confirmed act.

    Named in `actions` it asks once for all chosen rows and reports on each; named in
    `actions_detail` it opens a dialog, with the fields of `form_class`. A refusal that
    `do` raises is shown as its sentence. A GET shows the question and does nothing.
    """

    def decorate(do: Do) -> Callable[..., HttpResponse | None]:
        @wraps(do)
        def acting(
            self: "ActsAdmin",
            request: HttpRequest,
            queryset: QuerySet[Any] | None = None,
            object_id: str = "",
        ) -> HttpResponse | None:
            if not self.may(request, permission):
                raise PermissionDenied
            if queryset is None:
                return _on_page(self, request, object_id, acting, do)
            return _on_chosen(self, request, queryset, acting, do)

        # Unfold reads these from the method when it draws the buttons.
        acting.__dict__.update(
            short_description=description,
            question=question,
            permission=permission,
            form_class=form_class,
            icon=icon,
            variant=ActionVariant.DEFAULT,
            dialog={"title": description},
            attrs={},
            original_function_name=do.__name__,
        )
        return acting

    return decorate


class ActRefusedError(Exception):
    """Nothing was done; the message says why."""


class ActsAdmin(OfficeAdmin):
    """Pages with acts; each is offered to those who may do it."""

    refusals: tuple[type[Exception], ...] = ()
    """What the domain raises when it refuses, beside ActRefusedError."""

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        """Read the row once while a page is drawn: its buttons and its form both ask for it."""
        if request.method != "GET":
            return super().get_object(request, object_id, from_field)
        kept: dict[Any, Any] = request.__dict__.setdefault("_rows_read", {})
        key = (self.model, str(object_id), from_field)
        if key not in kept:
            kept[key] = super().get_object(request, object_id, from_field)
        return kept[key]

    @property
    def all_refusals(self) -> tuple[type[Exception], ...]:
        return (ActRefusedError, *self.refusals)

    def may(self, request: HttpRequest, permission: str) -> bool:
        """Tell whether the user has a permission, named in full or as `delete`; any of `a|b`."""
        if permission == "delete":
            return bool(self.has_delete_permission(request))
        return any(request.user.has_perm(each) for each in permission.split("|"))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {
            name: action
            for name, action in super().get_actions(request).items()
            if not hasattr(action[0], "permission") or self.may(request, action[0].permission)
        }

    def get_actions_detail(self, request: HttpRequest, object_id: Any) -> list[Any]:
        allowed = [
            action
            for action in super().get_actions_detail(request, object_id)
            if self.may(request, action.method.permission)
        ]
        row = self.get_object(request, unquote(str(object_id))) if allowed else None
        if row is None:
            return []
        fitting = set(self.fitting_acts(row))
        return [action for action in allowed if action.method.original_function_name in fitting]

    def fitting_acts(self, row: Any) -> Iterable[str]:
        """Return the names of the acts that make sense for a row as it is now."""
        return self.actions_detail


def _on_page(
    admin: ActsAdmin, request: HttpRequest, object_id: str, acting: Any, do: Do
) -> HttpResponse:
    row = admin.get_object(request, unquote(object_id))
    if row is None:
        raise Http404
    form = acting.form_class(data=request.POST or None, request=request, object_id=row.pk)
    if request.method == "POST" and form.is_valid():
        answers = {name: value for name, value in form.cleaned_data.items() if name[0] != "_"}
        try:
            admin.message_user(request, do(admin, request, row, **answers), messages.SUCCESS)
        except admin.all_refusals as refused:
            if not answers:
                admin.message_user(request, str(refused), messages.ERROR)
            else:
                form.add_error(next(iter(answers)), str(refused))
        if form.is_valid():
            return _back_to(request, _page_of(admin, row))
    dialog = {"title": f"{acting.short_description}: {row}", "description": acting.question}
    return render(
        request,
        "unfold/helpers/dialog.html",
        {"dialog": dialog, "form": form, "form_submit_text": acting.short_description},
    )


def _page_of(admin: ActsAdmin, row: Any) -> str:
    meta = admin.model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])


def _back_to(request: HttpRequest, url: str) -> HttpResponse:
    if "HX-Request" in request.headers:
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def _on_chosen(
    admin: ActsAdmin, request: HttpRequest, queryset: QuerySet[Any], acting: Any, do: Do
) -> HttpResponse | None:
    rows = list(queryset[: MOST_ROWS + 1])
    if len(rows) > MOST_ROWS:
        message = _("Choose at most %(most)d rows at once.") % {"most": MOST_ROWS}
        admin.message_user(request, message, messages.ERROR)
        return None
    if "confirmed" not in request.POST:
        hidden = [(helpers.ACTION_CHECKBOX_NAME, row.pk) for row in rows]
        hidden.append(("action", do.__name__))
        return confirmation(
            admin,
            request,
            title=acting.short_description,
            question=acting.question,
            rows=rows,
            hidden=hidden,
        )
    for row in rows:
        try:
            text, level = do(admin, request, row), messages.SUCCESS
        except admin.all_refusals as refused:
            text, level = str(refused), messages.ERROR
        admin.message_user(request, f"{row}: {text}", level)
    return None


def confirmation(
    admin: OfficeAdmin,
    request: HttpRequest,
    *,
    title: Any,
    question: Any,
    rows: list[Any],
    hidden: Iterable[tuple[str, Any]] = (),
) -> TemplateResponse:
    """Return the page that asks before anything is done."""
    request.current_app = admin.admin_site.name
    context = {
        **admin.admin_site.each_context(request),
        "title": title,
        "question": question,
        "rows": rows,
        "hidden": list(hidden),
        "opts": admin.model._meta,
        "media": admin.media,
    }
    return TemplateResponse(request, "office/confirm.html", context)
