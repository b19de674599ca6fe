"""Accounts over the API: registering, one's own profile, and what one has on loan."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiResponse, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts import preferences
from catalog.models import AuthorFollow
from catalog.text import fold
from circulation import account_mail, accounts, profiles
from circulation.api.fields import Email, Line, OpenView, Password, check_password
from circulation.models import Loan, Reader
from circulation.readers import PHONE_VALIDATOR

PHONE = r"^[0-9+()/. -]+$"  # as the validator has it, of which the empty text is a case apart
LANGUAGE = r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,2}$"


@extend_schema_field({"type": "string", "maxLength": 40, "pattern": PHONE})
class Phone(Line):
    """Without this, the schema would allow nothing twice: by the pattern, and beside it."""


class Person(serializers.Serializer[Any]):
    """What readers say of themselves."""

    first_name = Line(max_length=150)
    last_name = Line(max_length=150)
    phone = Phone(max_length=40, validators=[PHONE_VALIDATOR])
    language = serializers.RegexField(
        LANGUAGE,
        max_length=10,
        required=False,
        allow_blank=True,
        error_messages={"invalid": _("Give the code of a language, such as pl or pt-br.")},
    )


class Registration(Person):
    email = Email()
    password = Password()

    def validate(self, given: dict[str, str]) -> dict[str, str]:
        person = Reader(**{name: value for name, value in given.items() if name != "password"})
        check_password(given["password"], field="password", reader=person)
        return given


class Profile(Person):
    """A reader's own record. What the library decides is only shown, whatever is sent."""

    id = serializers.IntegerField(read_only=True)
    email = Email(required=False, allow_null=True)
    card_number = serializers.CharField(read_only=True, allow_null=True)
    expiry_date = serializers.DateField(read_only=True, allow_null=True)
    notices = serializers.DictField(child=serializers.BooleanField(), required=False)
    followed_authors = serializers.ListField(
        child=Line(required=True, allow_blank=False, max_length=200),
        required=False,
        max_length=profiles.MOST_AUTHORS,
    )

    def validate_email(self, email: str | None) -> str | None:
        if email != self.instance.email:
            raise serializers.ValidationError(
                _("You sign in with this email. To change it, ask the library."), "fixed"
            )
        return email

    def validate_notices(self, notices: dict[str, bool]) -> dict[str, bool]:
        optional = [kind.value for kind in preferences.optional_kinds()]
        if unknown := sorted(notices.keys() - set(optional)):
            raise serializers.ValidationError(
                _("There is no choice about %(unknown)s; there is about %(optional)s.")
                % {"unknown": ", ".join(unknown)[:200], "optional": ", ".join(optional)}
            )
        return notices

    def validate_followed_authors(self, names: list[str]) -> list[str]:
        if not all(map(fold, names)):
            raise serializers.ValidationError(_("A name needs letters."))
        return names


class OnLoanBook(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    title = serializers.CharField()
    author = serializers.CharField()


class OnLoan(serializers.Serializer[Any]):
    borrowing_id = serializers.IntegerField()
    book = OnLoanBook()
    borrow_date = serializers.DateField()
    expected_return_date = serializers.DateField()
    is_overdue = serializers.BooleanField()


class MailSent(serializers.Serializer[Any]):
    detail = serializers.CharField()


class Register(OpenView):
    access = {"POST": ("anyone",)}
    throttle_scope = "register"
    problems = {"POST": (403,)}

    @extend_schema(
        operation_id="user_register",
        request=Registration,
        responses={
            201: Profile,
            202: OpenApiResponse(MailSent, "A link was mailed; there are no tokens before it."),
        },
    )
    def post(self, request: Request) -> Response:
        """Register as a reader, where the library lets people do that themselves."""
        if not settings.SELF_REGISTRATION:
            text = _("Readers are registered by the library. Please ask at the desk.")
            raise PermissionDenied(text, "registration_closed")
        given = Registration(data=request.data)
        given.is_valid(raise_exception=True)
        if settings.EMAIL_VERIFICATION:
            return _register_by_mail(given.validated_data)
        try:
            reader = accounts.register(**given.validated_data)
        except accounts.EmailTakenError as taken:
            text = _("This email has an account already. Sign in, or ask for a new password.")
            raise serializers.ValidationError({"email": [text]}, "unique") from taken
        return Response(profile(reader), status=201)


class Me(APIView):
    access = {"GET": ("reader",), "PUT": ("reader",), "PATCH": ("reader",)}

    @extend_schema(operation_id="me", responses=Profile)
    def get(self, request: Request) -> Response:
        """Show my own record."""
        return Response(profile(request.user))

    @extend_schema(operation_id="me_update", request=Profile, responses=Profile)
    def put(self, request: Request) -> Response:
        """Change my own record; what is not sent stays as it is."""
        given = Profile(request.user, data=request.data)
        given.is_valid(raise_exception=True)
        changes = {name: value for name, value in given.validated_data.items() if name != "email"}
        return Response(profile(profiles.change(request.user, **changes)))

    @extend_schema(operation_id="me_change", request=Profile, responses=Profile)
    def patch(self, request: Request) -> Response:
        """Change my own record; what is not sent stays as it is."""
        return self.put(request)


class MyBooks(GenericAPIView[Loan]):
    access = {"GET": ("reader",)}

    @extend_schema(operation_id="me_books", responses=OnLoan(many=True))
    def get(self, request: Request) -> Response:
        """List what I have on loan, what is due first before the rest."""
        loans = Loan.objects.open().filter(reader=request.user)
        rows = self.paginate_queryset(
            loans.order_by("expected_return_date", "id").values(
                "id",
                "borrow_date",
                "expected_return_date",
                "copy__book_id",
                "copy__book__title",
                "copy__book__author",
            )
        )
        today = timezone.localdate()
        return self.get_paginated_response([_on_loan(row, today) for row in rows or []])


def profile(reader: Reader) -> dict[str, Any]:
    followed = AuthorFollow.objects.filter(reader=reader).order_by("author", "id")
    return {
        "id": reader.pk,
        "email": reader.email,
        "first_name": reader.first_name,
        "last_name": reader.last_name,
        "phone": reader.phone,
        "language": reader.language,
        "card_number": reader.card_number,
        "expiry_date": reader.expiry_date,
        "notices": {
            kind.value: not preferences.declines(reader, kind)
            for kind in preferences.optional_kinds()
        },
        "followed_authors": list(followed.values_list("author", flat=True)),
    }


def _register_by_mail(given: dict[str, str]) -> Response:
    """Answer alike, and after the same work, whether the address has an account or not."""
    try:
        accounts.register(**given)
        account_mail.send_later(account_mail.CONFIRM, given["email"])
    except accounts.EmailTakenError:
        account_mail.send_later(account_mail.KNOWN, given["email"])
    text = _("We have sent an email to this address. Follow the link in it, then sign in.")
    return Response({"detail": text}, status=202)


def _on_loan(row: dict[str, Any], today: Any) -> dict[str, Any]:
    return {
        "borrowing_id": row["id"],
        "book": {
            "id": row["copy__book_id"],
            "title": row["copy__book__title"],
            "author": row["copy__book__author"],
        },
        "borrow_date": row["borrow_date"],
        "expected_return_date": row["expected_return_date"],
        "is_overdue": row["expected_return_date"] < today,
    }


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("users", Register, "user-list"),
    ("users/register", Register, "user-register"),
    ("users/me", Me, "me"),
    ("users/me/books", MyBooks, "me-books"),
)
