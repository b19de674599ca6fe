"""`check_integrity`: a sound library passes, and each invariant is found broken where it is."""

import json
from collections.abc import Callable
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from alerts.fanout import fan_out
from alerts.models import Delivery, new_message_id
from billing import charges, credit, drafts, ledger, payments, refunds
from billing.models import Allocation, AllocationState, Charge, ChargeKind, Payment, PaymentStatus
from catalog.models import Book, Copy, CopyStatus
from circulation import desk, fines, holds, stock, undo
from circulation.models import Hold, HoldStatus, Loan, Reader
from config import integrity
from tests.factories import (
    MONDAY,
    lend,
    lend_until,
    make_book,
    make_charge,
    make_copy,
    make_reader,
    march,
    noon,
    pay_cash,
    set_policy,
    take_back,
)
from tests.sinks import make_channel

on_sqlite = connection.vendor == "sqlite"
only_sqlite = pytest.mark.skipif(not on_sqlite, reason="PostgreSQL guarantees it by itself")


def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


def drop(name: str, *, of: str = "") -> None:
    """Drop an index, or on PostgreSQL a constraint `of` a table, until the test's rollback."""
    if on_sqlite:
        execute("PRAGMA ignore_check_constraints = ON" if of else f'DROP INDEX "{name}"')
        return
    connection.check_constraints()  # a table with checks that are still due cannot be altered
    execute(f'ALTER TABLE "{of}" DROP CONSTRAINT "{name}"' if of else f'DROP INDEX "{name}"')


def make_ready_hold() -> Hold:
    copy = make_copy()
    hold = holds.place(make_reader(), copy.book, at=noon(MONDAY))
    take_back(copy, on=MONDAY)
    hold.refresh_from_db()
    return hold


def make_fined_loan() -> Loan:
    loan = lend_until(march(2))
    fines.accrue(on=march(12))
    return loan


def make_undone_loan() -> Loan:
    done = desk.check_out(make_reader(), make_copy(make_book(daily_fee="1.00")), on=MONDAY)
    return undo.undo(done.act, on=MONDAY)


def a_copy_on_loan_to_nobody() -> str:
    Copy.objects.filter(pk=make_copy(barcode="X1").pk).update(status=CopyStatus.ON_LOAN)
    return "copy X1"


def a_lent_copy_that_seems_free() -> str:
    loan = lend(make_reader(), make_copy(barcode="X1"))
    Copy.objects.update(status=CopyStatus.AVAILABLE)
    return f"loan {loan.pk}: copy X1 is available"


def a_shelf_copy_for_nobody() -> str:
    Copy.objects.filter(pk=make_copy(barcode="X1").pk).update(status=CopyStatus.ON_HOLD_SHELF)
    return "copy X1"


def a_ready_hold_whose_copy_seems_free() -> str:
    hold = make_ready_hold()
    Copy.objects.update(status=CopyStatus.AVAILABLE)
    assert hold.copy is not None
    return f"hold {hold.pk}: copy {hold.copy.barcode} is available"


def a_ready_hold_with_the_copy_of_another_book() -> str:
    hold, other = make_ready_hold(), make_book()
    Copy.objects.update(book=other)
    assert hold.copy is not None
    return f"hold {hold.pk}: copy {hold.copy.barcode} is of book {other.pk}"


def a_lost_copy_that_seems_free() -> str:
    loan = lend(make_reader(), make_copy(barcode="X1"))
    desk.mark_lost(loan, on=march(3))
    Copy.objects.update(status=CopyStatus.AVAILABLE)
    return f"loan {loan.pk}: copy X1 is available"


def two_loans_of_a_copy() -> str:
    first = lend(make_reader(), make_copy(barcode="X1"))
    drop("loan_one_open_per_copy")
    second = Loan.objects.create(
        copy=first.copy,
        reader=make_reader(),
        borrow_date=MONDAY,
        expected_return_date=march(16),
    )
    return f"copy X1: 2 loans, {first.pk} to {second.pk}"


def two_ready_holds_of_a_copy() -> str:
    first = make_ready_hold()
    assert first.copy is not None
    drop("hold_one_ready_per_copy")
    second = Hold.objects.create(
        book=first.book,
        reader=make_reader(),
        copy=first.copy,
        status=HoldStatus.READY,
        pickup_until=march(9),
        placed_at=noon(MONDAY),
    )
    return f"copy {first.copy.barcode}: 2 holds, {first.pk} to {second.pk}"


def two_holds_of_a_reader_on_a_book() -> str:
    first = holds.place(make_reader(), make_copy().book, at=noon(MONDAY))
    drop("hold_one_active_per_reader_and_book")
    second = Hold.objects.create(book=first.book, reader=first.reader, placed_at=noon(MONDAY))
    return f"book {first.book_id}: 2 holds, {first.pk} to {second.pk}"


def two_emails_that_differ_in_case() -> str:
    first, second = make_reader(email="anna@example.org"), make_reader()
    drop("reader_email_lower_case", of="circulation_reader")
    Reader.objects.filter(pk=second.pk).update(email="Anna@Example.org")
    return f"readers {first.pk} and {second.pk}"


def a_card_with_the_number_of_a_copy() -> str:
    reader = make_reader(card_number="X0")
    make_copy(barcode="X1")
    Reader.objects.filter(pk=reader.pk).update(card_number="X1")
    return f"copy X1: the card of reader {reader.pk}"


def a_reader_who_is_found_by_an_old_name() -> str:
    reader = make_reader()
    Reader.objects.filter(pk=reader.pk).update(last_name="Kowalska")
    return f"reader {reader.pk}"


def fines_above_the_cap() -> str:
    loan = make_fined_loan()
    desk.renew(loan, on=march(12))
    more = Charge.objects.create(
        reader=loan.reader, loan=loan, kind=ChargeKind.FINE, amount="5.51", due_date=march(26)
    )
    drafts.cover([more.pk])
    return f"loan {loan.pk}: 10.01 of at most 10.00"


def a_fine_that_grows_after_the_return() -> str:
    loan = make_fined_loan()
    take_back(loan.copy, on=march(12))
    Charge.objects.update(is_accruing=True)
    return f"loan {loan.pk}: charge {Charge.objects.get().pk}"


def a_fine_that_grows_for_another_due_date() -> str:
    loan = make_fined_loan()
    Loan.objects.update(expected_return_date=march(9))
    return f"loan {loan.pk}: charge {Charge.objects.get().pk}"


def a_fine_that_another_reader_owes() -> str:
    loan = make_fined_loan()
    other = make_reader()
    Charge.objects.update(reader=other)
    Payment.objects.update(reader=other)
    return f"loan {loan.pk}: charge {Charge.objects.get().pk}"


def an_undone_loan_that_is_owed_for() -> str:
    loan = make_undone_loan()
    Charge.objects.update(amount=15)
    drafts.cover([Charge.objects.get().pk])
    return f"loan {loan.pk}"


def an_undone_loan_that_is_open() -> str:
    loan = make_undone_loan()
    Loan.objects.update(actual_return_date=None)
    Copy.objects.update(status=CopyStatus.ON_LOAN)
    return f"loan {loan.pk}"


def a_replacement_owed_for_a_copy_that_came_back() -> str:
    loan = lend(make_reader(), make_copy())
    take_back(loan.copy, on=march(3))
    charge = charges.assess(
        loan.reader, ChargeKind.LOST, Decimal(20), description="Lost", loan=loan
    )
    assert charge is not None
    return f"loan {loan.pk}: charge {charge.pk}"


def more_taken_off_than_there_is() -> str:
    charge = make_charge(make_reader())
    pay_cash(charge, "3.01", by=make_reader())
    charges.waive(charge, Decimal("1.99"), by=make_reader(), reason="Ill")
    Charge.objects.update(amount=Decimal("4.99"))
    return f"charge {charge.pk}: more is paid and taken off than its 4.99"


def a_charge_that_no_payment_waits_for() -> str:
    charge = make_charge(make_reader())
    Allocation.objects.all().delete()
    Payment.objects.all().delete()
    return f"charge {charge.pk}: 0 payments wait for it"


def a_charge_that_two_payments_wait_for() -> str:
    charge = make_charge(make_reader())
    drop("allocation_one_open_payment_per_charge")
    second = Payment.objects.create(reader=charge.reader, money_to_pay=5, currency="USD")
    Allocation.objects.create(payment=second, charge=charge, amount=5)
    return f"charge {charge.pk}: 2 payments wait for it"


def a_draft_that_does_not_follow() -> str:
    charge = make_charge(make_reader())
    Charge.objects.update(amount=6)
    payment = Payment.objects.get()
    return f"payment {payment.pk}: asks for 5.00 of charge {charge.pk}, on which 6.00 is owed"


def a_session_for_more_than_is_owed() -> str:
    charge = make_charge(make_reader())
    payment = ledger.freeze(charge.reader_id, [charge.pk], provider="STRIPE")
    Charge.objects.update(amount=Decimal("4.99"))
    return f"payment {payment.pk}: asks for 5.00 of charge {charge.pk}, on which 4.99 is owed"


def a_payment_that_asks_for_another_sum_than_its_charges() -> str:
    make_charge(make_reader())
    Payment.objects.update(money_to_pay=Decimal("5.01"))
    return f"payment {Payment.objects.get().pk}: 5.01 for charges of 5.00"


def a_part_of_a_paid_payment_that_was_let_go() -> str:
    charge = make_charge(make_reader())
    payment = pay_cash(charge, "5.00", by=make_reader())
    Charge.objects.update(amount=0)
    Allocation.objects.update(state=AllocationState.RELEASED)
    return f"payment {payment.pk} is PAID: its part of charge {charge.pk} is RELEASED"


def an_open_part_of_an_expired_payment() -> str:
    charge = make_charge(make_reader())
    Payment.objects.update(status=PaymentStatus.EXPIRED)
    payment = Payment.objects.get()
    return f"payment {payment.pk} is EXPIRED: its part of charge {charge.pk} is OPEN"


def a_payment_that_covers_more_than_was_paid() -> str:
    payment = pay_cash(make_charge(make_reader()), "5.00", by=make_reader())
    Payment.objects.update(paid_amount=Decimal("4.99"))
    return f"payment {payment.pk}: covers 5.00 with 4.99"


def money_given_back_without_a_refund() -> str:
    payment = pay_cash(make_charge(make_reader()), "5.00", by=make_reader())
    charges.void(Charge.objects.get(), by=None, reason="Wrong reader")
    Payment.objects.update(refunded_amount=2)
    return f"payment {payment.pk}: 0.00 in refunds, 2.00 kept"


def a_payment_refunded_by_nothing() -> str:
    payment = pay_cash(make_charge(make_reader()), "5.00", by=make_reader())
    Payment.objects.update(status=PaymentStatus.REFUNDED)
    return f"payment {payment.pk} is REFUNDED: 0.00 was given back"


def a_payment_for_the_charge_of_another_reader() -> str:
    charge = make_charge(make_reader())
    Payment.objects.update(reader=make_reader())
    return f"payment {Payment.objects.get().pk}: charge {charge.pk} is of another reader"


def a_book_that_is_found_by_an_old_publisher() -> str:
    book = make_book()
    Book.objects.update(publisher="Iskry")
    return f"book {book.pk}: search columns"


def a_book_that_is_known_by_an_old_year() -> str:
    book = make_book()
    Book.objects.update(published_year=1961)
    return f"book {book.pk}: identity"


def an_index_that_misses_a_book() -> str:
    make_book()
    execute("INSERT INTO catalog_book_search (catalog_book_search) VALUES ('delete-all')")
    return "catalog_book_search: rebuild it with catalog.search_index.rebuild()"


def an_index_that_is_no_longer_kept() -> str:
    execute("DROP TRIGGER catalog_book_search_insert")
    return "catalog_book_search: rebuild it with catalog.search_index.rebuild()"


def a_row_that_breaks_its_check() -> str:
    copy = make_copy()
    drop("copy_status_known", of="catalog_copy")
    Copy.objects.filter(pk=copy.pk).update(status="asleep")
    execute("PRAGMA ignore_check_constraints = OFF")
    return "CHECK constraint failed in catalog_copy"


def a_reference_to_nothing() -> str:
    copy = make_copy()
    Copy.objects.filter(pk=copy.pk).update(item_type_id=4711)
    return f"catalog_copy row {copy.pk}: no such row in catalog_itemtype"


def a_missing_unique_index() -> str:
    drop("loan_one_open_per_copy")
    return "circulation_loan: loan_one_open_per_copy"


def a_message_to_two_readers() -> str:
    make_channel(backend="console")
    for _reader in range(2):
        lend(make_reader(), make_copy())
    fan_out()
    number = new_message_id()
    Delivery.objects.update(message_id=number)
    return f"message {number}"


CORRUPTIONS: list[tuple[str, Callable[[], str]]] = [
    ("a_message_goes_to_one_recipient", a_message_to_two_readers),
    ("copies_on_loan_have_an_open_loan", a_copy_on_loan_to_nobody),
    ("copies_of_open_loans_are_on_loan", a_lent_copy_that_seems_free),
    ("copies_on_the_hold_shelf_have_a_ready_hold", a_shelf_copy_for_nobody),
    ("copies_of_ready_holds_are_on_the_hold_shelf", a_ready_hold_whose_copy_seems_free),
    ("copies_of_ready_holds_are_of_the_book", a_ready_hold_with_the_copy_of_another_book),
    ("copies_that_readers_lost_are_out_of_circulation", a_lost_copy_that_seems_free),
    ("a_copy_has_one_unreturned_loan", two_loans_of_a_copy),
    ("a_copy_has_one_ready_hold", two_ready_holds_of_a_copy),
    ("a_reader_has_one_active_hold_on_a_book", two_holds_of_a_reader_on_a_book),
    ("an_email_has_one_reader", two_emails_that_differ_in_case),
    ("cards_and_barcodes_share_no_number", a_card_with_the_number_of_a_copy),
    ("names_to_search_by_are_current", a_reader_who_is_found_by_an_old_name),
    ("fines_stay_within_the_cap_of_their_loan", fines_above_the_cap),
    ("only_fines_of_open_loans_grow", a_fine_that_grows_after_the_return),
    ("only_fines_of_open_loans_grow", a_fine_that_grows_for_another_due_date),
    ("charges_are_owed_by_the_reader_of_their_loan", a_fine_that_another_reader_owes),
    ("undone_loans_are_over_and_owe_nothing", an_undone_loan_that_is_owed_for),
    ("undone_loans_are_over_and_owe_nothing", an_undone_loan_that_is_open),
    ("only_lost_loans_owe_a_replacement", a_replacement_owed_for_a_copy_that_came_back),
    ("charges_are_not_overdrawn", more_taken_off_than_there_is),
    ("open_charges_wait_in_one_payment", a_charge_that_no_payment_waits_for),
    ("open_charges_wait_in_one_payment", a_charge_that_two_payments_wait_for),
    ("payments_ask_for_what_is_owed", a_draft_that_does_not_follow),
    ("payments_ask_for_what_is_owed", a_session_for_more_than_is_owed),
    (
        "payments_ask_for_the_sum_of_their_charges",
        a_payment_that_asks_for_another_sum_than_its_charges,
    ),
    ("allocations_stand_as_their_payment", a_part_of_a_paid_payment_that_was_let_go),
    ("allocations_stand_as_their_payment", an_open_part_of_an_expired_payment),
    ("payments_cover_no_more_than_was_paid", a_payment_that_covers_more_than_was_paid),
    ("refunds_come_to_what_was_given_back", money_given_back_without_a_refund),
    ("payments_are_refunded_when_all_is_given_back", a_payment_refunded_by_nothing),
    ("payments_are_made_by_who_owes", a_payment_for_the_charge_of_another_reader),
    ("derived_columns_are_current", a_book_that_is_found_by_an_old_publisher),
    ("derived_columns_are_current", a_book_that_is_known_by_an_old_year),
    ("the_database_has_its_constraints", a_missing_unique_index),
]
CORRUPTIONS_OF_SQLITE: list[tuple[str, Callable[[], str]]] = [
    ("search_index_is_current", an_index_that_misses_a_book),
    ("search_index_is_current", an_index_that_is_no_longer_kept),
    ("the_database_file_is_sound", a_row_that_breaks_its_check),
    ("foreign_keys_point_to_rows", a_reference_to_nothing),
]
# A second or so: it reads how every table was made. For some rows to be wrong, one had to go first.
CONSTRAINTS = "the_database_has_its_constraints"


def broken(check: str, corrupt: Callable[[], str]) -> tuple[str, dict[str, list[str]]]:
    """Corrupt, check and roll back; return what was expected and what was found, by check."""
    looked_at = [each for each in integrity.CHECKS if check == CONSTRAINTS or quick(each)]
    with transaction.atomic():
        expected = corrupt()
        found = {each.name: wrong for each in looked_at if (wrong := list(each.find()))}
        if on_sqlite:
            execute("PRAGMA ignore_check_constraints = OFF")
        transaction.set_rollback(True)
    return expected, found


def quick(check: integrity.Check) -> bool:
    return check.name != CONSTRAINTS


@pytest.mark.usefixtures("rule")
@pytest.mark.parametrize(
    ("check", "corrupt"), CORRUPTIONS, ids=[made.__name__ for _check, made in CORRUPTIONS]
)
def test_it_finds_and_names_no_person(check: str, corrupt: Callable[[], str]) -> None:
    expected, found = broken(check, corrupt)
    told = json.dumps(found).lower()
    assert not any(word in told for word in ("anna", "nowak", "@", "r0"))
    assert found == {check: [expected]}


@only_sqlite
@pytest.mark.usefixtures("rule")
@pytest.mark.parametrize(
    ("check", "corrupt"),
    CORRUPTIONS_OF_SQLITE,
    ids=[made.__name__ for _check, made in CORRUPTIONS_OF_SQLITE],
)
def test_it_finds_on_sqlite(check: str, corrupt: Callable[[], str]) -> None:
    expected, found = broken(check, corrupt)
    assert found == {check: [expected]}


def test_every_check_is_seen_to_fail() -> None:
    proven = {check for check, _corrupt in CORRUPTIONS + CORRUPTIONS_OF_SQLITE}
    assert proven == {check.name for check in integrity.CHECKS}


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "ALTER TABLE circulation_reader DROP CONSTRAINT circulation_reader_card_number_key",
            "circulation_reader: unique card_number",
        ),
        (
            "ALTER TABLE catalog_copy DROP CONSTRAINT copy_status_known",
            "catalog_copy: copy_status_known",
        ),
    ],
)
def test_it_finds_a_missing_constraint_of_any_kind(db: None, sql: str, expected: str) -> None:
    execute(sql)
    assert list(integrity.the_database_has_its_constraints()) == [expected]


@pytest.mark.postgres
def test_it_finds_a_missing_reference(db: None) -> None:
    with connection.cursor() as cursor:
        present = connection.introspection.get_constraints(cursor, "circulation_loan")
    [name] = [
        name
        for name, made in present.items()
        if made["foreign_key"] and made["columns"] == ["copy_id"]
    ]
    execute(f'ALTER TABLE circulation_loan DROP CONSTRAINT "{name}"')
    assert list(integrity.the_database_has_its_constraints()) == [
        "circulation_loan: foreign key copy_id"
    ]


@pytest.fixture
def busy_library(rule: object) -> None:
    """Loans and holds of every kind, all made by the rules."""
    book = make_book("Łódź", daily_fee="0.10", isbn="0-8044-2957-X")
    set_policy(debt_limit=None, max_loans=50)
    reader = make_reader(email=None)
    lend(reader, make_copy(book))
    make_fined_loan()
    make_undone_loan()
    make_ready_hold()
    stock.take_out(make_copy(book), CopyStatus.IN_REPAIR)
    late = make_fined_loan()
    desk.renew(late, on=march(12))
    fines.accrue(on=march(30))
    take_back(late.copy, on=march(30))
    lost, found, written_off = (lend(reader, make_copy(book)) for _ in range(3))
    for loan in (lost, found, written_off):
        desk.mark_lost(loan, on=march(30))
    take_back(found.copy, on=march(31))
    stock.take_out(written_off.copy, CopyStatus.WITHDRAWN)
    holds.place(make_reader(), book, at=noon(march(30)))
    holds.expire(on=march(30))
    make_busy_accounts()


def make_busy_accounts() -> None:
    """Payments as they come about at the desk: in part, in whole, refunded, with credit."""
    reader, cashier = make_reader(), make_reader()
    made = [make_charge(reader, amount) for amount in ("0.10", "0.70", "3.00", "5.00", "2.00")]
    payments.take_cash(reader, payments.spread(reader, Decimal("2.80")), by=cashier)
    charges.waive(made[2], Decimal("0.50"), by=cashier, reason="Ill")
    refunded = pay_cash(made[3], "5.00", by=cashier)
    refunds.refund(refunded, Decimal("1.10"), by=cashier, reason="Twice")
    charges.void(made[3], by=cashier, reason="Wrong reader")
    credit.spend(made[4], Decimal("2.00"), by=cashier)
    ledger.freeze(reader.pk, [made[2].pk], provider="STRIPE")


def check_integrity(*options: str) -> str:
    out = StringIO()
    call_command("check_integrity", *options, stdout=out)
    return out.getvalue()


@pytest.mark.usefixtures("busy_library")
def test_a_sound_library_passes() -> None:
    lines = check_integrity().splitlines()
    assert len(lines) == len(integrity.CHECKS)
    assert all(line.startswith("ok  ") for line in lines)


@pytest.mark.usefixtures("busy_library")
def test_a_sound_library_passes_for_machines_too() -> None:
    answer = json.loads(check_integrity("--json"))
    assert answer["ok"]
    assert [check["violations"] for check in answer["checks"]] == [0] * len(integrity.CHECKS)


class TestAViolation:
    @pytest.fixture(autouse=True)
    def wrong(self, db: None) -> None:
        for _ in range(103):
            make_copy()
        Copy.objects.update(status=CopyStatus.ON_LOAN)

    def test_exits_with_1_and_counts_what_it_does_not_list(self) -> None:
        out = StringIO()
        with pytest.raises(CommandError, match=f"1 of {len(integrity.CHECKS)} checks") as failed:
            call_command("check_integrity", stdout=out)
        assert failed.value.returncode == 1
        assert "WRONG  A copy marked as on loan has an open loan.\n    copy B" in out.getvalue()
        assert "    and 3 more\n" in out.getvalue()

    def test_is_json_for_machines(self) -> None:
        out = StringIO()
        with pytest.raises(CommandError):
            call_command("check_integrity", "--json", stdout=out)
        answer = json.loads(out.getvalue())
        assert not answer["ok"]
        [wrong] = [check for check in answer["checks"] if check["violations"]]
        assert wrong["name"] == "copies_on_loan_have_an_open_loan"
        assert wrong["sentence"] == "A copy marked as on loan has an open loan."
        assert (wrong["violations"], len(wrong["listed"])) == (103, 100)


@pytest.mark.usefixtures("rule")
def test_it_asks_the_same_number_of_questions_however_much_there_is() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            for check in filter(quick, integrity.CHECKS):
                list(check.find())
        return len(captured)

    queries()  # what the database can do is asked once per process
    first = queries()
    for _ in range(5):
        make_ready_hold()
        make_fined_loan()
        make_undone_loan()
    Copy.objects.update(status=CopyStatus.IN_REPAIR)
    assert queries() == first
