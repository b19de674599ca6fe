"""Counting rows that belong to those of a query, inside it and without joining them."""

from typing import Any

from django.db.models import Count, IntegerField, QuerySet, Subquery
from django.db.models.functions import Coalesce


def number_of(rows: QuerySet[Any, Any], by: str) -> Coalesce:
    """Return an expression: how many rows there are, from 0.

    They are narrowed by `OuterRef` to those of one value of the field `by`.
    """
    counted = rows.order_by().values(by).annotate(number=Count("*")).values("number")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
