"""The base of every admin page: clean search terms, no bulk deletion, tables below the form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ALL_VAR, ORDER_VAR, PAGE_VAR
from django.contrib.admin.widgets import AutocompleteSelect
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import get_language
from unfold.admin import ModelAdmin, TabularInline, checkbox
from unfold.contrib.filters.admin import AutocompleteSelectFilter
from unfold.contrib.filters.forms import AutocompleteDropdownForm
from unfold.decorators import display

from alerts.backoffice.change_list import OfficeChangeList
from alerts.backoffice.closed import leave_out
from alerts.backoffice.paging import BoundedPaginator

if TYPE_CHECKING:
    from circulation.models import Reader

LONGEST_SEARCH = 200
LONGEST_ID = 18
MOST_SEARCH_WORDS = 8
PLACE = "{}"
ALWAYS = (ORDER_VAR, PAGE_VAR, ALL_VAR)
"""What an address may say of a list that is shown whole."""


@dataclass(frozen=True)
class Table:
    """Rows that belong to an object, shown below its form; `empty` says what to do without any."""

    title: str
    headers: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str
    more_url: str = ""

    @property
    def labelled(self) -> Iterable[Iterable[tuple[str, Any]]]:
        """Yield the rows, each cell with its header: a phone shows them one below the other."""
        labels = [str(header) for header in self.headers]
        return (zip(labels, row, strict=False) for row in self.rows)


class OfficeAdmin(ModelAdmin):
    """An Unfold page that stays fast with a million rows and survives any query string."""

    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 25
    list_max_show_all = 100
    list_filter_submit = True
    list_disable_select_all = True
    warn_unsaved_form = True
    change_form_outer_after_template = "office/tables.html"
    empty_list: Any = ""
    """What to do where the list has no rows at all."""
    order_by_index: Sequence[str] = ()
    """By what the whole list is sorted at once, however long it is."""
    about: Any = ""
    """What a setting is for, said above its list by the template `office/about.html`."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if any(_is_unanswerable(name, str(value)) for name, value in request.GET.items()):
            return HttpResponseRedirect(request.path)
        return super().changelist_view(request, extra_context)

    @display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: Model) -> SafeString:
        return format_html(_drawn_box(get_language()), obj.pk)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[OfficeChangeList]:
        return OfficeChangeList

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Paginator:
        """Find the rows of a page by number where somebody has chosen the order."""
        paginator = super().get_paginator(request, *args, **kwargs)
        paginator.by_number = ORDER_VAR in request.GET
        return paginator

    def get_order_by_index(self, request: HttpRequest) -> Sequence[str]:
        """Return by what a list is sorted at once, however long: that is measured, not guessed.

        Where it is filtered or searched, that is no more than the list's own order.
        """
        if not any(value for name, value in request.GET.items() if name not in ALWAYS):
            return self.order_by_index
        return [name.removeprefix("-") for name in (self.ordering or ())[:1]]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Keep the number of conditions within what a database takes in one statement."""
        words = search_term.replace("\x00", " ")[:LONGEST_SEARCH].split()
        return super().get_search_results(request, queryset, " ".join(words[:MOST_SEARCH_WORDS]))

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer no bulk deletion: it would go around the rules of deleting."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return dict(actions)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            _hide_related_buttons(field.widget)
        return field

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", Autocomplete(db_field, self.admin_site))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_tables(self, request: HttpRequest, obj: Any) -> Iterable[Table]:
        """Return the tables below the form of an object."""
        return ()

    def get_head(self, request: HttpRequest, obj: Any) -> Any:
        """Return what `change_form_outer_before_template` says above the form of an object."""
        return None

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: Model | None = None,
        **kwargs: Any,
    ) -> HttpResponse:
        leave_out(request, context["adminform"], self.model)
        context["head"] = self.get_head(request, obj) if obj is not None else None
        context["tables"] = list(self.get_tables(request, obj)) if obj is not None else []
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)


class OfficeInline(TabularInline):
    """Rows of another model on an object's page."""

    extra = 0
    per_page = 25

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            _hide_related_buttons(field.widget)
            # A table has the labels in its head, where no screen reader looks for them.
            field.widget.attrs.setdefault("aria-label", capfirst(str(field.label)))
        return field


class ReadOnly:
    """For rows that only the domain writes: seen by those who may, changed by nobody."""

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class Autocomplete(AutocompleteSelect):
    """Django's, but a made-up id that was sent is an error in the form, not of the page."""

    def optgroups(self, name: str, value: Any, attrs: Any = None) -> Any:
        known = [pk for pk in value if str(pk).isdecimal() and len(str(pk)) <= LONGEST_ID]
        return super().optgroups(name, known or [""], attrs)


class _ChosenForm(AutocompleteDropdownForm):
    """What was chosen has filtered the list already; checking it again would only cost a query."""

    widget = Autocomplete

    def full_clean(self) -> None:
        self._errors: dict[str, Any] = {}
        self.cleaned_data: dict[str, Any] = {}


class AutocompleteFilter(AutocompleteSelectFilter):
    form_class = _ChosenForm


def _is_unanswerable(name: str, value: str) -> bool:
    """Tell whether a database would choke: on a NUL in a text, or on an id beyond its integers."""
    if "\x00" in name + value:
        return True
    return name.endswith("id__exact") and value.isdecimal() and len(value) > LONGEST_ID


def _hide_related_buttons(widget: Any) -> None:
    for name in ("can_add_related", "can_change_related", "can_delete_related"):
        if hasattr(widget, name):
            setattr(widget, name, False)


def staff(request: HttpRequest) -> "Reader":
    """Return who is signed in: the admin lets nobody else in."""
    return cast("Reader", request.user)


def page_link(row: Model | None, text: str | None = None) -> str | SafeString:
    """Return a link to a row's page, with the row's name or another text."""
    if row is None:
        return "–"
    meta = row._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', url, text or str(row))


def list_url(model: type[Model], **filters: Any) -> str:
    """Return the address of a model's list, filtered."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return f"{url}?{urlencode(filters)}" if filters else url


def badge(text: Any, kind: str = "") -> SafeString:
    """Return a label in the colour of `kind`: success, info, warning, danger or none."""
    return format_html(_drawn_badge(kind), text)


@cache
def _drawn_badge(kind: str) -> SafeString:
    """Return the label of a colour, drawn once, with a place for its text."""
    return render_to_string("unfold/helpers/label.html", {"text": PLACE, "type": kind})


@cache
def _drawn_box(_language: str | None) -> SafeString:
    """Return the box that chooses a row, drawn once, with a place for the row's number."""
    return checkbox.render(ACTION_CHECKBOX_NAME, PLACE)


def code(value: Any) -> str | SafeString:
    """Return a barcode or card number that stays on one line."""
    return format_html('<span class="code">{}</span>', value) if value else "–"


def money(amount: Decimal | None) -> str:
    return "–" if amount is None else formats.number_format(amount, 2)


def day(value: Any) -> str:
    """Return a date or an instant as people write it, never broken over two lines."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        value = timezone.localtime(value)
    return str(formats.localize(value)).replace(" ", "\xa0")
