"""The catalogue's admin pages; `circulation.admin.books` adds loans, holds and stock acts."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.forms import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import (
    ChoicesDropdownFilter,
    DropdownFilter,
    RelatedDropdownFilter,
)
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminTextInputWidget

from alerts.backoffice.acts import ActRefusedError, act
from alerts.backoffice.deletion import DeletionAdmin
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import OfficeInline, badge, staff
from alerts.counts import number_of
from catalog import inventory, isbn, languages
from catalog.finding import with_book
from catalog.import_admin import ImportExportPages
from catalog.import_history import ImportRunAdmin  # noqa: F401 - registers itself
from catalog.models import Book, Copy, CopyStatus, ItemType
from catalog.search import search

STATUS_BADGES: dict[str, str] = {
    CopyStatus.AVAILABLE: "success",
    CopyStatus.ON_LOAN: "info",
    CopyStatus.ON_HOLD_SHELF: "info",
    CopyStatus.IN_REPAIR: "warning",
    CopyStatus.LOST: "danger",
}


class BookForm(forms.ModelForm):
    """Takes an ISBN as it is printed, with hyphens, in ten digits or thirteen."""

    isbn = forms.CharField(
        label=gettext_lazy("ISBN"),
        max_length=40,
        required=False,
        empty_value=None,
        widget=UnfoldAdminTextInputWidget,
    )

    def clean_isbn(self) -> str | None:
        raw = self.cleaned_data["isbn"]
        return isbn.normalise(raw) if raw else None


def save_copy(copy: Copy, changed: Sequence[str]) -> None:
    """Write only what the form changed: a loan may be writing the status at the same moment."""
    if copy._state.adding:
        copy.save()
    elif changed:
        copy.save(update_fields=list(changed))


class NumberOfCopies(BaseDialogForm):
    count = forms.IntegerField(
        label=gettext_lazy("How many"),
        min_value=0,
        max_value=inventory.MOST_COPIES_AT_ONCE,
        widget=UnfoldAdminIntegerFieldWidget,
    )


class CopyInline(OfficeInline):
    model = Copy
    fields: tuple[str, ...] = (
        "barcode",
        "item_type",
        "status_badge",
        "price",
        "acquired_date",
        "note",
    )
    readonly_fields: tuple[str, ...] = ("status_badge",)
    per_page = 10
    can_delete = False
    show_change_link = True
    verbose_name_plural = gettext_lazy("copies")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Copy]:
        return super().get_queryset(request).order_by("pk")

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "item_type":
            # Read once, not once for every row; and list() alone would ask how many there are.
            field.choices = list(iter(field.choices))
        return field

    @display(description=gettext_lazy("status"))
    def status_badge(self, copy: Copy) -> str:
        return badge(copy.get_status_display(), STATUS_BADGES.get(copy.status, ""))


class AvailabilityFilter(DropdownFilter):
    title = gettext_lazy("availability")
    parameter_name = "inventory"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("available", _("Available now")),
            ("out", _("None available")),
            ("none", _("Without copies")),
        ]

    def queryset(self, request: HttpRequest, books: QuerySet[Book]) -> QuerySet[Book]:
        copies = Copy.objects.filter(book=OuterRef("pk")).exclude(status=CopyStatus.WITHDRAWN)
        available = copies.filter(status=CopyStatus.AVAILABLE)
        match self.value():
            case "available":
                return books.filter(Exists(available))
            case "out":
                return books.filter(Exists(copies), ~Exists(available))
            case "none":
                return books.filter(~Exists(copies))
        return books


class LanguageFilter(DropdownFilter):
    title = gettext_lazy("language")
    parameter_name = "language"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(language, language) for language in languages.in_use()]

    def queryset(self, request: HttpRequest, books: QuerySet[Book]) -> QuerySet[Book]:
        return books.filter(language=self.value()) if self.value() else books


@admin.register(Book)
class BookAdmin(ImportExportPages, AuditedAdmin, DeletionAdmin):
    import_kind = "books"
    form = BookForm
    inlines = (CopyInline,)
    list_display = (
        "title",
        "author",
        "cover",
        "daily_fee",
        "copies_badge",
        "published_year",
        "language",
    )
    list_filter: tuple[Any, ...] = (
        AvailabilityFilter,
        ("cover", ChoicesDropdownFilter),
        LanguageFilter,
    )
    search_fields = ("title",)
    search_help_text = gettext_lazy("Title, author, subject, ISBN or barcode")
    ordering = ("title", "id")
    order_by_index = ("title", "author", "published_year", "language")
    readonly_fields = ("created_at", "import_run")
    empty_list = gettext_lazy("Add the first book, or import a list of books.")
    actions_detail: tuple[str, ...] = ("add_copies", "set_inventory")
    refusals: tuple[type[Exception], ...] = (inventory.InventoryRefusedError,)
    fieldsets = (
        (None, {"fields": ("title", "author", ("isbn", "printed_isbn"), ("cover", "daily_fee"))}),
        (
            gettext_lazy("Record"),
            {
                "classes": ("collapse",),
                "fields": (
                    ("publisher", "published_year"),
                    ("language", "call_number"),
                    "subjects",
                    "source_id",
                    ("created_at", "import_run"),
                ),
            },
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Book]:
        copies = Copy.objects.filter(book=OuterRef("pk"))
        return (
            super()
            .get_queryset(request)
            .annotate(
                available=number_of(copies.filter(status=CopyStatus.AVAILABLE), "book"),
                total=number_of(copies.exclude(status=CopyStatus.WITHDRAWN), "book"),
            )
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Book], search_term: str
    ) -> tuple[QuerySet[Book], bool]:
        """Best matches first, unless a column was clicked."""
        found = search(search_term.replace("\x00", " "), queryset)
        if ORDER_VAR in request.GET:
            found = found.order_by(*queryset.query.order_by)
        return found, False

    def save_formset(
        self, request: HttpRequest, form: Any, formset: BaseInlineFormSet, change: bool
    ) -> None:
        if formset.model is not Copy:
            super().save_formset(request, form, formset, change)
            return
        formset.save(commit=False)
        for copy, changed in formset.changed_objects:
            save_copy(copy, changed)
        for copy in formset.new_objects:
            save_copy(copy, ())

    @display(description=gettext_lazy("available / copies"))
    def copies_badge(self, book: Any) -> str:
        kind = "success" if book.available else "warning"
        return badge(f"{book.available} / {book.total}", kind if book.total else "")

    @act(
        gettext_lazy("Add copies"),
        permission="catalog.add_copy",
        question=gettext_lazy("Each gets a barcode of its own and is available at once."),
        icon="library_add",
        form_class=NumberOfCopies,
    )
    def add_copies(self, request: HttpRequest, book: Book, *, count: int) -> str:
        made = inventory.add_copies(book, count, by=staff(request))
        codes = f"{made[0]} – {made[-1]}" if count > 1 else str(made[0])
        text = ngettext(
            "%(count)d copy added: %(codes)s", "%(count)d copies added: %(codes)s", count
        )
        return text % {"count": count, "codes": codes}

    @act(
        gettext_lazy("Set the inventory"),
        permission="catalog.add_copy",
        question=gettext_lazy(
            "So many copies will be available: some are added, or free ones are withdrawn. Those "
            "on loan stay as they are."
        ),
        icon="inventory_2",
        form_class=NumberOfCopies,
    )
    def set_inventory(self, request: HttpRequest, book: Book, *, count: int) -> str:
        if not request.user.has_perm("catalog.change_copy"):
            raise ActRefusedError(_("You may not withdraw copies."))
        inventory.set_inventory(book, count, by=staff(request))
        return _("%(count)d available now.") % {"count": count}


@admin.register(Copy)
class CopyAdmin(ImportExportPages, AuditedAdmin, DeletionAdmin):
    import_kind = "copies"
    list_display = ("barcode", "book", "status_badge", "item_type", "price", "acquired_date")
    list_select_related = ("book", "item_type")
    list_filter = (("status", ChoicesDropdownFilter), ("item_type", RelatedDropdownFilter))
    search_fields = ("barcode",)
    search_help_text = gettext_lazy("The whole barcode, or title and author")
    ordering = ("barcode",)
    order_by_index = ("barcode", "book")
    autocomplete_fields = ("book",)
    fields = (
        "book",
        ("barcode", "status_badge"),
        ("item_type", "price"),
        "acquired_date",
        "note",
        ("created_at", "import_run"),
    )
    empty_list = gettext_lazy("Copies are added on the page of their book.")
    refusals: tuple[type[Exception], ...] = (inventory.InventoryRefusedError,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A copy stays with its book: loans and holds of that book name it."""
        always = ("status_badge", "created_at", "import_run")
        return always if obj is None else ("book", *always)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Copy], search_term: str
    ) -> tuple[QuerySet[Copy], bool]:
        term = search_term.replace("\x00", " ").strip()
        if not term:
            return queryset, False
        return with_book(request, queryset, term, Q(barcode=term), book="book"), False

    def save_model(self, request: HttpRequest, copy: Copy, form: Any, change: bool) -> None:
        copy._history_user = staff(request)
        save_copy(copy, form.changed_data)

    @display(description=gettext_lazy("status"))
    def status_badge(self, copy: Copy) -> str:
        return badge(copy.get_status_display(), STATUS_BADGES.get(copy.status, ""))


@admin.register(ItemType)
class ItemTypeAdmin(AuditedAdmin, DeletionAdmin):
    list_display = ("name",)
    search_fields = ("name",)
    list_before_template = "office/about.html"
    about = gettext_lazy(
        "Kinds of copies that are lent on terms of their own. Name them here, give each a loan "
        "policy, and choose the type on the copy's page."
    )
    empty_list = gettext_lazy("Add the kinds of copies that have rules of their own, such as DVD.")

    def delete_row(self, request: HttpRequest, row: ItemType) -> None:
        if used := Copy.objects.filter(item_type=row).count():
            message = _("“%(name)s” is the type of %(used)d copies. Give them another type first.")
            raise ActRefusedError(message % {"name": row, "used": used})
        super().delete_row(request, row)
