"""The copies of a book, for staff: which barcodes there are, and where each piece is."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from catalog.models import Book, Copy

COLUMNS = ("id", "barcode", "status", "price", "note", "acquired_date")


class CopySerializer(serializers.ModelSerializer):
    item_type = serializers.CharField(source="item_type.name", read_only=True, allow_null=True)

    class Meta:
        model = Copy
        fields = (*COLUMNS, "item_type")
        read_only_fields = COLUMNS


class CopyList(GenericAPIView):
    access = {"GET": ("catalog.view_copy",)}

    @extend_schema(operation_id="books_copies_list", responses=CopySerializer(many=True))
    def get(self, request: Request, pk: int) -> Response:
        """List the copies of a book by barcode, those withdrawn or lost too."""
        if not Book.objects.filter(pk=pk).exists():
            raise NotFound
        copies = Copy.objects.filter(book=pk).order_by("barcode")
        found = self.paginate_queryset(copies.values(*COLUMNS, "item_type__name"))
        return self.get_paginated_response([_as_sent(row) for row in found])


def _as_sent(row: dict[str, Any]) -> dict[str, Any]:
    row["item_type"] = row.pop("item_type__name")
    if row["price"] is not None:
        row["price"] = str(row["price"])
    return row
