"""Books and their copies over the REST API; `circulation.api.books` adds what lending decides."""

from rest_framework.views import APIView

from catalog.api.books import BookList
from catalog.api.copies import CopyList

ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("books", BookList, "book-list"),
    ("books/<int:pk>/copies", CopyList, "book-copies"),
)
