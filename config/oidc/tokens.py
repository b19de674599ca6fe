"""The provider's tokens: whether one is its own, made for us, and good now; and whom it names."""

from typing import Any

import jwt
from django.conf import settings
from django.utils.translation import gettext as _

from circulation.identities import Person
from config.oidc import provider

# With a shared secret (HS256) the public key would do to sign, and with none, nothing.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
LEEWAY = 60
"""Seconds by which the clocks of provider and library may differ."""
LONGEST = 16 * 1024
ABOUT_THE_PERSON = ("email", "email_verified", "given_name", "family_name")


class BadTokenError(Exception):
    """The token opens nothing; the message says why."""


def claims_issuer(token: str) -> bool:
    """Tell whether a token says that it is the provider's; anybody can make one that does."""
    if token.count(".") != 2 or len(token) > LONGEST:
        return False
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return False
    return bool(claims.get("iss") == settings.OIDC_ISSUER)


def verify(token: str, *, audience: str) -> dict[str, Any]:
    """Return the claims of a token. Raises BadTokenError and ProviderAwayError."""
    try:
        key = _key_for(jwt.get_unverified_header(token))
        return jwt.decode(
            token,
            key,
            algorithms=[key.algorithm_name],
            audience=audience,
            issuer=settings.OIDC_ISSUER,
            leeway=LEEWAY,
            options={
                "require": ["exp", "iss", "aud", "sub"],
                "enforce_minimum_key_length": True,
            },
        )
    except jwt.ExpiredSignatureError:
        raise BadTokenError(_("This sign-in has expired. Sign in again.")) from None
    except jwt.ImmatureSignatureError:
        raise BadTokenError(_("This sign-in is not good yet: compare the clocks.")) from None
    except jwt.InvalidAudienceError:
        raise BadTokenError(_("This token was made for another service.")) from None
    except (jwt.PyJWTError, ValueError):
        raise BadTokenError(_("This token is not as the sign-in provider makes them.")) from None


def person(claims: dict[str, Any]) -> Person:
    return Person(
        issuer=claims["iss"],
        subject=claims["sub"],
        email=claims.get("email"),
        is_email_verified=claims.get("email_verified") is True,
        first_name=claims.get("given_name"),
        last_name=claims.get("family_name"),
    )


def _key_for(header: dict[str, Any]) -> jwt.PyJWK:
    """Return the key that a token names, bound to the token's algorithm."""
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise jwt.InvalidAlgorithmError
    fitting = _fitting(provider.keys(), header) or _fitting(provider.keys_fetched_again(), header)
    if len(fitting) != 1:
        raise jwt.InvalidKeyError
    return jwt.PyJWK(fitting[0], algorithm)


def _fitting(keys: list[provider.Key], header: dict[str, Any]) -> list[provider.Key]:
    """Return the keys with the token's id; without an id, those for its algorithm."""
    kid, algorithm = header.get("kid"), header["alg"]
    return [
        key
        for key in keys
        if kid in (None, key.get("kid")) and key.get("alg", algorithm) == algorithm
    ]
