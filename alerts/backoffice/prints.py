"""Printing from lists: an action that leads to the page to be printed, for the chosen rows."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.enums import ActionVariant

from alerts.backoffice.acts import MOST_ROWS
from alerts.backoffice.reports import refuse_unless

LONGEST_ID = 18


def prints(
    description: Any, *, permission: str, url_name: str, parameter: str, name: str
) -> Callable[..., HttpResponse | None]:
    """Return an action called `name` that opens a page with `?parameter=1&parameter=2`.

    It works on the rows chosen in a list, and on the row of a page. Nothing is written.
    """

    def printing(
        self: Any,
        request: HttpRequest,
        queryset: QuerySet[Any] | None = None,
        object_id: str = "",
    ) -> HttpResponse | None:
        refuse_unless(self.may(request, permission))
        if queryset is None:
            numbers = [object_id]
        else:
            numbers = list(queryset.values_list("pk", flat=True)[: MOST_ROWS + 1])
        if len(numbers) > MOST_ROWS:
            message = _("Choose at most %(most)d rows at once.") % {"most": MOST_ROWS}
            self.message_user(request, message, messages.ERROR)
            return None
        query = urlencode([(parameter, number) for number in numbers])
        return HttpResponseRedirect(f"{reverse(url_name)}?{query}")

    # Django, Unfold and ActsAdmin read these from the method.
    printing.__name__ = name
    printing.__dict__.update(
        short_description=description,
        permission=permission,
        icon="print",
        variant=ActionVariant.DEFAULT,
        attrs={},
        original_function_name=name,
    )
    return printing


def chosen(request: HttpRequest, parameter: str, *, most: int = MOST_ROWS) -> list[int]:
    """Return the numbers of the chosen rows; what is none is left out."""
    texts = request.GET.getlist(parameter)[:most]
    numbers = (int(text) for text in texts if text.isdecimal() and len(text) <= LONGEST_ID)
    return list(dict.fromkeys(numbers))
