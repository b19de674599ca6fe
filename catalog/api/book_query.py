"""Which books are asked for, and in which order: the query string of the list."""

from typing import Any

from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request

from catalog import search
from catalog.models import Book, Copy, CopyStatus, Cover

# Only what an index has in order; the id makes each order the same at every reading.
# Books without a year are the oldest, which is SQLite's own order; PostgreSQL sorts them for it.
YEAR = F("published_year")
ORDERS: dict[str, tuple[Any, ...]] = {
    "title": ("title", "id"),
    "-title": ("-title", "-id"),
    "author": ("author", "id"),
    "-author": ("-author", "-id"),
    "published_year": (YEAR.asc(nulls_first=True), "id"),
    "-published_year": (YEAR.desc(nulls_last=True), "-id"),
    "id": ("id",),
    "-id": ("-id",),
}
OF_PAGES = {"page", "page_size"}
UNKNOWN_ORDER = format_lazy(
    _("“{{input}}” is no order. Choose one of: {orders}."), orders=", ".join(ORDERS)
)


class BookQuerySerializer(serializers.Serializer):
    search = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text=_(
            "Words that begin words of title, author, subjects or publisher, or an ISBN or a "
            "barcode. The best thousand matches, the best first unless `ordering` is given."
        ),
    )
    author = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text=_(
            "Words that each begin a word of an author's name, whatever the case and accents."
        ),
    )
    cover = serializers.ChoiceField(choices=Cover.choices, required=False)
    language = serializers.CharField(
        required=False, allow_blank=True, help_text=_("As the records name it.")
    )
    available = serializers.BooleanField(
        required=False, help_text=_("Whether a copy is available now.")
    )
    ordering = serializers.ChoiceField(
        choices=list(ORDERS),
        required=False,
        allow_blank=True,
        help_text=_("`-` in front turns the order round. By title, where nothing is searched for."),
        error_messages={"invalid_choice": UNKNOWN_ORDER},
    )


def asked(request: Request) -> dict[str, Any]:
    """Return the parameters that were given, validated; an empty value asks for nothing."""
    given = {name: value for name, value in request.query_params.items() if value}
    if not given.keys() - OF_PAGES:
        return {}
    query = BookQuerySerializer(data=given)
    query.is_valid(raise_exception=True)
    found: dict[str, Any] = query.validated_data
    return found


def select(asked: dict[str, Any]) -> QuerySet[Book]:
    """Return the books that a validated query asks for, in its order."""
    books = Book.objects.all()
    for column in ("cover", "language"):
        if value := asked.get(column):
            books = books.filter(**{column: value})
    if "available" in asked:
        free = Copy.objects.filter(book=OuterRef("pk"), status=CopyStatus.AVAILABLE)
        books = books.filter(Exists(free) if asked["available"] else ~Exists(free))
    if author := asked.get("author"):
        books = search.by_author(author, books)
    if words := asked.get("search"):
        books = search.search(words, books)
    if asked.get("ordering") or not words:
        books = books.order_by(*ORDERS[asked.get("ordering") or "title"])
    return books
