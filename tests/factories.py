"""The cast and the stock of the tests: readers, staff, books and copies with sensible defaults."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth.models import Group, Permission
from django.db.models import QuerySet

from billing import charges as charging
from billing import payments
from billing.models import Allocation, Charge, ChargeKind, Payment
from catalog.models import Book, Copy
from circulation import desk
from circulation.models import ClosedDay, ClosedWeekday, Loan, LoanPolicy, Reader, Weekday
from circulation.refusals import Overriding, RefusedError

WARSAW = ZoneInfo("Europe/Warsaw")
MONDAY = date(2026, 3, 2)
_numbers = count(1)


def march(day: int) -> date:
    """A date in March 2026, in which the 2nd is a Monday."""
    return date(2026, 3, day)


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=WARSAW)


def make_book(title: str = "Solaris", **fields: Any) -> Book:
    fields.setdefault("author", "Lem, Stanisław")
    return Book.objects.create(title=title, **fields)


def make_copy(book: Book | None = None, **fields: Any) -> Copy:
    fields.setdefault("barcode", f"B{next(_numbers):05d}")
    return Copy.objects.create(book=book or make_book(), **fields)


def make_reader(first_name: str = "Anna", **fields: Any) -> Reader:
    number = next(_numbers)
    fields.setdefault("last_name", "Nowak")
    fields.setdefault("card_number", f"R{number:05d}")
    fields.setdefault("email", f"{first_name.lower()}.{number}@example.org")
    password = fields.pop("password", None)
    reader = Reader(first_name=first_name, **fields)
    reader.set_password(password)
    reader.save()
    return reader


def make_staff(
    first_name: str = "Maria", *, permissions: tuple[str, ...] = (), **fields: Any
) -> Reader:
    """A member of staff with exactly these permissions, as "circulation.check_out"."""
    staff = make_reader(first_name, is_staff=True, **fields)
    for permission in permissions:
        app, codename = permission.split(".")
        staff.user_permissions.add(
            Permission.objects.get(content_type__app_label=app, codename=codename)
        )
    return staff


def make_member(role: str, **fields: Any) -> Reader:
    """A member of staff in one of the roles: Librarian, Assistant, Cashier, Auditor."""
    staff = make_staff(role, **fields)
    staff.groups.add(Group.objects.get(name=role))
    return staff


def set_policy(**fields: Any) -> LoanPolicy:
    """Make the rule for everybody that of the case files, with these differences."""
    rule = LoanPolicy.objects.get(category=None, item_type=None)
    case_file_terms: dict[str, Any] = {
        "loan_days": 14,
        "max_loans": 5,
        "max_renewals": 2,
        "grace_days": 2,
        "fine_factor": None,
        "fine_per_day": "0.50",
        "fine_cap": "10.00",
        "debt_limit": "5.00",
        "hold_shelf_days": 7,
    }
    for name, value in {**case_file_terms, **fields}.items():
        setattr(rule, name, value)
    rule.full_clean()
    rule.save()
    rule.refresh_from_db()
    return rule


def close_on(*days: date | Weekday) -> None:
    for day in days:
        if isinstance(day, date):
            ClosedDay.objects.create(date=day)
        else:
            ClosedWeekday.objects.create(weekday=day)


def lend(reader: Reader, item: Copy | Book, *, on: date = MONDAY, **options: Any) -> Loan:
    return desk.check_out(reader, item, on=on, **options).loan


def lend_until(due: date, reader: Reader | None = None, copy: Copy | None = None) -> Loan:
    """An open loan that the rules made due on this date."""
    loan = lend(reader or make_reader(), copy or make_copy(), on=due - timedelta(days=14))
    assert loan.expected_return_date == due
    return loan


def take_back(copy: Copy, *, on: date, dated: date | None = None) -> desk.CheckIn:
    """Scan a copy in return mode on a day, with a book-drop date where one is given."""
    return desk.check_in(copy, on=dated, today=on)


def make_charge(
    reader: Reader, amount: str = "5.00", *, kind: ChargeKind = ChargeKind.FINE, **options: Any
) -> Charge:
    """A charge that is final, with the payment that waits for it."""
    options.setdefault("description", "Late")
    charge = charging.assess(reader, kind, Decimal(amount), **options)
    assert charge is not None
    return charge


def pay_cash(charge: Charge, amount: str, *, by: Reader) -> Payment:
    return payments.take_cash(charge.reader, {charge.pk: Decimal(amount)}, by=by)


def forget(charges: QuerySet[Charge]) -> None:
    """Make it as if these charges had never been: what nothing in the library itself does."""
    payments = list(Payment.objects.filter(allocations__charge__in=charges).values_list("pk"))
    Allocation.objects.filter(charge__in=charges).delete()
    Payment.objects.filter(pk__in=[pk for (pk,) in payments]).delete()
    charges.delete()


def overriding(*codes: str, reason: str = "The head of the library agreed.") -> Overriding:
    return Overriding(frozenset(codes), reason)


def codes(refused: RefusedError) -> list[str]:
    return [block.code for block in refused.blocks]
