"""Which rule applies to a reader and a copy, why, and what follows from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from alerts.backoffice.pages import Autocomplete, Table, badge, day, money, page_link
from billing import charges
from catalog.models import Copy, ItemType
from circulation import policy, rules, terms
from circulation.models import Loan, LoanPolicy, Reader, ReaderCategory


def fine_text(row: LoanPolicy) -> str:
    if row.fine_per_day is not None:
        return policy.rate_text(row.fine_per_day)
    factor = row.fine_factor or charges.ZERO
    return _("%(factor)s × daily fee") % {"factor": policy.rate_text(factor)}


class WhichRuleForm(forms.Form):
    """Either of each pair; nothing chosen is a reader or a copy without any."""

    category = forms.ModelChoiceField(
        ReaderCategory.objects.all(),
        label=gettext_lazy("Reader category"),
        required=False,
        empty_label=gettext_lazy("none"),
        widget=UnfoldAdminSelectWidget,
    )
    reader = forms.ModelChoiceField(
        Reader.objects.all(), label=gettext_lazy("or a reader"), required=False
    )
    item_type = forms.ModelChoiceField(
        ItemType.objects.all(),
        label=gettext_lazy("Item type"),
        required=False,
        empty_label=gettext_lazy("none"),
        widget=UnfoldAdminSelectWidget,
    )
    copy = forms.ModelChoiceField(
        Copy.objects.select_related("book"), label=gettext_lazy("or a copy"), required=False
    )
    days_late = forms.IntegerField(
        label=gettext_lazy("Days late, for the example of a fine"),
        min_value=0,
        max_value=3650,
        initial=10,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
    )

    def __init__(self, *args: Any, site: admin.AdminSite, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("reader", "copy"):
            field = self.fields[name]
            field.widget = Autocomplete(Loan._meta.get_field(name), site)
            field.widget.choices = field.choices  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Question:
    """Who borrows what, and how late it comes back."""

    category: ReaderCategory | None
    item_type: ItemType | None
    copy: Copy | None
    days_late: int

    @classmethod
    def from_form(cls, chosen: dict[str, Any]) -> "Question":
        reader, copy = chosen["reader"], chosen["copy"]
        return cls(
            category=reader.category if reader else chosen["category"],
            item_type=copy.item_type if copy else chosen["item_type"],
            copy=copy,
            days_late=10 if chosen["days_late"] is None else chosen["days_late"],
        )


def explained(question: Question) -> list[Table]:
    try:
        fitting = rules.applicable(
            category_id=_pk(question.category), item_type_id=_pk(question.item_type)
        )
    except rules.NoPolicyError as missing:
        return [Table(_("The policies that fit"), (), (), str(missing))]
    return [_fitting_table(fitting), _example_table(fitting[0], question)]


def _pk(row: Model | None) -> Any:
    return row.pk if row is not None else None


def _fitting_table(fitting: Sequence[LoanPolicy]) -> Table:
    rows = [
        (
            badge(_("applies"), "success") if place == 0 else badge(_("stands back")),
            page_link(row),
            _why(row),
            row.loan_days,
            row.max_loans,
            row.max_renewals,
            fine_text(row),
        )
        for place, row in enumerate(fitting)
    ]
    headers = (
        "",
        _("Policy"),
        _("Why it stands here"),
        _("Loan days"),
        _("Loans at once"),
        _("Renewals"),
        _("Fine per open day"),
    )
    return Table(_("The policies that fit, the one that applies first"), headers, rows, "")


def _why(row: LoanPolicy) -> str:
    if row.category_id is not None and row.item_type_id is not None:
        return _("made for this reader category and this item type")
    if row.category_id is not None:
        return _("made for this reader category, for items of any type")
    if row.item_type_id is not None:
        return _("made for this item type, for readers of any category")
    return _("made for everybody and everything; applies where nothing else does")


def _example_table(rule: LoanPolicy, question: Question) -> Table:
    """Return what follows for a loan of today, in the words that the desk would use."""
    title, headers = _("If it were lent today"), (_("What"), _("Result"), _("How it comes"))
    today = timezone.localdate()
    calendar = rules.calendar()
    try:
        due = policy.due_date(lent=today, loan_days=rule.loan_days, calendar=calendar)
    except policy.NeverOpenError as closed:
        return Table(title, headers, (), str(closed))
    days = ngettext("%(days)d day", "%(days)d days", rule.loan_days) % {"days": rule.loan_days}
    nominal = today + timedelta(days=rule.loan_days)
    if due.date != nominal:
        days += _("; moved on from %(date)s, which is closed") % {"date": day(nominal)}
    rows = [(_("Due"), day(due.date), days)]
    rows.append(_fine_row(rule, question, due=due, calendar=calendar))
    return Table(title, headers, rows, "")


def _fine_row(
    rule: LoanPolicy, question: Question, *, due: policy.Due, calendar: policy.Calendar
) -> tuple[str, str, str]:
    returned = due.date + timedelta(days=question.days_late)
    name = _("Fine if returned on %(date)s") % {"date": day(returned)}
    per_day = rule.fine_per_day
    if per_day is None:
        if question.copy is None:
            return name, "–", _("depends on the book's daily fee: choose a copy")
        per_day = terms.at_check_out(rule, question.copy.book)["fine_per_day"]
    fine = policy.fine(
        due=due.date,
        returned=returned,
        terms=policy.FineTerms(per_day, rule.grace_days, rule.fine_cap),
        calendar=calendar,
    )
    return name, money(fine.amount), fine.explanation
