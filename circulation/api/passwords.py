"""Passwords over the API: changing one's own, and a new one by a mailed link."""

from typing import Any

from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from circulation import account_mail, accounts
from circulation.api.fields import Email, OpenView, Password, bad_link, check_password
from circulation.api.tokens import Pair, pair_for


class PasswordChange(serializers.Serializer[Any]):
    current_password = Password()
    new_password = Password()


class ForgottenPassword(serializers.Serializer[Any]):
    email = Email()


class NewPassword(serializers.Serializer[Any]):
    uid = serializers.CharField(max_length=50)
    token = serializers.CharField(max_length=200)
    new_password = Password()


class Told(serializers.Serializer[Any]):
    detail = serializers.CharField()


class ChangePassword(APIView):
    access = {"POST": ("reader",)}
    throttle_scope = "password"

    @extend_schema(operation_id="me_password", request=PasswordChange, responses=Pair)
    def post(self, request: Request) -> Response:
        """Change my password. Tokens of the old one are dead, so new ones are returned."""
        given = PasswordChange(data=request.data)
        given.is_valid(raise_exception=True)
        reader, new = request.user, given.validated_data["new_password"]
        if not reader.check_password(given.validated_data["current_password"]):
            text = _("This is not your password.")
            raise serializers.ValidationError({"current_password": [text]}, "wrong")
        check_password(new, field="new_password", reader=reader)
        accounts.change_password(reader, new)
        return Response(pair_for(reader))


class ResetPassword(OpenView):
    access = {"POST": ("anyone",)}
    throttle_scope = "reset"

    @extend_schema(operation_id="password_reset", request=ForgottenPassword, responses={202: Told})
    def post(self, request: Request) -> Response:
        """Ask for a link by email. The answer is the same whether anybody has the address."""
        given = ForgottenPassword(data=request.data)
        given.is_valid(raise_exception=True)
        account_mail.send_later(account_mail.RESET, given.validated_data["email"])
        text = _("If an account has this address, a link to choose a new password is under way.")
        return Response({"detail": text}, status=202)


class ConfirmReset(OpenView):
    access = {"POST": ("anyone",)}
    throttle_scope = "reset_confirm"

    @extend_schema(operation_id="password_reset_confirm", request=NewPassword, responses=Told)
    def post(self, request: Request) -> Response:
        """Set a new password with what the mailed link holds."""
        given = NewPassword(data=request.data)
        given.is_valid(raise_exception=True)
        uid, token, new = (given.validated_data[name] for name in given.fields)
        try:
            check_password(new, field="new_password", reader=accounts.resetting(uid, token))
            accounts.reset_password(uid, token, new)
        except accounts.BadLinkError as bad:
            raise bad_link(bad) from bad
        return Response({"detail": _("Your password is set. You can sign in with it now.")})


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("users/me/password", ChangePassword, "me-password"),
    ("users/password-reset", ResetPassword, "password-reset"),
    ("users/password-reset/confirm", ConfirmReset, "password-reset-confirm"),
)
