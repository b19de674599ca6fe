"""What happens to channels: they work, fail, or are switched off for a reason."""

from django.db import transaction
from django.utils import timezone

from alerts import outbox
from alerts.backends.base import Receipt
from alerts.events import EventKind
from alerts.models import Channel


def worked(channel: Channel, receipt: Receipt) -> None:
    """Note that the far end took a message, and what it changed of the channel's settings."""
    Channel.objects.filter(pk=channel.pk).update(
        last_ok_at=timezone.now(), last_answer=receipt.answer[:500]
    )
    if receipt.changed:
        fresh = Channel.objects.get(pk=channel.pk)
        fresh.config = {**fresh.config, **receipt.changed}
        fresh.save(update_fields=["config"])


def failed(channel: Channel, problem: str) -> None:
    Channel.objects.filter(pk=channel.pk).update(
        last_problem_at=timezone.now(), last_answer=problem[:500]
    )


def gave_up(channel: Channel, problem: str) -> None:
    """Tell staff, once a day and by the other channels, that messages cannot be delivered here."""
    failed(channel, problem)
    outbox.record(
        EventKind.DELIVERY_FAILED,
        channel,
        once=str(timezone.localdate()),
        channel=channel.name,
        why=problem,
    )


@transaction.atomic
def disable(channel: Channel, reason: str) -> None:
    """Switch a channel off, and tell staff by the others."""
    fresh = Channel.objects.select_for_update().get(pk=channel.pk)
    if not fresh.is_active:
        return
    fresh.is_active = False
    fresh.disabled_reason = reason[:300]
    fresh.last_problem_at = timezone.now()
    fresh.save()
    outbox.record(
        EventKind.CHANNEL_DISABLED,
        fresh,
        once=str(fresh.last_problem_at),
        channel=fresh.name,
        why=reason,
    )
