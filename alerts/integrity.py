"""What must be true of messages: one function per invariant, yielding what is wrong and where."""

from collections.abc import Iterator

from django.db.models import Count, Q
from django.db.models.functions import Coalesce

from alerts.models import Delivery


def a_message_goes_to_one_recipient() -> Iterator[str]:
    rows = Delivery.objects.exclude(message_id=None).order_by().values("message_id")
    counted = rows.annotate(
        channels=Count("channel", distinct=True),
        recipients=Count(Coalesce("recipient", 0), distinct=True),
        kinds=Count("kind", distinct=True),
    )
    for row in counted.filter(Q(channels__gt=1) | Q(recipients__gt=1) | Q(kinds__gt=1)).iterator():
        yield f"message {row['message_id']}"
