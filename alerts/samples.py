"""Made-up messages of each kind, to look at texts before they go to anybody."""

from collections.abc import Mapping
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone

from alerts import texts
from alerts.backends.base import Message
from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience, Delivery, Event

BOOK = {"book_title": "Solaris", "author": "Lem, Stanisław"}
LOAN = {**BOOK, "barcode": "30001", "due_date": "2026-03-16"}
HOLD = {**BOOK, "pickup_date": "2026-03-13"}
DATA: Mapping[EventKind, dict[str, Any]] = {
    EventKind.LOAN_CREATED: LOAN,
    EventKind.LOAN_RETURNED: {**LOAN, "return_date": "2026-03-09"},
    EventKind.LOAN_RENEWED: LOAN,
    EventKind.LOAN_DUE_SOON: LOAN,
    EventKind.LOAN_OVERDUE: {**LOAN, "days_late": 8, "fine": "3.50"},
    EventKind.HOLD_READY: HOLD,
    EventKind.HOLD_EXPIRING: HOLD,
    EventKind.HOLD_EXPIRED: HOLD,
    EventKind.CHARGE_OPENED: {
        "amount": "1.50",
        "description": "3 open days × 0.50",
        "pay_link": "https://library.example/pay/sample/",
    },
    EventKind.PAYMENT_COMPLETED: {"amount": "8.00"},
    EventKind.PAYMENT_NEEDS_REVIEW: {
        "why": "2.00 USD more than was owed: it is the reader's credit."
    },
    EventKind.NEW_BOOK: BOOK,
    EventKind.IMPORT_FINISHED: {
        "kind": "books",
        "file_name": "books.csv",
        "summary": "books: 120 read, 100 new, 20 changed, 0 unchanged, 0 wrong",
    },
    EventKind.JOB_FAILED: {"job": "accrue_fines", "why": "The database is locked."},
    EventKind.CHANNEL_DISABLED: {"channel": "Staff chat", "why": "The bot was blocked."},
    EventKind.DELIVERY_FAILED: {"channel": "Staff chat", "why": "No answer within 5 seconds."},
}


def message(
    kind: EventKind,
    audience: ChannelAudience,
    *,
    count: int = 1,
    language: str = "",
    data: Mapping[str, Any] | None = None,
) -> Message:
    """Return a message of the kind about `count` things, with `data` instead of our own."""
    reader = get_user_model()(pk=0, first_name="Anna", last_name="Nowak", language=language)
    channel = Channel(name="Sample", audience=audience)
    recipient = reader if audience == ChannelAudience.READERS or language else None
    return texts.message_for(
        [
            Delivery(
                event=Event(
                    kind=kind,
                    reader=reader,
                    data={**DATA[kind], **(data or {})},
                    created_at=timezone.now(),
                ),
                kind=kind,
                channel=channel,
                recipient=recipient,
            )
            for _number in range(count)
        ]
    )
