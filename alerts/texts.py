"""The texts of messages: templates by kind, in the reader's language, one or many things at once.

`alerts/<kind>/subject.txt`, `text.txt` and `text.html` get `event` (what the texts say, and its
reader) or, for several, `events`; a library overrides them with files of the same names in
ALERT_TEMPLATES.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import translation

from alerts.backends.base import Message
from alerts.events import KINDS, EventKind
from alerts.models import ChannelAudience, Delivery, Event, new_message_id

SUMS = ("amount", "fine", "credit")
METADATA = ("book_title", "due_date", "amount", "pickup_date")


def message_for(deliveries: Sequence[Delivery]) -> Message:
    """Return the message for deliveries of one kind, channel and recipient."""
    first = deliveries[0]
    recipient = first.recipient
    language = getattr(recipient, "language", "") or settings.LANGUAGE_CODE
    kind = EventKind(first.kind)
    names_reader = (
        first.channel.audience == ChannelAudience.READERS or settings.STAFF_ALERTS_NAME_READERS
    )
    context = {
        "events": [_shown(delivery.event, names_reader=names_reader) for delivery in deliveries],
        "for_staff": first.channel.audience == ChannelAudience.STAFF,
        "recipient": recipient,
        "site_url": settings.SITE_URL,
        "currency": settings.CURRENCY,
    }
    context["event"] = context["events"][0]
    with translation.override(language):
        subject = _render(kind, "subject.txt", context)
        text = _render(kind, "text.txt", context)
        html = _render(kind, "text.html", context)
    return Message(
        id=first.message_id or new_message_id(),
        kind=kind,
        notification_type=KINDS[kind].notification_type,
        subject=" ".join(subject.split()),
        text=text.strip() + "\n",
        html=html,
        created_at=first.event.created_at,
        recipient_id=recipient.pk if recipient else None,
        recipient_email=getattr(recipient, "notice_email", "") if recipient else "",
        metadata=_metadata(first.event),
    )


def _render(kind: EventKind, part: str, context: dict[str, Any]) -> str:
    return render_to_string(f"alerts/{kind.lower()}/{part}", context)


def _shown(event: Event, *, names_reader: bool) -> dict[str, Any]:
    """Return what a template may say of an event: dates as dates, sums as sums."""
    shown = {name: _value(name, value) for name, value in event.data.items()}
    shown["reader"] = str(event.reader) if event.reader and names_reader else ""
    return shown


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return value
    if name.endswith("_date"):
        return date.fromisoformat(value)
    return Decimal(value) if name in SUMS else value


def _metadata(event: Event) -> dict[str, Any]:
    """Return what programs read of an event."""
    told = {name: value for name, value in event.data.items() if name in METADATA}
    app_row, _colon, number = event.subject.rpartition(":")
    told[f"{app_row.rpartition('.')[2]}_id"] = number
    return told
