"""A book over the REST API with what only lending can decide: whether it may be deleted."""

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api import books
from circulation import deletion


class BookDetail(books.BookDetail):
    access = {**books.BookDetail.access, "DELETE": ("catalog.delete_book",)}

    @extend_schema(operation_id="books_destroy", responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Delete a book and its copies, none of which was ever lent or waited for."""
        with transaction.atomic():
            book = books.locked(request, pk)
            deletion.delete_book(book, by=books.person(request))
        return Response(status=204)


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("books/<int:pk>", BookDetail, "book-detail"),
)
