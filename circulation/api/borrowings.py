"""Borrowings over the API: listed, lent, taken back, renewed, all by the desk's own functions."""

from typing import Any

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from billing.api import MoneyField
from catalog.api.listed import Listed
from catalog.models import Book, Copy
from circulation import desk
from circulation.api import borrowing_rows as rows
from circulation.api.borrowing_money import text_of
from circulation.api.callers import (
    LARGEST_ID,
    acting,
    asked,
    chosen_reader,
    is_staff_with,
    narrowed_to,
    overriding,
    refuse_what_is_for_staff,
    sent,
)
from circulation.models import Loan, LoanQuerySet

VIEW = "circulation.view_loan"
CHECK_OUT = "circulation.check_out"
CHECK_IN = "circulation.check_in"
RENEW = "circulation.renew"


class BorrowingQuerySerializer(serializers.Serializer):
    user_id = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_ID,
        help_text=gettext_lazy("Of this reader. Readers see their own borrowings in any case."),
    )
    is_active = serializers.BooleanField(
        required=False, help_text=gettext_lazy("Neither returned nor lost, or one of the two.")
    )
    overdue = serializers.BooleanField(required=False)


class OverrideSerializer(serializers.Serializer):
    """The reasons against that staff have seen and set aside, and why."""

    codes = serializers.ListField(
        child=serializers.CharField(max_length=30), min_length=1, max_length=20
    )
    reason = serializers.CharField(max_length=300)


class LendingSerializer(serializers.Serializer):
    book = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=LARGEST_ID,
        help_text=gettext_lazy("The number of a book, of which any free copy is lent."),
    )
    barcode = serializers.CharField(
        required=False, max_length=64, help_text=gettext_lazy("Of the very copy, instead.")
    )
    expected_return_date = serializers.DateField(
        required=False,
        allow_null=True,
        help_text=gettext_lazy("Unless it is given, the loan rules say when."),
    )
    user_id = serializers.IntegerField(
        required=False,
        allow_null=True,
        min_value=1,
        max_value=LARGEST_ID,
        help_text=gettext_lazy("Who borrows, as staff say: the caller, unless it is given."),
    )
    override = OverrideSerializer(required=False, allow_null=True)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        if ("book" in given) == ("barcode" in given):
            raise ValidationError({"book": [_("Give either a book or the barcode of a copy.")]})
        return given


class ReturnSerializer(serializers.Serializer):
    date = serializers.DateField(
        required=False,
        allow_null=True,
        help_text=gettext_lazy("When it came back, as staff say of a book drop: today, else."),
    )


class RenewalSerializer(serializers.Serializer):
    expected_return_date = serializers.DateField(required=False, allow_null=True)
    override = OverrideSerializer(required=False, allow_null=True)


class FineSerializer(serializers.Serializer):
    amount = MoneyField()
    description = serializers.CharField(help_text=gettext_lazy("How it was computed."))


class ShelvedSerializer(serializers.Serializer):
    hold_id = serializers.IntegerField()
    user = rows.PersonSerializer()
    pickup_until = serializers.DateField(allow_null=True)


class ReturnedSerializer(rows.BorrowingSerializer):
    message = serializers.CharField()
    final_fine = FineSerializer(allow_null=True)
    hold_shelf = ShelvedSerializer(
        allow_null=True, help_text=gettext_lazy("For whom staff put the copy aside.")
    )


class BorrowingList(GenericAPIView):
    access = {"GET": ("reader", VIEW), "POST": (CHECK_OUT, "self-service:borrow")}
    conflicts = True

    @extend_schema(
        operation_id="borrowings_list",
        parameters=[BorrowingQuerySerializer],
        responses=rows.BorrowingSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List borrowings, the newest first: one's own, or all for staff."""
        found = self.paginate_queryset(_select(request))
        return self.get_paginated_response(rows.as_sent(found, on=timezone.localdate()))

    @extend_schema(
        operation_id="borrowings_create",
        request=LendingSerializer,
        responses={201: rows.BorrowingSerializer},
    )
    def post(self, request: Request) -> Response:
        """Lend a copy. All reasons against it are told together."""
        given = sent(LendingSerializer, request)
        reader = chosen_reader(request, given.get("user_id"), permission=CHECK_OUT)
        if not is_staff_with(request, CHECK_OUT):
            refuse_what_is_for_staff(request, given, "override")
        done = desk.check_out(
            reader,
            _item(given),
            due=given.get("expected_return_date"),
            by=acting(request),
            override=overriding(given),
        )
        headers = {"Location": reverse("api:borrowing-detail", args=[done.loan.pk])}
        return Response(_told(done.loan), status=201, headers=headers)


class BorrowingDetail(APIView):
    access = {"GET": ("reader", VIEW)}

    @extend_schema(operation_id="borrowings_retrieve", responses=rows.BorrowingSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Show one borrowing."""
        return Response(_told(_find(request, pk, permission=VIEW)))


class BorrowingReturn(APIView):
    access = {"POST": (CHECK_IN, "self-service:return")}
    conflicts = True

    @extend_schema(
        operation_id="borrowings_return",
        request=ReturnSerializer,
        responses=ReturnedSerializer,
    )
    def post(self, request: Request, pk: int) -> Response:
        """Take the book back. A borrowing that is over is refused, whoever has the book now."""
        given = sent(ReturnSerializer, request)
        if not is_staff_with(request, CHECK_IN):
            refuse_what_is_for_staff(request, given, "date")
        loan = _find(request, pk, permission=CHECK_IN)
        done = desk.check_in(loan.copy, on=given.get("date"), by=acting(request), expected=loan)
        return Response({**_told(loan), **_about_return(request, done)})


class BorrowingRenewal(APIView):
    access = {"POST": (RENEW, "self-service:borrow")}
    conflicts = True

    @extend_schema(
        operation_id="borrowings_renew",
        request=RenewalSerializer,
        responses=rows.BorrowingSerializer,
    )
    def post(self, request: Request, pk: int) -> Response:
        """Lend the book further, from today."""
        given = sent(RenewalSerializer, request)
        if not is_staff_with(request, RENEW):
            refuse_what_is_for_staff(request, given, "expected_return_date", "override")
        loan = _find(request, pk, permission=RENEW)
        desk.renew(
            loan,
            due=given.get("expected_return_date"),
            by=acting(request),
            override=overriding(given),
        )
        return Response(_told(loan))


def _select(request: Request) -> Listed:
    query = asked(BorrowingQuerySerializer, request) if request.GET else {}
    sees_all = is_staff_with(request, VIEW)
    reader = narrowed_to(request, query.get("user_id"), sees_all=sees_all)

    own: dict[str, Any] = {} if reader is None else {"reader": reader}
    if not sees_all:
        own["undone_at"] = None
    loans = Loan.objects.filter(**own)
    return Listed(_those(loans, query), _those(rows.ROWS.filter(**own), query))


def _those(loans: LoanQuerySet, query: dict[str, Any]) -> LoanQuerySet:
    match query.get("is_active"):
        case True:
            loans = loans.open()
        case False:
            loans = loans.exclude(actual_return_date=None, lost_date=None)
    today = timezone.localdate()
    match query.get("overdue"):
        case True:
            loans = loans.overdue(on=today)
        case False:
            late = Q(actual_return_date=None, lost_date=None, expected_return_date__lt=today)
            loans = loans.exclude(late)
    return loans


def _find(request: Request, pk: int, *, permission: str) -> Loan:
    """Return a loan that the caller may see, or act on: staff any, readers their own but those
    undone. Raises NotFound.
    """
    loans = Loan.objects.select_related("copy").filter(pk=pk)
    if not is_staff_with(request, permission):
        loans = loans.filter(reader=request.user.pk, undone_at=None)
    loan = loans.first()
    if loan is None:
        raise NotFound
    return loan


def _told(loan: Loan) -> dict[str, Any]:
    return rows.one(loan, on=timezone.localdate())


def _item(given: dict[str, Any]) -> Copy | Book:
    if "barcode" in given:
        copy = Copy.objects.filter(barcode=given["barcode"]).first()
        if copy is None:
            raise ValidationError({"barcode": [_("No copy has this barcode.")]})
        return copy
    book = Book.objects.only("pk").filter(pk=given["book"]).first()
    if book is None:
        raise ValidationError({"book": [_("There is no book with this number.")]})
    return book


def _about_return(request: Request, done: desk.CheckIn) -> dict[str, Any]:
    fine = done.fine if done.fine is not None and done.fine.amount else None
    told: dict[str, Any] = {
        "message": done.message,
        "final_fine": fine and {"amount": text_of(fine.amount), "description": fine.description},
        "hold_shelf": None,
    }
    if done.shelved is not None and is_staff_with(request, CHECK_IN):
        hold = done.shelved.hold
        told["hold_shelf"] = {
            "hold_id": hold.pk,
            "user": {"id": hold.reader_id, "name": str(hold.reader)},
            "pickup_until": hold.pickup_until,
        }
    return told


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("borrowings", BorrowingList, "borrowing-list"),
    ("borrowings/<int:pk>", BorrowingDetail, "borrowing-detail"),
    ("borrowings/<int:pk>/return", BorrowingReturn, "borrowing-return"),
    ("borrowings/<int:pk>/renew", BorrowingRenewal, "borrowing-renew"),
)
