"""What was paid, or is to be: payments, the charges they cover, refunds, providers' events."""

from decimal import Decimal

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.db.models import DecimalField, F, OuterRef, Q, Subquery, Sum, Value
from django.db.models.functions import Coalesce, Now, Round
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from billing import gateways

MONEY = DecimalField(max_digits=12, decimal_places=2)
NOTHING = Value(Decimal("0.00"), output_field=MONEY)


class PaymentStatus(models.TextChoices):
    PENDING = "PENDING", _("To be paid")
    PROCESSING = "PROCESSING", _("On its way")
    PAID = "PAID", _("Paid")
    EXPIRED = "EXPIRED", _("Expired")
    FAILED = "FAILED", _("Failed")
    REFUNDED = "REFUNDED", _("Refunded")
    REVIEW = "REVIEW", _("To be reviewed")


OPEN = (PaymentStatus.PENDING, PaymentStatus.PROCESSING)
RECEIVED = (PaymentStatus.PAID, PaymentStatus.REFUNDED, PaymentStatus.REVIEW)
"""The money is, or was, with the library."""
IN_SESSION = Q(status__in=OPEN, provider__gt="")
"""Frozen for a provider that has not said yet what became of it."""


class PaymentType(models.TextChoices):
    PAYMENT = "PAYMENT", _("Lending fee")
    FINE = "FINE", _("Fine")
    LOST = "LOST", _("Lost copy")


class PaymentQuerySet(models.QuerySet["Payment"]):
    def drafts(self) -> "PaymentQuerySet":
        """Payments that wait to be made, and follow what is owed until a session freezes them."""
        return self.filter(status=PaymentStatus.PENDING, provider="")

    def in_session(self) -> "PaymentQuerySet":
        """Payments frozen for a provider that has not said yet what became of them."""
        return self.filter(IN_SESSION)

    def with_credit(self) -> "PaymentQuerySet":
        """Annotate `credit`: what is left of the money, beyond charges and refunds."""
        used = (
            Allocation.objects.filter(payment=OuterRef("pk"), state=AllocationState.PAID)
            .order_by()
            .values("payment")
            .values(total=Sum(F("amount") - F("refunded")))
        )
        kept = F("paid_amount") - F("refunded_amount")
        return self.annotate(
            used=Coalesce(Subquery(used, output_field=MONEY), NOTHING),
        ).annotate(credit=Round(kept - F("used"), 2, output_field=MONEY))


class Payment(models.Model):
    """One attempt of a reader to settle one charge or several.

    Without a provider it is a draft. It freezes when a session is opened: then `money_to_pay` is
    what the provider was asked for. `type` and `borrowing` are those of its charges, if they agree.
    """

    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        related_name="payments",
        verbose_name=_("reader"),
    )
    status = models.CharField(
        _("status"), max_length=10, choices=PaymentStatus, default=PaymentStatus.PENDING
    )
    type = models.CharField(_("for"), max_length=7, choices=PaymentType, blank=True)
    borrowing = models.ForeignKey(
        "circulation.Loan",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="payments",
        verbose_name=_("loan"),
    )
    money_to_pay = models.DecimalField(_("to pay"), max_digits=12, decimal_places=2)
    currency = models.CharField(_("currency"), max_length=3)
    provider = models.CharField(
        _("by"), max_length=20, choices=gateways.choices, blank=True, default=""
    )
    session_id = models.CharField(_("session"), max_length=255, null=True, blank=True)
    session_url = models.URLField(_("session's address"), max_length=2000, blank=True)
    session_expires_at = models.DateTimeField(_("session ends"), null=True, blank=True)
    key = models.UUIDField(_("idempotency key"), null=True, blank=True, unique=True, editable=False)
    transaction_id = models.CharField(_("transaction"), max_length=255, blank=True)
    paid_amount = models.DecimalField(
        _("amount paid"), max_digits=12, decimal_places=2, null=True, blank=True
    )
    paid_currency = models.CharField(_("currency paid in"), max_length=3, blank=True)
    paid_at = models.DateTimeField(_("paid"), null=True, blank=True)
    refunded_amount = models.DecimalField(
        _("refunded"), max_digits=12, decimal_places=2, default=Decimal("0.00")
    )
    taken_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("taken by"),
    )
    review_reason = models.CharField(_("to be reviewed because"), max_length=300, blank=True)
    last_error = models.CharField(_("last problem"), max_length=500, blank=True)
    checked_at = models.DateTimeField(_("asked the provider"), null=True, blank=True)
    must_open = models.BooleanField(
        _("wants a session"),
        default=False,
        editable=False,
        help_text=_("A job opens a session for it without being asked."),
    )
    must_close = models.BooleanField(
        _("wants its session closed"),
        default=False,
        editable=False,
        help_text=_("Given up here; a job still has to close the session at the provider."),
    )
    created_at = models.DateTimeField(_("made"), db_default=Now(), editable=False)

    objects = PaymentQuerySet.as_manager()
    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        ordering = ("-id",)
        permissions = (
            ("take_cash", _("Can take cash")),
            ("refund_payment", _("Can refund payments")),
            ("reconcile_payment", _("Can ask the provider about payments")),
            ("review_payment", _("Can decide on payments to be reviewed")),
            ("export_payment", _("Can export payments")),
        )
        indexes = (
            models.Index(fields=("status", "id"), name="payment_by_status"),
            models.Index(fields=("paid_at",), name="payment_by_day"),
            models.Index(fields=("session_id",), name="payment_by_session"),
            models.Index(fields=("transaction_id",), name="payment_by_transaction"),
            models.Index(
                fields=("id",),
                condition=Q(status__in=OPEN) | Q(must_close=True),
                name="payment_unfinished",
            ),
            models.Index(fields=("status", "provider", "id"), name="payment_in_session"),
            models.Index(fields=("id",), condition=Q(must_close=True), name="payment_to_close"),
            models.Index(fields=("id",), condition=~Q(last_error=""), name="payment_with_problem"),
            models.Index(fields=("type", "id"), name="payment_by_type"),
            models.Index(fields=("provider", "id"), name="payment_by_provider"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("provider", "session_id"), name="payment_session_unique_per_provider"
            ),
            models.CheckConstraint(
                condition=Q(status__in=PaymentStatus.values), name="payment_status_known"
            ),
            models.CheckConstraint(
                condition=Q(type__in=["", *PaymentType.values]), name="payment_type_known"
            ),
            models.CheckConstraint(
                condition=Q(money_to_pay__gte=0), name="payment_money_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(session_id__isnull=True) | (~Q(provider="") & Q(key__isnull=False)),
                name="payment_session_has_provider_and_key",
            ),
            models.CheckConstraint(
                condition=(
                    Q(status__in=RECEIVED, paid_amount__gte=0, paid_at__isnull=False)
                    | (~Q(status__in=RECEIVED) & Q(paid_amount__isnull=True, paid_at__isnull=True))
                ),
                name="payment_received_says_what_and_when",
            ),
            models.CheckConstraint(
                condition=Q(paid_amount__isnull=True) | Q(paid_amount=0) | ~Q(provider=""),
                name="payment_received_says_by_whom",
            ),
            models.CheckConstraint(
                condition=(
                    Q(refunded_amount=0)
                    | Q(refunded_amount__gt=0, refunded_amount__lte=F("paid_amount"))
                ),
                name="payment_refunds_within_what_was_paid",
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_status_display()} {self.paid_amount or self.money_to_pay}"

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def is_draft(self) -> bool:
        return self.status == PaymentStatus.PENDING and not self.provider

    @property
    def reference(self) -> str:
        """What the provider keeps as metadata, to say which payment a session is for."""
        return str(self.pk)


class AllocationState(models.TextChoices):
    """How the payment of an allocation stands, kept here for the constraint below."""

    OPEN = "OPEN", _("To be paid")
    PAID = "PAID", _("Paid")
    RELEASED = "RELEASED", _("Released")


class Allocation(models.Model):
    """How much of a charge a payment covers: asked for while open, paid once it is paid."""

    payment = models.ForeignKey(
        Payment, models.PROTECT, related_name="allocations", verbose_name=_("payment")
    )
    charge = models.ForeignKey(
        "billing.Charge", models.PROTECT, related_name="allocations", verbose_name=_("charge")
    )
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)
    refunded = models.DecimalField(
        _("refunded"), max_digits=12, decimal_places=2, default=Decimal("0.00")
    )
    state = models.CharField(
        _("state"), max_length=8, choices=AllocationState, default=AllocationState.OPEN
    )

    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("allocation")
        verbose_name_plural = _("allocations")
        ordering = ("id",)
        indexes = (
            models.Index(
                fields=("amount", "id"),
                condition=Q(state=AllocationState.OPEN),
                name="allocation_open_amounts",
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("payment", "charge"), name="allocation_once_per_payment_and_charge"
            ),
            models.UniqueConstraint(
                fields=("charge",),
                condition=Q(state=AllocationState.OPEN),
                name="allocation_one_open_payment_per_charge",
            ),
            models.CheckConstraint(
                condition=Q(state__in=AllocationState.values), name="allocation_state_known"
            ),
            models.CheckConstraint(
                condition=Q(amount__gte=0), name="allocation_amount_not_negative"
            ),
            models.CheckConstraint(
                condition=Q(refunded__gte=0, refunded__lte=F("amount")),
                name="allocation_refunded_within_amount",
            ),
        )

    def __str__(self) -> str:
        return f"{self.amount}"


class RefundStatus(models.TextChoices):
    PENDING = "PENDING", _("On its way")
    DONE = "DONE", _("Done")
    FAILED = "FAILED", _("Failed")


class Refund(models.Model):
    """Money given back from a payment; without `by` it was made at the provider's."""

    payment = models.ForeignKey(
        Payment, models.PROTECT, related_name="refunds", verbose_name=_("payment")
    )
    status = models.CharField(
        _("status"), max_length=7, choices=RefundStatus, default=RefundStatus.PENDING
    )
    amount = models.DecimalField(_("amount"), max_digits=12, decimal_places=2)
    provider_id = models.CharField(_("provider's number"), max_length=255, null=True, blank=True)
    key = models.UUIDField(_("idempotency key"), unique=True, editable=False)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
    )
    reason = models.CharField(_("reason"), max_length=300)
    last_error = models.CharField(_("last problem"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("made"), db_default=Now(), editable=False)
    done_at = models.DateTimeField(_("done"), null=True, blank=True)

    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("refund")
        verbose_name_plural = _("refunds")
        ordering = ("-id",)
        indexes = (models.Index(fields=("done_at",), name="refund_by_day"),)
        constraints = (
            models.UniqueConstraint(
                fields=("payment", "provider_id"), name="refund_once_per_provider_number"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(condition=~Q(reason=""), name="refund_has_a_reason"),
            models.CheckConstraint(
                condition=Q(status__in=RefundStatus.values), name="refund_status_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.get_status_display()} {self.amount}"


class PaymentEvent(models.Model):
    """A webhook that a provider sent: stored once, whatever became of it.

    Only what it is about is kept: its body may hold what the provider knows of the person.
    """

    provider = models.CharField(_("from"), max_length=20)
    event_id = models.CharField(_("event"), max_length=255)
    kind = models.CharField(_("kind"), max_length=100)
    payment = models.ForeignKey(
        Payment,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="events",
        verbose_name=_("payment"),
    )
    session_id = models.CharField(_("session"), max_length=255, blank=True)
    transaction_id = models.CharField(_("transaction"), max_length=255, blank=True)
    reference = models.CharField(_("reference"), max_length=100, blank=True)
    received_at = models.DateTimeField(_("received"), db_default=Now(), editable=False)
    deliveries = models.PositiveIntegerField(_("deliveries"), default=1)
    handled_at = models.DateTimeField(_("handled"), null=True, blank=True)
    outcome = models.CharField(_("what it led to"), max_length=500, blank=True)
    """Also the problem, for an event that was not handled."""

    class Meta:
        verbose_name = _("provider's event")
        verbose_name_plural = _("providers' events")
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(
                fields=("provider", "event_id"), name="payment_event_once_per_provider"
            ),
        )
        indexes = (
            models.Index(
                fields=("id",), condition=Q(handled_at__isnull=True), name="payment_event_unhandled"
            ),
            models.Index(fields=("session_id",), name="payment_event_by_session"),
            models.Index(fields=("transaction_id",), name="payment_event_transaction"),
        )

    def __str__(self) -> str:
        return self.kind
