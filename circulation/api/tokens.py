"""Tokens of the API: signing in for a pair of them, renewing the pair, asking whether one is good.

A refresh token is good once. Which of two simultaneous requests spends it is decided by the unique
key of the table of spent ones, so the other is told to sign in.
"""

from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.authentication import JWTAuthentication
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken, Token, UntypedToken
from rest_framework_simplejwt.utils import datetime_from_epoch

from circulation.accounts import may_sign_in
from circulation.api.fields import OpenView, Password
from circulation.models import Reader
from circulation.sign_in import LONGEST_EMAIL, sign_in

LONGEST_TOKEN = 4096


class BadTokenError(AuthenticationFailed):
    default_code = "token_not_valid"
    default_detail = gettext_lazy(
        "This token is too old, spent, or not from here, or the account has changed. Sign in again."
    )


class Credentials(serializers.Serializer[Any]):
    """`email` and `username` are the same thing: one of them is enough."""

    email = serializers.CharField(max_length=LONGEST_EMAIL, required=False)
    username = serializers.CharField(max_length=LONGEST_EMAIL, required=False)
    password = Password()

    def validate(self, given: dict[str, str]) -> dict[str, str]:
        names = {given[name] for name in ("email", "username") if name in given}
        if not names:
            raise serializers.ValidationError({"email": [_("Give the email.")]}, "required")
        if len(names) > 1:
            text = _("The email and the username are not the same: give one of them.")
            raise serializers.ValidationError({"username": [text]}, "ambiguous")
        return {"email": names.pop(), "password": given["password"]}


class Pair(serializers.Serializer[Any]):
    access = serializers.CharField()
    refresh = serializers.CharField()


class Refresh(serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=LONGEST_TOKEN)


class AnyToken(serializers.Serializer[Any]):
    token = serializers.CharField(max_length=LONGEST_TOKEN)


class Good(serializers.Serializer[Any]):
    token_type = serializers.CharField()


def pair_for(reader: Reader) -> dict[str, str]:
    """Make an access and a refresh token, as a view answers with them."""
    refresh = RefreshToken.for_user(reader)
    return {"access": str(refresh.access_token), "refresh": str(refresh)}


def renew(text: str) -> dict[str, str]:
    """Spend a refresh token for a new pair. Raises BadTokenError."""
    try:
        token = RefreshToken(text)  # type: ignore[arg-type]
    except TokenError as bad:
        raise BadTokenError from bad
    with transaction.atomic():
        reader = _holder(token)
        _spend(token, text, reader)
        return pair_for(reader)


def _spend(token: RefreshToken, text: str, reader: Reader) -> None:
    """Raises BadTokenError where the token is spent already."""
    issued, _is_new = OutstandingToken.objects.get_or_create(
        jti=token["jti"],
        defaults={
            "user": reader,
            "token": text,
            "created_at": token.current_time,
            "expires_at": datetime_from_epoch(token["exp"]),
        },
    )
    try:
        with transaction.atomic():
            BlacklistedToken.objects.create(token=issued)
    except IntegrityError as spent:
        raise BadTokenError from spent


def check(text: str) -> str:
    """Return what type of token it is, if it is good. Raises BadTokenError."""
    try:
        token = UntypedToken(text)  # type: ignore[arg-type]
    except TokenError as bad:
        raise BadTokenError from bad
    if BlacklistedToken.objects.filter(token__jti=token["jti"]).exists():
        raise BadTokenError
    _holder(token)
    return str(token.get("token_type"))


def _holder(token: Token) -> Reader:
    """Raises BadTokenError where the account is gone, switched off, or has another password."""
    try:
        reader = JWTAuthentication().get_user(token)
    except AuthenticationFailed as refused:
        raise BadTokenError from refused
    if not (isinstance(reader, Reader) and may_sign_in(reader)):
        raise BadTokenError
    return reader


class ObtainToken(OpenView):
    access = {"POST": ("anyone",)}
    throttle_scope = "token"
    problems = {"POST": (401,)}

    @extend_schema(operation_id="token_create", request=Credentials, responses=Pair)
    def post(self, request: Request) -> Response:
        """Sign in for an access and a refresh token."""
        credentials = Credentials(data=request.data)
        credentials.is_valid(raise_exception=True)
        given = credentials.validated_data
        reader = sign_in(request._request, given["email"], given["password"])
        if reader is None:
            raise AuthenticationFailed(
                _(
                    "No active account has this email and password. If you have registered "
                    "lately, follow the link in our email first."
                )
            )
        return Response(pair_for(reader))


class RefreshPair(OpenView):
    access = {"POST": ("anyone",)}
    throttle_scope = "refresh"
    problems = {"POST": (401,)}

    @extend_schema(operation_id="token_refresh", request=Refresh, responses=Pair)
    def post(self, request: Request) -> Response:
        """Trade a refresh token, once, for a new pair."""
        given = Refresh(data=request.data)
        given.is_valid(raise_exception=True)
        return Response(renew(given.validated_data["refresh"]))


class VerifyToken(OpenView):
    access = {"POST": ("anyone",)}
    throttle_scope = "verify"
    problems = {"POST": (401,)}

    @extend_schema(operation_id="token_verify", request=AnyToken, responses=Good)
    def post(self, request: Request) -> Response:
        """Tell whether a token is good."""
        given = AnyToken(data=request.data)
        given.is_valid(raise_exception=True)
        return Response({"token_type": check(given.validated_data["token"])})


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("users/token", ObtainToken, "token"),
    ("users/token/refresh", RefreshPair, "token-refresh"),
    ("users/token/verify", VerifyToken, "token-verify"),
)
