"""What the tabs of the reader's page list: each list bounded, with the way to the whole of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from unfold.widgets import CHECKBOX_CLASSES

from alerts.admin.deliveries import status_badge as delivery_badge
from alerts.backoffice.pages import Table, badge, code, day, list_url, money, page_link
from alerts.models import Delivery
from circulation import fines, holds, rules
from circulation.admin.holds import status_badge as hold_badge
from circulation.admin.loan_states import status_badge as loan_badge
from circulation.models import Hold, HoldStatus, Loan, Override, Reader

MOST_ROWS = 50
MOST_CHANGES = 500
RENEW_FORM = "renew-form"


def loans_now(reader: Any, *, on: date, shows_fines: bool, may_renew: bool) -> Table:
    """Return what is out, the first due first, with what each late loan costs by now.

    The reader comes with the number of loans `out`.
    """
    out = Loan.objects.unreturned().filter(reader=reader).select_related("copy__book")
    loans = list(out.order_by("expected_return_date", "pk")[:MOST_ROWS])
    late = [loan for loan in loans if loan.is_overdue(on=on)]
    sums = fines.so_far(late, on=on) if late and shows_fines else {}
    headers = [_("Book"), _("Copy"), _("Lent"), _("Due"), _("Renewals"), _("Status")]
    rows = []
    for loan in loans:
        row = [
            page_link(loan, loan.copy.book.title),
            code(loan.copy.barcode),
            day(loan.borrow_date),
            day(loan.expected_return_date),
            _("%(count)d of %(most)d") % {"count": loan.renewals, "most": loan.max_renewals},
            loan_badge(loan, on=on),
        ]
        if shows_fines:
            row.append(money(sums[loan.pk]) if sums.get(loan.pk) else "–")
        rows.append([_tick(loan), *row] if may_renew else row)
    if shows_fines:
        headers.append(_("Fine so far"))
    if may_renew:
        headers.insert(0, _("Renew"))
    title = _("On loan now")
    if reader.out > len(loans):
        title = _("On loan now: %(out)d, the %(most)d due first are shown") % {
            "out": reader.out,
            "most": len(loans),
        }
    more = list_url(Loan, reader__id__exact=reader.pk, state="open")
    return Table(title, headers, rows, _("Nothing is on loan. Lend at the desk."), more)


def _tick(loan: Loan) -> str | SafeString:
    """Return a box that renews the loan as it is shown: not where it was renewed since."""
    if not loan.is_open:
        return "–"
    return format_html(
        '<input type="checkbox" name="loan" value="{}:{}" form="{}" aria-label="{}" class="{}">',
        loan.pk,
        loan.renewals,
        RENEW_FORM,
        _("Renew %(title)s, %(barcode)s")
        % {"title": loan.copy.book.title, "barcode": loan.copy.barcode},
        " ".join(CHECKBOX_CLASSES),
    )


def past_loans(reader: Reader, *, on: date) -> Table:
    """Return the newest of the loans that came back; undone ones count as never made."""
    over = Loan.objects.filter(reader=reader, undone_at=None, actual_return_date__isnull=False)
    rows = [
        (
            page_link(loan, loan.copy.book.title),
            code(loan.copy.barcode),
            day(loan.borrow_date),
            day(loan.expected_return_date),
            day(loan.actual_return_date),
            loan.renewals,
            loan_badge(loan, on=on),
        )
        for loan in over.select_related("copy__book").order_by("-borrow_date", "-pk")[:MOST_ROWS]
    ]
    headers = (
        _("Book"),
        _("Copy"),
        _("Lent"),
        _("Due"),
        _("Returned"),
        _("Renewals"),
        _("Status"),
    )
    more = list_url(Loan, reader__id__exact=reader.pk, state="returned")
    return Table(
        _newest(_("Past loans"), rows), headers, rows, _("This reader has returned nothing."), more
    )


def holds_now(reader: Reader) -> Table:
    """Return what the reader waits for, first what lies on the shelf, the most urgent first."""
    active: Any = holds.with_position(Hold.objects.active().filter(reader=reader))
    found = active.select_related("book", "copy").order_by("placed_at", "pk")[:MOST_ROWS]
    rows = [
        (
            page_link(hold, hold.book.title),
            hold_badge(hold),
            hold.position if hold.status == HoldStatus.WAITING else "–",
            code(hold.copy and hold.copy.barcode),
            day(hold.pickup_until),
            day(hold.placed_at),
        )
        for hold in sorted(found, key=lambda hold: hold.pickup_until or date.max)
    ]
    headers = (_("Book"), _("Status"), _("Place"), _("Copy"), _("Pick up by"), _("Placed"))
    more = list_url(Hold, reader__id__exact=reader.pk, state="active")
    empty = _("This reader waits for nothing. Place a hold for a book that is out.")
    return Table(_("Waiting and ready"), headers, rows, empty, more)


def past_holds(reader: Reader) -> Table:
    over = (HoldStatus.FULFILLED, HoldStatus.CANCELLED, HoldStatus.EXPIRED)
    found = Hold.objects.filter(reader=reader, status__in=over).select_related("book")
    rows = [
        (
            page_link(hold, hold.book.title),
            hold_badge(hold),
            day(hold.placed_at),
            day(hold.closed_at),
        )
        for hold in found.order_by("-placed_at", "-pk")[:MOST_ROWS]
    ]
    headers = (_("Book"), _("What became of it"), _("Placed"), _("Closed"))
    more = list_url(Hold, reader__id__exact=reader.pk)
    empty = _("No hold of this reader has ended yet.")
    return Table(_newest(_("Earlier holds"), rows), headers, rows, empty, more)


def notices(reader: Reader, *, links: bool) -> Table:
    """Return what the reader was told of, or is about to be, the newest first."""
    found = Delivery.objects.filter(recipient=reader).select_related("event", "channel")
    rows = [
        (
            page_link(delivery, delivery.get_kind_display())
            if links
            else delivery.get_kind_display(),
            delivery.event.data.get("book_title") or "–",
            delivery_badge(delivery),
            delivery.channel,
            day(delivery.finished_at or delivery.created_at),
            delivery.note or "–",
        )
        for delivery in found.order_by("-pk")[:MOST_ROWS]
    ]
    headers = (_("What"), _("About"), _("Status"), _("Channel"), _("When"), _("What came of it"))
    more = list_url(Delivery, recipient__id__exact=reader.pk) if links else ""
    empty = _("Nothing was sent to this reader yet.")
    return Table(_newest(_("Notices"), rows), headers, rows, empty, more)


def limits(reader: Any, *, links: bool) -> Table:
    """Return how far the reader is from what stops lending, by the rule for copies of no type.

    The sum is what is written down: the desk adds the fines of today, and leaves out the fees of
    loans that are not due yet, so only the desk can say that it stops lending. The reader comes
    with what `reader_page.with_standing` adds.
    """
    title = _("What the rules allow")
    try:
        rule = rules.applicable(category_id=reader.category_id, item_type_id=None)[0]
    except rules.NoPolicyError as missing:
        return Table(title, (), (), str(missing))
    no_debt_limit = rule.debt_limit is None
    within, no_more = badge(_("within"), "success"), badge(_("no more"), "warning")
    rows = [
        (
            _("Loans"),
            reader.out,
            rule.max_loans,
            within if reader.out < rule.max_loans else no_more,
        ),
        (
            _("Holds"),
            reader.held,
            rule.max_holds,
            within if reader.held < rule.max_holds else no_more,
        ),
        (
            _("Owed"),
            money(round(reader.owed, 2)),
            _("any sum") if no_debt_limit else money(rule.debt_limit),
            within
            if no_debt_limit or reader.owed <= rule.debt_limit
            else badge(_("may stop lending"), "warning"),
        ),
    ]
    headers = (_("What"), _("Now"), _("At most"), _("State"))
    named = page_link(rule) if links else str(rule)
    return Table(format_html("{}: {}", title, named), headers, rows, "")


def overrides(reader: Reader) -> Table:
    found = Override.objects.filter(loan__reader=reader).select_related("loan__copy__book", "by")
    rows = [
        (
            override.message,
            page_link(override.loan, override.loan.copy.book.title),
            override.reason,
            override.by,
            day(override.created_at),
        )
        for override in found.order_by("-pk")[:MOST_ROWS]
    ]
    headers = (_("What stood against it"), _("For"), _("Why"), _("By"), _("When"))
    empty = _("Nothing was ever lent to this reader against the rules.")
    more = list_url(Override, loan__reader__id__exact=reader.pk)
    return Table(_newest(_("Overrides"), rows), headers, rows, empty, more)


@dataclass(frozen=True)
class BlockChange:
    """A block that was set, changed or lifted, as the reader's history has it."""

    is_blocked: bool
    reason: str
    by: Reader | None
    at: datetime


def block_changes(reader: Reader) -> list[BlockChange]:
    """Return how the reader's block changed, the newest first, as far as the last changes tell."""
    kept = Reader.history.filter(id=reader.pk).select_related("history_user")
    records = list(kept.order_by("-history_id")[:MOST_CHANGES])
    records.reverse()
    is_whole = len(records) < MOST_CHANGES
    return list(_changes_of_block(records, since_the_beginning=is_whole))[::-1]


def _changes_of_block(
    records: Sequence[Any], *, since_the_beginning: bool
) -> Iterator[BlockChange]:
    """Yield what differs from the record before; who is new is not blocked."""
    before = (False, "") if since_the_beginning else None
    for record in records:
        now = (record.is_blocked, record.block_reason if record.is_blocked else "")
        if before not in (None, now):
            yield BlockChange(*now, record.history_user, record.history_date)
        before = now


def blocks_table(changes: Sequence[BlockChange], *, says_why: bool) -> Table:
    rows = [
        (
            _("Blocked") if change.is_blocked else _("Block lifted"),
            (says_why and change.reason) or "–",
            change.by or "–",
            day(change.at),
        )
        for change in changes[:MOST_ROWS]
    ]
    headers = (_("What"), _("Why"), _("By"), _("When"))
    empty = _("Staff never blocked this reader.")
    return Table(_newest(_("Blocked by staff"), rows), headers, rows, empty)


def _newest(title: str, rows: Sequence[Any]) -> str:
    """Return the title of a list that says so where there may be more than it shows."""
    if len(rows) < MOST_ROWS:
        return title
    return _("%(title)s: the newest %(most)d") % {"title": title, "most": MOST_ROWS}
