"""Why not: everything that stands against lending a copy, renewing a loan or placing a hold."""

from datetime import date, timedelta
from decimal import Decimal

from django.db.models import Exists, OuterRef, Q, Sum
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from alerts.wording import day, money
from billing import accounts, charges
from billing.models import Charge, ChargeKind
from catalog.models import Book, Copy, CopyStatus
from circulation import fines, policy, queue, rules
from circulation.models import Hold, Loan, LoanPolicy, LoanQuerySet, Reader
from circulation.refusals import Block, RefusedError

LEND_FOR_TODAY_PERMISSION = "circulation.lend_for_today"
LENDING_PERMISSION = "circulation.check_out"
TAKING_BACK_PERMISSION = "circulation.check_in"
LONGEST_LOAN = timedelta(days=2 * 366)


def rule_for(
    reader: Reader, item_type_id: int | None, *, refusal: type[RefusedError]
) -> LoanPolicy:
    """Return the policy that applies; raise `refusal` where staff have left none that does."""
    try:
        return rules.applicable(category_id=reader.category_id, item_type_id=item_type_id)[0]
    except rules.NoPolicyError as missing:
        raise refusal([Block("no_policy", str(missing))]) from missing


def against_reader(reader: Reader, *, on: date) -> list[Block]:
    """Return what stands against the reader, whatever it is that he or she wants."""
    found = []
    if not reader.is_active:
        found.append(Block("reader_inactive", _("This reader's account is switched off.")))
    if reader.is_expired(on=on):
        found.append(
            Block(
                "reader_expired",
                _("The card expired on %(date)s. Extend it on the reader's page.")
                % {"date": day(reader.expiry_date)},
                is_overridable=True,
            )
        )
    if reader.is_blocked:
        found.append(
            Block(
                "reader_blocked",
                _("The reader is blocked: %(reason)s") % {"reason": reader.block_reason},
                is_overridable=True,
            )
        )
    return found


def against_debt(reader: Reader, rule: LoanPolicy, *, on: date) -> list[Block]:
    if rule.debt_limit is None:
        return []
    debt = _before_credit(reader, on=on)
    # Few owe so much that their credit has to be asked for.
    if debt > rule.debt_limit:
        debt -= accounts.credit(reader)
    if debt <= rule.debt_limit:
        return []
    return [
        Block(
            "unpaid_charges",
            _("The reader owes %(debt)s; more than %(limit)s stops lending.")
            % {"debt": money(debt), "limit": money(rule.debt_limit)},
            is_overridable=True,
        )
    ]


def debt_that_counts(reader: Reader, *, on: date) -> Decimal:
    """Return the debt that lending looks at, less credit, with overdue fines grown up to `on`.

    The lending fee of a loan that is still out and not overdue does not count, or the second book
    of a visit would be refused.
    """
    return _before_credit(reader, on=on) - accounts.credit(reader)


def _before_credit(reader: Reader, *, on: date) -> Decimal:
    fee_not_due_yet = Q(
        kind=ChargeKind.PAYMENT,
        loan__isnull=False,
        loan__actual_return_date__isnull=True,
        loan__lost_date__isnull=True,
        loan__expected_return_date__gte=on,
    )
    counting = accounts.OWED.filter(reader=reader).exclude(
        pk__in=Charge.objects.filter(fee_not_due_yet, reader=reader).values("pk")
    )
    written = counting.aggregate(total=Sum("owed"))["total"] or charges.ZERO
    return round(written, 2) + fines.growth(reader, on=on)


def against_number_of_loans(reader: Reader, rule: LoanPolicy) -> list[Block]:
    """A policy for one item type counts the loans of that type, any other counts all."""
    of_type = {} if rule.item_type_id is None else {"copy__item_type": rule.item_type_id}
    # Few have that many, and to tell which lost ones are settled costs a tenth of a check-out.
    if Loan.objects.unreturned().filter(reader=reader, **of_type).count() < rule.max_loans:
        return []
    count = loans_that_count(reader).filter(**of_type).count()
    if count < rule.max_loans:
        return []
    return [
        Block(
            "too_many_loans",
            ngettext(
                "The reader has %(count)d loan; %(most)d may be out at once.",
                "The reader has %(count)d loans; %(most)d may be out at once.",
                count,
            )
            % {"count": count, "most": rule.max_loans},
            is_overridable=True,
        )
    ]


def loans_that_count(reader: Reader) -> LoanQuerySet:
    """Return the open loans, and the lost ones until the copy is found or the debt settled."""
    unsettled = Charge.objects.open().filter(loan=OuterRef("pk"), kind=ChargeKind.LOST)
    return Loan.objects.unreturned().filter(
        Q(lost_date__isnull=True) | Exists(unsettled), reader=reader
    )


def against_copy(copy: Copy, reader: Reader) -> list[Block]:
    """Return what stands against lending this copy at all. Holds are asked separately."""
    match copy.status:
        case CopyStatus.ON_LOAN:
            return [_on_loan(copy, reader)]
        case CopyStatus.WITHDRAWN:
            message = _("This copy is withdrawn. Put it back into circulation on the book's page.")
            return [Block("copy_withdrawn", message)]
        case CopyStatus.LOST:
            message = _("This copy is marked lost. Take it back in return mode first.")
            return [Block("copy_lost", message)]
        case CopyStatus.IN_REPAIR:
            message = _("This copy is in repair. Mark it available on the book's page first.")
            return [Block("copy_in_repair", message)]
    return []


def _on_loan(copy: Copy, reader: Reader) -> Block:
    loan = Loan.objects.open().filter(copy=copy).first()
    if loan is not None and loan.reader_id == reader.pk:
        return Block(
            "already_borrowed",
            _("This reader has this copy already, due %(due)s. It can be renewed.")
            % {"due": day(loan.expected_return_date)},
        )
    return Block("copy_on_loan", _("This copy is already on loan. Take it back first."))


def against_chosen_date(due: date | None, *, on: date, by: Reader | None) -> list[Block]:
    """Return whether staff may choose this due date: not the past, and today only by permission."""
    if due is not None and due > on + LONGEST_LOAN:
        message = _("The due date %(due)s is more than two years ahead. Check the year.")
        return [Block("due_too_far", message % {"due": day(due)})]
    if due is None or due > on:
        return []
    if due < on:
        return [Block("due_in_past", _("The due date %(due)s is in the past.") % {"due": day(due)})]
    if by is not None and not by.has_perm(LEND_FOR_TODAY_PERMISSION):
        return [Block("due_today", _("You may not lend for the same day. Choose a later date."))]
    return []


def against_own_date(
    due: date | None, reader: Reader, rule: LoanPolicy, *, on: date, by: Reader | None
) -> list[Block]:
    """Return whether readers who serve themselves chose a later date than the rule gives."""
    if due is None or not serves_self(reader, by, permission=LENDING_PERMISSION):
        return []
    try:
        latest = policy.due_date(lent=on, loan_days=rule.loan_days, calendar=rules.calendar()).date
    except policy.NeverOpenError as closed:
        return [Block("never_open", str(closed))]
    if due <= latest:
        return []
    message = _("The due date %(due)s is later than the rules allow: %(latest)s is the last.")
    return [Block("due_after_policy", message % {"due": day(due), "latest": day(latest)})]


def serves_self(reader: Reader, by: Reader | None, *, permission: str) -> bool:
    """Tell whether readers do for themselves what staff with the permission do at the desk."""
    return by is not None and by == reader and not by.has_perm(permission)


def against_check_out(
    reader: Reader,
    copy: Copy,
    rule: LoanPolicy,
    stake: queue.AtStake,
    *,
    due: date | None,
    on: date,
    by: Reader | None,
) -> list[Block]:
    """Return all reasons against lending this copy to this reader, hard ones first."""
    if about_copy := against_copy(copy, reader):
        return [*about_copy, *against_reader(reader, on=on)]
    found = [
        *against_chosen_date(due, on=on, by=by),
        *against_own_date(due, reader, rule, on=on, by=by),
        *against_reader(reader, on=on),
        *against_number_of_loans(reader, rule),
        *against_debt(reader, rule, on=on),
        *queue.against_holds(copy, reader, stake, by=by),
    ]
    return sorted(found, key=lambda block: block.is_overridable)


def against_renewal(
    loan: Loan,
    rule: LoanPolicy,
    *,
    due: date | None,
    on: date,
    by: Reader | None,
) -> list[Block]:
    """Return all reasons against renewing: as at check-out, but for the number of loans."""
    found = [
        *against_chosen_date(due, on=on, by=by),
        *against_reader(loan.reader, on=on),
        *against_debt(loan.reader, rule, on=on),
    ]
    if loan.renewals >= loan.max_renewals:
        message = _("All renewals of this loan are used: %(count)d of %(most)d.") % {
            "count": loan.renewals,
            "most": loan.max_renewals,
        }
        found.append(Block("too_many_renewals", message, is_overridable=True))
    waiting = queue.waiting_ahead(loan.copy.book_id, None)
    if waiting > queue.free_copies(loan.copy.book_id):
        message = _("Others wait for this book and no copy is free. It must come back.")
        found.append(Block("held_for_others", message, is_overridable=True))
    return sorted(found, key=lambda block: block.is_overridable)


def against_hold(book: Book, reader: Reader, rule: LoanPolicy, *, on: date) -> list[Block]:
    """Return all reasons against placing a hold; none of them can be overridden."""
    found = against_reader(reader, on=on)
    if Hold.objects.active().filter(book=book, reader=reader).exists():
        found.append(Block("already_on_hold", _("This reader has a hold on this book already.")))
    if Loan.objects.open().filter(copy__book=book, reader=reader).exists():
        found.append(Block("already_borrowed", _("This reader has this book on loan.")))
    if Hold.objects.active().filter(reader=reader).count() >= rule.max_holds:
        message = ngettext(
            "Only %(most)d hold is allowed at once.",
            "Only %(most)d holds are allowed at once.",
            rule.max_holds,
        ) % {"most": rule.max_holds}
        found.append(Block("too_many_holds", message))
    gone = (CopyStatus.WITHDRAWN, CopyStatus.LOST)
    if not Copy.objects.filter(book=book).exclude(status__in=gone).exists():
        found.append(Block("no_copy_to_wait_for", _("The library has no copy of this book left.")))
    return found
