"""Integration keys: making one, which is shown that once, how each is used, and revoking it."""

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import widgets
from unfold.decorators import display

from alerts.backoffice.acts import ActsAdmin, act
from alerts.backoffice.history import AuditedAdmin
from alerts.backoffice.pages import ReadOnly, badge, staff
from circulation import integration_keys
from circulation.keys import IntegrationKey

MAKE = "circulation.add_integrationkey"
REVOKE = "circulation.change_integrationkey"


class NewKeyForm(forms.Form):
    """Offers the scopes whose permissions its maker has: nobody makes a key that may do more."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=100,
        help_text=gettext_lazy("The system that uses the key, and where it runs."),
        widget=widgets.UnfoldAdminTextInputWidget,
    )
    last_day = forms.DateField(
        label=gettext_lazy("Good until the end of"),
        required=False,
        help_text=gettext_lazy("Empty: until it is revoked."),
        widget=widgets.UnfoldAdminSingleDateWidget,
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("The key may"),
        error_messages={"required": gettext_lazy("Choose at least one.")},
        widget=widgets.UnfoldAdminCheckboxSelectMultipleWidget,
    )

    def __init__(self, data: Any = None, *, by: Any) -> None:
        super().__init__(data)
        self.fields["scopes"].choices = [  # type: ignore[attr-defined]
            (scope.name, scope.sentence)
            for scope in integration_keys.SCOPES.values()
            if by.has_perms(scope.allows)
        ]

    def clean_last_day(self) -> date | None:
        last_day: date | None = self.cleaned_data["last_day"]
        if last_day is not None and not timezone.localdate() <= last_day < date.max:
            raise ValidationError(_("Choose today or a later day."))
        return last_day

    @property
    def expires_at(self) -> datetime | None:
        last_day: date | None = self.cleaned_data["last_day"]
        if last_day is None:
            return None
        return timezone.make_aware(datetime.combine(last_day + timedelta(days=1), time.min))


@admin.register(IntegrationKey)
class IntegrationKeyAdmin(ReadOnly, AuditedAdmin, ActsAdmin):
    """Nothing of a key is changed once it is made, for another system relies on it."""

    list_display = ("name", "begins", "may_do", "state", "last_used_at", "made_by")
    list_select_related = ("made_by",)
    search_fields = ("name", "prefix")
    ordering = ("name", "-id")
    fields = (
        ("name", "state"),
        "begins",
        "may_do",
        ("made_by", "made_at"),
        ("last_used_at", "expires_at"),
        ("revoked_by", "revoked_at"),
    )
    readonly_fields = ("begins", "may_do", "state")
    actions = ("revoke",)
    actions_detail = actions
    refusals = (integration_keys.AlreadyRevokedError,)
    empty_list = gettext_lazy("Add a key for each system that is to use the API in its own name.")

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return request.user.has_perm(MAKE)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewKeyForm(request.POST or None, by=request.user)
        if request.method == "POST" and form.is_valid():
            made = self._make(request, form)
            if made is not None:
                return made
        return self._page(
            request,
            "office/form.html",
            title=_("New integration key"),
            form=form,
            method="post",
            submit_text=_("Make the key"),
            tables=[],
        )

    def fitting_acts(self, row: IntegrationKey) -> tuple[str, ...]:
        return () if row.revoked_at is not None else ("revoke",)

    @act(
        gettext_lazy("Revoke"),
        permission=REVOKE,
        question=gettext_lazy(
            "The system that uses it is refused from now on. This cannot be taken back."
        ),
        icon="key_off",
    )
    def revoke(self, request: HttpRequest, key: IntegrationKey) -> str:
        integration_keys.revoke(key, by=staff(request), at=timezone.now())
        self.log_change(request, key, _("Revoked."))
        return _("Revoked.")

    @display(description=gettext_lazy("begins with"), ordering="prefix")
    def begins(self, key: IntegrationKey) -> str:
        return f"{key.prefix}…"

    @display(description=gettext_lazy("may"))
    def may_do(self, key: IntegrationKey) -> SafeString:
        known = integration_keys.SCOPES
        sentences = [known[name].sentence if name in known else name for name in key.scopes]
        return format_html_join("", "<div>{}</div>", ([sentence] for sentence in sentences))

    @display(description=gettext_lazy("state"))
    def state(self, key: IntegrationKey) -> SafeString:
        if key.revoked_at is not None:
            return badge(_("revoked"), "danger")
        if key.expires_at is not None and key.expires_at <= timezone.now():
            return badge(_("expired"), "warning")
        return badge(_("in use"), "success") if key.last_used_at else badge(_("not used yet"))

    def _make(self, request: HttpRequest, form: NewKeyForm) -> HttpResponse | None:
        """Show the key in the answer itself: neither session nor messages ever hold it."""
        try:
            key, text = integration_keys.make(
                form.cleaned_data["name"],
                form.cleaned_data["scopes"],
                by=staff(request),
                at=timezone.now(),
                expires_at=form.expires_at,
            )
        except integration_keys.NameTakenError as taken:
            form.add_error("name", str(taken))
            return None
        self.log_addition(request, key, [{"added": {}}])
        return self._page(
            request, "circulation/new_key.html", title=_("The new key"), key=key, text=text
        )

    def _page(self, request: HttpRequest, template: str, **more: Any) -> HttpResponse:
        request.current_app = self.admin_site.name
        common = self.admin_site.each_context(request)
        context = {**common, "opts": self.opts, "media": self.media, **more}
        return TemplateResponse(request, template, context)
