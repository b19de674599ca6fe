"""A book as the API speaks of it: the fields that are sent, and those that are taken."""

from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import IntegerField, QuerySet
from django.db.models.expressions import RawSQL
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from catalog import inventory
from catalog import isbn as isbns
from catalog.api.listed import Listed
from catalog.imports.values import FIRST_YEAR, LAST_YEAR
from catalog.models import Book

COLUMNS = (
    "id",
    "title",
    "author",
    "cover",
    "daily_fee",
    "isbn",
    "publisher",
    "published_year",
    "language",
    "subjects",
    "call_number",
    "source_id",
)
# Counted in the query of the page: a second one took a fifth of the request.
INVENTORY = RawSQL(
    "SELECT COUNT(*) FROM catalog_copy "
    "WHERE catalog_copy.book_id = catalog_book.id AND catalog_copy.status = 'available'",
    (),
    output_field=IntegerField(),
)
Row = dict[str, Any]


def columns(books: QuerySet[Book]) -> QuerySet[Book, Row]:
    """Return the columns of what `as_sent` completes."""
    return books.annotate(inventory=INVENTORY).values(*COLUMNS, "inventory")


def listed(books: QuerySet[Book]) -> Listed:
    return Listed(books, columns(books))


def as_sent(row: Row) -> Row:
    row["daily_fee"] = str(row["daily_fee"])
    return row


class BookSerializer(serializers.ModelSerializer):
    """A book as it is sent."""

    inventory = serializers.IntegerField(
        read_only=True, help_text=gettext_lazy("How many copies are available now.")
    )

    class Meta:
        model = Book
        fields = (*COLUMNS, "inventory")
        read_only_fields = COLUMNS


class Text(serializers.CharField):
    """Takes no number for a text, as the schema says."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field({"oneOf": [{"type": "string"}, {"type": "number"}], "nullable": True})
class NumberText(serializers.CharField):
    """A number of many digits, which some systems send without quotation marks."""


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "format": "decimal", "pattern": r"^\d{1,6}(\.\d{1,2})?$"},
            {"type": "number", "minimum": 0, "maximum": 999999, "multipleOf": 0.01},
        ]
    }
)
class FeeField(serializers.DecimalField):
    """Sent as text; a number of JSON is taken, too."""


@extend_schema_serializer(component_name="Book")
class BookInputSerializer(serializers.ModelSerializer):
    """What may be written of a book. What is left out stays as it is, with PUT as with PATCH."""

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        models.CharField: Text,
        models.TextField: Text,
    }

    isbn = NumberText(
        max_length=40,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text=gettext_lazy("Ten or thirteen digits, with or without hyphens."),
    )
    source_id = NumberText(
        max_length=100,
        required=False,
        allow_null=True,
        allow_blank=True,
        help_text=gettext_lazy("The record's number in the system it came from."),
    )
    published_year = serializers.IntegerField(
        min_value=FIRST_YEAR, max_value=LAST_YEAR, required=False, allow_null=True
    )
    daily_fee = FeeField(max_digits=8, decimal_places=2, min_value=Decimal(0), required=False)
    inventory = serializers.IntegerField(
        min_value=0,
        max_value=inventory.MOST_COPIES_AT_ONCE,
        required=False,
        help_text=gettext_lazy(
            "How many copies shall be available: some are added, or free ones are withdrawn. Left "
            "out, the copies stay as they are; a new book then has none."
        ),
    )

    class Meta:
        model = Book
        fields = (*COLUMNS[1:], "inventory")

    def validate_isbn(self, raw: str | None) -> str | None:
        return isbns.normalise(raw) if raw else None
