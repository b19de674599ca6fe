"""The admin's acts go through the domain: confirmed, by POST, by those who may."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import Model
from django.utils import timezone

from billing import charges
from billing.models import Charge, ChargeKind
from catalog.models import Book, Copy, CopyStatus
from circulation import desk, holds
from circulation.models import DeskAct, Hold, Loan, LoanPolicy, Reader
from tests.factories import lend, make_book, make_copy, make_member, make_reader, make_staff
from tests.office import act_on, act_on_page, as_superuser, page, said, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def loan(anna: Reader) -> Loan:
    return lend(anna, make_copy(barcode="B1"), on=timezone.localdate())


@pytest.mark.parametrize("act", ["take_back", "renew", "mark_lost", "found", "undo_last"])
def test_an_act_on_loans_asks_first(loan: Loan, act: str) -> None:
    client = signed_in(make_member("Librarian"))
    before = Loan.objects.values().get(pk=loan.pk)
    assert "Yes, do it" in act_on(client, act, loan, confirmed=False).text
    assert client.get(page(loan, act)).status_code == 200
    assert client.get(page(Loan, "changelist"), {"action": act, "confirmed": "yes"}).status_code
    assert client.post(page(loan, act), {}).status_code == 200
    assert Loan.objects.values().get(pk=loan.pk) == before


@pytest.mark.parametrize("act", ["take_back", "renew", "mark_lost", "found", "undo_last"])
def test_an_act_is_refused_to_those_who_may_not(loan: Loan, act: str) -> None:
    client = signed_in(make_member("Auditor"))
    before = Loan.objects.values().get(pk=loan.pk)
    act_on(client, act, loan)
    response = act_on_page(client, act, loan)
    assert response.status_code == 403 or "may not undo" in said(response)
    assert Loan.objects.values().get(pk=loan.pk) == before
    assert "Take back" not in client.get(page(loan, "change")).text


def test_chosen_loans_are_taken_back_each_with_its_result(loan: Loan) -> None:
    over = lend(make_reader(), make_copy(barcode="B2"), on=timezone.localdate())
    desk.check_in(over.copy)
    results = said(act_on(signed_in(make_member("Librarian")), "take_back", loan, over))
    assert "B1 → Anna Nowak: Taken back." in results
    assert "B2 → Anna Nowak: This loan is not open." in results
    loan.refresh_from_db()
    assert loan.actual_return_date == timezone.localdate()


def test_taking_back_says_for_whom_the_copy_goes_on_the_shelf(loan: Loan, bartek: Reader) -> None:
    holds.place(bartek, loan.copy.book)
    text = said(act_on_page(signed_in(make_member("Librarian")), "take_back", loan))
    assert "Put it on the hold shelf for Bartek Nowak" in text


def test_a_loan_is_renewed_and_a_refusal_gives_all_reasons(loan: Loan) -> None:
    client = signed_in(make_member("Librarian"))
    assert "Renewed until" in said(act_on_page(client, "renew", loan))
    Reader.objects.filter(pk=loan.reader_id).update(is_blocked=True, block_reason="Noise")
    Loan.objects.filter(pk=loan.pk).update(renewals=9)
    text = said(act_on_page(client, "renew", loan))
    assert "blocked: Noise" in text
    assert "All renewals of this loan are used" in text


def test_a_loan_is_lost_and_found(loan: Loan) -> None:
    client = signed_in(make_member("Librarian"))
    assert "20.00 is charged" in said(act_on_page(client, "mark_lost", loan))
    assert "marked lost on" in said(act_on_page(client, "mark_lost", loan))
    assert "found again" in said(act_on_page(client, "found", loan))
    assert "not lost" in said(act_on_page(client, "found", loan))
    assert charges.balance(loan.reader) == 0


def test_the_last_act_of_today_is_undone_by_those_who_may_do_it(loan: Loan) -> None:
    client = signed_in(make_member("Librarian"))
    act_on_page(client, "take_back", loan)
    assert "Undone: Returned" in said(act_on_page(client, "undo_last", loan))
    loan.refresh_from_db()
    assert loan.is_open
    may_only_look = make_staff(permissions=("circulation.view_loan",))
    assert act_on_page(signed_in(may_only_look), "undo_last", loan).status_code == 403
    may_renew = make_staff(permissions=("circulation.view_loan", "circulation.renew"))
    text = said(act_on_page(signed_in(may_renew), "undo_last", loan))
    assert "You may not undo this" in text
    assert DeskAct.objects.filter(undone_at=None).count() == 1


def test_only_the_acts_that_fit_are_offered(loan: Loan) -> None:
    client = as_superuser()

    def offered() -> set[str]:
        actions = client.get(page(loan, "change")).context["actions_detail"]
        return {str(action["title"]) for action in actions}

    assert offered() == {"Take back", "Renew", "Mark lost", "Undo"}
    desk.mark_lost(loan)
    assert offered() == {"Found", "Undo"}
    desk.check_in(loan.copy)
    assert offered() == {"Undo"}
    DeskAct.objects.update(date="2020-01-01")
    assert offered() == set()


@pytest.mark.parametrize("name", ["change", "delete"])
def test_no_crafted_post_changes_what_the_domain_owns(loan: Loan, name: str) -> None:
    charges.assess(loan.reader, ChargeKind.FINE, Decimal(3), description="x", loan=loan)
    hold = holds.place(make_reader(), loan.copy.book)
    rows: list[Model] = [loan, Charge.objects.get(), hold]
    client = as_superuser()
    for row in rows:
        before = type(row)._default_manager.values().get(pk=row.pk)
        data = {"amount": "0", "status": "cancelled", "renewals": "0", "post": "yes"}
        data |= {"expected_return_date": "2030-01-01", "reader": "1", "confirmed": "yes"}
        assert client.post(page(row, name), data).status_code == 403, row
        assert type(row)._default_manager.values().get(pk=row.pk) == before
        act_on(client, "delete_selected", row)
        act_on(client, "delete_chosen", row)
        assert type(row)._default_manager.values().get(pk=row.pk) == before


def test_nobody_adds_a_loan_or_a_charge_in_a_form(loan: Loan) -> None:
    client = as_superuser()
    for model in (Loan, Charge):
        assert client.get(page(model, "add")).status_code == 403
        assert client.post(page(model, "add"), {"reader": loan.reader_id}).status_code == 403


def test_at_most_a_hundred_rows_are_acted_on_at_once() -> None:
    copies = [make_copy() for _number in range(101)]
    response = act_on(as_superuser(), "withdraw", *copies)
    assert "at most 100" in said(response)
    assert not Copy.objects.exclude(status=CopyStatus.AVAILABLE).exists()


def test_a_hold_is_placed_by_the_rules_and_cancelled(anna: Reader, loan: Loan) -> None:
    client = signed_in(make_member("Librarian"))
    data = {"reader": anna.pk, "book": loan.copy.book_id}
    assert "This reader has this book on loan." in client.post(page(Hold, "add"), data).text
    assert not Hold.objects.exists()
    bartek = make_reader("Bartek")
    client.post(page(Hold, "add"), {**data, "reader": bartek.pk})
    hold = Hold.objects.get()
    assert hold.reader == bartek
    assert "Cancelled." in said(act_on(client, "cancel", hold))
    assert "over already" in said(act_on_page(client, "cancel", hold))


def test_placing_a_hold_needs_a_reader_and_a_book_that_exist() -> None:
    client = as_superuser()
    for data in ({}, {"reader": "x", "book": "999"}, {"reader": "9" * 30, "book": ""}):
        assert client.post(page(Hold, "add"), data).status_code == 200
    assert signed_in(make_member("Cashier")).get(page(Hold, "add")).status_code == 403


def test_the_list_of_holds_to_pull_has_those_with_a_free_copy(anna: Reader, bartek: Reader) -> None:
    free, out = make_copy(), make_copy(make_book("Out"))
    lend(make_reader(), out, on=timezone.localdate())
    wanted = holds.place(anna, free.book)
    holds.place(bartek, out.book)
    found = as_superuser().get(page(Hold, "changelist") + "?state=pull").context["cl"]
    assert list(found.result_list) == [wanted]


def test_a_charge_is_waived_with_a_reason_and_no_more_than_is_owed(anna: Reader) -> None:
    charge = charges.assess(anna, ChargeKind.FINE, Decimal(5), description="Late")
    assert charge is not None
    client = signed_in(make_member("Librarian"))
    assert "5.00" in client.get(page(charge, "waive")).text
    assert "2.00 waived" in said(act_on_page(client, "waive", charge, amount="2", reason="Snow"))
    refused = act_on_page(client, "waive", charge, amount="4", reason="Snow")
    assert "Only 3.00 USD is left" in refused.text
    for amount in ("0", "-1", "NaN", "Infinity", "1e9", "0.001", ""):
        act_on_page(client, "waive", charge, amount=amount, reason="Snow")
    act_on_page(client, "waive", charge, amount="1", reason="   ")
    assert charges.owed(charge) == 3
    cashier = signed_in(make_member("Cashier"))
    assert act_on_page(cashier, "waive", charge, amount="1", reason="x").status_code == 403


def test_copies_are_added_to_a_book_and_its_inventory_is_set() -> None:
    book, client = make_book(), signed_in(make_member("Librarian"))
    assert "3 copies added" in said(act_on_page(client, "add_copies", book, count="3"))
    assert "1 available now" in said(act_on_page(client, "set_inventory", book, count="1"))
    assert Copy.objects.filter(status=CopyStatus.AVAILABLE).count() == 1
    assert "between 1 and" in act_on_page(client, "add_copies", book, count="0").text
    for count in ("-1", "1001", "x", "3.7", ""):
        act_on_page(client, "add_copies", book, count=count)
    assert Copy.objects.count() == 3
    assistant = signed_in(make_member("Assistant"))
    assert act_on_page(assistant, "add_copies", book, count="1").status_code == 403


def test_copies_leave_circulation_and_come_back(anna: Reader) -> None:
    copy, out = make_copy(barcode="B1"), make_copy(barcode="B2")
    lend(anna, out, on=timezone.localdate())
    client = signed_in(make_member("Librarian"))
    text = said(act_on(client, "to_repair", copy, out))
    assert "B1: Marked: In repair." in text
    assert "B2 is on loan" in text
    assert "Available again" in said(act_on_page(client, "bring_back", copy))
    assert "in circulation already" in said(act_on_page(client, "bring_back", copy))
    assert "Withdrawn" in said(act_on_page(client, "withdraw", copy))
    assert "Lost" in said(act_on_page(client, "note_missing", copy))


def test_what_was_lent_is_not_deleted_and_the_refusal_counts(loan: Loan) -> None:
    client = signed_in(make_member("Librarian"))
    for row in (loan.copy, loan.copy.book, loan.reader):
        response = client.post(page(row, "delete"), {"confirmed": "yes"})
        assert "loans not returned: 1" in said(response)
        assert "loans not returned: 1" in said(act_on(client, "delete_chosen", row))
        assert type(row)._default_manager.filter(pk=row.pk).exists()


def test_what_was_never_lent_is_deleted_after_a_question() -> None:
    client = signed_in(make_member("Librarian"))
    for row in (make_copy(make_book("Kept")), make_copy().book, make_reader()):
        assert "Delete?" in client.get(page(row, "delete")).text
        assert type(row)._default_manager.filter(pk=row.pk).exists()
        client.post(page(row, "delete"), {"confirmed": "yes"})
        assert not type(row)._default_manager.filter(pk=row.pk).exists()


def test_the_book_form_takes_an_isbn_as_printed_and_explains_a_wrong_one() -> None:
    client = signed_in(make_member("Librarian"))
    data = {"title": "Solaris", "author": "Lem", "cover": "SOFT", "daily_fee": "0"}
    data |= {"copies-TOTAL_FORMS": "0", "copies-INITIAL_FORMS": "0"}
    refused = client.post(page(Book, "add"), {**data, "isbn": "978-83-08-04905-5"})
    assert "its check digit does not fit" in refused.text
    client.post(page(Book, "add"), {**data, "isbn": "0-8044-2957-X"})
    assert Book.objects.get().isbn == "9780804429573"


def test_a_copy_cannot_have_a_readers_card_as_its_barcode(anna: Reader) -> None:
    client, book = signed_in(make_member("Librarian")), make_book()
    data = {"book": book.pk, "barcode": anna.card_number}
    assert "card has this number" in client.post(page(Copy, "add"), data).text
    inline = {"title": "x", "cover": "SOFT", "daily_fee": "0", "copies-TOTAL_FORMS": "1"}
    inline |= {"copies-INITIAL_FORMS": "0", "copies-0-barcode": anna.card_number or ""}
    assert "card has this number" in client.post(page(book, "change"), inline).text
    assert not Copy.objects.exists()


def test_copies_are_edited_on_the_page_of_their_book_but_their_status_is_not() -> None:
    copy, client = make_copy(barcode="B1"), signed_in(make_member("Librarian"))
    data = {"title": "Solaris", "cover": "HARD", "daily_fee": "1.50", "copies-TOTAL_FORMS": "2"}
    data |= {"copies-INITIAL_FORMS": "1", "copies-0-id": str(copy.pk), "copies-1-barcode": "B9"}
    data |= {"copies-0-barcode": "B1", "copies-0-note": "torn", "copies-0-status": "lost"}
    assert client.post(page(copy.book, "change"), data).status_code == 302
    copy.refresh_from_db()
    assert (copy.note, copy.status) == ("torn", CopyStatus.AVAILABLE)
    assert Copy.objects.filter(book=copy.book).count() == 2


def test_saving_a_copy_does_not_write_back_a_status_that_has_changed(anna: Reader) -> None:
    """The form was opened before the copy was lent; only what it changed is written."""
    from catalog.admin import save_copy  # noqa: PLC0415

    stale = make_copy()
    lend(anna, stale, on=timezone.localdate())
    stale.note = "torn"
    save_copy(stale, ["note"])
    stale.refresh_from_db()
    assert (stale.note, stale.status) == ("torn", CopyStatus.ON_LOAN)


def test_a_copy_stays_with_its_book() -> None:
    copy, other = make_copy(), make_book("Other")
    data = {"book": other.pk, "barcode": copy.barcode}
    signed_in(make_member("Librarian")).post(page(copy, "change"), data)
    copy.refresh_from_db()
    assert copy.book_id != other.pk


def test_loans_are_filtered_by_their_state(rule: LoanPolicy, anna: Reader) -> None:
    today = timezone.localdate()
    loans = {name: lend(anna, make_copy(), on=today) for name in ("today", "overdue", "lost")}
    day = timedelta(days=1)
    due = {"today": today, "overdue": today - day, "lost": today}
    for name, loan in loans.items():
        Loan.objects.filter(pk=loan.pk).update(
            borrow_date=today - day, expected_return_date=due[name]
        )
    desk.mark_lost(loans["lost"])
    client = as_superuser()
    for name, loan in loans.items():
        found = client.get(page(Loan, "changelist"), {"state": name}).context["cl"]
        assert list(found.result_list) == [loan], name
