"""What happened, where it is told, and each telling of it."""

import uuid
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from alerts import backends, secrets
from alerts.events import Audience, EventKind
from alerts.office_acts import OfficeAct  # noqa: F401 - Django finds models here


class Event(models.Model):
    """Something that happened, written in the transaction in which it happened.

    `subject` names the row it is about, as `billing.payment:12`; `data` is what the texts say.
    """

    kind = models.CharField(_("what happened"), max_length=40, choices=EventKind)
    subject = models.CharField(_("about"), max_length=100)
    key = models.CharField(
        _("key"),
        max_length=200,
        unique=True,
        help_text=_("Made of what happened: the same thing is told once."),
    )
    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("reader"),
    )
    data = models.JSONField(_("details"), default=dict, blank=True)
    created_at = models.DateTimeField(_("when"), db_default=Now(), editable=False)
    fanned_out_at = models.DateTimeField(_("handed on"), null=True, blank=True)
    cancelled_at = models.DateTimeField(_("cancelled"), null=True, blank=True)
    cancel_reason = models.CharField(_("cancelled because"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-id",)
        indexes = (
            models.Index(fields=("subject", "kind"), name="event_by_subject"),
            models.Index(fields=("kind", "id"), name="event_by_kind"),
            models.Index(
                fields=("id",), condition=Q(fanned_out_at__isnull=True), name="event_to_fan_out"
            ),
        )

    def __str__(self) -> str:
        return self.get_kind_display()


class ChannelAudience(models.TextChoices):
    READERS = "READERS", _("Readers, each their own")
    STAFF = "STAFF", _("Staff")

    @property
    def flag(self) -> Audience:
        return Audience.READER if self is ChannelAudience.READERS else Audience.STAFF


class Channel(models.Model):
    """A route by which people are told: a backend with its settings, for some kinds of events."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    backend = models.CharField(_("by"), max_length=20, choices=backends.choices)
    audience = models.CharField(_("for"), max_length=7, choices=ChannelAudience)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="alert_channels",
        verbose_name=_("only for"),
        help_text=_("An administrator's own channel; empty for one of the whole staff."),
    )
    kinds = models.JSONField(_("kinds of events"), default=list, blank=True)
    config = models.JSONField(_("settings"), default=dict, blank=True)
    sealed = models.TextField(_("secrets, encrypted"), blank=True, editable=False)
    is_active = models.BooleanField(_("in use"), default=True)
    disabled_reason = models.CharField(_("switched off because"), max_length=300, blank=True)
    last_ok_at = models.DateTimeField(_("last delivered"), null=True, blank=True, editable=False)
    last_problem_at = models.DateTimeField(_("last problem"), null=True, blank=True, editable=False)
    last_answer = models.CharField(_("last answer"), max_length=500, blank=True, editable=False)

    history = HistoricalRecords(
        excluded_fields=["sealed", "last_ok_at", "last_problem_at", "last_answer"]
    )

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        ordering = ("name",)
        constraints = (
            models.CheckConstraint(
                condition=Q(audience__in=ChannelAudience.values), name="channel_audience_known"
            ),
        )

    def __str__(self) -> str:
        return self.name

    def settings(self) -> dict[str, Any]:
        """Return the backend's settings, the secret ones in clear: never to be shown or logged."""
        return {**self.config, **secrets.unseal(self.sealed)}


class DeliveryStatus(models.TextChoices):
    QUEUED = "QUEUED", _("Waiting")
    SENT = "SENT", _("Sent")
    SKIPPED = "SKIPPED", _("Skipped")
    DEAD = "DEAD", _("Given up")


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def failed_lately(self, *, at: datetime) -> "DeliveryQuerySet":
        """Given up within the last week: what is older will hardly be sent again."""
        return self.filter(status=DeliveryStatus.DEAD, finished_at__gte=at - timedelta(days=7))


class Delivery(models.Model):
    """One event, by one channel, to one recipient.

    `next_attempt_at` is also the lease: who claims a row moves it into the future, so that a killed
    worker's row is due again by itself. Rows with the same `message_id` were sent as one message.
    """

    event = models.ForeignKey(
        Event, models.CASCADE, related_name="deliveries", verbose_name=_("event")
    )
    channel = models.ForeignKey(
        Channel, models.PROTECT, related_name="deliveries", verbose_name=_("channel")
    )
    recipient = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("to"),
    )
    key = models.CharField(_("key"), max_length=100, unique=True, editable=False)
    kind = models.CharField(_("what"), max_length=40, choices=EventKind)
    status = models.CharField(
        _("status"), max_length=7, choices=DeliveryStatus, default=DeliveryStatus.QUEUED
    )
    message_id = models.UUIDField(_("message"), null=True, blank=True, db_index=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now)
    note = models.CharField(_("what came of it"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("made"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ("-id",)
        permissions = (("replay_delivery", _("Can send given-up deliveries again")),)
        constraints = (
            models.CheckConstraint(
                condition=Q(status__in=DeliveryStatus.values), name="delivery_status_known"
            ),
        )
        indexes = (
            models.Index(
                fields=("next_attempt_at", "id"),
                condition=Q(status=DeliveryStatus.QUEUED),
                name="delivery_due",
            ),
            models.Index(
                fields=("channel", "recipient", "kind"),
                condition=Q(status=DeliveryStatus.QUEUED),
                name="delivery_to_digest",
            ),
            models.Index(
                fields=("kind", "finished_at"),
                condition=Q(status=DeliveryStatus.SENT),
                name="delivery_sent",
            ),
            models.Index(
                fields=("channel", "id"),
                condition=Q(status=DeliveryStatus.DEAD),
                name="delivery_given_up",
            ),
            models.Index(
                fields=("finished_at",),
                condition=Q(status=DeliveryStatus.DEAD),
                name="delivery_failed_lately",
            ),
            models.Index(fields=("kind", "id"), name="delivery_by_kind"),
            models.Index(fields=("status", "id"), name="delivery_by_status"),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.get_status_display()}"


class Trial(models.Model):
    """A test message that somebody asked for, and what the far end said to it.

    It is sent at most once: `taken_at` is set by the worker that sends it.
    """

    channel = models.ForeignKey(Channel, models.CASCADE, related_name="trials")
    by = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    asked_at = models.DateTimeField(default=timezone.now)
    taken_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    is_delivered = models.BooleanField(default=False)
    answer = models.CharField(max_length=500, blank=True)

    class Meta:
        default_permissions = ()
        ordering = ("-id",)

    def __str__(self) -> str:
        return f"{self.channel_id}: {self.answer}"


class Pace(models.Model):
    """When the next message may go to a far end that takes only so many in a time."""

    key = models.CharField(max_length=100, primary_key=True)
    next_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


def new_message_id() -> uuid.UUID:
    return uuid.uuid4()


def storable(text: str, most: int) -> str:
    """Return text of a far end as every database takes it: no NUL, no halves of characters."""
    return text.replace("\0", "").encode(errors="replace").decode()[:most]
