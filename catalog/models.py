"""What the library owns: books (titles), copies (pieces), and the record of each import."""

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator, RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from alerts.histories import Remembered
from catalog import isbn as isbns
from catalog import text
from catalog.uploads import Upload, UploadPart  # noqa: F401 - Django finds models here

CODE_VALIDATOR = RegexValidator(
    r"^[\x21-\x7e]+$", _("Use letters, digits and signs without spaces or accents.")
)


class Cover(models.TextChoices):
    HARD = "HARD", _("Hard")
    SOFT = "SOFT", _("Soft")


class ItemType(models.Model):
    """What kind of piece a copy is (book, DVD, reference), for the loan rules."""

    name = models.CharField(_("name"), max_length=60, unique=True)

    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("item type")
        verbose_name_plural = _("item types")
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Book(Remembered):
    """A title. Its pieces are its copies; `inventory` is counted from them, never stored."""

    title = models.CharField(_("title"), max_length=500)
    author = models.CharField(
        _("author"), max_length=1000, blank=True, help_text=_("Several are separated by “;”.")
    )
    isbn = models.CharField(
        _("ISBN"), max_length=13, null=True, blank=True, validators=[isbns.validate]
    )
    printed_isbn = models.CharField(
        _("ISBN as printed"),
        max_length=40,
        blank=True,
        help_text=_("An ISBN whose check digit is wrong, as it stands on the book."),
    )
    source_id = models.CharField(
        _("record number"),
        max_length=100,
        null=True,
        blank=True,
        help_text=_("The record's number in the system it came from."),
    )
    cover = models.CharField(_("cover"), max_length=4, choices=Cover, default=Cover.SOFT)
    daily_fee = models.DecimalField(
        _("daily fee"),
        max_digits=8,
        decimal_places=2,
        default=0,
        validators=[MinValueValidator(0)],
        help_text=_("Charged at check-out for each day lent. 0 lends free of charge."),
    )
    publisher = models.CharField(_("publisher"), max_length=300, blank=True)
    published_year = models.SmallIntegerField(_("published"), null=True, blank=True)
    language = models.CharField(_("language"), max_length=50, blank=True)
    subjects = models.TextField(_("subjects"), blank=True)
    call_number = models.CharField(_("call number"), max_length=100, blank=True)
    identity = models.CharField(max_length=32, editable=False)
    search_title = models.TextField(editable=False, default="")
    search_rest = models.TextField(editable=False, default="")
    created_at = models.DateTimeField(_("added"), db_default=Now(), editable=False)
    import_run = models.ForeignKey(
        "catalog.ImportRun",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="books",
        verbose_name=_("imported by"),
    )

    history = HistoricalRecords(excluded_fields=["identity", "search_title", "search_rest"])
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("book")
        verbose_name_plural = _("books")
        ordering = ("title", "id")
        permissions = (
            ("import_book", _("Can import books")),
            ("export_book", _("Can export books")),
        )
        indexes = (
            models.Index(fields=("identity",), name="book_by_identity"),
            models.Index(fields=("title", "id"), name="book_by_title"),
            models.Index(fields=("author", "id"), name="book_by_author"),
            models.Index(fields=("published_year", "id"), name="book_by_year"),
            models.Index(fields=("language", "title", "id"), name="book_by_language"),
        )
        # Constraints and not `unique=True`, which makes PostgreSQL keep a second index for LIKE.
        constraints = (
            models.UniqueConstraint(fields=("isbn",), name="book_isbn_unique"),
            models.UniqueConstraint(fields=("source_id",), name="book_source_id_unique"),
            models.CheckConstraint(
                condition=Q(daily_fee__gte=0), name="book_daily_fee_not_negative"
            ),
            models.CheckConstraint(condition=~Q(title=""), name="book_has_a_title"),
            models.CheckConstraint(
                condition=Q(isbn__isnull=True) | ~Q(isbn=""), name="book_isbn_null_when_absent"
            ),
            models.CheckConstraint(
                condition=Q(source_id__isnull=True) | ~Q(source_id=""),
                name="book_source_id_null_when_absent",
            ),
        )

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        self.normalise()

    def normalise(self) -> None:
        """Bring the keys to their one form and write the columns that are derived from others.

        Raises ValidationError for an ISBN that is none.
        """
        self.isbn = isbns.normalise(self.isbn) if self.isbn else None
        self.source_id = self.source_id or None
        self.identity = text.identity(self.title, self.author, self.language, self.published_year)
        self.search_title, self.search_rest = text.search_columns(self)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.normalise()
        super().save(*args, **kwargs)


class CopyStatus(models.TextChoices):
    AVAILABLE = "available", _("Available")
    ON_LOAN = "on_loan", _("On loan")
    ON_HOLD_SHELF = "on_hold_shelf", _("On the hold shelf")
    IN_REPAIR = "in_repair", _("In repair")
    LOST = "lost", _("Lost")
    WITHDRAWN = "withdrawn", _("Withdrawn")


class Copy(Remembered):
    """One physical piece with its barcode. `inventory.set_status` alone writes the status."""

    book = models.ForeignKey(Book, models.CASCADE, related_name="copies", verbose_name=_("book"))
    barcode = models.CharField(_("barcode"), max_length=64, validators=[CODE_VALIDATOR])
    has_generated_barcode = models.BooleanField(default=False, editable=False)
    item_type = models.ForeignKey(
        ItemType, models.PROTECT, null=True, blank=True, verbose_name=_("item type")
    )
    status = models.CharField(
        _("status"),
        max_length=13,
        choices=CopyStatus,
        default=CopyStatus.AVAILABLE,
        editable=False,
    )
    price = models.DecimalField(
        _("price"),
        max_digits=8,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text=_("Charged when the copy is lost."),
    )
    note = models.CharField(_("note"), max_length=300, blank=True)
    acquired_date = models.DateField(_("acquired"), null=True, blank=True)
    created_at = models.DateTimeField(_("added"), db_default=Now(), editable=False)
    import_run = models.ForeignKey(
        "catalog.ImportRun",
        models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="copies",
        verbose_name=_("imported by"),
    )

    history = HistoricalRecords()
    _history_user: AbstractBaseUser | None

    class Meta:
        verbose_name = _("copy")
        verbose_name_plural = _("copies")
        ordering = ("barcode",)
        permissions = (
            ("import_copy", _("Can import copies")),
            ("export_copy", _("Can export copies")),
        )
        indexes = (
            models.Index(fields=("book", "status"), name="copy_by_book_and_status"),
            models.Index(fields=("status", "barcode"), name="copy_by_status"),
        )
        constraints = (
            models.UniqueConstraint(fields=("barcode",), name="copy_barcode_unique"),
            models.CheckConstraint(
                condition=Q(price__isnull=True) | Q(price__gte=0), name="copy_price_not_negative"
            ),
            models.CheckConstraint(condition=~Q(barcode=""), name="copy_has_a_barcode"),
            models.CheckConstraint(
                condition=Q(status__in=CopyStatus.values), name="copy_status_known"
            ),
        )

    def __str__(self) -> str:
        return self.barcode

    def clean(self) -> None:
        """Barcodes and card numbers are one namespace, because one field at the desk scans both."""
        if get_user_model().objects.filter(card_number=self.barcode).exists():
            raise ValidationError(
                {"barcode": _("A reader's card has this number. Use another barcode.")}
            )


class BarcodeCounter(models.Model):
    """The next number for a barcode that Carrel makes itself: a single row, id 1."""

    next_number = models.PositiveBigIntegerField(default=1)

    def __str__(self) -> str:
        return str(self.next_number)


class ImportRun(models.Model):
    """One import: who, when, which file, how it was read, what it counted and refused."""

    class Status(models.TextChoices):
        DONE = "done", _("Done")
        REFUSED = "refused", _("Refused")

    kind = models.CharField(_("kind"), max_length=20)
    status = models.CharField(_("status"), max_length=8, choices=Status)
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("by"),
    )
    file_name = models.CharField(_("file"), max_length=255)
    file_hash = models.CharField(_("SHA-256 of the file"), max_length=64)
    options = models.JSONField(_("options"), default=dict)
    started_at = models.DateTimeField(_("started"), db_default=Now())
    finished_at = models.DateTimeField(_("finished"), null=True)
    rows_read = models.PositiveIntegerField(_("read"), default=0)
    rows_new = models.PositiveIntegerField(_("new"), default=0)
    rows_changed = models.PositiveIntegerField(_("changed"), default=0)
    rows_unchanged = models.PositiveIntegerField(_("unchanged"), default=0)
    rows_wrong = models.PositiveIntegerField(_("wrong"), default=0)
    errors = models.JSONField(
        _("errors"), default=list, help_text=_("Line, column, value and reason of each wrong row.")
    )
    warnings = models.JSONField(_("warnings"), default=list)
    error_file = models.BinaryField(null=True, help_text=_("The wrong rows as gzipped CSV."))
    is_searchable = models.BooleanField(
        default=True,
        editable=False,
        help_text=_("Whether the search columns of its books are written: see search_columns.py."),
    )
    message = models.TextField(_("result"), blank=True)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        ordering = ("-id",)
        indexes = (models.Index(fields=("started_at",), name="import_by_start"),)

    def __str__(self) -> str:
        return f"{self.kind} {self.file_name}"


class AuthorFollow(models.Model):
    """A reader who wants to hear of new books by an author, as the author is credited."""

    reader = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="followed_authors",
        verbose_name=_("reader"),
    )
    author = models.CharField(_("author"), max_length=200)
    folded = models.CharField(max_length=200, editable=False, db_index=True)
    created_at = models.DateTimeField(_("since"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("followed author")
        verbose_name_plural = _("followed authors")
        default_permissions = ()  # readers alone follow and stop following
        ordering = ("author", "id")
        constraints = (
            models.UniqueConstraint(
                fields=("reader", "folded"), name="follow_once_per_reader_and_author"
            ),
        )

    def __str__(self) -> str:
        return self.author

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.folded = text.fold(self.author)[:200]
        super().save(*args, **kwargs)
