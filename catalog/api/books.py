"""Books: the list that anybody may search, and what staff write."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.views import APIView

from catalog import books, inventory
from catalog.api import conditional
from catalog.api.book_fields import (
    BookInputSerializer,
    BookSerializer,
    Row,
    as_sent,
    columns,
    listed,
)
from catalog.api.book_query import BookQuerySerializer, asked, select
from catalog.models import Book

LONGEST_REASON = 100
FOR_COPIES = ("catalog.add_copy", "catalog.change_copy")


class BookList(GenericAPIView):
    access = {"GET": ("anyone",), "POST": ("catalog.add_book",)}
    is_conditional = True

    @extend_schema(
        operation_id="books_list",
        parameters=[BookQuerySerializer],
        responses=BookSerializer(many=True),
    )
    def get(self, request: Request) -> HttpResponse:
        """List the catalogue, or what is searched for in it."""
        found = self.paginate_queryset(listed(select(asked(request))))
        page = self.get_paginated_response([as_sent(row) for row in found])
        return conditional.answer(request, page.data)

    @extend_schema(
        operation_id="books_create",
        request=BookInputSerializer,
        responses={201: BookSerializer},
    )
    def post(self, request: Request) -> HttpResponse:
        """Add a book, with as many copies as `inventory` says."""
        book = Book()
        with transaction.atomic():
            write(book, request)
            content = read(book.pk)
        response = conditional.answer(request, content, status=201)
        response.headers["Location"] = reverse("api:book-detail", args=[book.pk])
        return response


class BookDetail(APIView):
    """One book; who deletes it is asked by `circulation.api.books`, which knows of loans."""

    access: dict[str, tuple[str, ...]] = {
        "GET": ("anyone",),
        "PUT": ("catalog.change_book",),
        "PATCH": ("catalog.change_book",),
    }
    is_conditional = True
    conflicts = True

    @extend_schema(operation_id="books_retrieve", responses=BookSerializer)
    def get(self, request: Request, pk: int) -> HttpResponse:
        """Show one book."""
        return conditional.answer(request, read(pk))

    @extend_schema(
        operation_id="books_update", request=BookInputSerializer, responses=BookSerializer
    )
    def put(self, request: Request, pk: int) -> HttpResponse:
        """Change a book. What is left out stays as it is, the copies too."""
        return self._change(request, pk)

    @extend_schema(
        operation_id="books_partial_update", request=BookInputSerializer, responses=BookSerializer
    )
    def patch(self, request: Request, pk: int) -> HttpResponse:
        """Change some fields of a book."""
        return self._change(request, pk, is_partial=True)

    def _change(self, request: Request, pk: int, *, is_partial: bool = False) -> HttpResponse:
        with transaction.atomic():
            book = locked(request, pk)
            write(book, request, is_partial=is_partial)
            content = read(pk)
        return conditional.answer(request, content)


def read(pk: int) -> Row:
    """Return a book as it is sent. Raises NotFound."""
    row = columns(Book.objects.filter(pk=pk)).first()
    if row is None:
        raise NotFound
    return as_sent(row)


def locked(request: Request, pk: int) -> Book:
    """Return a book that nobody else changes meanwhile, and that is as the client last saw it.

    Raises NotFound and PreconditionFailedError.
    """
    book = Book.objects.select_for_update(no_key=True).filter(pk=pk).first()
    if book is None:
        raise NotFound
    conditional.require_match(request, read(pk))
    return book


def write(book: Book, request: Request, *, is_partial: bool = False) -> None:
    """Take what a client sent into a book that is new or locked, and save it."""
    sent = BookInputSerializer(book, data=request.data, partial=is_partial)
    sent.is_valid(raise_exception=True)
    given: dict[str, Any] = dict(sent.validated_data)
    available = given.pop("inventory", None)
    if available == (inventory.available(book) if book.pk else 0):
        available = None
    if available is not None and not request.user.has_perms(FOR_COPIES):
        raise PermissionDenied(_("You may not add or withdraw copies: leave out `inventory`."))
    for name, value in given.items():
        setattr(book, name, value)
    by = person(request)
    # Rows made in bulk get their reason here; to all others config.rest.keys gives the same.
    reason = "" if by else f"API: {request.user}"[:LONGEST_REASON]
    books.save(book, by=by, available=available, reason=reason)


def person(request: Request) -> Any:
    """Return who is signed in, or None for another system, which is no person."""
    return request.user if isinstance(request.user, get_user_model()) else None
