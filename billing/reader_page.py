"""The one page that readers are shown without signing in: a title, a sentence, maybe a button.

Whoever has its address may be anybody, so it names nobody, and asks not to be kept or indexed.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

HEADERS = {
    # Addresses hold pay links and sessions: they go to nobody else.
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
}
LOOK_AGAIN_SECONDS = 4


class Tone(StrEnum):
    """How a page looks, beside what it says."""

    GOOD = "good"
    WAITING = "waiting"
    BAD = "bad"
    PLAIN = "plain"


@dataclass(frozen=True)
class Page:
    """What is said. `code` names it for programs, in every language and version.

    `looks_again` is the address that a browser goes to by itself after a few seconds.
    """

    code: str
    title: str
    text: str
    tone: Tone = Tone.PLAIN
    status: int = 200
    link: str = ""
    link_label: str = ""
    looks_again: str = ""
    retry_after: int = 0
    data: Mapping[str, str] = field(default_factory=dict)


def for_anybody(view: View[P]) -> View[P]:
    """Let a view only be read, by anybody, and have nothing of its answer kept."""

    @wraps(view)
    def answer(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = view(request, *args, **kwargs)
        for name, value in HEADERS.items():
            response[name] = value
        patch_vary_headers(response, ["Accept"])
        return response

    # Without csrf_exempt a POST would be told of a missing token, not that there is none to make.
    return csrf_exempt(never_cache(require_safe(answer)))


def show(request: HttpRequest, page: Page) -> HttpResponse:
    """Answer a browser with the page, and a program that asks for JSON with the same."""
    response: HttpResponse
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        response = JsonResponse(_as_json(page), status=page.status)
    else:
        context = {
            **asdict(page),
            "library": settings.LIBRARY_NAME,
            "seconds": LOOK_AGAIN_SECONDS,
        }
        template = "billing/reader_page.html"
        response = render(request, template, context, status=page.status)
    if page.retry_after:
        response["Retry-After"] = str(page.retry_after)
    return response


def _as_json(page: Page) -> dict[str, str]:
    answer = {"code": page.code, "title": page.title, "detail": page.text, **page.data}
    return {**answer, "link": page.link} if page.link else answer
