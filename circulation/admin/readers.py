"""Readers and their accounts: who may see, change and sign in as whom."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet, prefetch_related_objects
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter, RelatedDropdownFilter
from unfold.decorators import display
from unfold.forms import AdminPasswordChangeForm

from alerts import preferences
from alerts.backoffice.acts import ActRefusedError
from alerts.backoffice.change_list import OfficeChangeList
from alerts.backoffice.deletion import DeletionAdmin
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import badge, money, staff
from alerts.backoffice.prints import prints
from billing.models import Charge
from catalog.import_admin import ImportExportPages
from circulation import deletion, personal_data, reader_page, reader_page_views
from circulation.admin.accounts import (
    IDENTITY,
    RIGHTS,
    NewReaderForm,
    ReaderForm,
    is_granted,
    may_touch_account,
)
from circulation.admin.finding import readers_matching
from circulation.admin.rights import RightsKept
from circulation.models import Loan, Reader
from circulation.printing import cards


class ReaderStateFilter(DropdownFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("owes", _("Owes money")),
            ("borrowing", _("Has loans")),
            ("blocked", _("Blocked")),
            ("expired", _("Card expired")),
            ("inactive", _("Switched off")),
            ("staff", _("Staff")),
        ]

    def queryset(self, request: HttpRequest, readers: QuerySet[Reader]) -> QuerySet[Reader]:
        match self.value():
            case "owes":
                return readers.filter(Exists(Charge.objects.open().filter(reader=OuterRef("pk"))))
            case "borrowing":
                out = Loan.objects.unreturned().filter(reader=OuterRef("pk"))
                return readers.filter(Exists(out))
            case "blocked":
                return readers.filter(is_blocked=True)
            case "expired":
                return readers.filter(expiry_date__lt=timezone.localdate())
            case "inactive":
                return readers.filter(is_active=False)
            case "staff":
                return readers.filter(Q(is_staff=True) | Q(is_superuser=True))
        return readers


class ReaderList(OfficeChangeList):
    def url_for_result(self, result: Reader) -> str:
        """Lead from the list to what is needed most: what the reader has, not the form."""
        return reader_page.reader_url(result.pk)


@admin.register(Reader)
class ReaderAdmin(  # type: ignore[misc]
    ImportExportPages, AuditedAdmin, DeletionAdmin, RightsKept
):
    import_kind = "readers"
    change_form_outer_before_template = "circulation/reader_head.html"
    form = ReaderForm
    add_form = NewReaderForm
    add_form_template = None
    change_password_form = AdminPasswordChangeForm
    list_display = (
        "name",
        "card_number",
        "category",
        "expiry_date",
        "state",
        "owes",
        "loans_out",
    )
    list_select_related = ("category",)
    list_filter = (ReaderStateFilter, ("category", RelatedDropdownFilter))
    search_fields = ("card_number",)
    search_help_text = gettext_lazy("Card number, words of the name, or email")
    ordering = ("last_name", "first_name", "id")
    order_by_index = ("last_name", "card_number", "expiry_date")
    filter_horizontal = ("groups",)
    readonly_fields = ("last_login", "date_joined", "import_run")
    actions = ("print_cards", "delete_chosen")
    print_cards = prints(
        gettext_lazy("Print cards"),
        permission=cards.MAY_PRINT,
        url_name="print-cards",
        parameter="reader",
        name="print_cards",
    )
    refusals = (deletion.DeletionRefusedError,)
    empty_list = gettext_lazy("Add the first reader, or import a list of readers.")
    person = (
        None,
        {
            "fields": (
                ("first_name", "last_name"),
                ("card_number", "category"),
                "expiry_date",
                ("email", "contact_email"),
                ("phone", "language"),
            )
        },
    )
    block = (gettext_lazy("Block"), {"fields": ("is_blocked", "block_reason")})
    notice_boxes = (gettext_lazy("Messages"), {"fields": ("notices",)})
    rights = (gettext_lazy("Rights"), {"fields": (("is_staff", "is_superuser"), "groups")})
    account = (
        gettext_lazy("Account"),
        {
            "fields": (
                ("is_active", "password_link"),
                "is_email_verified",
                ("last_login", "date_joined"),
                "import_run",
            )
        },
    )
    account_of_another = (
        gettext_lazy("Account"),
        {
            "fields": (
                ("is_active", "password_state"),
                "is_email_verified",
                ("last_login", "date_joined"),
            )
        },
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Reader]:
        readers = super().get_queryset(request).select_related("category")
        return reader_page.with_loans_and_debt(readers).annotate(is_granted=is_granted())

    def get_urls(self) -> list[Any]:
        return [*reader_page_views.urls(), *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ReaderList]:
        return ReaderList

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Any:
        reader = super().get_object(request, object_id, from_field)
        if reader is not None:
            prefetch_related_objects([reader], "groups")
        return reader

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Reader], search_term: str
    ) -> tuple[QuerySet[Reader], bool]:
        if "@" in search_term and not personal_data.may_see(request):
            return queryset.none(), False
        return readers_matching(search_term, queryset), False

    def get_hidden_fields(self, request: HttpRequest) -> frozenset[str]:
        return frozenset() if personal_data.may_see(request) else personal_data.FIELDS

    def get_fieldsets(self, request: HttpRequest, obj: Reader | None = None) -> Any:
        """Rights are shown where there are any, and to those who give them."""
        shown: tuple[Any, ...]
        if obj is None:
            shown = (self.person, self.block)
        elif self.has_change_permission(request, obj) and may_touch_account(request, obj):
            shown = (self.person, self.block, self.notice_boxes, self.account)
        else:
            shown = (self.person, self.block, self.notice_boxes, self.account_of_another)
        if request.user.is_superuser or (obj is not None and obj.is_staff):
            shown = (*shown, self.rights)
        return shown if personal_data.may_see(request) else personal_data.without(shown)

    def get_readonly_fields(self, request: HttpRequest, obj: Reader | None = None) -> Any:
        fixed = [*super().get_readonly_fields(request, obj), "password_link", "password_state"]
        if not request.user.is_superuser:
            fixed += RIGHTS
        if obj is not None and not may_touch_account(request, obj):
            fixed += IDENTITY
        return fixed

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = bool(super().has_delete_permission(request, obj))
        if isinstance(obj, Reader):
            return allowed and may_touch_account(request, obj)
        return allowed

    def delete_row(self, request: HttpRequest, row: Reader) -> None:
        if row.pk == request.user.pk:
            raise ActRefusedError(_("You cannot delete your own account."))
        deletion.delete_reader(row, by=staff(request))

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - the name in Django's URL
        form_url: str = "",
    ) -> HttpResponse:
        reader = self.get_object(request, id)
        if reader is not None and not may_touch_account(request, reader):
            raise PermissionDenied
        response = super().user_change_password(request, id, form_url)
        if hasattr(response, "context_data"):
            title = _("Set the password of %(reader)s") % {"reader": reader}
            response.context_data["title"] = title
        return response

    def get_head(self, request: HttpRequest, obj: Reader) -> reader_page.Head:
        standing = reader_page.found(obj.pk, on=timezone.localdate())
        return reader_page.head(request, standing, active="details")

    def response_post_save_change(self, request: HttpRequest, obj: Reader) -> HttpResponseRedirect:
        return HttpResponseRedirect(reader_page.reader_url(obj.pk))

    @display(description=gettext_lazy("name"), ordering="last_name")
    def name(self, reader: Reader) -> str:
        return str(reader)

    @display(description=gettext_lazy("state"))
    def state(self, reader: Reader) -> str:
        return reader_page.state_badge(reader, on=timezone.localdate())

    @display(description=gettext_lazy("owes"))
    def owes(self, reader: Any) -> str:
        return badge(money(reader.owed), "danger") if reader.owed > 0 else money(reader.owed)

    @display(description=gettext_lazy("loans"))
    def loans_out(self, reader: Any) -> int:
        return int(reader.out)

    @display(description=gettext_lazy("Notices"))
    def notices(self, reader: Reader) -> str:
        kinds = preferences.accepted_kinds(reader)
        return ", ".join(str(kind.label) for kind in kinds) or _("none of the optional ones")

    @display(description=gettext_lazy("password"))
    def password_link(self, reader: Reader) -> str:
        url = reverse("admin:auth_user_password_change", args=[reader.pk])
        text = _("Change it") if reader.has_usable_password() else _("Set one, to let them sign in")
        return format_html('<a class="text-link" href="{}">{}</a>', url, text)

    @display(description=gettext_lazy("password"))
    def password_state(self, reader: Reader) -> str:
        return _("set") if reader.has_usable_password() else _("none: cannot sign in")
