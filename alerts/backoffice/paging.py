"""How lists stay fast in a large library: bounded counts, pages by number, searches by index."""

import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.db import connection, connections
from django.db.models import BooleanField, ExpressionWrapper, Model, Q, QuerySet, Value
from django.db.models.expressions import RawSQL
from django.http import HttpRequest

from alerts import long_lists

COUNTED_AT_MOST = 1000
ESTIMATED_FROM = 10_000
FEW = 1000
FOUND = "number_found"
LOOKED_AT, ENOUGH = 300, 30
"""Where so many of the first rows fit, the first thousand that do are near."""


class BoundedPaginator(Paginator):
    """Counts no further than 1,000 where something is filtered; estimates a whole large table.

    Counting every match of a filter is what makes a list slow at a million rows. That there are
    1,000 or more is believed for some minutes.
    """

    template_name = "office/pagination.html"
    by_number = False
    """Whether the first page is found by number, too, as all others are."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        if (found := number_found(rows)) is not None:
            return found
        if rows.query.where:
            return long_lists.counted(rows.order_by().values("pk"), COUNTED_AT_MOST)
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


def first_of_any(rows: QuerySet[Any], *conditions: Q) -> QuerySet[Any]:
    """Return what `any_of` does, for a list that is counted no further than 1,000.

    PostgreSQL would read two million loans for the page of a reader who has some thousand: it is
    asked for the first ones of what all conditions find.
    """
    order = [str(name).removeprefix("-") for name in rows.query.order_by if str(name) != "-pk"]
    if connection.vendor != "postgresql" or any("__" in name for name in order):
        return any_of(rows, *conditions)
    first, *others = (
        rows.filter(condition).order_by().values_list("pk", *order) for condition in conditions
    )
    found = first.union(*others).order_by(*rows.query.order_by)[:COUNTED_AT_MOST]
    return _only(rows, [row[0] for row in found])


def first_of_common(rows: QuerySet[Any], condition: Q) -> QuerySet[Any] | None:
    """Return the first 1,000 rows that fit, or None where they are not near the beginning.

    Looking up all that has a word of half the catalogue takes the longer, the more there is.
    """
    fitting = rows.values_list("pk", ExpressionWrapper(condition, BooleanField()))
    near = sum(fits for _key, fits in fitting[:LOOKED_AT])
    if near < ENOUGH:
        return None
    within = COUNTED_AT_MOST * LOOKED_AT * 6 // 5 // near
    keys = [key for key, fits in fitting[:within] if fits]
    if len(keys) < COUNTED_AT_MOST:
        return None
    return _only(rows, keys[:COUNTED_AT_MOST])


def _only(rows: QuerySet[Any], keys: list[int]) -> QuerySet[Any]:
    """Return those of a search's rows that have these keys; their pages need not count them."""
    return rows.filter(pk__in=known(keys)).alias(**{FOUND: Value(len(keys))})


def number_found(rows: Any) -> int | None:
    """Return how many rows a search has found, 1,000 at most, where it knows."""
    known: Any = rows.query.annotations.get(FOUND)
    return None if known is None else int(known.value)


def is_list(request: HttpRequest) -> bool:
    """Whether the page of a list is asked for, which shows no more than it counts."""
    match = request.resolver_match
    return bool(match and match.url_name and match.url_name.endswith("_changelist"))


def few(found: QuerySet[Any]) -> RawSQL | QuerySet[Any]:
    """Return the primary keys of what was found, or, where they are many, what finds them.

    A list that is narrowed to known rows is read by an index. With a subquery for them PostgreSQL
    goes through the whole list where it expects many and there are none.
    """
    keys = list(found.order_by().values_list("pk", flat=True)[: FEW + 1])
    return known(keys) if len(keys) <= FEW else found.order_by().values("pk")


def known(keys: Iterable[int]) -> RawSQL:
    """Return keys for `pk__in`, as one parameter.

    To send and read a thousand of them took longer than to look them up.
    """
    if connection.vendor == "postgresql":
        return RawSQL("SELECT unnest(%s::bigint[])", (list(keys),))
    return RawSQL("SELECT value FROM json_each(%s)", (json.dumps(list(keys)),))


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
