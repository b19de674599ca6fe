"""Search: one way to find books by title, author, ISBN, subject or barcode, for every door."""

import re
from typing import Any

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db import connection
from django.db.models import CharField, Q, QuerySet, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Concat, StrIndex, Substr

from catalog import isbn as isbns
from catalog.models import Book, Copy
from catalog.text import AFTER_AUTHOR, fold

MOST_RESULTS = 1000
# Of a word that half the catalogue has, only so many matches are ranked: all would take too long.
MOST_RANKED = 20_000
MOST_WORDS = 32
LONGEST_WORD = 100
BARCODE = re.compile(r"[\x21-\x7e]{1,64}")
ISBN_NOTATION = re.compile(r"[\d\s-]{9,}[\dXx]")

# A match in the title outweighs any number in the rest. Of the best, exact titles come first, then
# those that begin with the query.
SQLITE_RANKED = """
    SELECT book.id FROM (
        SELECT rowid AS id, score FROM (
            SELECT rowid, bm25(catalog_book_search, 100.0, 1.0) AS score
            FROM catalog_book_search
            WHERE catalog_book_search MATCH %s {narrowed} LIMIT %s
        ) ORDER BY score, rowid LIMIT %s
    ) AS best JOIN catalog_book AS book ON book.id = best.id
    ORDER BY book.search_title <> %s, book.search_title NOT LIKE %s, best.score, book.id
"""
POSTGRESQL_RANKED = """
    SELECT book.id FROM (
        SELECT id, score FROM (
            SELECT id, -ts_rank('{{0, 0, 0.01, 1}}', search_vector, query, 1) AS score
            FROM catalog_book, to_tsquery('simple', %s) AS query
            WHERE search_vector @@ query {narrowed} LIMIT %s
        ) AS matching ORDER BY score, id LIMIT %s
    ) AS best JOIN catalog_book AS book ON book.id = best.id
    ORDER BY book.search_title <> %s, book.search_title NOT LIKE %s, best.score, book.id
"""


def search(query: str, books: QuerySet[Book] | None = None) -> QuerySet[Book]:
    """Return the books among `books` (all by default) that the query finds, the best first.

    Every word is the beginning of a word in the book, whatever the case and accents. A barcode
    finds its book in full only. At most the first 1,000 matches are returned, as a queryset that
    can be filtered and ordered further; a blank query returns `books` as they are.
    """
    books = Book.objects.all() if books is None else books
    if not query.strip():
        return books
    found = dict.fromkeys([*_by_barcode(query), *_by_words(query, books)])
    return _in_this_order(books, list(found))


def by_author(name: str, books: QuerySet[Book]) -> QuerySet[Book]:
    """Return those of `books` one of whose authors' names has a word that begins so, for each word.

    Case, accents and the order of the words do not matter. A name without a letter or digit finds
    nothing.
    """
    words = _words(fold(name))
    if not words:
        return books.none()
    end_of_author = StrIndex("search_rest", Value(AFTER_AUTHOR))
    credited = Concat(Value(" "), Substr("search_rest", 1, end_of_author))
    begins = Q(*(Q(credited__contains=f" {word}") for word in words))
    return books.alias(credited=credited).filter(begins, pk__in=_with_in_the_rest(words))


def _with_in_the_rest(words: list[str]) -> RawSQL:
    """Return which books have the words anywhere but in the title, by the index alone."""
    if connection.vendor == "postgresql":
        return RawSQL(
            "SELECT id FROM catalog_book WHERE search_vector @@ to_tsquery('simple', %s)",
            (" & ".join(f"'{word}':*B" for word in words),),
        )
    every = " AND ".join(f'"{word}"*' for word in words)
    return RawSQL(
        "SELECT rowid FROM catalog_book_search WHERE catalog_book_search MATCH %s",
        (f"search_rest : ({every})",),
    )


def _by_barcode(query: str) -> list[int]:
    code = query.strip()
    if not BARCODE.fullmatch(code):
        return []
    return list(Copy.objects.filter(barcode=code).values_list("book_id", flat=True))


def _by_words(query: str, books: QuerySet[Book]) -> list[int]:
    """Return the ids of the best matches in the database's search index, best first."""
    folded = fold(query)
    expression = _expression(folded, _as_isbn(query))
    if not expression:
        return []
    ranked = POSTGRESQL_RANKED if connection.vendor == "postgresql" else SQLITE_RANKED
    try:
        narrowed, parameters = _narrowed(books)
    except EmptyResultSet:  # no book is what it is narrowed to
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            ranked.format(narrowed=narrowed),
            [expression, *parameters, MOST_RANKED, MOST_RESULTS, folded, f"{folded}%"],
        )
        return [row[0] for row in cursor.fetchall()]


def _expression(folded: str, isbn: str) -> str:
    """Return the query in the language of the database's index.

    Folded words are letters and digits only, so that quoting them is enough.
    """
    if not folded:
        return ""
    words = _words(folded)
    if connection.vendor == "postgresql":
        every = " & ".join(f"'{word}':*" for word in words)
        return f"({every}) | '{isbn}'" if isbn else every
    every = " AND ".join(f'"{word}"*' for word in words)
    return f'({every}) OR "{isbn}"' if isbn else every


def _words(folded: str) -> list[str]:
    different = dict.fromkeys(word[:LONGEST_WORD] for word in folded.split())
    return list(different)[:MOST_WORDS]


def _as_isbn(query: str) -> str:
    """Return the ISBN-13 that the whole query is, in any notation, or ""."""
    if not ISBN_NOTATION.fullmatch(query.strip()[:40]):
        return ""
    try:
        return isbns.normalise(query)
    except ValidationError:
        return ""


def _narrowed(books: QuerySet[Book]) -> tuple[str, tuple[Any, ...]]:
    """Return SQL that keeps the ranking to `books`, with its parameters.

    SQLite would look into its index once for every book that there is to choose from: asked of each
    match, it looks at the matches only.
    """
    if not books.query.where:
        return "", ()
    keys = books.order_by().values("pk")
    if connection.vendor == "postgresql":
        sql, parameters = keys.query.sql_with_params()
        return f"AND id IN ({sql})", parameters
    matching = keys.filter(pk=RawSQL("catalog_book_search.rowid", ()))
    sql, parameters = matching.query.sql_with_params()
    return f"AND EXISTS ({sql})", parameters


def _in_this_order(books: QuerySet[Book], ids: list[int]) -> QuerySet[Book]:
    listed = "," + "".join(f"{pk}," for pk in ids)
    own = Concat(Value(","), Cast("pk", CharField()), Value(","), output_field=TextField())
    return books.filter(pk__in=ids).order_by(StrIndex(Value(listed), own))
