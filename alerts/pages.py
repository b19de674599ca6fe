"""The page that ends messages of one kind, without sign-in, and turns them on again.

It shows no personal data: whoever has a link may be anybody. Mail programs press the button
themselves, with a POST as RFC 8058 describes it; a GET changes nothing, as scanners follow links.
"""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from alerts import preferences
from alerts.preferences import BadLinkError, Choice


@csrf_exempt  # the signature in the address is the authority, as in pay links
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unsubscribe(request: HttpRequest, token: str) -> HttpResponse:
    """Ask on GET; decline on POST, or accept again where that button was pressed."""
    try:
        choice = preferences.choice(token)
    except BadLinkError:
        text = _("This link is not complete. Copy it whole, or ask the library.")
        return _page(request, _("Unknown link"), text, status=404)
    reason = _("By the link in a message.")
    if request.method == "POST" and request.POST.get("act") == "start":
        preferences.accept(choice.reader, choice.kind, reason=reason)
        return _on_page(request, choice, _("Turned on again"))
    if request.method == "POST":
        preferences.decline(choice.reader, choice.kind, reason=reason)
    if choice.is_declined:
        return _off_page(request, choice)
    return _on_page(request, choice, _("Turn these messages off?"))


def _on_page(request: HttpRequest, choice: Choice, title: str) -> HttpResponse:
    text = _(
        "You get messages of the kind “%(kind)s”. Without them, the library still tells you what "
        "you have to know, such as that a book is overdue."
    )
    button = _("Turn them off")
    return _page(request, title, text % {"kind": choice.kind.label}, act="stop", button=button)


def _off_page(request: HttpRequest, choice: Choice) -> HttpResponse:
    text = _("You get no more messages of the kind “%(kind)s”.") % {"kind": choice.kind.label}
    return _page(request, _("Turned off"), text, act="start", button=_("Turn them on again"))


def _page(
    request: HttpRequest, title: str, text: str, *, status: int = 200, **context: Any
) -> HttpResponse:
    context = {"title": title, "text": text, "library": settings.LIBRARY_NAME, **context}
    return TemplateResponse(request, "alerts/unsubscribe.html", context, status=status)
