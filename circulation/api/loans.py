"""Loans for another program that tells readers: which are late or due, and that it has told them.

What it marks is not told by Carrel too; what Carrel tells itself is not asked of it.
"""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from alerts.events import KINDS, EventKind
from circulation import fines, outside_notices, personal_data
from circulation.api.callers import acting, asked, sent
from circulation.models import Loan, LoanQuerySet
from circulation.outside_notices import DUE_SOON, OVERDUE

VIEW = "circulation.view_loan"
MARK = "circulation.mark_notified"

Row = dict[str, Any]
WORDS = {KINDS[kind].notification_type: kind for kind in (OVERDUE, DUE_SOON)}
ZERO = Decimal("0.00")


class RequiredQuerySerializer(serializers.Serializer):
    type = serializers.ChoiceField(choices=list(WORDS))


class MarkSerializer(serializers.Serializer):
    notification_sent = serializers.BooleanField()
    notification_type = serializers.ChoiceField(
        choices=list(WORDS),
        required=False,
        help_text=_(
            "Of what the reader was told: that the loan is late if it is, else that it is due."
        ),
    )


class LoanNoticeSerializer(serializers.Serializer):
    """A loan, and the notice that its reader needs of it."""

    id = serializers.IntegerField()
    loan_id = serializers.IntegerField(help_text=_("The same again, by the name in messages."))
    recipient_id = serializers.IntegerField()
    recipient_email = serializers.CharField(
        allow_blank=True,
        help_text=_("Empty for a reader without an address, and where you may not see it."),
    )
    recipient_name = serializers.CharField()
    book_title = serializers.CharField()
    barcode = serializers.CharField()
    due_date = serializers.DateField()
    days_overdue = serializers.IntegerField()
    is_active = serializers.BooleanField()
    notification_type = serializers.ChoiceField(choices=list(WORDS))
    notification_sent = serializers.BooleanField(
        help_text=_("Whether the reader was told this of the present due date.")
    )
    subject = serializers.CharField(
        help_text=_("What Carrel would write, in the reader's language.")
    )
    message = serializers.CharField()


class OverdueLoans(GenericAPIView):
    access = {"GET": (VIEW,)}

    @extend_schema(operation_id="loans_overdue", responses=LoanNoticeSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List the loans that are overdue today, whether their readers know or not."""
        today = timezone.localdate()
        found = Loan.objects.overdue(on=today).order_by("expected_return_date", "pk")
        return _page(self, found, OVERDUE, on=today)


class RequiredNotices(GenericAPIView):
    access = {"GET": (VIEW,)}

    @extend_schema(
        operation_id="loans_notification_required",
        parameters=[RequiredQuerySerializer],
        responses=LoanNoticeSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List the loans of which nobody has told the reader, and Carrel is not about to.

        Loans are due soon two days before; readers who declined such notices are left out.
        """
        kind = WORDS[asked(RequiredQuerySerializer, request)["type"]]
        today = timezone.localdate()
        return _page(self, outside_notices.required(kind, on=today), kind, on=today)


class LoanDetail(APIView):
    access = {"GET": (VIEW,), "PATCH": (MARK,)}
    conflicts = True

    @extend_schema(operation_id="loans_retrieve", responses=LoanNoticeSerializer)
    def get(self, request: Request, pk: int) -> Response:
        """Show one loan and whether its reader was told."""
        today = timezone.localdate()
        loan = _find(pk)
        return _answer(request, loan, outside_notices.kind_for(loan, on=today), on=today)

    @extend_schema(
        operation_id="loans_partial_update", request=MarkSerializer, responses=LoanNoticeSerializer
    )
    def patch(self, request: Request, pk: int) -> Response:
        """Say that the reader was told of the present due date, or was not after all.

        Carrel's own notice, if it has not left yet, is then kept back.
        """
        given = sent(MarkSerializer, request)
        today = timezone.localdate()
        loan = _find(pk)
        said = given.get("notification_type")
        kind = WORDS[said] if said else outside_notices.kind_for(loan, on=today)
        is_told = given["notification_sent"]
        loan = outside_notices.mark(loan, kind, is_told=is_told, on=today, by=acting(request))
        return _answer(request, loan, kind, on=today)


def _find(pk: int) -> Loan:
    loan = Loan.objects.filter(undone_at=None, pk=pk).select_related("reader", "copy__book").first()
    if loan is None:
        raise NotFound
    return loan


def _answer(request: Request, loan: Loan, kind: EventKind, *, on: date) -> Response:
    fine = fines.so_far([loan], on=on)[loan.pk] if kind == OVERDUE else ZERO
    is_told = outside_notices.is_told(loan, kind)
    return Response(_row(request, loan, kind, fine, is_told=is_told, on=on))


def _page(view: GenericAPIView, found: LoanQuerySet, kind: EventKind, *, on: date) -> Response:
    loans: Sequence[Loan] = view.paginate_queryset(found.select_related("reader", "copy__book"))
    sums = fines.so_far(loans, on=on) if kind == OVERDUE else {}
    is_told = outside_notices.is_marked
    rows = [
        _row(view.request, loan, kind, sums.get(loan.pk, ZERO), is_told=is_told(loan, kind), on=on)
        for loan in loans
    ]
    return view.get_paginated_response(rows)


def _row(
    request: Request, loan: Loan, kind: EventKind, fine: Decimal, *, is_told: bool, on: date
) -> Row:
    words = outside_notices.suggested(loan, kind, on=on, fine=fine)
    return {
        "id": loan.pk,
        "loan_id": loan.pk,
        "recipient_id": loan.reader_id,
        "recipient_email": loan.reader.notice_email if personal_data.may_see(request) else "",
        "recipient_name": str(loan.reader),
        "book_title": loan.copy.book.title,
        "barcode": loan.copy.barcode,
        "due_date": loan.expected_return_date,
        "days_overdue": (on - loan.expected_return_date).days if kind == OVERDUE else 0,
        "is_active": loan.is_open,
        "notification_type": KINDS[kind].notification_type,
        "notification_sent": is_told,
        "subject": words.subject,
        "message": words.text,
    }


ROUTES: tuple[tuple[str, type[APIView], str], ...] = (
    ("loans/overdue", OverdueLoans, "loan-overdue"),
    ("loans/notification-required", RequiredNotices, "loan-notification-required"),
    ("loans/<int:pk>", LoanDetail, "loan-detail"),
)
