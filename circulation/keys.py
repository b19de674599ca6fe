"""The keys by which other systems use the API in their own name."""

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords


class IntegrationKey(models.Model):
    """What is known of a key once it has been handed out: never the key itself."""

    name = models.CharField(_("name"), max_length=100)
    prefix = models.CharField(_("begins with"), max_length=20)
    digest = models.CharField(max_length=64, unique=True)
    scopes = models.JSONField(_("may"), default=list)
    expires_at = models.DateTimeField(_("good until"), null=True)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("made by")
    )
    made_at = models.DateTimeField(_("made"), db_default=Now())
    last_used_at = models.DateTimeField(_("last used"), null=True)
    revoked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("revoked by"),
    )
    revoked_at = models.DateTimeField(_("revoked"), null=True)

    history = HistoricalRecords(excluded_fields=["digest", "last_used_at"])
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("integration key")
        verbose_name_plural = _("integration keys")
        ordering = ("name",)
        constraints = (
            models.UniqueConstraint(
                fields=("name",),
                condition=Q(revoked_at__isnull=True),
                name="integration_key_one_per_name",
            ),
            models.CheckConstraint(
                condition=Q(revoked_at__isnull=True, revoked_by__isnull=True)
                | Q(revoked_at__isnull=False, revoked_by__isnull=False),
                name="integration_key_revoked_by_somebody",
            ),
        )

    def __str__(self) -> str:
        return self.name
