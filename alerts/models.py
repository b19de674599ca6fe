"""What happened, one row each, written in the transaction in which it happened."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from alerts.events import EventKind


class Event(models.Model):
    """Something that happened; `subject` names the row it is about, as `billing.payment:12`."""

    kind = models.CharField(_("what happened"), max_length=40, choices=EventKind)
    subject = models.CharField(_("about"), max_length=100)
    key = models.CharField(
        _("key"),
        max_length=150,
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

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.get_kind_display()
