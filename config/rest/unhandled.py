"""What no view answers: under /api/ it is a problem as any other, elsewhere a page in words.

Django has logged a failure with its traceback by then.
"""

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _

from config import error_pages
from config.rest.problems import BUSY_FOR, MEDIA_TYPE, problem

API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(API):
        return error_pages.bad_request(request)
    return _answer(400, "bad_request", _("The request is not one that can be read."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(API):
        return error_pages.not_found(request)
    return _answer(404, "not_found", _("There is nothing at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for the exception that is being handled: 503 where the database is busy or away."""
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        return _unavailable(request)
    if not request.path.startswith(API):
        return error_pages.server_error(request)
    detail = _("This went wrong here, through no fault of yours. The library's log says how.")
    return _answer(500, "internal_error", detail)


def _unavailable(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(API):
        answer = _answer(503, "unavailable", str(error_pages.AWAY))
    else:
        answer = error_pages.unavailable(request)
    answer.headers["Retry-After"] = BUSY_FOR
    return answer


def _answer(status: int, code: str, detail: str) -> HttpResponse:
    found = problem(status, code, detail)
    return JsonResponse(found, status=status, content_type=MEDIA_TYPE)
