"""Deleting by the rules: one row or many, refused in a sentence and never with a wall of ids."""

from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import ProtectedError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.backoffice.acts import ActRefusedError, ActsAdmin, act, confirmation
from alerts.backoffice.pages import staff

QUESTION = gettext_lazy("This cannot be taken back. Delete?")


class DeletionAdmin(ActsAdmin):
    """Pages whose rows may be deleted, through `delete_row`."""

    actions: tuple[str, ...] = ("delete_chosen",)

    def delete_row(self, request: HttpRequest, row: Any) -> None:
        """Delete the row, or raise a refusal."""
        row._history_user = staff(request)
        row.delete()

    @act(gettext_lazy("Delete"), permission="delete", question=QUESTION)
    def delete_chosen(self, request: HttpRequest, row: Any) -> str:
        self.delete_safely(request, row)
        return _("Deleted.")

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_delete_permission(request, row):
            raise PermissionDenied
        if request.method != "POST":
            title = _("Delete: %(row)s") % {"row": row}
            return confirmation(self, request, title=title, question=QUESTION, rows=[row])
        meta, name = self.model._meta, str(row)
        try:
            self.delete_safely(request, row)
        except self.all_refusals as refused:
            self.message_user(request, str(refused), messages.ERROR)
            page = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
            return HttpResponseRedirect(page)
        self.message_user(request, _("Deleted: %(row)s") % {"row": name}, messages.SUCCESS)
        return HttpResponseRedirect(reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist"))

    def delete_safely(self, request: HttpRequest, row: Any) -> None:
        """Delete and log it, or raise a refusal, also where rows that name it appeared just now."""
        if not self.has_delete_permission(request, row):
            raise ActRefusedError(_("You may not delete this."))
        try:
            with transaction.atomic():
                self.log_deletions(request, [row])
                self.delete_row(request, row)
        except ProtectedError as used:
            raise ActRefusedError(_("It is in use and cannot be deleted.")) from used
