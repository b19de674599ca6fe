"""What the desk shows for each act: one row in words, with what can be done next."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts.wording import day, money
from billing.models import Charge
from catalog.models import Copy
from circulation import desk, desk_readers
from circulation.holds import Shelved
from circulation.models import DeskAct, Loan
from circulation.refusals import Block

Tone = Literal["good", "warn", "bad", "note"]
ICONS: dict[Tone, str] = {
    "good": "check_circle",
    "warn": "payments",
    "bad": "block",
    "note": "info",
}


@dataclass(frozen=True)
class Offer:
    """Something that one key does next: post `fields` to `url`, follow `href`, or print the slip.

    `ask` opens a box first, for the "reason" of an override or the "book" of a new copy.
    """

    label: str
    url: str = ""
    fields: dict[str, Any] = field(default_factory=dict)
    ask: str = ""
    href: str = ""
    is_print: bool = False

    @property
    def fields_json(self) -> str:
        return json.dumps(self.fields)


@dataclass(frozen=True)
class Row:
    tone: Tone
    headline: str
    title: str = ""
    code: str = ""
    big: str = ""
    big_label: str = ""
    lines: Sequence[str] = ()
    reasons: Sequence[str] = ()
    offers: Sequence[Offer] = ()
    shelved: Shelved | None = None
    act: DeskAct | None = None

    @property
    def icon(self) -> str:
        return ICONS[self.tone] if self.shelved is None else "bookmark"

    @property
    def at(self) -> datetime:
        return timezone.localtime(self.act.at if self.act else None)

    @property
    def spoken(self) -> str:
        """The row as one announcement for a screen reader."""
        shown = (self.headline, self.title, self.code, self.big_label, self.big)
        return ". ".join(text for text in (*shown, *self.reasons, *self.lines) if text)


def lent(done: desk.CheckOut) -> Row:
    lines = [_("To %(reader)s.") % {"reader": done.loan.reader}, *_fee(done.fee)]
    return of_loan(
        done.loan,
        tone="good",
        headline=_("Lent"),
        big=day(done.loan.expected_return_date),
        big_label=_("Due"),
        lines=lines,
        reasons=_overridden(done.overridden),
        act=done.act,
    )


def renewed(done: desk.Renewal) -> Row:
    lines = [_("To %(reader)s.") % {"reader": done.loan.reader}, *_fee(done.fee)]
    return of_loan(
        done.loan,
        tone="good",
        headline=_("Renewed"),
        big=day(done.loan.expected_return_date),
        big_label=_("Now due"),
        lines=lines,
        reasons=_overridden(done.overridden),
        act=done.act,
    )


def taken_back(done: desk.CheckIn, *, on: date) -> Row:
    """A return: the fine explained, and whom the copy is for."""
    fine = done.fine if done.fine is not None and done.fine.amount else None
    book = done.copy.book
    return Row(
        tone=_tone_of_return(done, fine),
        headline=_headline_of_return(done),
        title=book.title,
        code=done.copy.barcode,
        big=money(fine.amount) if fine else "",
        big_label=_("Fine") if fine else "",
        lines=[*_about_hold(done), *_about_return(done, fine, on=on)],
        offers=[Offer(_("Print the hold slip"), is_print=True)] if done.shelved else [],
        shelved=done.shelved,
        act=done.act,
    )


def _headline_of_return(done: desk.CheckIn) -> str:
    if done.shelved:
        return _("For the hold shelf: %(reader)s") % {"reader": done.shelved.hold.reader}
    return _("Taken back") if done.loan and not done.was_lost else done.message


def _tone_of_return(done: desk.CheckIn, fine: Charge | None) -> Tone:
    if fine or done.shelved:
        return "warn"
    return "good" if done.loan else "note"


def _about_hold(done: desk.CheckIn) -> list[str]:
    if done.shelved is None:
        return []
    lines = [_("Kept until %(date)s.") % {"date": day(done.shelved.hold.pickup_until)}]
    return [*lines, done.message] if done.was_lost else lines


def _about_return(done: desk.CheckIn, fine: Charge | None, *, on: date) -> list[str]:
    loan = done.loan
    if loan is None:
        return []
    names = {"reader": loan.reader, "date": day(on)}
    lines = [_("From %(reader)s, as of %(date)s.") % names]
    if on == timezone.localdate():
        lines = [_("From %(reader)s.") % names]
    if fine:
        now = desk_readers.owed(loan.reader, on=timezone.localdate())
        owes = _("%(reader)s now owes %(sum)s.") % {"reader": loan.reader, "sum": money(now)}
        why = _("Was due %(date)s: %(why)s.") % {
            "date": day(loan.expected_return_date),
            "why": fine.description,
        }
        return [*lines, why, owes]
    return [*lines, *_late_without_fine(loan, done, on=on)]


def _late_without_fine(loan: Loan, done: desk.CheckIn, *, on: date) -> list[str]:
    if done.fine is not None:
        return [_("No fine: what had been counted until now is taken back.")]
    late = (on - loan.expected_return_date).days
    if late <= 0 or done.was_lost:
        return []
    text = ngettext("%(count)d day late, no fine.", "%(count)d days late, no fine.", late)
    return [text % {"count": late}]


def _fee(fee: Charge | None) -> list[str]:
    if fee is None:
        return []
    text = _("Lending fee %(sum)s: %(why)s.")
    return [text % {"sum": money(fee.amount), "why": fee.description}]


def _overridden(found: Sequence[Block]) -> list[str]:
    return [_("Overridden: %(block)s") % {"block": block.message} for block in found]


def of_loan(loan: Loan, **fields: Any) -> Row:
    return Row(title=loan.copy.book.title, code=loan.copy.barcode, **fields)


def added(copy: Copy) -> Row:
    return Row("good", _("Copy added"), title=copy.book.title, code=copy.barcode)


def undone(act: DeskAct, *, owed_before: Decimal, owed_now: Decimal) -> Row:
    loan = act.loan
    lines = [_("Reader: %(reader)s.") % {"reader": loan.reader}]
    if owed_before != owed_now:
        text = _("Owes %(now)s now, %(before)s before.")
        lines.append(text % {"now": money(owed_now), "before": money(owed_before)})
    headline = _("Undone: %(act)s") % {"act": act.get_kind_display()}
    return of_loan(loan, tone="note", headline=headline, lines=lines)


def earlier(act: DeskAct) -> Row:
    """An act of today that was done before the page was opened; it can still be undone."""
    loan = act.loan
    is_due = loan.is_open and act.kind != DeskAct.Kind.CHECK_IN
    return of_loan(
        loan,
        tone="good",
        headline=act.get_kind_display(),
        big=day(loan.expected_return_date) if is_due else "",
        big_label=_("Due") if is_due else "",
        lines=[_("Reader: %(reader)s.") % {"reader": loan.reader}],
        act=act,
    )
