"""Who may call what: each view names, for each method, the grants of which one suffices.

`access = {"GET": ("reader", "circulation.view_loan"), "POST": ("circulation.check_out",)}`:

* `anyone`: no sign-in is needed;
* `reader`: whoever has signed in with an account, for his or her own things;
* `self-service:borrow` (`return`, `hold`): a reader, where READER_SELF_SERVICE names it;
* `app.permission`: staff, or an integration key, who hold that permission.
"""

from typing import Any

from django.conf import settings
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from circulation.models import Reader

ANYONE = "anyone"
READER = "reader"
SELF_SERVICE = "self-service:"


class AccessTable(BasePermission):
    """The default permission of every view: its own `access` table.

    A method that the table does not name is answered by 405, whoever asks.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        granted = grants(view, request.method or "")
        if not granted:
            raise MethodNotAllowed(request.method or "")
        return any(holds(request.user, grant) for grant in granted)


def grants(view: Any, method: str) -> tuple[str, ...]:
    """Return what a view's table says for a method; HEAD is as GET."""
    table: dict[str, tuple[str, ...]] = view.access
    return table.get("GET" if method == "HEAD" else method, ())


def holds(user: Any, grant: str) -> bool:
    if grant == ANYONE:
        return True
    if not user.is_authenticated:
        return False
    if grant == READER:
        return isinstance(user, Reader)
    if grant.startswith(SELF_SERVICE):
        wanted = grant.removeprefix(SELF_SERVICE)
        return isinstance(user, Reader) and wanted in settings.READER_SELF_SERVICE
    return bool(user.is_staff and user.has_perm(grant))
