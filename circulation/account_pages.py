"""The pages that letters about an account lead to, without sign-in: the link is the authority.

A GET changes nothing, as mail programs and scanners follow links.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.forms import SetPasswordForm
from django.core.validators import MaxLengthValidator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from circulation import accounts
from circulation.accounts import LONGEST_PASSWORD, BadLinkError
from circulation.models import Reader

PAGE = "circulation/account_page.html"


class NewPasswordForm(SetPasswordForm):  # type: ignore[type-arg]
    """Asks for the new password twice."""

    def __init__(self, reader: Reader, *args: Any, **kwargs: Any) -> None:
        super().__init__(reader, *args, **kwargs)
        for field in self.fields.values():
            field.validators.append(MaxLengthValidator(LONGEST_PASSWORD))


@csrf_exempt  # without the link nobody can send the form; and browsers hide where it comes from
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "HEAD", "POST"])
def reset_password(request: HttpRequest, uid: str, token: str) -> HttpResponse:
    """Ask for a new password on GET; set it on POST."""
    try:
        reader = accounts.resetting(uid, token)
        form = NewPasswordForm(reader, request.POST if request.method == "POST" else None)
        if not form.is_valid():
            title = _("Choose a new password")
            return _page(request, title, "", form=form, button=_("Set it"))
        accounts.reset_password(uid, token, form.cleaned_data["new_password1"])
    except BadLinkError:
        return _bad_link(request)
    return _page(request, _("Your password is set"), _("You can sign in with it now."))


@csrf_exempt
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_email(request: HttpRequest, token: str) -> HttpResponse:
    """Ask on GET; note on POST that the address is the reader's."""
    try:
        reader = accounts.confirming(token)
        if request.method == "POST":
            reader = accounts.confirm_email(token)
    except BadLinkError:
        return _bad_link(request)
    if reader.is_email_verified:
        return _page(request, _("Your address is confirmed"), _("You can sign in now."))
    text = _("You have registered with this address. If it was not you, close this page.")
    return _page(request, _("Confirm your address?"), text, button=_("Confirm"))


def _bad_link(request: HttpRequest) -> HttpResponse:
    text = _("This link has been used, is too old, or is not complete. Ask for a new one.")
    return _page(request, _("This link is not good"), text, status=404)


def _page(
    request: HttpRequest, title: str, text: str, *, status: int = 200, **context: Any
) -> HttpResponse:
    context = {"title": title, "text": text, "library": settings.LIBRARY_NAME, **context}
    return TemplateResponse(request, PAGE, context, status=status)
