"""Accounts at a sign-in provider, and whose they are here: looked at, and taken off again."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from alerts.backoffice.deletion import DeletionAdmin
from alerts.backoffice.history import AuditedAdmin
from circulation import personal_data
from circulation.identities import ExternalIdentity


@admin.register(ExternalIdentity)
class ExternalIdentityAdmin(AuditedAdmin, DeletionAdmin):
    """Taking one off lets the next account there with the same verified email take its place."""

    list_display = ("email", "reader", "issuer", "subject", "linked_at")
    list_select_related = ("reader",)
    search_fields = ("email", "subject")
    ordering = ("-id",)
    fields = ("reader", ("issuer", "subject"), ("email", "linked_at"))
    readonly_fields = ("linked_at",)
    empty_list = gettext_lazy("Nobody has signed in through an OpenID Connect provider yet.")

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        hidden = self.get_hidden_fields(request)
        return tuple(name for name in self.list_display if name not in hidden)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = super().get_fieldsets(request, obj)
        return shown if personal_data.may_see(request) else personal_data.without(shown)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        hidden = self.get_hidden_fields(request)
        return tuple(name for name in self.search_fields if name not in hidden)

    def get_hidden_fields(self, request: HttpRequest) -> frozenset[str]:
        return frozenset() if personal_data.may_see(request) else personal_data.FIELDS

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
