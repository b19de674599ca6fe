"""The token of a request: `Authorization: Bearer ...`, whatever kind of token it is.

The word may be written in any case, after RFC 9110.
"""

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

CHALLENGE = "Bearer"


class BearerAuthentication(BaseAuthentication):
    """The base of those who know one kind of token and leave all others to those after them."""

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


def token_of(request: Request) -> str:
    """Return the token, or "" where there is none."""
    parts = get_authorization_header(request).split()
    if len(parts) != 2 or parts[0].lower() != CHALLENGE.lower().encode():
        return ""
    return str(parts[1].decode("latin-1"))


class AccessTokens(JWTAuthentication):
    """Carrel's own tokens, and what nobody else knew."""

    def get_header(self, request: Request) -> bytes:
        header: bytes = super().get_header(request) or b""
        scheme, _space, token = header.partition(b" ")
        if scheme.lower() != CHALLENGE.lower().encode():
            return header
        return b" ".join((CHALLENGE.encode(), token))
