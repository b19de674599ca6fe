"""Fines: what a late loan costs today, and the nightly job that writes it down."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet, Subquery

from billing import accounts, charges
from billing.models import Charge, ChargeKind
from circulation import policy, rules
from circulation.models import Loan, Reader

BATCH = 200
# The fine of a loan's present due date as it was written down last.
WITH_WRITTEN: Any = Loan.objects.annotate(
    written=Subquery(
        Charge.objects.filter(
            kind=ChargeKind.FINE, loan=OuterRef("pk"), due_date=OuterRef("expected_return_date")
        ).values("amount")
    )
)


def quote(
    loan: Loan,
    *,
    on: date,
    calendar: policy.Calendar | None = None,
    fined_before: Decimal | None = None,
) -> policy.Fine:
    """Return the fine for the loan's present due date if it came back on `on`.

    The cap is for all the fines of one loan together, so earlier ones are taken off it; they are
    looked for where the caller does not know them.
    """
    if on <= loan.expected_return_date:
        return policy.not_late()
    cap = loan.fine_cap
    if cap is not None and loan.renewals:
        if fined_before is None:
            fined_before = charges.fined_for_other_due_dates([loan])[loan.pk]
        cap = max(cap - fined_before, charges.ZERO)
    return policy.fine(
        due=loan.expected_return_date,
        returned=on,
        terms=policy.FineTerms(loan.fine_per_day, loan.grace_days, cap),
        calendar=calendar or rules.calendar(),
    )


def so_far(loans: Sequence[Loan], *, on: date) -> dict[int, Decimal]:
    """Return the sums that `quote` has for many loans, by their numbers, in few queries."""
    found = _quotes(loans, on=on, calendar=rules.calendar())
    return {pk: fine.amount for pk, fine in found.items()}


def _quotes(
    loans: Sequence[Loan], *, on: date, calendar: policy.Calendar
) -> dict[int, policy.Fine]:
    renewed = [loan for loan in loans if loan.renewals and loan.fine_cap is not None]
    before = charges.fined_for_other_due_dates(renewed) if renewed else {}
    return {
        loan.pk: quote(loan, on=on, calendar=calendar, fined_before=before.get(loan.pk))
        for loan in loans
    }


def assess(
    loan: Loan,
    *,
    on: date,
    is_final: bool,
    by: Reader | None = None,
    calendar: policy.Calendar | None = None,
) -> Charge | None:
    """Write down the fine of a loan that the caller has locked, as of the date `on`."""
    fine = quote(loan, on=on, calendar=calendar)
    return charges.assess_fine(
        loan,
        fine.amount,
        description=fine.explanation,
        on=on,
        is_final=is_final,
        by=by,
    )


def growth(reader: Reader, *, on: date) -> Decimal:
    """Return by how much the reader's fines have grown since the accrual job last ran."""
    total = charges.ZERO
    calendar = None
    for loan in WITH_WRITTEN.overdue(on=on).filter(reader=reader):
        calendar = calendar or rules.calendar()
        fine = quote(loan, on=on, calendar=calendar)
        total += max(fine.amount - (loan.written or charges.ZERO), charges.ZERO)
    return total


def accrue(*, on: date) -> int:
    """Bring the fines of all loans overdue on `on` up to that date; return how many were looked at.

    Safe to run twice, late, or after days off: a fine is computed anew from the due date, never
    added to, and one that is computed up to `on` already is left alone.
    """
    calendar = rules.calendar()
    # All numbers at once: to look for the next few again and again takes longer than to keep them.
    stale = list(_stale(on).values_list("pk", "reader"))
    batches = (stale[first : first + BATCH] for first in range(0, len(stale), BATCH))
    return sum(_accrue_some(batch, on=on, calendar=calendar) for batch in batches)


def _accrue_some(batch: Sequence[tuple[int, int]], *, on: date, calendar: policy.Calendar) -> int:
    """Look at some loans and their readers: most fines of a large library are at their cap."""
    loans = list(Loan.objects.filter(pk__in=[pk for pk, _reader in batch]))
    found = _quotes(loans, on=on, calendar=calendar)
    told = {pk: (fine.amount, fine.explanation) for pk, fine in found.items()}
    same = charges.confirm_fines(
        {(loan.pk, loan.expected_return_date): told[loan.pk] for loan in loans}, on=on
    )
    others = [each for each in batch if each[0] not in same]
    return len(same) + sum(
        _accrue_one(pk, reader, on=on, calendar=calendar) for pk, reader in others
    )


def _stale(on: date) -> QuerySet[Loan]:
    done = Charge.objects.filter(
        kind=ChargeKind.FINE,
        loan=OuterRef("pk"),
        due_date=OuterRef("expected_return_date"),
        assessed_date__gte=on,
    )
    return Loan.objects.overdue(on=on).filter(~Exists(done), fine_per_day__gt=0).order_by("pk")


@transaction.atomic
def _accrue_one(pk: int, reader: int, *, on: date, calendar: policy.Calendar) -> bool:
    """One short transaction per loan, so that the desk never waits for the job."""
    accounts.lock(reader)  # a loan never gets another
    loan = Loan.objects.select_for_update(no_key=True).get(pk=pk)
    if not loan.is_overdue(on=on):
        return False
    assess(loan, on=on, is_final=False, calendar=calendar)
    return True
