"""What staff do about payments: ask the provider, give back, accept, close a session."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import F
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from alerts.backoffice.acts import ActRefusedError, ActsAdmin, act
from alerts.backoffice.pages import staff
from alerts.backoffice.prints import prints
from billing import gateways, ledger, payments, refunds
from billing.admin import words
from billing.admin.asking import refuse_when_late, refusing, usable_gateway
from billing.gateways.base import Gateway
from billing.models import AllocationState, Payment, PaymentStatus


class RefundForm(BaseDialogForm):
    amount = forms.DecimalField(
        label=gettext_lazy("Amount"),
        max_digits=10,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget,
    )
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=refunds.LONGEST_REASON,
        widget=UnfoldAdminTextInputWidget,
    )
    waives = forms.TypedChoiceField(
        label=gettext_lazy("What it paid for"),
        choices=(("", gettext_lazy("is owed again")), ("yes", gettext_lazy("is waived"))),
        coerce=bool,
        required=False,
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        payment = Payment.objects.get(pk=self.object_id)
        self.fields["amount"].initial = words.left_to_refund(payment)
        self.fields["amount"].help_text = _how_it_goes_back(payment)
        paid = payment.allocations.filter(state=AllocationState.PAID, amount__gt=F("refunded"))
        if not paid.exists():
            del self.fields["waives"]
        elif not self.request.user.has_perm("billing.waive_charge"):
            del self.fields["waives"]
            self.fields["reason"].help_text = _("What the money paid for is owed again.")


class PaymentActs(ActsAdmin):
    actions: tuple[str, ...] = ("print_receipts", "ask_provider")
    print_receipts = prints(
        gettext_lazy("Print receipts"),
        permission="billing.view_payment",
        url_name="billing-receipts",
        parameter="payment",
        name="print_receipts",
    )
    actions_detail: tuple[str, ...] = ("accept", "give_back", "ask_provider", "close_session")
    refusals = (refunds.RefundRefusedError,)

    def fitting_acts(self, row: Payment) -> Iterable[str]:
        if row.status == PaymentStatus.REVIEW:
            yield "accept"
        if words.left_to_refund(row) > 0:
            yield "give_back"
        if row.key is not None:
            yield "ask_provider"
        if _has_session_to_close(row):
            yield "close_session"

    @act(
        gettext_lazy("Ask the provider now"),
        permission="billing.reconcile_payment",
        question=gettext_lazy(
            "The provider is asked how the payment stands, and what it says is written down here."
        ),
        icon="sync",
    )
    def ask_provider(self, request: HttpRequest, payment: Payment) -> str:
        if payment.key is None:
            raise ActRefusedError(_("No provider knows of this payment: there is none to ask."))
        refuse_when_late(request)
        gateway = usable_gateway(payment.provider)
        with refusing():
            if payment.session_id is None and payment.is_open:
                payment = payments.open_session(payment)
            else:
                payment = payments.settle(payment, by=staff(request))
        return _("Payment %(number)s, according to %(provider)s: %(status)s.") % {
            "number": payment.pk,
            "provider": gateway.label,
            "status": payment.get_status_display(),
        }

    @act(
        gettext_lazy("Refund"),
        permission="billing.refund_payment",
        question=gettext_lazy("Give money back. Who did it and why is kept."),
        icon="currency_exchange",
        form_class=RefundForm,
    )
    def give_back(
        self,
        request: HttpRequest,
        payment: Payment,
        *,
        amount: Decimal,
        reason: str,
        waives: bool | str = "",
    ) -> str:
        if words.left_to_refund(payment) <= 0:
            raise ActRefusedError(_("Nothing is left of this payment to give back."))
        gateway = usable_gateway(payment.provider)
        refunds.refund(payment, amount, by=staff(request), reason=reason, waives=bool(waives))
        return told_of_refund(payment, amount, gateway)

    @act(
        gettext_lazy("Accept"),
        permission="billing.review_payment",
        question=gettext_lazy(
            "The money is counted towards what the payment was for, as far as that is still owed. "
            "The rest becomes the reader's credit: it can be given back or used for other charges."
        ),
        icon="task_alt",
    )
    def accept(self, request: HttpRequest, payment: Payment) -> str:
        try:
            payment = ledger.accept(payment, by=staff(request))
        except ledger.OvertakenError as overtaken:
            payment.refresh_from_db()
            raise ActRefusedError(_why_not_accepted(payment)) from overtaken
        found: Any = Payment.objects.with_credit().get(pk=payment.pk)
        if not found.credit:
            return _("Accepted: all of it counts as paid.")
        return _("Accepted. %(credit)s of it is the reader's credit now.") % {
            "credit": words.in_full(found.credit, payment.paid_currency)
        }

    @act(
        gettext_lazy("Close the session"),
        permission="billing.reconcile_payment",
        question=gettext_lazy(
            "The reader can no longer pay in this session. What is owed stays owed; what was paid "
            "in the meantime counts."
        ),
        icon="cancel",
    )
    def close_session(self, request: HttpRequest, payment: Payment) -> str:
        if not _has_session_to_close(payment):
            raise ActRefusedError(_("This payment has no open session."))
        gateway = usable_gateway(payment.provider)
        with refusing():
            payment = payments.close(payment, by=staff(request))
        if payment.status == PaymentStatus.EXPIRED and not payment.must_close:
            return _("Closed. What is owed can be paid in another way.")
        raise ActRefusedError(
            _("Not closed. According to %(provider)s the payment is: %(status)s.")
            % {"provider": gateway.label, "status": payment.get_status_display()}
        )


def told_of_refund(payment: Payment, amount: Decimal, gateway: Gateway) -> str:
    """Return what staff are told once a refund is made: by whose hands the money goes back."""
    told = {
        "sum": words.in_full(amount, payment.paid_currency),
        "reader": payment.reader,
        "provider": gateway.label,
    }
    if not gateway.is_online:
        return _("Give %(sum)s back to %(reader)s now.") % told
    return _("%(provider)s is asked to send %(sum)s back; it is under way.") % told


def _has_session_to_close(payment: Payment) -> bool:
    is_waiting = payment.status == PaymentStatus.PENDING and payment.key is not None
    return is_waiting or payment.must_close


def _why_not_accepted(payment: Payment) -> str:
    if payment.status != PaymentStatus.REVIEW:
        return _("This payment is not to be reviewed any more.")
    if payment.paid_currency != payment.currency:
        return _("It came in %(paid)s and the account is in %(account)s: give it back instead.") % {
            "paid": payment.paid_currency,
            "account": payment.currency,
        }
    return _("Part of it was given back already: give back the rest as well.")


def _how_it_goes_back(payment: Payment) -> str:
    try:
        gateway = gateways.called(payment.provider)
    except gateways.UnknownGatewayError:
        return ""
    if gateway.is_online:
        return _("%(provider)s sends it back.") % {"provider": gateway.label}
    return _("You hand it over at the desk.")
