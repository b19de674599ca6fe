"""What can be done on a reader's account beside taking cash, each in one form with one button.

An act that was decided on other figures than those of now is refused: whoever pressed the button
twice, or was overtaken by a colleague, looks again.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from alerts.backoffice.acts import ActRefusedError
from alerts.wording import money
from billing import accounts, charges, credit, pay_link_mail, payments, refunds
from billing.admin import words
from billing.admin.asking import LONGEST_ASKING, refusing, usable_gateway
from billing.ledger import OvertakenError
from billing.models import Charge, Payment
from billing.till.statement import Account

if TYPE_CHECKING:
    from circulation.models import Reader

ALL = "all"
NO_CREDIT = gettext_lazy("Nothing of this payment is credit any more.")
REFUSALS = (
    ActRefusedError,
    charges.AdjustmentRefusedError,
    payments.PaymentRefusedError,
    refunds.RefundRefusedError,
    pay_link_mail.MailRefusedError,
)


def sum_field(label: Any, **options: Any) -> forms.DecimalField:
    attrs = {"step": "0.01", "min": "0.01", "inputmode": "decimal", "autocomplete": "off"}
    return forms.DecimalField(
        label=label,
        min_value=Decimal("0.01"),
        max_digits=10,
        decimal_places=2,
        widget=UnfoldAdminDecimalFieldWidget(attrs=attrs),
        **options,
    )


def reason_field() -> forms.CharField:
    return forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=charges.LONGEST_REASON,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )


class Act(forms.Form):
    """One act on an account; `code` names it in what the page posts."""

    code: ClassVar[str]
    permission: ClassVar[str]
    button: ClassVar[Any]
    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, account: Account, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data, auto_id=f"{self.code}-%s", initial={"seen": account.state})
        self.account = account

    @property
    def is_fitting(self) -> bool:
        """Whether the act makes sense as the account stands."""
        return True

    def do(self, *, by: "Reader") -> str:
        """Do it and return the sentence that tells of it. Raises one of REFUSALS."""
        raise NotImplementedError

    @contextmanager
    def held(self) -> Iterator[Account]:
        """Hold the account as it was when the form was shown. Raises ActRefusedError."""
        with transaction.atomic():
            accounts.lock(self.account.reader.pk)
            now = Account(self.account.reader)
            if self.cleaned_data["seen"] != now.state:
                raise ActRefusedError(
                    _("The account has changed in the meantime. Nothing was done: look again.")
                )
            yield now


class ForCharge(Act):
    """An act on one open charge, or on all of them, the oldest first."""

    charge = forms.ChoiceField(
        label=gettext_lazy("For"),
        widget=UnfoldAdminSelectWidget,
        error_messages={"invalid_choice": gettext_lazy("Nothing is owed on this any more.")},
    )

    def __init__(self, account: Account, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(account, data)
        choices = [(str(charge.pk), _charge_text(charge)) for charge in account.open_charges]
        if len(choices) != 1:
            choices.insert(0, (ALL, _("all that is owed, the oldest first")))
        field: Any = self.fields["charge"]
        field.choices = choices

    def chosen(self, account: Account, amount: Decimal | None) -> dict[Charge, Decimal]:
        """Return how a sum, or all that is owed, goes to what was chosen.

        Raises ActRefusedError for more than is owed on it.
        """
        wanted = self.cleaned_data["charge"]
        fitting = [each for each in account.open_charges if wanted in (ALL, str(each.pk))]
        owed = sum((each.owed for each in fitting), accounts.ZERO)
        if not owed:
            raise ActRefusedError(_("Nothing is owed: nothing was done."))
        left = owed if amount is None else amount
        if left > owed:
            raise ActRefusedError(
                _("Only %(owed)s is owed on what was chosen; %(amount)s is too much.")
                % {"owed": money(owed), "amount": money(left)}
            )
        parts: dict[Charge, Decimal] = {}
        for each in fitting:
            parts[each] = min(left, each.owed)
            left -= parts[each]
        return {each: part for each, part in parts.items() if part}


def _charge_text(charge: Any) -> str:
    text = _("%(kind)s, %(owed)s owed") % {
        "kind": charge.get_kind_display(),
        "owed": money(charge.owed),
    }
    return f"{text}: {charge.description[:60]}" if charge.description else text


class UseCredit(ForCharge):
    code = "credit"
    permission = "billing.take_cash"
    button = gettext_lazy("Use credit")
    amount = sum_field(gettext_lazy("Amount"))

    def __init__(self, account: Account, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(account, data)
        self.initial["amount"] = min(account.owed, account.credit)

    @property
    def is_fitting(self) -> bool:
        return self.account.owed > 0 and self.account.credit > 0

    def do(self, *, by: "Reader") -> str:
        amount = self.cleaned_data["amount"]
        with self.held() as account:
            if amount > account.credit:
                raise ActRefusedError(
                    _("There is only %(credit)s of credit; %(amount)s is too much.")
                    % {"credit": money(account.credit), "amount": money(amount)}
                )
            for charge, part in self.chosen(account, amount).items():
                try:
                    credit.spend(charge, part, by=by)
                except OvertakenError as overtaken:
                    raise ActRefusedError(
                        _("The credit cannot be used for this. Nothing was done: look again.")
                    ) from overtaken
        return _("%(sum)s of credit used.") % {"sum": money(amount)}


class GiveBack(Act):
    """Give credit back the way it came: over the desk, or through its provider."""

    code = "refund"
    permission = "billing.refund_payment"
    button = gettext_lazy("Give credit back")
    payment = forms.ChoiceField(
        label=gettext_lazy("Credit of payment"),
        widget=UnfoldAdminSelectWidget,
        error_messages={"invalid_choice": NO_CREDIT},
    )
    amount = sum_field(
        gettext_lazy("Amount"), required=False, help_text=gettext_lazy("Empty: all of it.")
    )
    reason = reason_field()

    def __init__(self, account: Account, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(account, data)
        field: Any = self.fields["payment"]
        field.choices = [(str(each.pk), _credit_text(each)) for each in account.with_credit]

    @property
    def is_fitting(self) -> bool:
        return bool(self.account.with_credit)

    def do(self, *, by: "Reader") -> str:
        with self.held() as account:
            wanted = self.cleaned_data["payment"]
            fitting = (each for each in account.with_credit if str(each.pk) == wanted)
            payment = next(fitting, None)
            if payment is None:
                raise ActRefusedError(NO_CREDIT)
            amount = self.cleaned_data["amount"] or payment.credit
            if amount > payment.credit:
                raise ActRefusedError(
                    _("Only %(credit)s of this payment is credit; %(amount)s is too much.")
                    % {"credit": money(payment.credit), "amount": money(amount)}
                )
            provider = usable_gateway(payment.provider)
            refunds.refund(payment, amount, by=by, reason=self.cleaned_data["reason"])
        if not provider.is_online:
            return _("Give the reader %(sum)s in cash.") % {"sum": money(amount)}
        return _("%(sum)s goes back through %(provider)s.") % {
            "sum": money(amount),
            "provider": provider.label,
        }


def _credit_text(payment: Any) -> str:
    return _("no. %(number)s, %(provider)s: %(credit)s left") % {
        "number": payment.pk,
        "provider": words.provider(payment.provider),
        "credit": money(payment.credit),
    }


class Waive(ForCharge):
    code = "waive"
    permission = "billing.waive_charge"
    button = gettext_lazy("Waive")
    amount = sum_field(
        gettext_lazy("Amount"), required=False, help_text=gettext_lazy("Empty: all of it.")
    )
    reason = reason_field()

    @property
    def is_fitting(self) -> bool:
        return self.account.owed > 0

    def do(self, *, by: "Reader") -> str:
        with self.held() as account:
            parts = self.chosen(account, self.cleaned_data["amount"])
            for charge, part in parts.items():
                charges.waive(charge, part, by=by, reason=self.cleaned_data["reason"])
        waived = sum(parts.values(), accounts.ZERO)
        return _("%(amount)s waived.") % {"amount": money(waived)}


class MailLink(Act):
    code = "link"
    permission = "billing.take_cash"
    button = gettext_lazy("Send it by email")

    @property
    def is_fitting(self) -> bool:
        return bool(self.account.pay_link)

    def do(self, *, by: "Reader") -> str:
        address = pay_link_mail.send_later(self.account.reader)
        return _("The link goes to %(address)s.") % {"address": address}


class AskProvider(Act):
    """Look at the reader's sessions now, where the job would within ten minutes."""

    code = "ask"
    permission = "billing.reconcile_payment"
    button = gettext_lazy("Ask the provider now")

    @property
    def is_fitting(self) -> bool:
        return bool(self.account.sessions)

    def do(self, *, by: "Reader") -> str:
        asked: list[Payment] = []
        until = time.monotonic() + LONGEST_ASKING
        for payment in self.account.sessions:
            usable_gateway(payment.provider)
            with refusing():
                asked.append(payments.settle(payment, by=by))
            if time.monotonic() > until:
                break
        if not asked:
            raise ActRefusedError(_("No payment waits for a provider."))
        states = "; ".join(f"{each.pk} {each.get_status_display()}" for each in asked)
        return _("Asked about %(asked)d of %(waiting)d payments: %(states)s.") % {
            "asked": len(asked),
            "waiting": len(self.account.sessions),
            "states": states,
        }
