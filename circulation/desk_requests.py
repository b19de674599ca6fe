"""How the Desk's page talks to the server: who may ask, what it sends, what it gets back.

Every answer is JSON that holds sentences and finished, escaped HTML: the page's script puts it in
place and knows no rules.
"""

from collections.abc import Callable
from datetime import date
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from alerts.wording import money
from circulation import desk_readers
from circulation.desk_refusals import problem
from circulation.desk_rows import Row
from circulation.models import Reader

CHECK_OUT = "circulation.check_out"
CHECK_IN = "circulation.check_in"
RENEW = "circulation.renew"
DESK_PERMISSIONS = (CHECK_OUT, CHECK_IN, RENEW)
MOST_SHOWN = 200

DeskView = Callable[[HttpRequest], JsonResponse]


class BadInputError(Exception):
    """The page sent something that makes no sense, such as a day that does not exist."""


def desk_act(view: DeskView) -> DeskView:
    """Let staff of the desk POST to a view; tell all others why not, in JSON.

    Without a session 401, without the permission 403, so that the page can say what to do.
    """

    @wraps(view)
    def guarded(request: HttpRequest) -> JsonResponse:
        if not admin.site.has_permission(request):
            return _refused(request, _("You are signed out. Sign in again."), status=401)
        try:
            require_any(request, *DESK_PERMISSIONS)
            return view(request)
        except PermissionDenied as refused:
            return _refused(request, str(refused), status=403)
        except BadInputError as wrong:
            return _refused(request, str(wrong), status=400)

    return never_cache(require_POST(guarded))


def require_any(request: HttpRequest, *permissions: str) -> None:
    """Raise PermissionDenied, in words that staff read, unless the user has one of these."""
    if not any(request.user.has_perm(permission) for permission in permissions):
        raise PermissionDenied(_("Your account may not do this. Ask an administrator."))


def staff(request: HttpRequest) -> Reader:
    """The member of staff who asks; `desk_act` has made sure that it is one."""
    assert isinstance(request.user, Reader)  # noqa: S101 - tells the type checker
    return request.user


def chosen_date(request: HttpRequest, name: str) -> date | None:
    """Return the date that the page sent, None where none was chosen. Raises BadInputError."""
    text = request.POST.get(name, "").strip()
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(_("“%(text)s” is not a date.") % {"text": text}) from error


def number(request: HttpRequest, name: str) -> int:
    """Return the id that the page sent, 0 where it sent none. Raises BadInputError."""
    text = request.POST.get(name, "").strip() or "0"
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadInputError(_("“%(text)s” is not a number.") % {"text": text})
    return int(text)


def reader_at_desk(request: HttpRequest) -> Reader | None:
    pk = number(request, "reader")
    return Reader.objects.select_related("category").filter(pk=pk).first() if pk else None


def answer(row: Row | None = None, *, reader: Reader | None = None, **extra: Any) -> JsonResponse:
    """Return a row for the list, the panel of the reader at the desk, and what to announce."""
    data = dict(extra)
    if row is not None:
        data["row"] = render_to_string("circulation/desk_row.html", {"row": row})
        data["say"] = row.spoken
        data["tone"] = row.tone
    if reader is not None:
        data["reader"] = {"id": reader.pk, "name": str(reader), "panel": rendered_panel(reader)}
    return JsonResponse(data)


def rendered_panel(reader: Reader) -> str:
    today = timezone.localdate()
    panel = desk_readers.panel(reader, on=today)
    context = {"panel": panel, "owes": money(panel.owes)}
    return render_to_string("circulation/desk_reader.html", context)


def _refused(request: HttpRequest, message: str, *, status: int) -> JsonResponse:
    row = problem(message, code=request.POST.get("code", "")[:MOST_SHOWN])
    refused = answer(row)
    refused.status_code = status
    return refused
