"""Who calls the API, for whom, and what was sent: what the views of lending ask first.

A caller is a reader, a member of staff (a reader too), or another system by its integration key.
"""

from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from circulation.models import Reader
from circulation.refusals import Overriding

LARGEST_ID = 2**63 - 1


def asked(serializer: type[Serializer], request: Request) -> dict[str, Any]:
    """Return what the query string asks for; an empty value asks for nothing."""
    given = {name: value for name, value in request.query_params.items() if value}
    return _valid(serializer, given)


def sent(serializer: type[Serializer], request: Request) -> dict[str, Any]:
    """Return what the body says."""
    data = request.data
    return _valid(serializer, data.dict() if isinstance(data, QueryDict) else data)


def _valid(serializer: type[Serializer], given: Any) -> dict[str, Any]:
    found = serializer(data=given)
    found.is_valid(raise_exception=True)
    return found.validated_data


def is_staff_with(request: Request, permission: str) -> bool:
    return bool(request.user.is_staff and request.user.has_perm(permission))


def acting(request: Request) -> Reader | None:
    """Return the person who acts, None for another system."""
    return request.user if isinstance(request.user, Reader) else None


def narrowed_to(request: Request, user_id: int | None, *, sees_all: bool) -> int | None:
    """Return the one reader whose rows are listed, None for all readers.

    Raises PermissionDenied for a reader who asks for those of another one.
    """
    if sees_all:
        return user_id
    own: int = request.user.pk
    if user_id not in (None, own):
        raise PermissionDenied(_("You may see what is your own. Leave out `user_id`."))
    return own


def chosen_reader(request: Request, user_id: int | None, *, permission: str) -> Reader:
    """Return for whom something is done: for the caller, unless staff name somebody else."""
    own = acting(request)
    if own is not None and user_id in (None, own.pk):
        return own
    if user_id is None:
        raise ValidationError({"user_id": [_("Say for which reader.")]})
    if not is_staff_with(request, permission):
        raise PermissionDenied(_("You may do this for yourself only. Leave out `user_id`."))
    reader = Reader.objects.filter(pk=user_id).first()
    if reader is None:
        raise ValidationError({"user_id": [_("There is no reader with this number.")]})
    return reader


def refuse_what_is_for_staff(request: Request, given: dict[str, Any], *names: str) -> None:
    """Raise PermissionDenied where a reader sent what only staff may decide."""
    for name in names:
        if given.get(name) is not None:
            message = _("Only staff may choose this. Leave out `%(name)s`.")
            raise PermissionDenied(message % {"name": name})


def overriding(given: dict[str, Any]) -> Overriding | None:
    override = given.get("override")
    if override is None:
        return None
    return Overriding(frozenset(override["codes"]), override["reason"])
