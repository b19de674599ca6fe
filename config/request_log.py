"""A number for each request, in its answer and in all that the log says of it; and its own line."""

import logging
import re
import time
import uuid
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from config import context, discreet
from config.log_format import FACTS

log = logging.getLogger("config.requests")

HEADER = "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{8,64}")


class RequestLog:
    """Middleware that is asked first, so that what others refuse has its line as well."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        number = _number(request)
        began = time.perf_counter()
        with context.marked(request_id=number):
            response = self._get_response(request)
            response[HEADER] = number
            _write(request, response, 1000 * (time.perf_counter() - began))
        return response


def _number(request: HttpRequest) -> str:
    """Return the number that a proxy has given the request, or a new one."""
    given = request.headers.get(HEADER, "")
    return given if WELL_FORMED.fullmatch(given) else uuid.uuid4().hex


def _write(request: HttpRequest, response: HttpResponse, milliseconds: float) -> None:
    """Write the line of a request: neither who asks nor what for, but for numbers of rows."""
    is_file = request.path_info.startswith(f"/{settings.STATIC_URL.strip('/')}/")
    facts = {
        "method": request.method if request.method in METHODS else "(other)",
        "path": discreet.path(request),
        "status": response.status_code,
        "ms": round(milliseconds, 1),
    }
    level = logging.DEBUG if is_file else _level(response.status_code)
    log.log(level, "%(method)s %(path)s %(status)d %(ms).1f ms", facts, extra={FACTS: facts})


def _level(status: int) -> int:
    return logging.WARNING if status >= 500 else logging.INFO


METHODS = frozenset("GET HEAD POST PUT PATCH DELETE OPTIONS".split())
