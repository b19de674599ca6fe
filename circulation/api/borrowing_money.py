"""The money of borrowings, a whole page at once: what each costs and what is still owed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from billing.models import AllocationState, Charge, ChargeKind
from circulation import fines
from circulation.models import Loan

Row = dict[str, Any]

ZERO = Decimal("0.00")
TERMS = ("renewals", "fine_per_day", "grace_days", "fine_cap")
COLUMNS = (
    *("pk", "loan", "kind", "due_date", "amount"),
    *("adjustments__pk", "adjustments__amount"),
    *(f"allocations__{name}" for name in ("pk", "payment", "state", "amount", "refunded")),
)
CHARGES: Any = Charge.objects.order_by().values_list(*COLUMNS)


@dataclass
class Account:
    """The sums of one loan; `written` is its fine for the present due date, as assessed so far."""

    due: date
    sums: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(ChargeKind.values, ZERO))
    owed: Decimal = ZERO
    written: Decimal = ZERO
    payments: set[int] = field(default_factory=set)

    def add(self, kind: str, amount: Decimal) -> None:
        self.sums[kind] += amount
        self.owed += amount

    def as_sent(self) -> Row:
        return {
            "fee": text_of(self.sums[ChargeKind.PAYMENT]),
            "fine": text_of(self.sums[ChargeKind.FINE]),
            "replacement": text_of(self.sums[ChargeKind.LOST]),
            "owed": text_of(self.owed),
        }


def of(found: Sequence[Row], *, on: date) -> dict[int, Account]:
    """Return the accounts of loans by their numbers, with fines grown up to `on`."""
    accounts = {row["id"]: Account(row["expected_return_date"]) for row in found}
    _assessed(accounts)
    for loan, fine in _growing(found, on=on).items():
        accounts[loan].add(ChargeKind.FINE, max(fine - accounts[loan].written, ZERO))
    return accounts


def _assessed(accounts: dict[int, Account]) -> None:
    """Add up charges, what was taken off them and what was paid, all read by one query.

    It repeats a charge for each pair of its adjustments and allocations; sums that the database
    makes instead take twice the time.
    """
    seen: set[tuple[str, int | None]] = {("adjustment", None), ("allocation", None)}
    charges = CHARGES.filter(loan__in=accounts)
    for charge, loan, kind, missed, amount, less, off, *part in charges:
        account = accounts[loan]
        if _is_new(seen, "charge", charge):
            account.add(kind, amount)
            if kind == ChargeKind.FINE and missed == account.due:
                account.written = amount
        if _is_new(seen, "adjustment", less):
            account.add(kind, -off)
        if _is_new(seen, "allocation", part[0]):
            _allocate(account, *part[1:])


def _is_new(seen: set[tuple[str, int | None]], what: str, number: int | None) -> bool:
    if (what, number) in seen:
        return False
    seen.add((what, number))
    return True


def _allocate(
    account: Account, payment: int, state: str, amount: Decimal, refunded: Decimal
) -> None:
    account.payments.add(payment)
    if state == AllocationState.PAID:
        account.owed -= amount - refunded


def _growing(found: Sequence[Row], *, on: date) -> dict[int, Decimal]:
    overdue = [row for row in found if is_overdue(row, on=on)]
    if not overdue:
        return {}
    terms = ("id", "expected_return_date", *TERMS)
    return fines.so_far([Loan(**{name: row[name] for name in terms}) for row in overdue], on=on)


def is_open(row: Row) -> bool:
    return row["actual_return_date"] is None and row["lost_date"] is None


def is_overdue(row: Row, *, on: date) -> bool:
    return is_open(row) and row["expected_return_date"] < on


def text_of(amount: Decimal) -> str:
    """Return a sum as it is sent, in whole cents."""
    return str(round(amount, 2))
