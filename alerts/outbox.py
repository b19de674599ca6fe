"""The outbox: what happened is recorded in the transaction in which it happens."""

from typing import TYPE_CHECKING, Any

from django.db import models

from alerts.events import EventKind
from alerts.models import Event

if TYPE_CHECKING:
    from circulation.models import Reader


def record(
    kind: EventKind, about: models.Model, *, reader: "Reader | None" = None, **data: Any
) -> Event:
    """Record that something happened to a row; the same kind and row a second time is no news.

    `data` is what JSON holds; sums of money go in as text.
    """
    subject = f"{about._meta.label_lower}:{about.pk}"
    event, _is_new = Event.objects.get_or_create(
        key=f"{kind}:{subject}",
        defaults={"kind": kind, "subject": subject, "reader": reader, "data": data},
    )
    return event
