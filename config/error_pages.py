"""The pages for what did not go as asked: what happened, and the way back.

They ask the database nothing, as it may be what failed. `config.rest.unhandled` answers under
/api/.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

OFFICE = "/admin/"
AWAY = gettext_lazy(
    "The library's records cannot be reached at the moment. Try again in a few seconds."
)


def bad_request(request: HttpRequest) -> HttpResponse:
    text = _("The browser sent something that cannot be read. Nothing was changed.")
    return page(request, _("Not understood"), text, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    said = str(exception) or _("Your account may not do this. Ask an administrator.")
    return page(request, _("Not allowed"), said, status=403)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form without the sign that our page made it: most often it lay open too long."""
    text = _(
        "Nothing was changed: this form was too old, you have signed in anew since, or the browser "
        "keeps no cookies of this site. Go back, load the page again and send it once more."
    )
    return page(request, _("Please send it again"), text, status=403)


def not_found(request: HttpRequest) -> HttpResponse:
    text = _(
        "There is nothing at this address. It may have been mistyped, or what was here is gone."
    )
    return page(request, _("Not found"), text, status=404)


def not_allowed(request: HttpRequest) -> HttpResponse:
    text = _("This address takes what a form sends; it is no page to open. Nothing was changed.")
    return page(request, _("Not a page"), text, status=405)


def server_error(request: HttpRequest) -> HttpResponse:
    text = _(
        "This went wrong here, through no fault of yours. What was asked is done in whole or "
        "not at all: look before you repeat it. The library's log says what happened."
    )
    return page(request, _("Something went wrong"), text, status=500)


def unavailable(request: HttpRequest) -> HttpResponse:
    return page(request, _("Just a moment"), str(AWAY), status=503)


def page(request: HttpRequest, title: str, text: str, *, status: int) -> HttpResponse:
    context = {"title": title, "text": text, "library": settings.LIBRARY_NAME}
    if request.path.startswith(OFFICE):
        context["back_url"] = reverse("admin:index")
    return HttpResponse(render_to_string("config/error.html", context), status=status)


def explain_wrong_methods(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: a form's address that was opened as a page says so, instead of nothing."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if response.status_code != 405 or response.streaming or response.content:
            return response
        said = not_allowed(request)
        said.headers["Allow"] = response.headers["Allow"]
        return said

    return middleware
