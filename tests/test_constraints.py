"""What the database itself guarantees, whatever the code does: one wrong row per constraint."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction

from billing.models import Adjustment, Charge
from catalog.models import Book, Copy
from circulation.models import (
    ClosedDay,
    ClosedWeekday,
    DeskAct,
    Hold,
    HoldStatus,
    Loan,
    LoanPolicy,
    Override,
    Reader,
)
from tests.factories import MONDAY, make_book, make_copy, make_reader, march, noon


def loan(**fields: Any) -> Loan:
    usual = {
        "borrow_date": MONDAY,
        "expected_return_date": march(16),
        **fields,
    }
    usual.setdefault("copy", make_copy())
    usual.setdefault("reader", make_reader())
    return Loan.objects.create(**usual)


def hold(**fields: Any) -> Hold:
    fields.setdefault("book", make_book())
    fields.setdefault("reader", make_reader())
    return Hold.objects.create(placed_at=noon(MONDAY), **fields)


def ready(copy: Copy, **fields: Any) -> Hold:
    return hold(book=copy.book, copy=copy, status=HoldStatus.READY, pickup_until=march(9), **fields)


def two_loans_of_a_copy() -> None:
    copy = make_copy()
    loan(copy=copy)
    loan(copy=copy)


def a_loan_beside_a_lost_one() -> None:
    copy = make_copy()
    loan(copy=copy, lost_date=march(3))
    loan(copy=copy)


def two_ready_holds_of_a_copy() -> None:
    copy = make_copy()
    ready(copy)
    ready(copy)


def two_holds_of_a_reader() -> None:
    first = hold()
    hold(book=first.book, reader=first.reader)


def two_emails_that_differ_in_case() -> None:
    make_reader(email="anna@example.org")
    Reader.objects.filter(pk=make_reader().pk).update(email="Anna@example.org")


WRONG: dict[str, Callable[[], object]] = {
    "two open loans of a copy": two_loans_of_a_copy,
    "a loan of a copy that another reader lost": a_loan_beside_a_lost_one,
    "a loan due before it was lent": lambda: loan(expected_return_date=march(1)),
    "a loan returned before it was lent": lambda: loan(actual_return_date=march(1)),
    "a loan lost before it was lent": lambda: loan(lost_date=march(1)),
    "a loan with a negative fee": lambda: loan(daily_fee=-1),
    "a loan with a negative rate": lambda: loan(fine_per_day=-1),
    "a loan with a negative cap": lambda: loan(fine_cap=-1),
    "a loan with a negative price": lambda: loan(lost_fee=-1),
    "two ready holds of a copy": two_ready_holds_of_a_copy,
    "two active holds of a reader on a book": two_holds_of_a_reader,
    "a ready hold without a copy": lambda: hold(status="ready", pickup_until=march(9)),
    "a ready hold without a last day": lambda: hold(status="ready", copy=make_copy()),
    "a waiting hold with a copy": lambda: hold(copy=make_copy()),
    "a hold of unknown status": lambda: hold(status="asleep"),
    "a copy of unknown status": lambda: make_copy(status="asleep"),
    "a copy without a barcode": lambda: make_copy(barcode=""),
    "two copies with one barcode": lambda: [make_copy(barcode="7"), make_copy(barcode="7")],
    "a copy with a negative price": lambda: make_copy(price=-1),
    "a book with a negative fee": lambda: make_book(daily_fee=-1),
    "a book without a title": lambda: make_book(""),
    "two books with one ISBN": lambda: [make_book(isbn="9780804429573") for _ in range(2)],
    "two books with one record number": lambda: [make_book(source_id="1") for _ in range(2)],
    "two readers with one card": lambda: [make_reader(card_number="7") for _ in range(2)],
    "two readers with one email": lambda: [make_reader(email="a@example.org") for _ in range(2)],
    "two emails that differ in case": two_emails_that_differ_in_case,
    "a charge below zero": lambda: Charge.objects.create(
        reader=make_reader(), kind="FINE", amount=-1
    ),
    "a charge of unknown kind": lambda: Charge.objects.create(
        reader=make_reader(), kind="GIFT", amount=1
    ),
    "an override without a reason": lambda: Override.objects.create(
        loan=loan(), block="reader_blocked", reason="", by=make_reader()
    ),
    "two policies for everybody": lambda: LoanPolicy.objects.create(fine_factor=1),
    "a policy with two kinds of fine": lambda: LoanPolicy.objects.update(fine_per_day=1),
    "a policy with no kind of fine": lambda: LoanPolicy.objects.update(fine_factor=None),
    "a policy of no days": lambda: LoanPolicy.objects.update(loan_days=0),
    "a policy with a negative cap": lambda: LoanPolicy.objects.update(fine_cap=-1),
    "a date closed twice": lambda: [ClosedDay.objects.create(date=MONDAY) for _ in range(2)],
    "an eighth weekday": lambda: ClosedWeekday.objects.create(weekday=7),
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_the_database_itself_refuses(db: None, make: Callable[[], object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def test_blank_keys_never_clash(db: None) -> None:
    for _ in range(2):
        make_book(isbn="", source_id="")
        make_reader(email="", card_number="")
    assert Book.objects.filter(isbn=None, source_id=None).count() == 2
    assert Reader.objects.filter(email=None, card_number=None).count() == 2


def test_a_copy_may_be_lent_again_after_its_return(db: None) -> None:
    copy = make_copy()
    loan(copy=copy, actual_return_date=MONDAY)
    assert loan(copy=copy, borrow_date=MONDAY + timedelta(days=1))


def test_an_email_is_kept_in_lower_case(db: None) -> None:
    reader = make_reader(email=" Łucja@Example.ORG ")
    assert reader.email == "łucja@example.org"
    assert Reader.objects.get_by_natural_key("ŁUCJA@example.org") == reader


def test_a_card_may_not_have_the_number_of_a_copy(db: None) -> None:
    make_copy(barcode="0042")
    with pytest.raises(ValidationError, match="barcode"):
        Reader(card_number="0042").clean()


def test_a_blocked_reader_is_blocked_for_a_reason(db: None) -> None:
    with pytest.raises(ValidationError, match="Say why"):
        Reader(is_blocked=True).clean()


@pytest.mark.parametrize("model", [Loan, Hold, Override, DeskAct, Charge, Adjustment])
def test_deleting_something_else_never_takes_a_record_with_it(model: type[models.Model]) -> None:
    keys = [field.remote_field for field in model._meta.fields if field.remote_field]
    assert keys
    assert all(key.on_delete in (models.PROTECT, models.SET_NULL) for key in keys)
