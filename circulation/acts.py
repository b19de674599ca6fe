"""What staff did with a loan: the acts that can be undone, and the blocks set aside."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Override(models.Model):
    """A block that a member of staff set aside for one loan, and why."""

    loan = models.ForeignKey(
        "circulation.Loan", models.PROTECT, related_name="overrides", verbose_name=_("loan")
    )
    block = models.CharField(_("block"), max_length=30)
    message = models.CharField(_("what stood against it"), max_length=500)
    reason = models.CharField(_("reason"), max_length=300)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="+", verbose_name=_("by")
    )
    created_at = models.DateTimeField(_("made"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("override")
        verbose_name_plural = _("overrides")
        ordering = ("-id",)
        indexes = (models.Index(fields=("created_at",), name="override_by_time"),)
        constraints = (
            models.CheckConstraint(condition=~Q(reason=""), name="override_has_a_reason"),
        )

    def __str__(self) -> str:
        return self.message


class DeskAct(models.Model):
    """One act on a loan, with what is needed to undo it: what was so before it."""

    class Kind(models.TextChoices):
        CHECK_OUT = "check_out", _("Lent")
        CHECK_IN = "check_in", _("Returned")
        RENEW = "renew", _("Renewed")
        MARK_LOST = "mark_lost", _("Marked lost")
        FOUND = "found", _("Found again")

    loan = models.ForeignKey(
        "circulation.Loan", models.PROTECT, related_name="acts", verbose_name=_("loan")
    )
    kind = models.CharField(_("act"), max_length=9, choices=Kind)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("by"),
    )
    before = models.JSONField(default=dict)
    date = models.DateField(_("date"))
    at = models.DateTimeField(_("at"), db_default=Now(), editable=False)
    undone_at = models.DateTimeField(_("undone"), null=True, blank=True)

    class Meta:
        verbose_name = _("desk act")
        verbose_name_plural = _("desk acts")
        ordering = ("-id",)
        indexes = (
            models.Index(
                fields=("date",),
                condition=Q(kind="renew", undone_at__isnull=True),
                name="deskact_renewals_by_date",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()}: {self.loan}"
