"""What went wrong, in one shape everywhere: problem details after RFC 9457.

    {"type": "about:blank", "title": "Conflict", "status": 409, "code": "too_many_loans",
     "detail": "...", "reasons": [{"code", "message", "is_overridable"}]}

Bad input has `errors` instead of `reasons`: the field (dotted where nested), a code and a sentence.
"""

import logging
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import (
    NON_FIELD_ERRORS,
    ObjectDoesNotExist,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError, IntegrityError, OperationalError
from django.db.models import ProtectedError
from django.http import Http404
from django.http.request import UnreadablePostError
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.fields import get_error_detail
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import set_rollback

from billing.payments import PaymentRefusedError
from catalog.inventory import InventoryRefusedError
from circulation.deletion import DeletionRefusedError
from circulation.holds import HoldNotActiveError
from circulation.refusals import RefusedError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
Problem = dict[str, Any]
BUSY_FOR = "5"  # seconds


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn what a view raised into a problem; None (a real 500) for what nobody foresaw."""
    error = _as_api_error(error)
    for kind, told in TOLD.items():
        if isinstance(error, kind):
            found = told(error)
            break
    else:
        return None
    set_rollback()
    # A problem is JSON where the view itself speaks YAML or HTML, too.
    context["request"].accepted_renderer = JSONRenderer()
    context["request"].accepted_media_type = MEDIA_TYPE
    return Response(found, status=found["status"], headers=_headers(error), content_type=MEDIA_TYPE)


def problem(status: int, code: str, detail: str, **more: Any) -> Problem:
    known = {"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return {"type": "about:blank", **known, **more}


def conflict(code: str, detail: str) -> Problem:
    reason = {"code": code, "message": detail, "is_overridable": False}
    return problem(409, code, detail, reasons=[reason])


def _as_api_error(error: Exception) -> Exception:
    if isinstance(error, ObjectDoesNotExist):
        # It was there when the view looked, and gone when the domain locked it.
        logger.warning("The API answers 404: %s", error, exc_info=error)
        return exceptions.NotFound()
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, ModelValidationError):
        return exceptions.ValidationError(get_error_detail(error))
    return error


def _headers(error: Exception) -> dict[str, str]:
    if challenge := getattr(error, "auth_header", None):
        return {"WWW-Authenticate": challenge}
    if wait := getattr(error, "wait", None):
        return {"Retry-After": str(int(wait) or 1)}
    if isinstance(error, OperationalError):
        return {"Retry-After": BUSY_FOR}
    return {}


def _bad_input(error: exceptions.ValidationError) -> Problem:
    errors = list(_fields(error.get_full_details()))
    detail = " ".join(
        f"{wrong['field']}: {wrong['message']}" if wrong["field"] else wrong["message"]
        for wrong in errors
    )
    return problem(error.status_code, "invalid", detail, errors=errors)


def _fields(details: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Flatten what DRF nests: lists of messages under fields, under items, under fields."""
    if isinstance(details, dict) and isinstance(details.get("message"), str):
        yield {"field": path, "code": details["code"], "message": details["message"]}
    elif isinstance(details, dict):
        for name, inner in details.items():
            general = (api_settings.NON_FIELD_ERRORS_KEY, NON_FIELD_ERRORS)
            step = "" if name in general else str(name)
            yield from _fields(inner, ".".join(filter(None, (path, step))))
    elif all(isinstance(inner, dict) and "message" in inner for inner in details):
        for inner in details:
            yield from _fields(inner, path)
    else:
        for number, inner in enumerate(details):
            if inner:
                yield from _fields(inner, ".".join(filter(None, (path, str(number)))))


def _told_by_drf(error: exceptions.APIException) -> Problem:
    codes = error.get_codes()
    code = codes if isinstance(codes, str) else error.default_code
    detail = error.detail if isinstance(error.detail, str) else error.default_detail
    return problem(error.status_code, code, str(detail))


def _refused(error: RefusedError) -> Problem:
    reasons = [
        {"code": block.code, "message": block.message, "is_overridable": block.is_overridable}
        for block in error.blocks
    ]
    return problem(409, error.blocks[0].code, str(error), reasons=reasons)


def _coded(code: str) -> Callable[[Any], Problem]:
    return lambda error: conflict(code, str(error))


def _in_use(_error: ProtectedError) -> Problem:
    detail = _("Others refer to this, so it cannot be deleted: its history would be lost.")
    return conflict("in_use", detail)


def _raced(error: IntegrityError) -> Problem:
    logger.warning("The database refused what the API was about to write: %s", error)
    detail = _("Something else was changed at the same moment. Read it again, then try again.")
    return conflict("conflict", detail)


def _does_not_fit(_error: Exception) -> Problem:
    detail = _("A number or a text is larger than any that the library keeps.")
    return problem(400, "invalid", detail, errors=[])


def _too_large(_error: RequestDataTooBig) -> Problem:
    return problem(413, "too_large", _("The body is too large."))


def _bad_request(_error: Exception) -> Problem:
    return problem(400, "bad_request", _("The request is not one that can be read."))


def _busy(error: OperationalError) -> Problem:
    logger.warning("A request of the API found the database busy or away: %s", error)
    detail = _("The library's records cannot be reached at the moment. Nothing was changed.")
    return problem(503, "unavailable", detail)


TOLD: dict[type[Exception], Callable[[Any], Problem]] = {
    exceptions.ValidationError: _bad_input,
    exceptions.APIException: _told_by_drf,
    RefusedError: _refused,
    HoldNotActiveError: _coded("hold_not_active"),
    InventoryRefusedError: _coded("inventory_refused"),
    PaymentRefusedError: _coded("payment_refused"),
    DeletionRefusedError: _coded("deletion_refused"),
    ProtectedError: _in_use,
    IntegrityError: _raced,
    DataError: _does_not_fit,
    OverflowError: _does_not_fit,
    RequestDataTooBig: _too_large,
    SuspiciousOperation: _bad_request,
    UnreadablePostError: _bad_request,
    OperationalError: _busy,
}
