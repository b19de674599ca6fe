"""What is kept of rights given to people and of passwords set for them: no history has those."""

from typing import Any

from django.contrib.auth.admin import UserAdmin
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from alerts import office_acts
from circulation.models import Reader


class RightsKept(UserAdmin):
    """For the readers' pages, before UserAdmin."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        before = _roles_of(form.instance)
        super().save_related(request, form, formsets, change)
        after = _roles_of(form.instance)
        if before != after:
            office_acts.record(
                _("Roles given or taken"),
                form.instance,
                by=request.user,
                before=before or "–",
                after=after or "–",
            )

    def user_change_password(
        self,
        request: HttpRequest,
        id: str,  # noqa: A002 - the name in Django's URL
        form_url: str = "",
    ) -> HttpResponse:
        response = super().user_change_password(request, id, form_url)
        if request.method == "POST" and response.status_code == 302:
            reader = self.get_object(request, id)
            office_acts.record(_("Password set or taken away"), reader, by=request.user)
        return response


def _roles_of(reader: Reader) -> str:
    names = reader.groups.through.objects.filter(reader=reader.pk)
    return ", ".join(names.order_by("group__name").values_list("group__name", flat=True))
