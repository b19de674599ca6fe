"""Sending again what was given up: the whole message it was part of, and only once."""

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import outbox, setup
from alerts.models import Delivery, DeliveryStatus


class ReplayRefusedError(Exception):
    """The delivery is not sent again; the message says why."""


@transaction.atomic
def send_again(delivery: Delivery) -> int:
    """Queue a given-up delivery with all its attempts anew. Raises ReplayRefusedError.

    The rows that were one message become one again, under the same id: the far end may have taken
    it before its answer was lost, and knows it by that. Returns the number of rows.
    """
    channel = delivery.channel
    if not channel.is_active:
        message = _("“%(channel)s” is switched off. Use it again first.")
        raise ReplayRefusedError(message % {"channel": channel})
    if wrong := setup.what_is_wrong(channel):
        raise ReplayRefusedError(wrong)
    dead = Delivery.objects.filter(pk=delivery.pk, status=DeliveryStatus.DEAD)
    if delivery.message_id is not None:
        dead = Delivery.objects.filter(message_id=delivery.message_id, status=DeliveryStatus.DEAD)
    count = dead.update(
        status=DeliveryStatus.QUEUED,
        attempts=0,
        next_attempt_at=timezone.now(),
        note="",
        finished_at=None,
    )
    if not count:
        raise ReplayRefusedError(_status_now(delivery))
    transaction.on_commit(outbox.wake, robust=True)
    return count


def _status_now(delivery: Delivery) -> str:
    delivery.refresh_from_db(fields=["status"])
    if delivery.status == DeliveryStatus.QUEUED:
        return _("It waits to be sent already.")
    message = _("Only what was given up is sent again; this is: %(status)s.")
    return message % {"status": delivery.get_status_display()}
