"""What is exported and never imported: payments, which only the ledger writes."""

from typing import Any

from django.db.models import QuerySet

from billing.models import Payment


class Payments:
    """A payment for each row, with what became of it; open ones say what is still to be paid."""

    model = Payment
    exported = (
        ("payment", "pk"),
        ("card_number", "reader__card_number"),
        ("status", "status"),
        ("type", "type"),
        ("barcode", "borrowing__copy__barcode"),
        ("money_to_pay", "money_to_pay"),
        ("currency", "currency"),
        ("provider", "provider"),
        ("paid_amount", "paid_amount"),
        ("paid_at", "paid_at"),
        ("refunded_amount", "refunded_amount"),
        ("taken_by", "taken_by__card_number"),
        ("session_id", "session_id"),
        ("transaction_id", "transaction_id"),
        ("created_at", "created_at"),
    )

    def to_export(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows


PAYMENTS = Payments()
