"""Readers: the people who borrow, and the accounts that people (staff too) sign in with."""

from datetime import date
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from alerts.histories import Remembered
from catalog.models import CODE_VALIDATOR, Copy
from catalog.text import fold

PHONE_VALIDATOR = RegexValidator(
    r"^[0-9+()/. -]*$", _("Use digits, spaces and the signs + ( ) / . - only.")
)


class ReaderCategory(models.Model):
    """A group of readers with loan rules of its own, such as “Child” or “Teacher”."""

    name = models.CharField(_("name"), max_length=60, unique=True)

    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("reader category")
        verbose_name_plural = _("reader categories")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class ReaderManager(BaseUserManager["Reader"]):
    def create_user(
        self, email: str | None, password: str | None = None, **fields: Any
    ) -> "Reader":
        """Create a reader; without a password the account cannot sign in."""
        reader = self.model(email=email, **fields)
        reader.set_password(password)
        reader.save(using=self._db)
        return reader

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "Reader":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "Reader":
        return self.get(email=(username or "").lower())


class Reader(Remembered, AbstractBaseUser, PermissionsMixin):
    """A person with a library card, an account to sign in with, or both."""

    email = models.EmailField(
        _("email"),
        null=True,
        blank=True,
        unique=True,
        help_text=_("Used to sign in. A reader who never signs in needs none."),
    )
    contact_email = models.EmailField(
        _("email for notices"),
        blank=True,
        help_text=_("If other than the sign-in email; children may share a parent's."),
    )
    first_name = models.CharField(_("first name"), max_length=150, blank=True)
    last_name = models.CharField(_("last name"), max_length=150, blank=True)
    card_number = models.CharField(
        _("card number"),
        max_length=64,
        null=True,
        blank=True,
        unique=True,
        validators=[CODE_VALIDATOR],
    )
    category = models.ForeignKey(
        ReaderCategory, models.PROTECT, null=True, blank=True, verbose_name=_("category")
    )
    expiry_date = models.DateField(
        _("valid until"), null=True, blank=True, help_text=_("The last day. Empty: no end.")
    )
    is_blocked = models.BooleanField(_("blocked"), default=False)
    block_reason = models.CharField(_("reason of the block"), max_length=300, blank=True)
    phone = models.CharField(_("phone"), max_length=40, blank=True, validators=[PHONE_VALIDATOR])
    language = models.CharField(_("language"), max_length=10, blank=True)
    declined_notices = models.JSONField(
        _("notices declined"),
        default=list,
        blank=True,
        help_text=_("The kinds of notices that the reader does not want."),
    )
    is_staff = models.BooleanField(
        _("staff"), default=False, help_text=_("May sign in to this back-office.")
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("Switch off instead of deleting a reader.")
    )
    is_email_verified = models.BooleanField(
        _("email confirmed"),
        default=True,
        db_default=True,
        help_text=_(
            "Off while a reader who registered online has followed no link in our email. Addresses "
            "that the library writes down count as confirmed."
        ),
    )
    search_name = models.CharField(max_length=310, editable=False, default="")
    date_joined = models.DateTimeField(_("joined"), db_default=Now(), editable=False)
    import_run = models.ForeignKey(
        "catalog.ImportRun",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="readers",
        verbose_name=_("imported by"),
    )

    objects = ReaderManager()
    history = HistoricalRecords(excluded_fields=["password", "last_login", "search_name"])
    _history_user: AbstractBaseUser | None
    _change_reason: str

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("reader")
        verbose_name_plural = _("readers")
        ordering = ("last_name", "first_name", "id")
        permissions = (
            ("import_reader", _("Can import readers")),
            ("export_reader", _("Can export readers")),
            ("view_personal_data", _("Can see how readers are reached, and notes on them")),
        )
        indexes = (
            models.Index(fields=("last_name", "first_name", "id"), name="reader_by_name"),
            models.Index(fields=("search_name", "id"), name="reader_by_search_name"),
        )
        constraints = (
            models.CheckConstraint(
                condition=Q(email__isnull=True) | (~Q(email="") & Q(email=Lower(F("email")))),
                name="reader_email_lower_case",
            ),
            models.CheckConstraint(
                condition=Q(card_number__isnull=True) | ~Q(card_number=""),
                name="reader_card_null_when_absent",
            ),
        )

    def __str__(self) -> str:
        return self.get_full_name() or self.card_number or self.email or str(_("(no name)"))

    def get_full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    def get_short_name(self) -> str:
        return self.first_name or str(self)

    @property
    def notice_email(self) -> str:
        """Where notices go; "" where the reader has no address."""
        return self.contact_email or self.email or ""

    def is_expired(self, *, on: date) -> bool:
        return self.expiry_date is not None and self.expiry_date < on

    def clean(self) -> None:
        self.normalise()
        if self.is_blocked and not self.block_reason:
            raise ValidationError({"block_reason": _("Say why the reader is blocked.")})
        if self.card_number and Copy.objects.filter(barcode=self.card_number).exists():
            raise ValidationError(
                {"card_number": _("A copy has this number as its barcode. Use another one.")}
            )

    def normalise(self) -> None:
        """Bring the keys to their one form; absent ones are NULL, so that they never clash."""
        self.email = self.email.strip().lower() if self.email else None
        self.card_number = self.card_number or None
        self.search_name = fold(f"{self.last_name} {self.first_name}")[:310]

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.normalise()
        super().save(*args, **kwargs)
