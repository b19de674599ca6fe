"""What no view answers: under /api/ it is a problem as any other, elsewhere a page.

Django has logged a failure with its traceback by then.
"""

import sys

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.views import defaults

from config.rest.problems import BUSY_FOR, MEDIA_TYPE, problem

API = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(API):
        return defaults.bad_request(request, exception)
    return _answer(400, "bad_request", _("The request is not one that can be read."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if not request.path.startswith(API):
        return defaults.page_not_found(request, exception)
    return _answer(404, "not_found", _("There is nothing at this address."))


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer for the exception that is being handled: 503 where the database is busy or away."""
    if isinstance(sys.exception(), OperationalError | InterfaceError):
        return _unavailable(request)
    if not request.path.startswith(API):
        return defaults.server_error(request)
    detail = _("This went wrong here, through no fault of yours. The library's log says how.")
    return _answer(500, "internal_error", detail)


def _unavailable(request: HttpRequest) -> HttpResponse:
    text = _("The library's records cannot be reached at the moment. Try again in a few seconds.")
    if request.path.startswith(API):
        answer = _answer(503, "unavailable", text)
    else:
        # Nothing in it asks the database, as who has signed in would be asked.
        told = {"title": _("Just a moment"), "text": text, "library": settings.LIBRARY_NAME}
        page = render_to_string("alerts/public_page.html", told)
        answer = HttpResponse(page, status=503)
    answer.headers["Retry-After"] = BUSY_FOR
    return answer


def _answer(status: int, code: str, detail: str) -> HttpResponse:
    found = problem(status, code, detail)
    return JsonResponse(found, status=status, content_type=MEDIA_TYPE)
