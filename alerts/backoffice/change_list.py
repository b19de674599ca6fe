"""The list of an admin page: sorted by what was clicked where that keeps nobody waiting."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import label_for_field
from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from unfold.views import ChangeList

from alerts.backoffice.paging import COUNTED_AT_MOST, number_found

SORTED_AT_MOST = 10_000
"""To sort two million loans by a column without an index took a minute on SQLite."""


class OfficeChangeList(ChangeList):
    def get_queryset(self, request: HttpRequest, *args: Any) -> QuerySet[Any]:
        """Keep the usual order, and say so, where too many rows would have to be sorted.

        What is searched for is found in the usual order first: in another it may take a minute.
        """
        clicked = self._clicked() if ORDER_VAR in self.params else []
        rows: QuerySet[Any]
        if not clicked or self._has_index(request, clicked):
            rows = super().get_queryset(request, *args)
            return rows
        order = self.params.pop(ORDER_VAR)
        rows = super().get_queryset(request, *args)
        if _are_few(rows):
            self.params[ORDER_VAR] = order
            return rows.order_by(*self.get_ordering(request, self.root_queryset))
        self.filter_params.pop(ORDER_VAR, None)
        self._say_that_it_is_not_sorted(request, clicked)
        return rows

    def get_results(self, request: HttpRequest) -> None:
        """Offer “show all” only where something hides rows."""
        super().get_results(request)
        if not self.query and not self.has_active_filters:
            self.full_result_count = self.result_count

    def _clicked(self) -> list[Any]:
        """Return the columns that the rows shall be sorted by, the first before the others.

        The head of a column adds what they are sorted by already: the list's own order comes after
        any other by itself.
        """
        names = [
            self.list_display[place]
            for place in self.get_ordering_field_columns()
            if 0 <= place < len(self.list_display)
        ]
        first, *others = [name for name in names if self.get_ordering_field(name)] or [None]
        own = {name.removeprefix("-") for name in self.model_admin.ordering or ()}
        more = [name for name in others if self.get_ordering_field(name) not in own]
        return [first, *more] if first else []

    def _has_index(self, request: HttpRequest, columns: Sequence[Any]) -> bool:
        by_index = self.model_admin.get_order_by_index(request)
        return len(columns) == 1 and self.get_ordering_field(columns[0]) in by_index

    def _say_that_it_is_not_sorted(self, request: HttpRequest, columns: Sequence[Any]) -> None:
        labels = [str(label_for_field(name, self.model, self.model_admin)) for name in columns]
        message = _(
            "These are more than %(most)s %(rows)s: too many to sort by %(column)s. Search or "
            "filter for fewer, then sort."
        )
        given = {
            "most": number_format(SORTED_AT_MOST, force_grouping=True),
            "rows": self.opts.verbose_name_plural,
            "column": ", ".join(labels),
        }
        messages.warning(request, message % given)


def _are_few(rows: QuerySet[Any]) -> bool:
    if (found := number_found(rows)) is not None:
        return found < COUNTED_AT_MOST
    some = rows.order_by().values("pk")[: SORTED_AT_MOST + 1]
    return some.count() <= SORTED_AT_MOST
