"""How lists stay fast in a large library: bounded counts, pages by number, searches by index."""

from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.db import connections
from django.db.models import Model, Q, QuerySet

COUNTED_AT_MOST = 1000
ESTIMATED_FROM = 10_000
FEW = 1000


class BoundedPaginator(Paginator):
    """Counts no further than 1,000 where something is filtered; estimates a whole large table.

    Counting every match of a filter is what makes a list slow at a million rows.
    """

    template_name = "office/pagination.html"
    by_number = False
    """Whether the first page is found by number, too, as all others are."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        if rows.query.where:
            return int(rows.order_by().values("pk")[:COUNTED_AT_MOST].count())
        estimate = _estimated_rows(rows)
        return estimate if estimate >= ESTIMATED_FROM else int(rows.order_by().count())

    @property
    def is_bounded(self) -> bool:
        """Whether there may be more rows than `count` says."""
        rows: Any = self.object_list
        return bool(rows.query.where) and self.count >= COUNTED_AT_MOST

    def page(self, number: Any) -> Page:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        last = min(first + self.per_page, self.count)
        rows: Any = self.object_list
        if first or rows.query.where or self.by_number:
            found = self._numbers(first, last)
            rows = rows.all()
            rows.query.clear_where()
            rows = rows.filter(pk__in=found)
        else:
            rows = rows[:last]
        return Page(rows, number, self)

    def _numbers(self, first: int, last: int) -> list[Any]:
        """Return the primary keys of a page's rows, read from the nearer end.

        What a list adds to each row, such as what is owed, is then asked for these rows only, and
        not for all that have to be sorted or skipped before them; nor is the filter asked again.
        """
        rows: Any = self.object_list
        keys = rows.values_list("pk", flat=True)
        if first > self.count // 2 and not self.is_bounded:
            return list(keys.reverse()[self.count - last : self.count - first])
        return list(keys[first:last])


def any_of(rows: QuerySet[Any], *conditions: Q) -> QuerySet[Any]:
    """Return those rows for which one of the conditions holds, each looked up by its own index.

    Where they lead to several tables, a database looks through every row for `one OR the other`.
    """
    first, *others = (
        rows.model._default_manager.filter(condition).order_by().values("pk")
        for condition in conditions
    )
    return rows.filter(pk__in=first.union(*others))


def few(found: QuerySet[Any]) -> list[Any] | QuerySet[Any]:
    """Return the primary keys of what was found, or, where they are many, what finds them.

    A list that is narrowed to known rows is read by an index. With a subquery for them PostgreSQL
    goes through the whole list where it expects many and there are none.
    """
    keys = list(found.order_by().values_list("pk", flat=True)[: FEW + 1])
    return keys if len(keys) <= FEW else found.order_by().values("pk")


def _estimated_rows(rows: QuerySet[Model]) -> int:
    """Return what PostgreSQL believes the table to hold, or -1 where nobody estimates."""
    connection = connections[rows.db]
    if connection.vendor != "postgresql":
        return -1
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass",
            [connection.ops.quote_name(rows.model._meta.db_table)],
        )
        return int(cursor.fetchone()[0])
