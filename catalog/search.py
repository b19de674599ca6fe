"""Search: one way to find books by title, author, ISBN, subject or barcode, for every door."""

import re
from typing import Any

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db import connection
from django.db.models import CharField, Q, QuerySet, TextField, Value
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast, Concat, StrIndex, Substr
from django.db.models.lookups import GreaterThan

from alerts.backoffice.paging import known
from catalog import isbn as isbns
from catalog.models import Book, Copy
from catalog.text import AFTER_AUTHOR, fold

MOST_RESULTS = 1000
# Of a word that more books have, only the first so many are ranked: all would take too long.
MOST_RANKED, RANKED_OF_MORE = 20_000, 5000
SAMPLE = 500
MOST_WORDS = 32
LONGEST_WORD = 100
BARCODE = re.compile(r"[\x21-\x7e]{1,64}")
ISBN_NOTATION = re.compile(r"[\d\s-]{9,}[\dXx]")

# A match in the title outweighs any number in the rest. Of the best, exact titles come first, then
# those that begin with the query.
SQLITE_RANKED = """
    SELECT book.id, best.ranked FROM (
        SELECT rowid AS id, score, COUNT(*) OVER () AS ranked FROM (
            SELECT rowid, bm25(catalog_book_search, 100.0, 1.0) AS score
            FROM catalog_book_search
            WHERE catalog_book_search MATCH {expression} {narrowed} LIMIT %s
        ) ORDER BY score, rowid LIMIT %s
    ) AS best JOIN catalog_book AS book ON book.id = best.id
    ORDER BY book.search_title <> %s, book.search_title NOT LIKE %s, best.score, book.id
"""
POSTGRESQL_RANKED = """
    SELECT book.id, best.ranked FROM (
        SELECT id, score, COUNT(*) OVER () AS ranked FROM (
            SELECT id, -ts_rank('{{0, 0, 0.01, 1}}', search_vector, query, 1) AS score
            FROM catalog_book, to_tsquery('simple', {expression}) AS query
            WHERE search_vector @@ query {narrowed} LIMIT %s
        ) AS matching ORDER BY score, id LIMIT %s
    ) AS best JOIN catalog_book AS book ON book.id = best.id
    ORDER BY book.search_title <> %s, book.search_title NOT LIKE %s, best.score, book.id
"""
EXPECTED = """
    EXPLAIN (FORMAT JSON) SELECT 1 FROM catalog_book
    WHERE search_vector @@ to_tsquery('simple', {expression})
"""
SQLITE_HAS_LETTER = """
    AND EXISTS (
        SELECT 1 FROM catalog_book
        WHERE catalog_book.id = catalog_book_search.rowid
        AND instr(' ' || search_title || ' ' || search_rest, ' ' || %s) > 0
    )
"""
POSTGRESQL_HAS_LETTER = " AND strpos(' ' || search_title || ' ' || search_rest, ' ' || %s) > 0"


def search(
    query: str, books: QuerySet[Book] | None = None, *, most: int = MOST_RESULTS
) -> QuerySet[Book]:
    """Return the books among `books` (all by default) that the query finds, the best first.

    Every word is the beginning of a word in the book, whatever the case and accents. A barcode
    finds its book in full only. At most the first 1,000 matches are returned, as a queryset that
    can be filtered and ordered further; a blank query returns `books` as they are.
    """
    books = Book.objects.all() if books is None else books
    if not query.strip():
        return books
    return _in_this_order(books, found(query, books)[:most])


def found(query: str, books: QuerySet[Book] | None = None) -> list[int]:
    """Return the primary keys of what `search` returns for a query that is not blank."""
    books = Book.objects.all() if books is None else books
    return list(dict.fromkeys([*_by_barcode(query), *_by_words(query, books)]))


def says(query: str, book: str = "") -> Q:
    """Return the condition that a row's book has the query's words, read from its text.

    `book` is the way from the row to its book, such as `copy__book__`.
    """
    parts = (Value(" "), f"{book}search_title", Value(" "), f"{book}search_rest")
    text = Concat(*parts, output_field=TextField())
    words = _words(fold(query))
    return Q(*(GreaterThan(StrIndex(text, Value(f" {word}")), 0) for word in words))


def by_author(name: str, books: QuerySet[Book]) -> QuerySet[Book]:
    """Return those of `books` one of whose authors' names has a word that begins so, for each word.

    Case, accents and the order of the words do not matter. A name without a letter or digit finds
    nothing.
    """
    words = _words(fold(name))
    if not words:
        return books.none()
    end_of_author = StrIndex("search_rest", Value(AFTER_AUTHOR))
    author = Concat(Value(" "), Substr("search_rest", 1, end_of_author), output_field=TextField())
    begins = Q(*(Q(credited__contains=f" {word}") for word in words))
    all_of = Book.objects.alias(credited=author).filter(begins)
    if _is_common(words, all_of):
        # In every order of a list the first ones are near; of a LIKE PostgreSQL expects few.
        read = (GreaterThan(StrIndex(author, Value(f" {word}")), 0) for word in words)
        return books.filter(*read)
    return books.alias(credited=author).filter(begins, pk__in=_with_in_the_rest(words))


def _is_common(words: list[str], credited: QuerySet[Book]) -> bool:
    """Tell whether many books have the words but in the title, and not few of them in the author.

    A word of publishers is no author's, however many books have it.
    """
    if not _are_more(_in_the_rest(words), than=MOST_RANKED):
        return False
    first = credited.filter(pk__in=_with_in_the_rest(words, most=SAMPLE))
    return first.count() * 10 > SAMPLE


def _in_the_rest(words: list[str]) -> str:
    if connection.vendor == "postgresql":
        return " & ".join(f"'{word}':*B" for word in words)
    every = " AND ".join(f'"{word}"*' for word in words)
    return f"search_rest : ({every})"


def _with_in_the_rest(words: list[str], *, most: int | None = None) -> RawSQL:
    """Return which books have the words anywhere but in the title, by the index alone."""
    if connection.vendor == "postgresql":
        return RawSQL(
            "SELECT id FROM catalog_book WHERE search_vector @@ to_tsquery('simple', %s) LIMIT %s",
            (_in_the_rest(words), most),
        )
    return RawSQL(
        "SELECT rowid FROM catalog_book_search WHERE catalog_book_search MATCH %s LIMIT %s",
        (_in_the_rest(words), -1 if most is None else most),
    )


def _by_barcode(query: str) -> list[int]:
    code = query.strip()
    if not BARCODE.fullmatch(code):
        return []
    return list(Copy.objects.filter(barcode=code).values_list("book_id", flat=True))


def _by_words(query: str, books: QuerySet[Book]) -> list[int]:
    """Return the ids of the best matches in the database's search index, best first."""
    folded, isbn = fold(query), _as_isbn(query)
    words = _words(folded)
    if not words:
        return []
    longer, letters = (words, []) if isbn else _parted(words)
    expression = _expression(longer, isbn)
    try:
        narrowed, parameters = _narrowed(books)
    except EmptyResultSet:  # no book is what it is narrowed to
        return []
    is_postgresql = connection.vendor == "postgresql"
    ranked = POSTGRESQL_RANKED if is_postgresql else SQLITE_RANKED
    narrowed += (POSTGRESQL_HAS_LETTER if is_postgresql else SQLITE_HAS_LETTER) * len(letters)
    sql = ranked.format(expression=_quoted(expression), narrowed=narrowed)

    def best_of(most: int) -> list[tuple[int, int]]:
        with connection.cursor() as cursor:
            limits = (most, MOST_RESULTS, folded, f"{folded}%")
            cursor.execute(sql, [*parameters, *letters, *limits])
            return list(cursor.fetchall())

    best = best_of(RANKED_OF_MORE)
    if best and best[0][1] == RANKED_OF_MORE and not _are_more(expression, than=MOST_RANKED):
        best = best_of(MOST_RANKED)
    return [pk for pk, _ranked in best]


def _parted(words: list[str]) -> tuple[list[str], list[str]]:
    """Part the words that an index is asked for from letters that are looked for in their books.

    Half of all words begin with a few letters: to merge what an index has of one takes too long.
    """
    longer = [word for word in words if len(word) > 1]
    return (longer, [word for word in words if len(word) == 1]) if longer else (words, [])


def _are_more(expression: str, *, than: int) -> bool:
    """Tell whether more books match; PostgreSQL tells what it expects."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(EXPECTED.format(expression=_quoted(expression)))
            [([explained],)] = cursor.fetchall()
            return bool(explained["Plan"]["Plan Rows"] > than)
        cursor.execute(
            "SELECT 1 FROM catalog_book_search WHERE catalog_book_search MATCH %s "
            "LIMIT 1 OFFSET %s",
            [expression, than],
        )
        return cursor.fetchone() is not None


def _quoted(expression: str) -> str:
    """Return an expression as a literal: of a parameter PostgreSQL may not know how much it finds.

    It is made of letters and digits, signs of our own, and no percent sign.
    """
    return "'" + expression.replace("'", "''") + "'"


def _expression(words: list[str], isbn: str) -> str:
    """Return words, and an ISBN that may be "", in the language of the database's index.

    Folded words are letters and digits only, so that quoting them is enough.
    """
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
    return books.filter(pk__in=known(ids)).order_by(StrIndex(Value(listed), own))
