"""Import of copies, readers, loans and charges: what a row is about, and what it may change."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from billing.models import Charge
from catalog.models import Copy, CopyStatus, ItemType
from circulation import desk
from circulation.models import Loan, Reader, ReaderCategory
from tests.factories import MONDAY, make_book, make_copy, make_reader, make_staff, set_policy
from tests.importing import counts, reasons, run

pytestmark = pytest.mark.django_db


# Copies


def test_a_copy_finds_its_book_by_isbn_number_or_title_page() -> None:
    make_book("Dune", isbn="9780441172719")
    make_book("Edda", source_id="e1")
    make_book("Solaris", author="Lem")
    content = (
        "barcode,isbn,source_id,title,author\nB1,0-441-17271-7,,,\nB2,,e1,,\nB3,,,solaris,LEM\n"
        "B4,,,Nobody,\nB5,,,,\n"
    )
    report = run("copies", content, skip_invalid=True)
    assert counts(report) == (3, 0, 0, 2)
    assert set(reasons(report)) == {(5, "title"), (6, "barcode")}
    titles = Copy.objects.order_by("barcode").values_list("book__title", flat=True)
    assert list(titles) == ["Dune", "Edda", "Solaris"]
    assert counts(run("copies", content, skip_invalid=True)) == (0, 0, 3, 2)


def test_an_unknown_item_type_is_an_error_that_says_what_to_do() -> None:
    make_book("Edda", source_id="e1")
    report = run("copies", "barcode,source_id,item_type\nB1,e1,DVD\n")
    assert "Add it first" in reasons(report)[2, "item_type"]
    ItemType.objects.create(name="DVD")
    assert counts(run("copies", "barcode,source_id,itype\nB1,e1,dvd\n")) == (1, 0, 0, 0)


def test_a_barcode_is_never_moved_to_another_book_nor_taken_from_a_card() -> None:
    make_copy(make_book("Edda", source_id="e1"), barcode="B1")
    make_book("Dune", source_id="d1")
    make_reader(card_number="R1")
    found = reasons(run("copies", "barcode,source_id\nB1,d1\nR1,d1\nB2,d1\nB2,d1\n"))
    assert "Edda" in found[2, "barcode"]
    assert "card number" in found[3, "barcode"]
    assert "line 4" in found[5, "barcode"]


def test_what_the_desk_decides_about_a_copy_is_not_imported() -> None:
    copy = make_copy(make_book("Edda", source_id="e1"), barcode="B1")
    content = "barcode,status\nB1,{}\n"
    assert counts(run("copies", content.format("in repair"))) == (0, 1, 0, 0)
    assert counts(run("copies", content.format("Available"))) == (0, 1, 0, 0)
    assert (2, "status") in reasons(run("copies", content.format("lost")))
    desk.check_out(make_reader(), copy, on=MONDAY)
    assert counts(run("copies", content.format("on_loan"))) == (0, 0, 1, 0)
    assert "desk" in reasons(run("copies", content.format("available")))[2, "status"]


def test_a_copy_noted_as_lent_waits_for_its_loan() -> None:
    make_book("Edda", source_id="e1")
    report = run("copies", "barcode,source_id,status\nB1,e1,on_loan\n")
    assert any("import the loans" in warning for warning in report.warnings)
    assert Copy.objects.get().status == CopyStatus.AVAILABLE


# Readers


def test_a_reader_is_known_by_card_else_by_email() -> None:
    content = (
        "cardnumber,surname,firstname,email,dateexpiry\n001,Nowak,Anna,Anna@Example.org,31.12.2026\n"
        "002,Kot,Jan,,\n003,Kot,Ewa,,\n,Lis,Ida,ida@example.org,\n"
    )
    assert counts(run("readers", content)) == (4, 0, 0, 0)
    anna = Reader.objects.get(card_number="001")
    assert (anna.email, anna.expiry_date) == ("anna@example.org", date(2026, 12, 31))
    assert not anna.has_usable_password()
    assert counts(run("readers", content)) == (0, 0, 4, 0)
    changed = content.replace("Kot,Jan", "Kotek,Jan").replace(",Lis,Ida", "009,Lis,Ida")
    assert counts(run("readers", changed)) == (0, 2, 2, 0)
    assert Reader.objects.get(search_name="kotek jan").card_number == "002"
    assert Reader.objects.get(email="ida@example.org").card_number == "009"


def test_a_reader_without_card_and_email_is_an_error() -> None:
    assert (2, "card_number") in reasons(run("readers", "card_number,first_name\n,Anna\n"))


def test_a_card_and_an_email_of_two_readers_are_an_error() -> None:
    make_reader(card_number="1", email="a@example.org")
    make_reader(card_number="2", email="b@example.org")
    report = run("readers", "card_number,email\n1,b@example.org\n9,a@example.org\n9,\n")
    assert set(reasons(report)) == {(2, "email"), (4, "card_number")}


def test_a_card_number_that_is_a_barcode_is_an_error() -> None:
    make_copy(barcode="B1")
    assert "barcode" in reasons(run("readers", "card_number\nB1\n"))[2, "card_number"]


def test_an_import_never_changes_a_member_of_staff() -> None:
    make_staff(card_number="1", email="boss@example.org")
    report = run("readers", "card_number,email\n1,thief@example.org\n")
    assert "staff" in reasons(report)[2, ""]
    assert counts(run("readers", "card_number,email\n1,boss@example.org\n")) == (0, 0, 1, 0)


def test_categories_dates_phones_and_blocks_are_checked() -> None:
    ReaderCategory.objects.create(name="Child")
    content = (
        "card_number,category,expiry_date,phone,is_blocked,block_reason\n"
        "1,child,2027-01-01,+48 12 345,yes,lost books\n2,Alien,,,,\n3,,02/03/2026,,,\n"
        "4,,,call me,,\n5,,,,perhaps,\n"
    )
    report = run("readers", content, skip_invalid=True)
    assert set(reasons(report)) == {
        (3, "category"), (4, "expiry_date"), (5, "phone"), (6, "is_blocked"),
    }  # fmt: skip
    reader = Reader.objects.get()
    assert (str(reader.category), reader.is_blocked) == ("Child", True)


# Loans

LOANS = "barcode,cardnumber,issuedate,date_due,returndate\n"


def test_a_library_moves_in_with_its_loans() -> None:
    rule = set_policy(loan_days=21)
    today = timezone.localdate()
    anna = make_reader(card_number="A1", is_blocked=True, block_reason="debts")
    for number in range(3):
        make_copy(make_book(f"Book {number}", daily_fee="0.20"), barcode=f"B{number}")
    lent = today - timedelta(days=40)
    content = (
        f"{LOANS}B0,A1,{lent},{lent + timedelta(days=14)},\n"
        f"B1,A1,{today},,\nB2,A1,2020-01-02,2020-01-16,2020-01-10\n"
    )
    assert counts(run("loans", content)) == (3, 0, 0, 0)
    overdue, current, past = Loan.objects.order_by("copy__barcode")
    assert list(Loan.objects.overdue(on=today)) == [overdue]
    assert (overdue.loan_days, overdue.fine_per_day) == (21, rule.fine_per_day)
    assert current.expected_return_date >= today + timedelta(days=21)
    assert current.daily_fee == Decimal("0.20")
    assert past.actual_return_date == date(2020, 1, 10)
    assert not Charge.objects.exists()
    statuses = Copy.objects.order_by("barcode").values_list("status", flat=True)
    assert list(statuses) == ["on_loan", "on_loan", "available"]
    assert Copy.objects.get(barcode="B0").history.first().status == "on_loan"
    assert counts(run("loans", content)) == (0, 0, 3, 0)
    back = desk.check_in(overdue.copy, on=today, today=today)
    assert back.fine is not None
    assert anna.loans.open().count() == 1


def test_a_lost_loan_keeps_its_copy_lost() -> None:
    make_reader(card_number="A1")
    make_copy(barcode="B1")
    content = "barcode,card_number,borrow_date,expected_return_date,lost_date\n"
    run("loans", f"{content}B1,A1,2026-01-02,2026-01-16,2026-02-01\n")
    assert Copy.objects.get().status == CopyStatus.LOST
    assert not Loan.objects.get().is_open


def test_a_loan_that_cannot_be_is_an_error() -> None:
    anna = make_reader(card_number="A1")
    make_copy(barcode="B1")
    make_copy(barcode="REPAIR", status=CopyStatus.IN_REPAIR)
    desk.check_out(anna, make_copy(barcode="OUT"), on=MONDAY)
    rows = (
        "NONE,A1,2026-01-01,,", "B1,NOBODY,2026-01-01,,", "B1,A1,2026-01-05,2026-01-01,",
        "B1,A1,2026-01-05,,2026-01-04", "B1,A1,2999-01-01,,", "REPAIR,A1,2026-01-01,,",
        "OUT,A1,2026-01-01,,", "B1,A1,2026-01-01,,", "B1,A1,2026-01-02,,", "B1,,2026-01-02,,",
    )  # fmt: skip
    report = run("loans", LOANS + "\n".join(rows))
    assert set(reasons(report)) == {
        (2, "barcode"), (3, "card_number"), (4, "expected_return_date"),
        (5, "actual_return_date"), (6, "borrow_date"), (7, "barcode"), (8, "barcode"),
        (10, "barcode"), (11, "card_number"),
    }  # fmt: skip
    assert counts(report) == (1, 0, 0, 9)


def test_a_loan_that_is_here_is_not_changed_by_an_import() -> None:
    make_reader(card_number="A1")
    make_copy(barcode="B1")
    run("loans", LOANS + "B1,A1,2026-01-01,2026-01-15,\n")
    report = run("loans", LOANS + "B1,A1,2026-01-01,2026-01-15,2026-01-10\n")
    assert "actual_return_date" in reasons(report)[2, ""]
    assert Loan.objects.get().is_open


def test_a_copy_lent_and_returned_twice_a_day_is_two_loans() -> None:
    make_reader(card_number="A1")
    make_copy(barcode="B1")
    content = LOANS + "B1,A1,2026-01-01,2026-01-15,2026-01-01\n" * 2
    assert counts(run("loans", content)) == (2, 0, 0, 0)
    assert counts(run("loans", content)) == (0, 0, 2, 0)


# Charges

CHARGES = "card_number,email,kind,amount,description,source_id\n"


def test_opening_balances_are_charges() -> None:
    anna = make_reader(card_number="A1", email="anna@example.org")
    content = (
        f'{CHARGES}A1,,FINE,"2,50",old,\nA1,,FINE,2.50,old,\n,Anna@example.org,lost,20,Dune,c1\n'
    )
    assert counts(run("charges", content)) == (3, 0, 0, 0)
    assert sum(c.amount for c in Charge.objects.filter(reader=anna)) == Decimal("25.00")
    assert counts(run("charges", content)) == (0, 0, 3, 0)


def test_a_charge_that_cannot_be_is_an_error() -> None:
    make_reader(card_number="A1")
    run("charges", f"{CHARGES}A1,,FINE,5,,c1\n")
    rows = "A1,,FINE,0,,\nA1,,FINE,-1,,\nA1,,BEER,1,,\nNO,,FINE,1,,\nA1,,FINE,6,,c1\n,,FINE,1,,\n"
    found = reasons(run("charges", CHARGES + rows))
    assert set(found) == {
        (2, "amount"), (3, "amount"), (4, "kind"), (5, "card_number"), (6, ""), (7, "card_number"),
    }  # fmt: skip
    assert "amount" in found[6, ""]
    assert Charge.objects.get().amount == 5
