"""What must be true of books: one function per invariant, yielding what is wrong and where."""

from collections.abc import Iterator

from catalog import search_index, text
from catalog.models import Book

# What the derived columns are made of, and they themselves.
DERIVED_FROM = (
    "title",
    "author",
    "isbn",
    "printed_isbn",
    "publisher",
    "published_year",
    "language",
    "subjects",
    "call_number",
)
DERIVED = ("identity", "search_title", "search_rest")
AT_ONCE = 1000


def derived_columns_are_current() -> Iterator[str]:
    """Compare every book, streamed: about half a minute for a million."""
    for book in Book.objects.only(*DERIVED_FROM, *DERIVED).order_by().iterator(AT_ONCE):
        identity = text.identity(book.title, book.author, book.language, book.published_year)
        if (book.search_title, book.search_rest) != text.search_columns(book):
            yield f"book {book.pk}: search columns"
        if book.identity != identity:
            yield f"book {book.pk}: identity"


def search_index_is_current() -> Iterator[str]:
    if not search_index.is_current():
        yield "catalog_book_search: rebuild it with catalog.search_index.rebuild()"
