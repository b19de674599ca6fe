"""Sign-in to the API by access tokens of the library's OpenID Connect provider."""

from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import APIException, AuthenticationFailed
from rest_framework.request import Request

from circulation import identities
from circulation.readers import Reader
from config.oidc import provider, tokens
from config.rest.bearer import BearerAuthentication, token_of

ONLY_IN_ID_TOKENS = ("at_hash", "c_hash", "s_hash")


class ProviderIsAway(APIException):
    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_code = "sign_in_provider_away"
    wait = provider.AWAY_FOR


class ProviderTokens(BearerAuthentication):
    """Knows the tokens that say they are the provider's, whether they are good or not.

    What is not in the token is not asked for: `email` and `email_verified` have to be in it.
    """

    def authenticate(self, request: Request) -> tuple[Reader, dict[str, Any]] | None:
        token = token_of(request)
        if not (token and provider.signs_in_callers() and tokens.claims_issuer(token)):
            return None
        try:
            claims = _access_claims(token)
            reader = identities.reader_for(
                tokens.person(claims), may_create=settings.OIDC_CREATE_READERS
            )
        except provider.ProviderAwayError as away:
            raise ProviderIsAway(str(away)) from away
        except (tokens.BadTokenError, identities.SignInRefusedError) as refused:
            raise AuthenticationFailed(str(refused)) from refused
        return reader, claims


def _access_claims(token: str) -> dict[str, Any]:
    """An ID token tells a web page who came; a page that was given one is no caller for it."""
    claims = tokens.verify(token, audience=settings.OIDC_AUDIENCE)
    if claims.get("typ") == "ID" or any(name in claims for name in ONLY_IN_ID_TOKENS):
        raise tokens.BadTokenError(_("This is an ID token. The API takes access tokens."))
    return claims
