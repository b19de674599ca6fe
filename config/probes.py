"""/healthz and /readyz: whether this process answers, and whether what it needs does.

They come before everything else: a balancer asks by address and plain http, often, and without a
session.
"""

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse

from config import readiness

log = logging.getLogger(__name__)

HEALTH, READINESS = "/healthz", "/readyz"
METHODS = ("GET", "HEAD")
STRICT = "strict"
"""In the query: what only makes the library worse counts as well."""

Answer = Callable[[HttpRequest], HttpResponse]


class Probes:
    """Middleware that answers the two addresses itself."""

    def __init__(self, get_response: Answer) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        answer = ANSWERS.get(request.path_info)
        if answer is None:
            return self._get_response(request)
        if request.method not in METHODS:
            return HttpResponseNotAllowed(METHODS)
        response = answer(request)
        response["Cache-Control"] = "no-store"
        return response


def _health(_request: HttpRequest) -> HttpResponse:
    return JsonResponse({"status": "ok"})


def _readiness(request: HttpRequest) -> HttpResponse:
    """Answer 503 where no request can be served; `?strict`: where anything is wrong at all."""
    found = readiness.asked()
    is_enough = found.is_well if STRICT in request.GET else found.is_ready
    word = "ok" if found.is_well else "degraded" if found.is_ready else "unavailable"
    if not found.is_ready:
        wrong = [f"{name}: {problem}" for name, problem in found.problems.items() if problem]
        log.warning("Not ready to serve: %s", "; ".join(wrong))
    checks = {name: problem or "ok" for name, problem in found.problems.items()}
    told = {"status": word, "checks": checks}
    return JsonResponse(told, status=200 if is_enough else 503, json_dumps_params={"indent": 2})


ANSWERS: dict[str, Answer] = {HEALTH: _health, READINESS: _readiness}
