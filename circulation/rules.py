"""The rules that staff set: the loan policy matrix, closed days and weekly closing days."""

from collections.abc import Sequence
from decimal import Decimal

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from catalog.models import ItemType
from circulation import policy
from circulation.readers import ReaderCategory


class LoanPolicy(models.Model):
    """One cell of the rule matrix: reader category x item type; empty means any."""

    category = models.ForeignKey(
        ReaderCategory,
        models.CASCADE,
        null=True,
        blank=True,
        verbose_name=_("reader category"),
        help_text=_("Empty: readers of any category."),
    )
    item_type = models.ForeignKey(
        ItemType,
        models.CASCADE,
        null=True,
        blank=True,
        verbose_name=_("item type"),
        help_text=_("Empty: copies of any type."),
    )
    loan_days = models.PositiveSmallIntegerField(
        _("loan days"), default=14, validators=[MinValueValidator(1), MaxValueValidator(732)]
    )
    max_loans = models.PositiveSmallIntegerField(_("loans at once"), default=5)
    max_holds = models.PositiveSmallIntegerField(_("holds at once"), default=3)
    max_renewals = models.PositiveSmallIntegerField(_("renewals"), default=2)
    grace_days = models.PositiveSmallIntegerField(
        _("grace days"),
        default=0,
        help_text=_("Open days late without a fine. Once exceeded, they are charged too."),
    )
    fine_factor = models.DecimalField(
        _("fine as a factor of the daily fee"),
        max_digits=8,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Fill in either this or a fixed rate."),
    )
    fine_per_day = models.DecimalField(
        _("fine per open day"),
        max_digits=8,
        decimal_places=4,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
    )
    fine_cap = models.DecimalField(
        _("largest fine for one loan"),
        max_digits=8,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Empty: no limit."),
    )
    debt_limit = models.DecimalField(
        _("debt that stops lending"),
        max_digits=8,
        decimal_places=2,
        null=True,
        blank=True,
        default=Decimal("5.00"),
        validators=[MinValueValidator(0)],
        help_text=_("A reader who owes more than this may not borrow. Empty: never stops."),
    )
    lost_fee = models.DecimalField(
        _("charge for a lost copy"),
        max_digits=8,
        decimal_places=2,
        default=Decimal("20.00"),
        validators=[MinValueValidator(0)],
        help_text=_("Used where the copy has no price of its own."),
    )
    hold_shelf_days = models.PositiveSmallIntegerField(
        _("days on the hold shelf"),
        default=7,
        validators=[MinValueValidator(1), MaxValueValidator(366)],
    )

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("loan policy")
        verbose_name_plural = _("loan policies")
        ordering = (F("category").asc(nulls_first=True), F("item_type").asc(nulls_first=True))
        constraints = (
            models.UniqueConstraint(
                # By name, not by column: only so does a form see the values it checks.
                Coalesce("category", 0, output_field=models.BigIntegerField()),
                Coalesce("item_type", 0, output_field=models.BigIntegerField()),
                name="policy_one_per_category_and_item_type",
                violation_error_message=_(
                    "There is a policy for this reader category and item type already."
                ),
            ),
            models.CheckConstraint(
                condition=Q(fine_factor__isnull=True, fine_per_day__isnull=False)
                | Q(fine_factor__isnull=False, fine_per_day__isnull=True),
                name="policy_one_kind_of_fine",
                violation_error_message=_(
                    "Fill in the fine either as a factor of the daily fee or as a fixed rate per "
                    "day, and not both. 0 means no fine."
                ),
            ),
            models.CheckConstraint(
                condition=Q(loan_days__gte=1, hold_shelf_days__gte=1), name="policy_days_positive"
            ),
            models.CheckConstraint(
                condition=Q(Q(fine_factor__isnull=True) | Q(fine_factor__gte=0))
                & Q(Q(fine_per_day__isnull=True) | Q(fine_per_day__gte=0))
                & Q(Q(fine_cap__isnull=True) | Q(fine_cap__gte=0))
                & Q(Q(debt_limit__isnull=True) | Q(debt_limit__gte=0))
                & Q(lost_fee__gte=0),
                name="policy_money_not_negative",
            ),
        )

    def __str__(self) -> str:
        return f"{self.category or _('any reader')} × {self.item_type or _('any item')}"


class ClosedDay(models.Model):
    """A date on which the library is closed: never a due date, never fined."""

    date = models.DateField(_("date"), unique=True)
    reason = models.CharField(_("reason"), max_length=100, blank=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("closed day")
        verbose_name_plural = _("closed days")
        ordering = ("-date",)

    def __str__(self) -> str:
        return f"{self.date} {self.reason}".strip()


class Weekday(models.IntegerChoices):
    MONDAY = 0, _("Monday")
    TUESDAY = 1, _("Tuesday")
    WEDNESDAY = 2, _("Wednesday")
    THURSDAY = 3, _("Thursday")
    FRIDAY = 4, _("Friday")
    SATURDAY = 5, _("Saturday")
    SUNDAY = 6, _("Sunday")


class ClosedWeekday(models.Model):
    """A day of the week on which the library is always closed."""

    weekday = models.PositiveSmallIntegerField(_("weekday"), choices=Weekday, unique=True)

    history = HistoricalRecords()

    class Meta:
        verbose_name = _("weekly closing day")
        verbose_name_plural = _("weekly closing days")
        ordering = ("weekday",)
        constraints = (
            models.CheckConstraint(condition=Q(weekday__lte=6), name="closed_weekday_known"),
        )

    def __str__(self) -> str:
        return str(self.get_weekday_display())

    def clean(self) -> None:
        others = ClosedWeekday.objects.exclude(pk=self.pk).exclude(weekday=self.weekday)
        if others.count() >= len(Weekday) - 1:
            raise ValidationError(
                _("At least one day of the week must stay open, or nothing could ever be due.")
            )


class NoPolicyError(Exception):
    """No loan policy covers this reader and item."""

    def __init__(self) -> None:
        super().__init__(
            _("No loan policy covers this reader and item. Add one for any reader and any item.")
        )


def applicable(*, category_id: int | None, item_type_id: int | None) -> Sequence[LoanPolicy]:
    """Return the policies that fit, the one that applies first. Raises NoPolicyError."""
    policies = LoanPolicy.objects.select_related("category", "item_type")
    fitting = policy.by_precedence(policies, category_id=category_id, item_type_id=item_type_id)
    if not fitting:
        raise NoPolicyError
    return fitting


def calendar() -> policy.Calendar:
    """Return the library's calendar as it is set up now."""
    return policy.Calendar(
        frozenset(ClosedWeekday.objects.values_list("weekday", flat=True)),
        tuple(ClosedDay.objects.order_by("date").values_list("date", flat=True)),
    )
