"""Test messages: handed to a worker, sent at most once, and answered on the channel's page."""

import logging
import traceback
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from django.conf import settings
from django.db import transaction
from django.utils import timezone, translation
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django_q.tasks import async_task

from alerts import backends, channels, setup
from alerts.backends.base import DeliveryError, Message, Receipt
from alerts.models import Channel, ChannelAudience, Trial, storable

if TYPE_CHECKING:
    from circulation.models import Reader

log = logging.getLogger(__name__)

TASK = "alerts.trial.send"
KIND = NOTIFICATION_TYPE = "test"
PATIENCE = timedelta(minutes=10)
"""Whoever asked is not there any more: later than that a test is not begun, or not waited for."""
KEPT = timedelta(days=30)


class TrialRefusedError(Exception):
    """No test message can be sent; the message says why."""


def ask(channel: Channel, *, by: "Reader") -> Trial:
    """Have a test message sent. Raises TrialRefusedError."""
    if wrong := setup.what_is_wrong(channel):
        raise TrialRefusedError(wrong)
    if not _address(channel, by):
        raise TrialRefusedError(
            _("There is no address to send to: enter one here, or an email in your account.")
        )
    now = timezone.now()
    channel.trials.filter(asked_at__lt=now - KEPT).delete()
    trial = Trial.objects.create(channel=channel, by=by)
    transaction.on_commit(lambda: _hand_over(trial))
    return trial


def send(trial_id: int) -> str:
    """Send a test message, unless that was begun before; what a worker does."""
    now = timezone.now()
    waiting = Trial.objects.filter(pk=trial_id, taken_at=None, asked_at__gt=now - PATIENCE)
    if not waiting.update(taken_at=now):
        return _("The test was begun before, or waited too long.")
    trial = Trial.objects.select_related("channel__owner", "by").get(pk=trial_id)
    try:
        receipt = _send(trial)
    except DeliveryError as problem:
        return _answered(trial, str(problem))
    except Exception as problem:
        # The message of an error that a backend did not foresee may hold the channel's secrets.
        name, where = type(problem).__name__, traceback.format_tb(problem.__traceback__)
        log.error("The backend of channel %s: %s\n%s", trial.channel_id, name, "".join(where))
        return _answered(trial, _("The backend failed (%(error)s).") % {"error": name})
    channels.worked(trial.channel, receipt)
    if receipt.changed:
        channels.changed(trial.channel, receipt.changed)
    return _answered(trial, receipt.answer, is_delivered=True)


def is_under_way(trial: Trial) -> bool:
    return trial.finished_at is None and timezone.now() - trial.asked_at < PATIENCE


def in_words(trial: Trial) -> str:
    """Return how a test stands."""
    if trial.finished_at is not None:
        return trial.answer
    if trial.taken_at is None and is_under_way(trial):
        return _("It waits for a worker. If it goes on waiting: python manage.py run_worker")
    if trial.taken_at is None:
        return _("No worker came for it. Start one: python manage.py run_worker")
    if is_under_way(trial):
        return _("It is being sent.")
    return _("The worker was stopped before there was an answer.")


def _hand_over(trial: Trial) -> None:
    try:
        async_task(TASK, trial.pk)
    except Exception:
        log.exception("A test message could not be handed to a worker")
        _answered(trial, _("It could not be handed to a worker: the queue does not answer."))


def _answered(trial: Trial, answer: str, *, is_delivered: bool = False) -> str:
    Trial.objects.filter(pk=trial.pk).update(
        finished_at=timezone.now(), answer=storable(answer, 500), is_delivered=is_delivered
    )
    if not is_delivered:
        channels.failed(trial.channel, answer)
    return answer


def _recipient(channel: Channel, by: "Reader") -> "Reader | None":
    """A channel for readers is tried on oneself, one for staff on those it tells."""
    return by if channel.audience == ChannelAudience.READERS else channel.owner


def _address(channel: Channel, by: "Reader") -> str:
    backend = backends.called(channel.backend)
    return backend.address(channel.settings(), _recipient(channel, by))


def _send(trial: Trial) -> Receipt:
    channel, by = trial.channel, trial.by
    recipient = _recipient(channel, by)
    with translation.override(by.language or settings.LANGUAGE_CODE):
        title = _("A test of “%(channel)s”") % {"channel": channel.name}
        text = _("%(person)s asked for this test message. If you can read it, the channel works.")
        text = text % {"person": by}
    message = Message(
        id=uuid4(),
        kind=KIND,
        notification_type=NOTIFICATION_TYPE,
        subject=f"{settings.LIBRARY_NAME}: {title}",
        text=f"{text}\n\n{settings.SITE_URL}\n",
        html=format_html("<p>{}</p><p>{}</p>", text, settings.SITE_URL),
        created_at=trial.asked_at,
        recipient_id=recipient.pk if recipient else None,
        recipient_email=recipient.notice_email if recipient else "",
    )
    backend = backends.called(channel.backend)
    return backend.send(message, _address(channel, by), channel.settings())
