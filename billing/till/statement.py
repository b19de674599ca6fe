"""What stands on a reader's account, as its page shows it: each list bounded."""

from collections.abc import Collection, Iterable
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.db.models import Case, F, Q, When
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold.widgets import CHECKBOX_CLASSES

from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    Table,
    badge,
    day,
    list_url,
    money,
    page_link,
)
from billing import accounts, gateways, links
from billing.admin import words
from billing.models import Adjustment, Charge, Payment, PaymentStatus, Refund
from billing.till import receipt

if TYPE_CHECKING:
    from circulation.models import Reader

MOST_ROWS = 100
MOST_PAST = 25
CASH_FORM = "till-cash"


class Account:
    """A reader's account as it is now; each part is read once."""

    def __init__(self, reader: "Reader") -> None:
        self.reader = reader

    @cached_property
    def owed(self) -> Decimal:
        if len(self.open_charges) == MOST_ROWS:  # there may be more
            return accounts.debt(self.reader)
        return sum((charge.owed for charge in self.open_charges), accounts.ZERO)

    @cached_property
    def credit(self) -> Decimal:
        if len(self.with_credit) == MOST_ROWS:
            return accounts.credit(self.reader)
        return sum((payment.credit for payment in self.with_credit), accounts.ZERO)

    @property
    def balance(self) -> Decimal:
        return self.owed - self.credit

    @property
    def state(self) -> str:
        """What an act was decided on: if it differs by then, somebody else was quicker."""
        return f"{self.owed}/{self.credit}"

    @property
    def open_charges(self) -> list[Any]:
        """The oldest ones on which something is owed: they are paid first."""
        return [charge for charge in self._charges if charge.owed > 0][:MOST_ROWS]

    @property
    def settled_charges(self) -> list[Any]:
        """The newest ones on which nothing is owed, unless too many are open."""
        return [charge for charge in self._charges if charge.owed <= 0]

    @cached_property
    def _charges(self) -> list[Any]:
        """The open ones, the oldest first, and after them the settled ones, the newest first."""
        is_open = Q(owed__gt=0)
        place = Case(When(is_open, then=F("pk")), default=-F("pk"))
        found = Charge.objects.with_owed().filter(reader=self.reader)
        rows = found.order_by(Case(When(is_open, then=0), default=1), place)
        return _in_cents(rows[: MOST_ROWS + MOST_PAST], "owed")

    @cached_property
    def with_credit(self) -> list[Any]:
        """The payments of which something is left."""
        settled = (PaymentStatus.PAID, PaymentStatus.REFUNDED)
        payments: Any = Payment.objects.filter(reader=self.reader, status__in=settled)
        found = payments.with_credit().filter(credit__gt=0).order_by("pk")
        return _in_cents(found[:MOST_ROWS], "credit")

    @cached_property
    def sessions(self) -> list[Payment]:
        """Payments of which a provider knows more than we do, the oldest first."""
        waiting = Payment.objects.in_session().filter(reader=self.reader)
        return list(waiting.exclude(session_id=None).order_by("pk")[:MOST_ROWS])

    @cached_property
    def pay_link(self) -> str:
        """The address at which all that is owed is paid, "" where there is none."""
        is_payable = self.owed > 0 and gateways.online() is not None
        return links.for_account(self.reader.pk) if is_payable else ""


def _in_cents(rows: Iterable[Any], name: str) -> list[Any]:
    """Return rows whose sum of this name is written in cents: SQLite gives it more decimals."""
    found = list(rows)
    for row in found:
        setattr(row, name, round(getattr(row, name), 2))
    return found


def _charge_cells(charge: Any) -> tuple[Any, ...]:
    """Return a charge, why it is what it is, and what became of it."""
    return (
        page_link(charge, charge.get_kind_display()),
        _computed(charge),
        day(charge.created_at),
        money(charge.amount),
        money(charge.paid),
        money(charge.adjusted),
    )


def charges_table(account: Account, *, ticked: Collection[int] | None, may_tick: bool) -> Table:
    """Return what is owed and why; `ticked` is None where every charge is."""
    rows = []
    for charge in account.open_charges:
        tick = _tick(charge, is_on=ticked is None or charge.pk in ticked)
        row = (*_charge_cells(charge), format_html("<b>{}</b>", money(charge.owed)))
        rows.append((tick, *row) if may_tick else row)
    headers = [_("Charge"), _("How it is computed"), _("Opened"), _("Amount"), _("Paid")]
    headers += [_("Taken off"), _("Still owed")]
    title = _("What is owed")
    if len(rows) == MOST_ROWS:
        title = _("What is owed: the %(most)d oldest charges, to be settled first") % {
            "most": MOST_ROWS
        }
    more = list_url(Charge, reader__id__exact=account.reader.pk)
    shown = [_("Take"), *headers] if may_tick else headers
    return Table(title, shown, rows, _("Nothing is owed."), more)


def _tick(charge: Any, *, is_on: bool) -> SafeString:
    return format_html(
        '<input type="checkbox" name="charge" value="{}" form="{}" data-owed="{}"'
        ' aria-label="{}" class="{}"{}>',
        charge.pk,
        CASH_FORM,
        charge.owed,
        _("Take %(owed)s for: %(charge)s")
        % {"owed": money(charge.owed), "charge": charge.get_kind_display()},
        " ".join(CHECKBOX_CLASSES),
        SafeString(" checked") if is_on else "",
    )


def _computed(charge: Charge) -> SafeString:
    notes = [charge.description]
    if charge.due_date is not None:
        notes.append(_("due %(date)s") % {"date": day(charge.due_date)})
    grows = SafeString()
    if charge.is_accruing:
        until = _("grows; computed up to %(date)s") % {"date": day(charge.assessed_date)}
        grows = badge(until, "warning")
    text = " · ".join(filter(None, notes))
    return format_html('<span class="till-why">{} {}</span>', text, grows)


def history_tables(request: HttpRequest, account: Account) -> list[Table]:
    """Return what was paid, given back and taken off, the newest first, for who may see it."""
    tables = []
    reader = account.reader
    if may_view(request, Charge):
        tables.append(_settled_table(account))
    if may_view(request, Payment):
        tables += [_payments_table(reader), _refunds_table(reader)]
    if may_view(request, Adjustment):
        tables.append(_adjustments_table(reader))
    return tables


def _settled_table(account: Account) -> Table:
    rows = [_charge_cells(charge) for charge in account.settled_charges[:MOST_PAST]]
    headers = [_("Charge"), _("How it is computed"), _("Opened"), _("Amount"), _("Paid")]
    headers.append(_("Taken off"))
    more = list_url(Charge, reader__id__exact=account.reader.pk)
    return Table(_("Settled charges"), headers, rows, _("Nothing was settled yet."), more)


def _payments_table(reader: "Reader") -> Table:
    """What waits without a provider is what is owed, and is shown there."""
    payments = Payment.objects.filter(reader=reader).exclude(provider="")
    rows = [
        (
            page_link(payment, f"{payment.pk}"),
            words.payment_badge(payment),
            words.purpose(payment),
            words.amount(
                payment.money_to_pay if payment.paid_amount is None else payment.paid_amount,
                payment.paid_currency or payment.currency,
            ),
            words.provider(payment.provider),
            day(payment.paid_at or payment.created_at),
            payment.taken_by or "–",
            money(payment.refunded_amount) if payment.refunded_amount else "–",
            _receipt_link(payment),
        )
        for payment in payments.select_related("taken_by").order_by("-pk")[:MOST_PAST]
    ]
    headers = [_("Number"), _("Status"), _("For"), _("Amount"), _("By"), _("When"), _("Taken by")]
    headers += [_("Refunded"), _("Receipt")]
    more = list_url(Payment, reader__id__exact=reader.pk)
    return Table(_("Payments"), headers, rows, _("Nothing was paid yet."), more)


def _receipt_link(payment: Payment) -> str | SafeString:
    if not receipt.is_given_for(payment):
        return "–"
    url = reverse("billing-receipt", args=[payment.pk])
    return format_html('<a class="text-link" href="{}">{}</a>', url, _("Receipt"))


def _refunds_table(reader: "Reader") -> Table:
    found = Refund.objects.filter(payment__reader=reader).select_related("payment", "by")
    rows = [
        (
            words.refund_badge(refund),
            words.amount(refund.amount, refund.payment.paid_currency),
            page_link(refund.payment, f"{refund.payment_id}"),
            words.provider(refund.payment.provider),
            refund.reason,
            refund.by or "–",
            day(refund.done_at or refund.created_at),
        )
        for refund in found.order_by("-pk")[:MOST_PAST]
    ]
    headers = [_("Status"), _("Amount"), _("Of payment"), _("By"), _("Reason"), _("Who"), _("When")]
    more = list_url(Refund, payment__reader__id__exact=reader.pk)
    return Table(_("Given back"), headers, rows, _("Nothing was given back."), more)


def _adjustments_table(reader: "Reader") -> Table:
    found = Adjustment.objects.filter(charge__reader=reader).select_related("charge", "by")
    rows = [
        (
            adjustment.get_kind_display(),
            money(adjustment.amount),
            page_link(adjustment.charge, adjustment.charge.get_kind_display()),
            adjustment.reason,
            adjustment.by or "–",
            day(adjustment.created_at),
        )
        for adjustment in found.order_by("-pk")[:MOST_PAST]
    ]
    headers = (_("What"), _("Amount"), _("Charge"), _("Reason"), _("By"), _("When"))
    more = list_url(Adjustment, charge__reader__id__exact=reader.pk)
    return Table(_("Waived and corrected"), headers, rows, _("Nothing was taken off."), more)
