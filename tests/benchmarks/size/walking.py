"""Which pages of the back-office are measured: every list with its search, filters and columns."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.db.models import Field, Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    RangeDateFilter,
    RelatedDropdownFilter,
)

TERMS = ("the", "history", "war peace", "Nowak", "nowak a", "C1000123", "3100000123", "zzzz")
"""Of most books, of many, of few; of many names, of fewer; a card, a barcode, and nothing."""
MOST_OF_A_FILTER = 12
BUSY = "busiest"
Who = Literal["nobody", "reader", "librarian", "superuser"]


@dataclass(frozen=True)
class Page:
    """An address that is asked for, by whom, and which kind of page it is.

    `called` is what it is called in the table, where the address is another in each library.
    """

    kind: str
    address: str
    who: Who = "superuser"
    called: str = ""

    @property
    def name(self) -> str:
        who = f" ({self.who})" if self.who != "superuser" else ""
        return (self.called or self.address) + who


def lists(request: HttpRequest, *, busy: dict[type[Model], int]) -> Iterator[Page]:
    """Yield the pages of every list; `busy` has the rows that most others belong to."""
    for model, pages in sorted(admin.site._registry.items(), key=lambda item: item[0]._meta.label):
        meta = model._meta
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        yield Page("list", url)
        last = f"{url}?p={_last_page(request, pages)}"
        yield Page("list, last page", last, called=f"{url}?p=last")
        if pages.get_search_fields(request):
            for term in TERMS:
                yield Page("list, search", f"{url}?{urlencode({'q': term})}")
        for chosen in _filters(request, pages, busy):
            known = {
                name: BUSY if value in busy.values() else value for name, value in chosen.items()
            }
            called = f"{url}?{urlencode(known)}"
            yield Page("list, filter", f"{url}?{urlencode(chosen)}", called=called)
        for place in _columns(request, pages):
            yield Page("list, by a column", f"{url}?o={place}")
            yield Page("list, by a column", f"{url}?o=-{place}")


def _last_page(request: HttpRequest, pages: ModelAdmin) -> int:
    rows = pages.get_queryset(request)
    paginator: Any = pages.get_paginator(request, rows, pages.list_per_page)
    return int(paginator.num_pages)


def _columns(request: HttpRequest, pages: ModelAdmin) -> Iterator[int]:
    """Yield the places of the columns that can be clicked, counted from 1."""
    own = {field.name for field in pages.model._meta.get_fields() if isinstance(field, Field)}
    changes = pages.get_changelist_instance(request)
    for place, name in enumerate(changes.list_display):
        if name in own or getattr(getattr(pages, str(name), None), "admin_order_field", None):
            yield place


def _filters(
    request: HttpRequest, pages: ModelAdmin, busy: dict[type[Model], int]
) -> Iterator[dict[str, Any]]:
    for each in pages.get_list_filter(request):
        if not isinstance(each, tuple):
            kind: Any = each
            made: Any = kind(request, {}, pages.model, pages)
            for value, _label in list(made.lookup_choices)[:MOST_OF_A_FILTER]:
                yield {made.parameter_name: value}
            continue
        path, kind = each
        yield from _of_field(path, kind, _field(pages.model, path), busy)


def _of_field(
    path: str, kind: Any, field: Any, busy: dict[type[Model], int]
) -> Iterator[dict[str, Any]]:
    if issubclass(kind, AutocompleteSelectFilter):
        yield {f"{path}__id__exact": busy.get(field.related_model, 1)}
    elif issubclass(kind, RelatedDropdownFilter):
        related: Any = field.related_model
        for pk in related._default_manager.values_list("pk", flat=True)[:MOST_OF_A_FILTER]:
            yield {f"{path}__id__exact": pk}
    elif issubclass(kind, ChoicesDropdownFilter):
        for value, _label in field.flatchoices[:MOST_OF_A_FILTER]:
            yield {f"{path}__exact": value}
    elif issubclass(kind, RangeDateFilter):
        day = timezone.localdate()
        yield {f"{path}_from": day.replace(year=day.year - 1), f"{path}_to": day}
    else:
        raise AssertionError(kind)


def _field(model: type[Model], path: str) -> Any:
    field: Any = None
    for name in path.split("__"):
        field = model._meta.get_field(name)
        model = field.related_model
    return field
