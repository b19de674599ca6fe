"""The texts of messages: templates by kind, in the reader's language, one or many things at once.

`alerts/<kind>/subject.txt`, `text.txt` and `text.html` get `events`, each with what the texts may
say of it, and `event`, the first of them; dates and sums are written out. A text fills the blocks
of the layout that it is given, of plain text or of HTML, so that one file makes both. A library
overrides any of them with a file of the same name in ALERT_TEMPLATES.
"""

import contextlib
import unicodedata
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.template import Context, Engine
from django.urls import NoReverseMatch, reverse
from django.utils import translation
from django.utils.html import format_html
from django.utils.text import Truncator

from alerts import preferences, wording
from alerts.backends.base import Message
from alerts.events import KINDS, EventKind
from alerts.models import ChannelAudience, Delivery, Event, new_message_id

if TYPE_CHECKING:
    from circulation.models import Reader

SUMS = ("amount", "fine", "credit")
METADATA = ("book_title", "due_date", "amount", "pickup_date")
IN_SUBJECTS = ("book_title", "author", "file_name", "channel", "job")
MOST_IN_SUBJECT = 60
LONGEST_SUBJECT = 180
LONGEST = 500
_NEVER_SHOWN = dict.fromkeys(
    (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
)
"""Control characters, and those that turn the direction of all that follows."""


def message_for(deliveries: Sequence[Delivery]) -> Message:
    """Return the message for deliveries of one kind, channel and recipient."""
    first = deliveries[0]
    kind, recipient = EventKind(first.kind), first.recipient
    with translation.override(_language(recipient)):
        context = _context(kind, deliveries)
        subject = _subject(kind, context)
        text = _text(kind, context)
        html = _html(kind, {**context, "subject": subject}, text)
    return Message(
        id=first.message_id or new_message_id(),
        kind=kind,
        notification_type=KINDS[kind].notification_type,
        subject=subject,
        text=text,
        html=html,
        created_at=first.event.created_at,
        recipient_id=recipient.pk if recipient else None,
        recipient_email=recipient.notice_email if recipient else "",
        metadata=_metadata(first.event),
        unsubscribe_url=context["unsubscribe_url"],
    )


def _language(recipient: "Reader | None") -> str:
    """Return the reader's language, the site's where Carrel does not know it."""
    wanted = recipient.language.replace("_", "-") if recipient else ""
    known: str = settings.LANGUAGE_CODE
    with contextlib.suppress(LookupError):
        known = translation.get_supported_language_variant(wanted)
    return known


def _context(kind: EventKind, deliveries: Sequence[Delivery]) -> dict[str, Any]:
    channel, recipient = deliveries[0].channel, deliveries[0].recipient
    for_staff = channel.audience == ChannelAudience.STAFF
    events = [_shown(delivery.event, for_staff=for_staff) for delivery in deliveries]
    may_decline = recipient is not None and not for_staff and KINDS[kind].is_optional
    sums = (delivery.event.data.get("amount") for delivery in deliveries)
    return {
        "events": events,
        "event": events[0],
        "count": len(events),
        "several": len(events) > 1,
        "total": wording.money(sum((Decimal(each) for each in sums if each), Decimal(0))),
        "for_staff": for_staff,
        "name": _line(recipient.first_name) if recipient and not for_staff else "",
        "library": settings.LIBRARY_NAME,
        "site_url": settings.SITE_URL,
        "unsubscribe_url": preferences.link(recipient, kind) if may_decline and recipient else "",
    }


def _subject(kind: EventKind, context: dict[str, Any]) -> str:
    subject = _render(kind, "subject.txt", context, autoescape=False)
    return Truncator(" ".join(subject.split())).chars(LONGEST_SUBJECT)


def _text(kind: EventKind, context: dict[str, Any]) -> str:
    context = {**context, "layout": "alerts/layout.txt"}
    text = _render(kind, "text.txt", context, autoescape=False)
    paragraphs = text.replace("\r\n", "\n").strip().split("\n\n")
    return "\n\n".join(filter(None, (paragraph.strip() for paragraph in paragraphs))) + "\n"


def _html(kind: EventKind, context: dict[str, Any], text: str) -> str:
    context = {**context, "layout": "alerts/layout.html"}
    html = _render(kind, "text.html", context, autoescape=True)
    if "</" in html:
        return "\n".join(line for line in html.splitlines() if line.strip()) + "\n"
    # A library's own text.txt that fills no layout: there is no HTML in it.
    return format_html('<div style="white-space: pre-line">{}</div>\n', text)


def _render(kind: EventKind, part: str, context: dict[str, Any], *, autoescape: bool) -> str:
    template = Engine.get_default().get_template(f"alerts/{kind.lower()}/{part}")
    return template.render(Context(context, autoescape=autoescape))


def _shown(event: Event, *, for_staff: bool) -> dict[str, Any]:
    """Return what a template may say of an event, each as one line."""
    shown = {name: _value(name, value) for name, value in event.data.items()}
    for name in IN_SUBJECTS:
        if name in event.data:
            shown[f"short_{name}"] = _line(event.data[name], most=MOST_IN_SUBJECT)
    names_reader = event.reader and (not for_staff or settings.STAFF_ALERTS_NAME_READERS)
    shown["reader"] = _line(str(event.reader)) if names_reader else ""
    shown["link"] = _admin_page(event.subject) if for_staff else event.data.get("pay_link", "")
    return shown


def _value(name: str, value: Any) -> Any:
    if not isinstance(value, str) or not value:
        return value
    if name.endswith("_date"):
        return wording.day(date.fromisoformat(value))
    if name in SUMS:
        return wording.money(Decimal(value))
    return value if name.endswith("_link") else _line(value)


def _line(text: str, *, most: int = LONGEST) -> str:
    """Return the text on one line; what is written from the right keeps to itself."""
    line = Truncator(" ".join(text.split()).translate(_NEVER_SHOWN)).chars(most)
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in line):
        return f"\N{FIRST STRONG ISOLATE}{line}\N{POP DIRECTIONAL ISOLATE}"
    return line


def _admin_page(subject: str) -> str:
    """Return where staff look at what an event is about, "" if the admin has no page for it."""
    label, _colon, number = subject.rpartition(":")
    try:
        page = reverse(f"admin:{label.replace('.', '_')}_change", args=[number])
    except NoReverseMatch:
        return ""
    return f"{settings.SITE_URL}{page}"


def _metadata(event: Event) -> dict[str, Any]:
    """Return what programs read of an event."""
    told = {name: value for name, value in event.data.items() if name in METADATA}
    app_row, _colon, number = event.subject.rpartition(":")
    told[f"{app_row.rpartition('.')[2]}_id"] = number
    return told
