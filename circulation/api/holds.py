"""Holds over the API: a reader's places in the queues, taken and given up."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.api.listed import Listed
from catalog.models import Book
from circulation import holds
from circulation.api.borrowing_money import Row
from circulation.api.borrowing_rows import (
    NAMES,
    BookSummarySerializer,
    PersonSerializer,
    book_of,
    person_of,
)
from circulation.api.callers import (
    LARGEST_ID,
    acting,
    asked,
    chosen_reader,
    is_staff_with,
    narrowed_to,
    sent,
)
from circulation.models import Hold, HoldQuerySet, HoldStatus

VIEW = "circulation.view_hold"
PLACE = "circulation.add_hold"
CANCEL = "circulation.change_hold"

BOOK = {name: f"book__{name}" for name in ("id", "title", "author", "cover")}
COLUMNS = (
    *("id", "reader_id", *NAMES, *BOOK.values(), "status", "placed_at", "closed_at"),
    *("pickup_until", "copy__barcode", "position"),
)


class HoldQuerySerializer(serializers.Serializer):
    user_id = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_ID,
        help_text=gettext_lazy("Of this reader. Readers see their own holds in any case."),
    )
    status = serializers.ChoiceField(choices=HoldStatus.choices, required=False)


class PlacingSerializer(serializers.Serializer):
    book = serializers.IntegerField(min_value=1, max_value=LARGEST_ID)
    user_id = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=LARGEST_ID,
        help_text=gettext_lazy("Who waits, as staff say: the caller, unless it is given."),
    )


class HoldSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    book_id = serializers.IntegerField()
    book = BookSummarySerializer()
    user_id = serializers.IntegerField()
    user = PersonSerializer()
    status = serializers.ChoiceField(choices=HoldStatus.choices)
    placed_at = serializers.DateTimeField()
    position = serializers.IntegerField(
        allow_null=True, help_text=gettext_lazy("The place in the queue, from 1, while it waits.")
    )
    pickup_until = serializers.DateField(allow_null=True)
    barcode = serializers.CharField(
        allow_null=True, help_text=gettext_lazy("Of the copy that lies ready.")
    )
    closed_at = serializers.DateTimeField(allow_null=True)


class HoldList(GenericAPIView):
    access = {"GET": ("reader", VIEW), "POST": (PLACE, "self-service:hold")}
    conflicts = True

    @extend_schema(
        operation_id="holds_list",
        parameters=[HoldQuerySerializer],
        responses=HoldSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List holds, the newest first: one's own, or all for staff."""
        query = asked(HoldQuerySerializer, request)
        sees_all = is_staff_with(request, VIEW)
        reader = narrowed_to(request, query.get("user_id"), sees_all=sees_all)
        found = Hold.objects.all()
        if reader is not None:
            found = found.filter(reader=reader)
        if status := query.get("status"):
            found = found.filter(status=status)
        rows = self.paginate_queryset(Listed(found, _read(found.order_by("-placed_at", "-pk"))))
        return self.get_paginated_response([_row(row) for row in rows])

    @extend_schema(
        operation_id="holds_create", request=PlacingSerializer, responses={201: HoldSerializer}
    )
    def post(self, request: Request) -> Response:
        """Take the last place in the queue for a book."""
        given = sent(PlacingSerializer, request)
        reader = chosen_reader(request, given.get("user_id"), permission=PLACE)
        book = Book.objects.filter(pk=given["book"]).first()
        if book is None:
            raise ValidationError({"book": [_("There is no book with this number.")]})
        hold = holds.place(reader, book, by=acting(request))
        headers = {"Location": reverse("api:hold-detail", args=[hold.pk])}
        return Response(_told(hold), status=201, headers=headers)


class HoldDetail(APIView):
    access = {"GET": ("reader", VIEW), "DELETE": (CANCEL, "self-service:hold")}
    conflicts = True

    @extend_schema(operation_id="holds_retrieve", responses=HoldSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Show one hold."""
        return Response(_told(_find(request, pk, permission=VIEW)))

    @extend_schema(operation_id="holds_destroy", responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        """Cancel a hold; a copy that lies ready for it passes on to the next in the queue."""
        holds.cancel(_find(request, pk, permission=CANCEL), by=acting(request))
        return Response(status=204)


def _find(request: Request, pk: int, *, permission: str) -> Hold:
    """Return a hold that the caller may see, or act on. Raises NotFound."""
    found: HoldQuerySet = Hold.objects.filter(pk=pk)
    if not is_staff_with(request, permission):
        found = found.filter(reader=request.user.pk)
    hold = found.first()
    if hold is None:
        raise NotFound
    return hold


def _told(hold: Hold) -> Row:
    return _row(_read(Hold.objects.filter(pk=hold.pk))[0])


def _read(found: HoldQuerySet) -> Any:
    return holds.with_position(found).values(*COLUMNS)


def _row(row: Row) -> Row:
    return {
        "id": row["id"],
        "book_id": row["book__id"],
        "book": book_of(row, BOOK),
        "user_id": row["reader_id"],
        "user": person_of(row),
        "status": row["status"],
        "placed_at": row["placed_at"],
        "position": row["position"] if row["status"] == HoldStatus.WAITING else None,
        "pickup_until": row["pickup_until"],
        "barcode": row["copy__barcode"] if row["status"] == HoldStatus.READY else None,
        "closed_at": row["closed_at"],
    }


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("holds", HoldList, "hold-list"),
    ("holds/<int:pk>", HoldDetail, "hold-detail"),
)
