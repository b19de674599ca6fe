"""Cash at the desk: for which charges, how much, and what is given back as change."""

import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts.wording import money
from billing import accounts, payments
from billing.models import Payment
from billing.payments import PaymentRefusedError
from billing.till.acts import Act, sum_field
from billing.till.statement import Account

if TYPE_CHECKING:
    from circulation.models import Reader

LONGEST_ID = 18


class TakenBeforeError(Exception):
    """The same form was sent before; `payment` is what was taken then, and nothing since."""

    def __init__(self, payment: Payment) -> None:
        self.payment = payment
        super().__init__(
            _("This was sent before: %(sum)s was taken then, and nothing now.")
            % {"sum": money(payment.paid_amount or accounts.ZERO)}
        )


class TakeCash(Act):
    """The ticked charges come beside the form's own fields; `key` is good for one payment."""

    code = "cash"
    permission = "billing.take_cash"
    button = gettext_lazy("Take cash")
    amount = sum_field(gettext_lazy("Amount to take"))
    given = sum_field(
        gettext_lazy("Cash given"),
        required=False,
        help_text=gettext_lazy("If more than the amount: shows the change."),
    )
    key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages={
            "required": gettext_lazy("This page is not complete. Reload it."),
            "invalid": gettext_lazy("This page is not complete. Reload it."),
        },
    )

    def __init__(self, account: Account, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(account, data)
        owed = sum((charge.owed for charge in account.open_charges), accounts.ZERO)
        self.initial.update(amount=owed, key=uuid.uuid4())

    @property
    def is_fitting(self) -> bool:
        return self.account.owed > 0

    @property
    def ticked(self) -> set[int] | None:
        """The charges that were ticked; None before anything was sent."""
        if not self.is_bound:
            return None
        values: list[str] = self.data.getlist("charge") if isinstance(self.data, QueryDict) else []
        return {int(text) for text in values if text.isdecimal() and len(text) <= LONGEST_ID}

    def clean(self) -> None:
        amount, given = self.cleaned_data.get("amount"), self.cleaned_data.get("given")
        if not self.ticked:
            raise ValidationError(_("Tick what the cash is for."))
        if amount and given and given < amount:
            self.add_error(
                "given",
                _("%(given)s is not enough for %(amount)s. Take less, and the rest stays owed.")
                % {"given": money(given), "amount": money(amount)},
            )

    def do(self, *, by: "Reader") -> SafeString:
        payment = self._take(by=by)
        taken = payment.paid_amount or accounts.ZERO
        told = [_("%(sum)s taken.") % {"sum": money(taken)}]
        change = (self.cleaned_data["given"] or taken) - taken
        if change:
            told.append(_("Give back %(change)s.") % {"change": money(change)})
        still = accounts.debt(self.account.reader)
        told.append(
            _("Still owed: %(sum)s.") % {"sum": money(still)} if still else _("Nothing is owed.")
        )
        return with_receipt(told, payment)

    def _take(self, *, by: "Reader") -> Payment:
        """Take the sum once, however often the form is sent. Raises TakenBeforeError."""
        reader, key = self.account.reader, str(self.cleaned_data["key"])
        amount: Decimal = self.cleaned_data["amount"]
        _refuse_twice(reader, key)
        try:
            parts = payments.spread(reader, amount, among=self.ticked)
            return payments.take_cash(reader, parts, by=by, transaction_id=key)
        except PaymentRefusedError:
            _refuse_twice(reader, key)  # the other of two posts was quicker
            raise


def with_receipt(told: list[str], payment: Payment) -> SafeString:
    """Return sentences, with a link to the receipt after them."""
    return format_html(
        '{} <a class="till-receipt-link" href="{}">{}</a>',
        format_html_join(" ", "{}", ((each,) for each in told)),
        reverse("billing-receipt", args=[payment.pk]),
        _("Receipt no. %(number)s") % {"number": payment.pk},
    )


def _refuse_twice(reader: "Reader", key: str) -> None:
    earlier = reader.payments.filter(transaction_id=key).first()
    if earlier is not None:
        raise TakenBeforeError(earlier)
