"""Payments over the REST API: what was paid, what waits to be paid, and where."""

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, PermissionDenied
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing import links
from billing.models import Allocation, AllocationState, ChargeKind, Payment, PaymentStatus
from billing.settlements import PaymentQuerySet, PaymentType

VIEW = "billing.view_payment"
LARGEST_ID = 2**63 - 1
COLUMNS = (
    *("id", "status", "type", "borrowing_id", "reader_id", "provider", "session_id"),
    *("session_url", "money_to_pay", "currency", "paid_amount", "paid_currency"),
    *("refunded_amount", "created_at", "paid_at"),
)
Row = dict[str, Any]


class MoneyField(serializers.DecimalField):
    """A sum, sent as text so that no program reads it as a float."""

    def __init__(self, **options: Any) -> None:
        super().__init__(max_digits=12, decimal_places=2, **options)


class PaymentQuerySerializer(serializers.Serializer):
    status = serializers.ChoiceField(choices=PaymentStatus.choices, required=False)
    type = serializers.ChoiceField(choices=PaymentType.choices, required=False)
    borrowing = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_ID,
        help_text=gettext_lazy("For this borrowing, also where it was paid with others."),
    )
    user_id = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_ID,
        help_text=gettext_lazy("Of this reader. Readers see their own payments in any case."),
    )


class PaymentSerializer(serializers.Serializer):
    id = serializers.IntegerField()
    status = serializers.ChoiceField(choices=PaymentStatus.choices)
    type = serializers.ChoiceField(
        choices=PaymentType.choices,
        allow_null=True,
        help_text=gettext_lazy("Null where charges of several kinds are paid together."),
    )
    borrowing = serializers.IntegerField(
        allow_null=True, help_text=gettext_lazy("Null where several are paid together, or none.")
    )
    user_id = serializers.IntegerField()
    provider = serializers.CharField(
        allow_null=True, help_text=gettext_lazy("Null until a way to pay was chosen.")
    )
    session_id = serializers.CharField(allow_null=True)
    session_url = serializers.CharField(
        allow_null=True, help_text=gettext_lazy("The provider's page, while it can be paid there.")
    )
    money_to_pay = MoneyField()
    currency = serializers.CharField()
    money_paid = MoneyField(allow_null=True)
    money_refunded = MoneyField()
    created_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    pay_link = serializers.CharField(
        allow_null=True,
        help_text=gettext_lazy("Where it can be paid without signing in, while it is to be paid."),
    )


class AllocationSerializer(serializers.Serializer):
    """What a payment covers of one charge."""

    charge = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=ChargeKind.choices)
    borrowing = serializers.IntegerField(allow_null=True)
    description = serializers.CharField(
        allow_blank=True, help_text=gettext_lazy("How the charge was computed.")
    )
    amount = MoneyField()
    refunded = MoneyField()
    state = serializers.ChoiceField(choices=AllocationState.choices)


class PaymentDetailSerializer(PaymentSerializer):
    allocations = AllocationSerializer(many=True)


class PaymentList(GenericAPIView):
    access = {"GET": ("reader", VIEW)}

    @extend_schema(
        operation_id="payments_list",
        parameters=[PaymentQuerySerializer],
        responses=PaymentSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List payments, the newest first, also those still to be made: one's own, or all."""
        found = self.paginate_queryset(_select(request).order_by("-pk").values(*COLUMNS))
        return self.get_paginated_response([_row(row) for row in found])


class PaymentDetail(APIView):
    access = {"GET": ("reader", VIEW)}

    @extend_schema(operation_id="payments_retrieve", responses=PaymentDetailSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Show one payment, and the charges that it is for."""
        found = _seen(request).filter(pk=pk).values(*COLUMNS).first()
        if found is None:
            raise NotFound
        return Response({**_row(found), "allocations": _allocations(pk)})


def _sees_all(request: Request) -> bool:
    return bool(request.user.is_staff and request.user.has_perm(VIEW))


def _seen(request: Request) -> PaymentQuerySet:
    """Return all payments for staff with the permission, else the caller's own."""
    payments = Payment.objects.all()
    return payments if _sees_all(request) else payments.filter(reader=request.user.pk)


def _select(request: Request) -> PaymentQuerySet:
    given = {name: value for name, value in request.query_params.items() if value}
    query = PaymentQuerySerializer(data=given)
    query.is_valid(raise_exception=True)
    asked: dict[str, Any] = dict(query.validated_data)
    found = _seen(request)
    reader = asked.pop("user_id", None)
    if reader is not None:
        if not _sees_all(request) and reader != request.user.pk:
            raise PermissionDenied(_("You may see what is your own. Leave out `user_id`."))
        found = found.filter(reader=reader)
    if borrowing := asked.pop("borrowing", None):
        found = found.filter(pk__in=_covering(borrowing))
    return found.filter(**asked)


def _covering(borrowing: int) -> QuerySet[Allocation, int]:
    parts = Allocation.objects.filter(charge__loan=borrowing)
    return parts.values_list("payment", flat=True)


def _row(row: Row) -> Row:
    waits = row["status"] == PaymentStatus.PENDING and row["money_to_pay"] > 0
    paid = row["paid_amount"]
    return {
        "id": row["id"],
        "status": row["status"],
        "type": row["type"] or None,
        "borrowing": row["borrowing_id"],
        "user_id": row["reader_id"],
        "provider": row["provider"] or None,
        "session_id": row["session_id"],
        "session_url": row["session_url"] or None if waits else None,
        "money_to_pay": str(row["money_to_pay"]),
        "currency": row["paid_currency"] or row["currency"],
        "money_paid": None if paid is None else str(paid),
        "money_refunded": str(row["refunded_amount"]),
        "created_at": row["created_at"],
        "paid_at": row["paid_at"],
        "pay_link": links.for_payment(Payment(pk=row["id"])) if waits else None,
    }


def _allocations(payment: int) -> list[Row]:
    parts = Allocation.objects.filter(payment=payment).order_by("charge_id", "pk")
    return [
        {
            "charge": part.charge_id,
            "kind": part.charge.kind,
            "borrowing": part.charge.loan_id,
            "description": part.charge.description,
            "amount": str(part.amount),
            "refunded": str(part.refunded),
            "state": part.state,
        }
        for part in parts.select_related("charge")
    ]


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("payments", PaymentList, "payment-list"),
    ("payments/<int:pk>", PaymentDetail, "payment-detail"),
)
