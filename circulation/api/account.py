"""A reader's account over the API: what is owed by now, what is to the good, where to pay."""

from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import accounts, links
from billing.api import MoneyField
from circulation import fines
from circulation.api.borrowing_money import text_of
from circulation.models import Reader


class AccountSerializer(serializers.Serializer):
    owed = MoneyField(help_text=_("With the fines of overdue books up to today."))
    credit = MoneyField(help_text=_("Paid beyond what was owed, and not given back."))
    balance = MoneyField(help_text=_("Owed less credit."))
    currency = serializers.CharField()
    pay_link = serializers.CharField(
        allow_null=True, help_text=_("Where all of it can be paid without signing in.")
    )


class Account(APIView):
    access = {"GET": ("reader",)}

    @extend_schema(operation_id="users_me_account", responses=AccountSerializer)
    def get(self, request: Request) -> Response:
        """Show what one owes, as the desk says it."""
        return Response(_account(request.user))


def _account(reader: Reader) -> dict[str, Any]:
    assessed, credit = accounts.debt(reader), accounts.credit(reader)
    owed = assessed + fines.growth(reader, on=timezone.localdate())
    return {
        "owed": text_of(owed),
        "credit": text_of(credit),
        "balance": text_of(owed - credit),
        "currency": settings.CURRENCY,
        "pay_link": links.for_account(reader.pk) if assessed else None,
    }


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (("users/me/account", Account, "my-account"),)
