"""The site of the back-office: Unfold's, without what it works out over and over for each page."""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from django.contrib.admin.views.main import ChangeList
from django.http import HttpRequest
from unfold.sites import UnfoldAdminSite
from unfold.templatetags import unfold_list

Headers = Callable[[ChangeList], Iterable[dict[str, Any]]]


class BackOffice(UnfoldAdminSite):  # type: ignore[misc] # Unfold has no types
    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        """Leave out the list of everything, which is on no page: the sidebar is one of our own."""
        return super().get_app_list(request, app_label) if app_label else []


def draw_headers_once() -> None:
    """Let a list work out the headers of its columns once.

    Unfold (0.91) does it anew for each row, addresses and the box that chooses all included: a
    fifth of the time of a page.
    """
    if not hasattr(unfold_list.result_headers, "__wrapped__"):
        unfold_list.result_headers = _once(unfold_list.result_headers)


def _once(headers: Headers) -> Headers:
    @wraps(headers)
    def remembered(changes: ChangeList) -> Iterable[dict[str, Any]]:
        known: dict[str, Any] = changes.__dict__
        if "_headers" not in known:
            known["_headers"] = list(headers(changes))
        return list(known["_headers"])

    return remembered
