"""What readers owe: charges, and the adjustments that take something off them.

What was paid is in `billing.settlements`.
"""

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q, Subquery, Sum
from django.db.models.functions import Coalesce, Now, Round
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from alerts.histories import Remembered
from billing.settlements import (
    MONEY,
    NOTHING,
    Allocation,
    AllocationState,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
)

__all__ = [
    "MONEY",
    "NOTHING",
    "Adjustment",
    "AdjustmentKind",
    "Allocation",
    "AllocationState",
    "Charge",
    "ChargeKind",
    "Payment",
    "PaymentEvent",
    "PaymentStatus",
    "Refund",
    "RefundStatus",
]


class ChargeKind(models.TextChoices):
    PAYMENT = "PAYMENT", _("Lending fee")
    FINE = "FINE", _("Fine")
    LOST = "LOST", _("Lost copy")


class ChargeQuerySet(models.QuerySet["Charge"]):
    def with_owed(self) -> "ChargeQuerySet":
        """Annotate `adjusted`, `paid` and `owed` (what is left), in the site's currency.

        Rounded, because SQLite sums in floating point: 0.80 - (0.10 + 0.70) must be nothing.
        """
        adjusted = (
            Adjustment.objects.filter(charge=OuterRef("pk"))
            .order_by()
            .values("charge")
            .values(total=Sum("amount"))
        )
        paid = (
            Allocation.objects.filter(charge=OuterRef("pk"), state=AllocationState.PAID)
            .order_by()
            .values("charge")
            .values(total=Sum(F("amount") - F("refunded")))
        )
        return self.annotate(
            adjusted=Coalesce(Subquery(adjusted, output_field=MONEY), NOTHING),
            paid=Coalesce(Subquery(paid, output_field=MONEY), NOTHING),
        ).annotate(owed=Round(F("amount") - F("adjusted") - F("paid"), 2, output_field=MONEY))

    def overdrawn(self) -> "ChargeQuerySet":
        """Charges of which more was paid or taken off than there is: there must be none."""
        return self.with_owed().filter(Q(owed__lt=0))

    def settled(self) -> "ChargeQuerySet":
        """Charges on which nothing is owed any more.

        What is summed is only what no draft waits for: a draft is there while something is owed.
        """
        waiting = Allocation.objects.filter(state=AllocationState.OPEN)
        asked = waiting.filter(payment__in=Payment.objects.in_session())
        # By EXISTS: too many numbers for PostgreSQL's memory are looked through again and again.
        is_asked_for = Exists(waiting.filter(charge=OuterRef("pk")))
        undecided = ~is_asked_for | Q(pk__in=asked.values("charge"))
        return self.with_owed().filter(undecided, Q(owed__lte=0))

    def open(self) -> "ChargeQuerySet":
        """Charges on which something is still owed."""
        return self.with_owed().filter(Q(owed__gt=0))


class Charge(Remembered):
    """What a reader owes for one reason. Only an accruing fine's amount ever changes."""

    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="charges",
        verbose_name=_("reader"),
    )
    loan = models.ForeignKey(
        "circulation.Loan",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="charges",
        verbose_name=_("loan"),
    )
    kind = models.CharField(_("kind"), max_length=7, choices=ChargeKind)
    amount = models.DecimalField(
        _("amount"), max_digits=12, decimal_places=2, validators=[MinValueValidator(0)]
    )
    description = models.CharField(_("description"), max_length=500, blank=True)
    due_date = models.DateField(
        _("due date missed"),
        null=True,
        blank=True,
        help_text=_("The due date that a fine is for; a renewed loan may be fined again."),
    )
    is_accruing = models.BooleanField(_("still growing"), default=False)
    assessed_date = models.DateField(_("computed up to"), null=True, blank=True)
    source_id = models.CharField(
        _("record number"), max_length=100, null=True, blank=True, unique=True
    )
    created_at = models.DateTimeField(_("opened"), db_default=Now(), editable=False)
    import_run = models.ForeignKey(
        "catalog.ImportRun",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="charges",
        verbose_name=_("imported by"),
    )

    objects = ChargeQuerySet.as_manager()
    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("charge")
        verbose_name_plural = _("charges")
        ordering = ("-id",)
        permissions = (
            ("waive_charge", _("Can waive charges")),
            ("import_charge", _("Can import charges")),
            ("export_charge", _("Can export charges")),
        )
        indexes = (models.Index(fields=("kind", "id"), name="charge_by_kind"),)
        constraints = (
            models.CheckConstraint(condition=Q(amount__gte=0), name="charge_amount_not_negative"),
            models.CheckConstraint(
                condition=Q(kind__in=ChargeKind.values), name="charge_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(is_accruing=False) | Q(kind=ChargeKind.FINE, loan__isnull=False),
                name="charge_only_fines_of_loans_grow",
            ),
            models.UniqueConstraint(
                fields=("loan", "due_date"),
                condition=Q(kind=ChargeKind.FINE),
                name="charge_one_fine_per_loan_and_due_date",
            ),
            models.UniqueConstraint(
                fields=("loan",),
                condition=Q(is_accruing=True),
                name="charge_one_growing_fine_per_loan",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount}"


class AdjustmentKind(models.TextChoices):
    WAIVED = "WAIVED", _("Waived")
    VOIDED = "VOIDED", _("Voided")
    REDUCED = "REDUCED", _("Reduced")


class Adjustment(models.Model):
    """Something taken off a charge, by whom and why. Never changed, never deleted."""

    charge = models.ForeignKey(
        Charge, models.PROTECT, related_name="adjustments", verbose_name=_("charge")
    )
    kind = models.CharField(_("kind"), max_length=7, choices=AdjustmentKind)
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("by"),
    )
    reason = models.CharField(_("reason"), max_length=300)
    created_at = models.DateTimeField(_("made"), db_default=Now(), editable=False)

    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("adjustment")
        verbose_name_plural = _("adjustments")
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(condition=Q(amount__gt=0), name="adjustment_amount_positive"),
            models.CheckConstraint(condition=~Q(reason=""), name="adjustment_has_a_reason"),
            models.CheckConstraint(
                condition=Q(kind__in=AdjustmentKind.values), name="adjustment_kind_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.amount}"
