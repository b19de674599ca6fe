"""Lending: loans, holds, overrides and the acts done at the desk (see also readers and rules)."""

from datetime import date, timedelta

from django.contrib.auth.models import AbstractBaseUser
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from alerts.histories import Remembered
from catalog.models import Book, Copy
from circulation.acts import DeskAct, Override
from circulation.identities import ExternalIdentity
from circulation.keys import IntegrationKey
from circulation.readers import Reader, ReaderCategory
from circulation.rules import ClosedDay, ClosedWeekday, LoanPolicy, Weekday

__all__ = [
    "ClosedDay",
    "ClosedWeekday",
    "DeskAct",
    "ExternalIdentity",
    "Hold",
    "IntegrationKey",
    "Loan",
    "LoanPolicy",
    "Override",
    "Reader",
    "ReaderCategory",
    "Weekday",
]


class LoanQuerySet(models.QuerySet["Loan"]):
    def open(self) -> "LoanQuerySet":
        """Neither returned nor lost."""
        return self.filter(actual_return_date__isnull=True, lost_date__isnull=True)

    def unreturned(self) -> "LoanQuerySet":
        """Open or lost: the copy has not come back."""
        return self.filter(actual_return_date__isnull=True)

    def overdue(self, *, on: date) -> "LoanQuerySet":
        """Open, and due before the local date `on`."""
        return self.open().filter(expected_return_date__lt=on)

    def late_by(self, least: int, most: int | None = None, *, on: date) -> "LoanQuerySet":
        """Overdue for so many days on the local date `on`, both ends included."""
        late = self.open().filter(expected_return_date__lte=on - timedelta(days=least))
        if most is None:
            return late
        return late.filter(expected_return_date__gte=on - timedelta(days=most))

    def due(self, *, on: date) -> "LoanQuerySet":
        return self.open().filter(expected_return_date=on)


class Loan(Remembered):
    """One copy lent to one reader, with the terms as they were at check-out."""

    copy = models.ForeignKey(Copy, models.PROTECT, related_name="loans", verbose_name=_("copy"))
    reader = models.ForeignKey(
        Reader, models.PROTECT, related_name="loans", verbose_name=_("reader")
    )
    borrow_date = models.DateField(_("lent"))
    expected_return_date = models.DateField(_("due"))
    actual_return_date = models.DateField(_("returned"), null=True, blank=True)
    lost_date = models.DateField(_("lost"), null=True, blank=True)
    undone_at = models.DateTimeField(
        _("undone"),
        null=True,
        blank=True,
        help_text=_("The check-out was undone at the desk; it counts as never made."),
    )
    renewals = models.PositiveSmallIntegerField(_("renewals"), default=0)
    loan_days = models.PositiveSmallIntegerField(_("loan days"), default=14)
    max_renewals = models.PositiveSmallIntegerField(_("renewals allowed"), default=0)
    grace_days = models.PositiveSmallIntegerField(_("grace days"), default=0)
    daily_fee = models.DecimalField(_("daily fee"), max_digits=8, decimal_places=2, default=0)
    fine_per_day = models.DecimalField(
        _("fine per open day"), max_digits=12, decimal_places=4, default=0
    )
    fine_cap = models.DecimalField(
        _("largest fine"), max_digits=8, decimal_places=2, null=True, blank=True
    )
    lost_fee = models.DecimalField(_("charge if lost"), max_digits=8, decimal_places=2, default=0)
    notification_sent = models.BooleanField(_("overdue notice sent"), default=False)
    told_due_date = models.DateField(
        _("told that it is due"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("The due date that another program has reminded the reader of."),
    )
    lent_by = models.ForeignKey(
        Reader, models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("lent by")
    )
    taken_back_by = models.ForeignKey(
        Reader,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("taken back by"),
    )
    source_id = models.CharField(
        _("record number"), max_length=100, null=True, blank=True, unique=True
    )
    created_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)
    import_run = models.ForeignKey(
        "catalog.ImportRun",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="loans",
        verbose_name=_("imported by"),
    )

    objects = LoanQuerySet.as_manager()
    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("loan")
        verbose_name_plural = _("loans")
        ordering = ("-borrow_date", "-id")
        permissions = (
            ("check_out", _("Can check out")),
            ("check_in", _("Can check in")),
            ("renew", _("Can renew")),
            ("mark_lost", _("Can mark lost and found")),
            ("lend_for_today", _("Can lend for the same day")),
            ("override_block", _("Can override a block, with a reason")),
            ("mark_notified", _("Can say that a notice was sent")),
            ("import_loan", _("Can import loans")),
            ("export_loan", _("Can export loans")),
        )
        indexes = (
            models.Index(
                fields=("expected_return_date", "id"),
                condition=Q(actual_return_date__isnull=True, lost_date__isnull=True),
                name="loan_open_by_due_date",
            ),
            models.Index(fields=("borrow_date", "id"), name="loan_by_borrow_date"),
            models.Index(
                fields=("borrow_date", "id"),
                condition=Q(actual_return_date__isnull=True, lost_date__isnull=True),
                name="loan_open_by_borrow_date",
            ),
            models.Index(
                fields=("borrow_date", "id"),
                condition=Q(undone_at__isnull=False),
                name="loan_undone",
            ),
            models.Index(
                fields=("borrow_date", "copy"),
                condition=Q(undone_at__isnull=True),
                name="loan_lent_by_date",
            ),
            models.Index(
                fields=("actual_return_date", "expected_return_date"),
                condition=Q(actual_return_date__isnull=False, undone_at__isnull=True),
                name="loan_by_return_date",
            ),
            models.Index(
                fields=("lost_date",),
                condition=Q(lost_date__isnull=False, undone_at__isnull=True),
                name="loan_by_lost_date",
            ),
            models.Index(
                fields=("reader",),
                condition=Q(actual_return_date__isnull=True),
                name="loan_unreturned_by_reader",
            ),
            models.Index(
                fields=("reader", "borrow_date", "id"),
                condition=Q(undone_at__isnull=True),
                name="loan_of_reader_by_date",
            ),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("copy",),
                condition=Q(actual_return_date__isnull=True),
                name="loan_one_open_per_copy",
            ),
            models.CheckConstraint(
                condition=Q(expected_return_date__gte=F("borrow_date")),
                name="loan_due_not_before_lent",
            ),
            models.CheckConstraint(
                condition=Q(actual_return_date__isnull=True)
                | Q(actual_return_date__gte=F("borrow_date")),
                name="loan_returned_not_before_lent",
            ),
            models.CheckConstraint(
                condition=Q(lost_date__isnull=True) | Q(lost_date__gte=F("borrow_date")),
                name="loan_lost_not_before_lent",
            ),
            models.CheckConstraint(
                condition=Q(daily_fee__gte=0, fine_per_day__gte=0, lost_fee__gte=0)
                & Q(Q(fine_cap__isnull=True) | Q(fine_cap__gte=0)),
                name="loan_money_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"{self.copy} → {self.reader}"

    @property
    def is_open(self) -> bool:
        return self.actual_return_date is None and self.lost_date is None

    def is_overdue(self, *, on: date) -> bool:
        """A loan is good through the end of its due day, in the library's time zone."""
        return self.is_open and self.expected_return_date < on


class HoldStatus(models.TextChoices):
    WAITING = "waiting", _("Waiting")
    READY = "ready", _("Ready for pickup")
    FULFILLED = "fulfilled", _("Picked up")
    CANCELLED = "cancelled", _("Cancelled")
    EXPIRED = "expired", _("Expired")


SHELF_CLEARED_WITHIN = timedelta(days=7)
ACTIVE_HOLD = Q(status__in=(HoldStatus.WAITING, HoldStatus.READY))


class HoldQuerySet(models.QuerySet["Hold"]):
    def active(self) -> "HoldQuerySet":
        return self.filter(ACTIVE_HOLD)

    def waiting(self) -> "HoldQuerySet":
        """In the order of the queue."""
        return self.filter(status=HoldStatus.WAITING).order_by("placed_at", "id")

    def ready(self) -> "HoldQuerySet":
        return self.filter(status=HoldStatus.READY)

    def not_picked_up(self, *, on: date) -> "HoldQuerySet":
        """Past their pickup day, by a week at most: a copy may still lie on the hold shelf."""
        lately = Q(pickup_until__lt=on, pickup_until__gte=on - SHELF_CLEARED_WITHIN)
        return self.filter(lately, status__in=(HoldStatus.READY, HoldStatus.EXPIRED))


class Hold(models.Model):
    """A reader's place in the queue for a book; the place itself is computed, not stored."""

    book = models.ForeignKey(Book, models.PROTECT, related_name="holds", verbose_name=_("book"))
    reader = models.ForeignKey(
        Reader, models.PROTECT, related_name="holds", verbose_name=_("reader")
    )
    placed_at = models.DateTimeField(_("placed"))
    status = models.CharField(
        _("status"), max_length=9, choices=HoldStatus, default=HoldStatus.WAITING
    )
    copy = models.ForeignKey(
        Copy,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="holds",
        verbose_name=_("copy"),
    )
    pickup_until = models.DateField(_("pick up by"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed"), null=True, blank=True)

    objects = HoldQuerySet.as_manager()
    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        ordering = ("-placed_at", "-id")
        indexes = (
            models.Index(
                fields=("book", "placed_at", "id"), condition=ACTIVE_HOLD, name="hold_queue"
            ),
            models.Index(fields=("placed_at", "id"), name="hold_by_placed_at"),
            models.Index(fields=("status", "pickup_until"), name="hold_by_status"),
            models.Index(fields=("status", "placed_at", "id"), name="hold_by_status_and_time"),
        )
        constraints = (
            models.UniqueConstraint(
                fields=("copy",),
                condition=Q(status=HoldStatus.READY),
                name="hold_one_ready_per_copy",
            ),
            models.UniqueConstraint(
                fields=("reader", "book"),
                condition=ACTIVE_HOLD,
                name="hold_one_active_per_reader_and_book",
            ),
            models.CheckConstraint(
                condition=~Q(status=HoldStatus.READY)
                | Q(copy__isnull=False, pickup_until__isnull=False),
                name="hold_ready_has_copy_and_date",
            ),
            models.CheckConstraint(
                condition=~Q(status=HoldStatus.WAITING)
                | Q(copy__isnull=True, pickup_until__isnull=True),
                name="hold_waiting_has_no_copy",
            ),
            models.CheckConstraint(
                condition=Q(status__in=HoldStatus.values), name="hold_status_known"
            ),
        )

    def __str__(self) -> str:
        return f"{self.book} ← {self.reader}"
