"""Rows found for the admin's search boxes by the words of the book they belong to."""

from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest

from alerts.backoffice.paging import any_of, first_of_any, first_of_common, is_list, known
from catalog.search import MOST_RESULTS, found, says


def with_book(
    request: HttpRequest,
    rows: QuerySet[Any],
    term: str,
    *others: Q,
    book: str,
    are_many: bool = True,
) -> QuerySet[Any]:
    """Return the rows whose `book` is found by a term, or for which one of the others holds.

    They are those of the best thousand books; but where the words are common, and nothing else
    narrows the list, those of all. (Unless the rows are many, it takes longer to read them than to
    look up those of the best.) The page of a list, which counts no further, has the first 1,000.
    """
    books, of_page = found(term), is_list(request)
    if are_many and len(books) >= MOST_RESULTS and not rows.query.where:
        fits = reduce(or_, others, says(term, f"{book}__"))
        if (common := first_of_common(rows, fits)) is not None:
            return common if of_page else rows.filter(fits)
    conditions = (Q((f"{book}__in", known(books))), *others)
    return first_of_any(rows, *conditions) if of_page else any_of(rows, *conditions)
