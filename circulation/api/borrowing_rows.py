"""A borrowing as the API tells of it: the loan, its book, its reader and its money."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from billing.api import MoneyField
from catalog.models import Cover
from circulation.api import borrowing_money
from circulation.api.borrowing_money import TERMS, Account, Row, is_open, is_overdue
from circulation.models import Loan

DATES = ("borrow_date", "expected_return_date", "actual_return_date", "lost_date")
BOOK = {"id": "copy__book_id"} | {
    name: f"copy__book__{name}" for name in ("title", "author", "cover")
}
NAMES = ("reader__first_name", "reader__last_name", "reader__card_number", "reader__email")
COLUMNS = (
    *("id", *DATES, "undone_at", "max_renewals", "copy__barcode", "reader_id"),
    *(*TERMS, *BOOK.values(), *NAMES),
)
# Put together once: to join these tables anew for each request took a tenth of it.
ROWS: Any = Loan.objects.order_by("-borrow_date", "-pk").values(*COLUMNS)


class BookSummarySerializer(serializers.Serializer):
    id = serializers.IntegerField()
    title = serializers.CharField()
    author = serializers.CharField()
    cover = serializers.ChoiceField(choices=Cover.choices)


class PersonSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    name = serializers.CharField()


class BorrowingMoneySerializer(serializers.Serializer):
    """What the loan costs, less what was waived or taken back, in the site's currency."""

    fee = MoneyField(help_text=_("For lending, by the day."))
    fine = MoneyField(help_text=_("For being late; it grows while the book is out."))
    replacement = MoneyField(help_text=_("For a copy that was lost."))
    owed = MoneyField(help_text=_("What is still to be paid of all that."))


class BorrowingSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    borrow_date = serializers.DateField()
    expected_return_date = serializers.DateField()
    actual_return_date = serializers.DateField(allow_null=True)
    lost_date = serializers.DateField(allow_null=True)
    undone_at = serializers.DateTimeField(
        allow_null=True, help_text=_("The check-out was undone: it counts as never made.")
    )
    is_active = serializers.BooleanField(help_text=_("Neither returned nor lost."))
    is_overdue = serializers.BooleanField()
    renewals = serializers.IntegerField()
    max_renewals = serializers.IntegerField()
    book_id = serializers.IntegerField()
    book = BookSummarySerializer()
    barcode = serializers.CharField()
    user_id = serializers.IntegerField()
    user = PersonSerializer()
    money = BorrowingMoneySerializer()
    payments = serializers.ListField(child=serializers.IntegerField())


def one(loan: Loan, *, on: date) -> Row:
    return as_sent(list(ROWS.filter(pk=loan.pk)), on=on)[0]


def as_sent(found: Sequence[Row], *, on: date) -> list[Row]:
    """Complete the COLUMNS of loans, by the same number of queries however many they are."""
    accounts = borrowing_money.of(found, on=on)
    return [_row(row, accounts[row["id"]], on=on) for row in found]


def _row(row: Row, account: Account, *, on: date) -> Row:
    return {
        "id": row["id"],
        **{name: row[name] for name in DATES},
        "undone_at": row["undone_at"],
        "is_active": is_open(row),
        "is_overdue": is_overdue(row, on=on),
        "renewals": row["renewals"],
        "max_renewals": row["max_renewals"],
        "book_id": row["copy__book_id"],
        "book": book_of(row, BOOK),
        "barcode": row["copy__barcode"],
        "user_id": row["reader_id"],
        "user": person_of(row),
        "money": account.as_sent(),
        "payments": sorted(account.payments),
    }


def book_of(row: Row, columns: dict[str, str]) -> Row:
    return {name: row[column] for name, column in columns.items()}


def person_of(row: Row) -> Row:
    """Return a reader whose NAMES were read, called as everywhere else."""
    name = f"{row['reader__first_name']} {row['reader__last_name']}".strip()
    name = name or row["reader__card_number"] or row["reader__email"] or ""
    return {"id": row["reader_id"], "name": name}
