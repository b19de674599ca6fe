"""What happens to channels: they work, fail, or are switched off for a reason."""

from collections.abc import Mapping

from django.db import transaction
from django.utils import timezone

from alerts import outbox
from alerts.backends.base import Receipt
from alerts.events import EventKind
from alerts.models import Channel, storable

OWN_TROUBLE = (EventKind.DELIVERY_FAILED, EventKind.CHANNEL_DISABLED)


def worked(channel: Channel, receipt: Receipt) -> None:
    """Note that the far end took a message."""
    Channel.objects.filter(pk=channel.pk).update(
        last_ok_at=timezone.now(), last_answer=storable(receipt.answer, 500)
    )


@transaction.atomic
def changed(channel: Channel, settings: Mapping[str, str]) -> None:
    """Keep what the far end changed of the channel's settings, such as the number of a chat."""
    fresh = Channel.objects.select_for_update(no_key=True).get(pk=channel.pk)
    fresh.config = channel.config = {**fresh.config, **settings}
    fresh.save(update_fields=["config"])


def failed(channel: Channel, problem: str) -> None:
    Channel.objects.filter(pk=channel.pk).update(
        last_problem_at=timezone.now(), last_answer=storable(problem, 500)
    )


def gave_up(channel: Channel, problem: str, *, kind: EventKind | None = None) -> None:
    """Tell staff, once a day and by the other channels, that messages cannot be delivered here.

    Of the news that a channel is in trouble no more news is made: two broken ones would tell of
    each other for ever.
    """
    failed(channel, problem)
    if kind in OWN_TROUBLE:
        return
    outbox.record_new(
        outbox.Occurrence(
            EventKind.DELIVERY_FAILED,
            channel,
            once=str(timezone.localdate()),
            data={"channel": channel.name, "why": problem},
        )
    )


@transaction.atomic
def disable(channel: Channel, reason: str) -> None:
    """Switch a channel off, and tell staff by the others."""
    fresh = Channel.objects.select_for_update(no_key=True).get(pk=channel.pk)
    if not fresh.is_active:
        return
    fresh.is_active = False
    fresh.disabled_reason = storable(reason, 300)
    fresh.last_problem_at = timezone.now()
    fresh.save()
    outbox.record(
        EventKind.CHANNEL_DISABLED,
        fresh,
        once=str(fresh.last_problem_at),
        channel=fresh.name,
        why=fresh.disabled_reason,
    )
