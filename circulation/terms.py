"""The terms of a loan: kept from its check-out, whatever the settings become later."""

from datetime import date
from typing import Any

from django.utils.translation import ngettext

from billing import charges
from billing.models import Charge, ChargeKind
from catalog.models import Book
from circulation import policy
from circulation.models import Loan, LoanPolicy, Reader


def at_check_out(rule: LoanPolicy, book: Book) -> dict[str, Any]:
    """Return the terms that a loan keeps from its check-out, whatever the settings become."""
    rate = rule.fine_per_day
    if rate is None:
        rate = policy.rate((rule.fine_factor or charges.ZERO) * book.daily_fee)
    return {
        "loan_days": rule.loan_days,
        "max_renewals": rule.max_renewals,
        "grace_days": rule.grace_days,
        "daily_fee": book.daily_fee,
        "fine_per_day": rate,
        "fine_cap": rule.fine_cap,
        "lost_fee": rule.lost_fee,
    }


def charge_days(loan: Loan, days: int, *, on: date, by: Reader | None) -> Charge | None:
    """Charge the days granted, if the book costs anything."""
    description = ngettext("%(days)d day × %(fee)s", "%(days)d days × %(fee)s", days) % {
        "days": days,
        "fee": loan.daily_fee,
    }
    return charges.assess(
        loan.reader,
        ChargeKind.PAYMENT,
        policy.money(days * loan.daily_fee),
        description=description,
        loan=loan,
        on=on,
        by=by,
    )
