"""The OpenAPI description: what each view declares, and what the kit around it adds to all."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from config.rest.access import ANYONE, grants
from config.rest.problems import MEDIA_TYPE

Operation = dict[str, Any]
Endpoint = tuple[str, str, str, Any]
# Other names for what is described elsewhere.
ALIASES = ("/api/library/", "/api/users/register/")
WITHOUT_SLASH = "/api/loans/"
SAFE = "GET"
OF_PAGES = ("page", "page_size")


class ReasonSerializer(serializers.Serializer):
    code = serializers.CharField()
    message = serializers.CharField()
    is_overridable = serializers.BooleanField()


class FieldErrorSerializer(serializers.Serializer):
    field = serializers.CharField(
        help_text=gettext_lazy("Dotted where nested; empty where the whole is meant.")
    )
    code = serializers.CharField()
    message = serializers.CharField()


class ProblemSerializer(serializers.Serializer):
    """What went wrong (RFC 9457): `errors` of bad input, `reasons` of a refusal."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    errors = FieldErrorSerializer(many=True, required=False)
    reasons = ReasonSerializer(many=True, required=False)


class Described(AutoSchema):
    """Adds to an operation how one signs in to it, and each problem that its view can answer.

    Of a view it reads `access`, `throttle_scope`, `conflicts` (a refusal is possible: 409),
    `is_conditional` (it sends an ETag, and asks for one that matches where it changes things), and
    `problems`: further statuses by method, as `{"POST": (401,)}`.
    """

    def get_auth(self) -> list[dict[str, Any]]:
        if not self.view.authentication_classes:
            return []
        return [{"bearer": []}, *([{}] if ANYONE in self._grants else [])]

    def get_override_parameters(self) -> list[Any]:
        if not getattr(self.view, "is_conditional", False):
            return []
        sent = OpenApiParameter("ETag", str, OpenApiParameter.HEADER, response=[200, 201])
        if self.method == "POST":
            return [sent]
        name = "If-None-Match" if self.method == SAFE else "If-Match"
        asked = OpenApiParameter(name, str, OpenApiParameter.HEADER, description=_("An ETag."))
        return [asked, sent] if self.method != "DELETE" else [asked]

    def get_operation(self, *args: Any) -> Operation | None:
        operation: Operation | None = super().get_operation(*args)
        if operation is not None:
            for parameter in operation.get("parameters", ()):
                if _may_be_empty(parameter):
                    parameter["allowEmptyValue"] = True
            declared = operation["responses"]
            possible = {str(status): self._problem(status) for status in self._statuses(operation)}
            if self.method == SAFE and getattr(self.view, "is_conditional", False):
                possible["304"] = {"description": _("It is as `If-None-Match` says.")}
            operation["responses"] = dict(sorted({**possible, **declared}.items()))
        return operation

    @property
    def _grants(self) -> tuple[str, ...]:
        return grants(self.view, self.method)

    def _statuses(self, operation: Operation) -> Iterator[int]:
        yield from _of_input(operation)
        if self.view.authentication_classes:
            yield 401
        if ANYONE not in self._grants:
            yield 403
        if self.method != SAFE and getattr(self.view, "conflicts", False):
            yield 409
        if self.method not in (SAFE, "POST") and getattr(self.view, "is_conditional", False):
            yield 412
        if getattr(self.view, "throttle_scope", None):
            yield 429
        yield 503
        yield from getattr(self.view, "problems", {}).get(self.method, ())

    def _problem(self, status: int) -> dict[str, Any]:
        schema = self.resolve_serializer(ProblemSerializer(), "response").ref
        return {"description": _meaning(status), "content": {MEDIA_TYPE: {"schema": schema}}}


def _may_be_empty(parameter: dict[str, Any]) -> bool:
    """An empty value in a query asks for nothing."""
    is_asked = parameter["in"] == "query" and parameter["name"] not in OF_PAGES
    return is_asked and not parameter.get("required")


def _of_input(operation: Operation) -> Iterator[int]:
    """Yield what can be wrong with what is sent: the address, its query, the body."""
    asked = {(parameter["in"], parameter["name"]) for parameter in operation.get("parameters", ())}
    places = {place for place, _name in asked}
    has_body = "requestBody" in operation
    if has_body or "query" in places:
        yield 400
    if "path" in places or ("query", "page") in asked:
        yield 404
    if has_body:
        yield from (413, 415)


def _meaning(status: int) -> str:
    return {
        400: _("Something that was sent is not valid; `errors` names the fields."),
        401: _("There is no token, or it is not good (any more)."),
        403: _("The caller may not do this."),
        404: _("There is no such thing, or it is not for the caller."),
        409: _("Refused as things are; `reasons` gives every reason."),
        412: _("It was changed since the ETag that `If-Match` names."),
        413: _("The body is too large."),
        415: _("The body is not JSON."),
        503: _("The records, or who vouches for the caller, cannot be reached for the moment."),
        429: _("Too many requests; `Retry-After` says for how many seconds to wait."),
    }[status]


def only_canonical(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Leave each address in, once, as the mission's documents spell it."""
    return [endpoint for endpoint in endpoints if _is_canonical(endpoint[0])]


def _is_canonical(path: str) -> bool:
    if not path.startswith("/api/") or path.startswith(ALIASES):
        return False
    return path.endswith("/") != path.startswith(WITHOUT_SLASH)
