"""Staff sign in to the admin through the provider: there and back, and who may come in."""

import base64
from typing import Any
from urllib.parse import quote_plus

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from mozilla_django_oidc.utils import import_from_settings
from mozilla_django_oidc.views import (
    OIDCAuthenticationCallbackView,
    OIDCAuthenticationRequestView,
)

from circulation import identities
from circulation.identities import SignInRefusedError
from circulation.readers import Reader
from config.oidc import provider, tokens

CALLBACK = "oidc-callback"
FOR_THE_LIBRARY = {
    "OIDC_AUTHENTICATION_CALLBACK_URL": CALLBACK,
    "OIDC_RP_SCOPES": "openid email profile",
    "OIDC_USE_PKCE": True,
}


def _setting(name: str, *default: Any) -> Any:
    """Answer what mozilla-django-oidc looks up in the settings."""
    return FOR_THE_LIBRARY.get(name) or import_from_settings(name, *default)


class ProviderBackend(BaseBackend):
    """Holds no permissions: they are those of the account, by Django's own backend."""

    def authenticate(  # type: ignore[override]  # not by username and password
        self, request: HttpRequest, *, nonce: str, code_verifier: str
    ) -> Reader:
        """Return the member of staff whom a code stands for.

        Raises SignInRefusedError, BadTokenError, ProviderAwayError: unlike None, they do not count
        as somebody's wrong password.
        """
        answer = _redeem(request, code_verifier)
        claims = tokens.verify(str(answer.get("id_token")), audience=settings.OIDC_CLIENT_ID)
        if not constant_time_compare(str(claims.get("nonce")), nonce):
            raise SignInRefusedError(_("This sign-in was begun in another browser. Try again."))
        if "email" not in claims:
            claims |= _userinfo(str(answer.get("access_token")), claims["sub"])
        reader = identities.reader_for(tokens.person(claims), may_create=False)
        if not reader.is_staff:
            raise SignInRefusedError(
                _("%(reader)s is no member of staff, and this is their back-office.")
                % {"reader": reader}
            )
        return reader

    def get_user(self, user_id: int) -> Reader | None:
        return Reader.objects.filter(pk=user_id, is_active=True).first()


class Start(OIDCAuthenticationRequestView):
    """Sends the browser to the provider, with state, nonce and the challenge of PKCE."""

    get_settings = staticmethod(_setting)

    def __init__(self, **options: Any) -> None:
        """Leave out the library's, which asks for the address before anything can go wrong."""
        super(OIDCAuthenticationRequestView, self).__init__(**options)

    def get(self, request: HttpRequest) -> HttpResponse:
        try:
            self.OIDC_OP_AUTH_ENDPOINT = provider.endpoint("authorization_endpoint")
        except provider.ProviderAwayError as away:
            return refused(request, str(away), status=503)
        self.OIDC_RP_CLIENT_ID = settings.OIDC_CLIENT_ID
        return super().get(request)


class Callback(OIDCAuthenticationCallbackView):
    """Takes the browser back, and lets in whom the provider and the library know."""

    get_settings = staticmethod(_setting)

    def get(self, request: HttpRequest) -> HttpResponse:
        # The library would sign out whoever follows a link with an error in it.
        if "error" in request.GET:
            return refused(request, _("The sign-in provider did not sign you in."))
        try:
            return super().get(request)
        except provider.ProviderAwayError as away:
            return refused(request, str(away), status=503)
        except (SignInRefusedError, tokens.BadTokenError) as why:
            return refused(request, str(why))
        except SuspiciousOperation:
            return self.login_failure()

    def login_failure(self) -> HttpResponse:
        return refused(
            self.request, _("This sign-in took too long, or was begun in another browser.")
        )


def refused(request: HttpRequest, why: str, *, status: int = 403) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": _("Not signed in"), "why": why}
    return render(request, "config/sign_in_refused.html", context, status=status)


def _redeem(request: HttpRequest, code_verifier: str) -> dict[str, Any]:
    """Trade the code of a callback for tokens."""
    form = {
        "grant_type": "authorization_code",
        "code": request.GET["code"],
        "redirect_uri": request.build_absolute_uri(reverse(CALLBACK)),
        "code_verifier": code_verifier,
    }
    headers = {}
    methods = provider.document().get("token_endpoint_auth_methods_supported")
    # Where the provider says nothing, OpenID Connect means this one.
    if "client_secret_basic" in (methods or ["client_secret_basic"]):
        pair = f"{quote_plus(settings.OIDC_CLIENT_ID)}:{quote_plus(settings.OIDC_CLIENT_SECRET)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {
            "client_id": settings.OIDC_CLIENT_ID,
            "client_secret": settings.OIDC_CLIENT_SECRET,
        }
    return _answer("token_endpoint", form=form, headers=headers)


def _userinfo(access_token: str, subject: str) -> dict[str, Any]:
    """Return the email and names where the ID token leaves them out."""
    found = _answer("userinfo_endpoint", headers={"Authorization": f"Bearer {access_token}"})
    if found.get("sub") != subject:
        raise tokens.BadTokenError(_("The sign-in provider names two accounts."))
    return {name: found.get(name) for name in tokens.ABOUT_THE_PERSON}


def _answer(endpoint: str, **sent: Any) -> dict[str, Any]:
    try:
        return provider.ask(provider.endpoint(endpoint), **sent)
    except provider.ProviderRefusedError:
        raise SignInRefusedError(
            _("The sign-in provider takes back what it said. Try again from the beginning.")
        ) from None
