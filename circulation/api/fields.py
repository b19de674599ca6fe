"""Fields of what people type about themselves and sign in with; views that need no token."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as RefusedValue
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.views import APIView

from circulation.accounts import LONGEST_PASSWORD
from circulation.models import Reader
from circulation.sign_in import LONGEST_EMAIL


class OpenView(APIView):
    """A view for people who are not signed in: a token that is too old must not be in the way."""

    authentication_classes = ()

    def get_authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401; without one DRF would make it a 403."""
        return "Bearer"


class Line(serializers.CharField):
    """Text of one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"required": False, "allow_blank": True, **options})

    def to_internal_value(self, data: Any) -> str:
        return " ".join(super().to_internal_value(data).split())


class Email(serializers.EmailField):
    """An address as accounts have it: in lower case, and in ASCII before the @.

    Letters such as the Kelvin sign are others in lower case, and would make one address of two.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": LONGEST_EMAIL, **options})

    def to_internal_value(self, data: Any) -> str:
        address: str = super().to_internal_value(data)
        if not address.rpartition("@")[0].isascii():
            self.fail("invalid")
        return address.lower()


class Password(serializers.CharField):
    """Exactly what was typed, spaces too."""

    def __init__(self, **options: Any) -> None:
        fixed = {"write_only": True, "trim_whitespace": False, "max_length": LONGEST_PASSWORD}
        super().__init__(**{**fixed, "style": {"input_type": "password"}, **options})


def check_password(password: str, *, field: str, reader: Reader) -> None:
    """Raise ValidationError on the field where the validators of the settings refuse it."""
    try:
        validate_password(password, reader)
    except RefusedValue as refused:
        raise serializers.ValidationError({field: refused.messages}, "weak") from refused


def bad_link(_error: Exception) -> serializers.ValidationError:
    text = _("This link has been used, is too old, or is not complete. Ask for a new one.")
    return serializers.ValidationError({"token": [text]}, "bad_link")
