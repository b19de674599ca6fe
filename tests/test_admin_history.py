"""The audit in the admin: who, when, from what to what; nobody edits it or brings it back."""

import pytest
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone

from billing import charges
from billing.models import ChargeKind
from catalog.models import Copy
from circulation import desk, holds
from circulation.models import ClosedDay, LoanPolicy, Reader
from tests.factories import lend, make_copy, make_member, make_reader
from tests.office import act_on_page, as_superuser, page, signed_in

pytestmark = pytest.mark.django_db


def history(row: Model) -> str:
    return as_superuser().get(page(row, "history")).text


def test_a_change_in_a_form_is_kept_with_who_and_what() -> None:
    rule, maria = LoanPolicy.objects.get(), make_member("Librarian", last_name="Lis")
    data = {"loan_days": "21", "max_loans": "5", "max_holds": "3", "max_renewals": "2"}
    data |= {"grace_days": "0", "lost_fee": "20", "hold_shelf_days": "7", "fine_factor": "1"}
    signed_in(maria).post(page(rule, "change"), {**data, "debt_limit": "5"})
    text = " ".join(history(rule).split())
    assert "Librarian Lis" in text
    assert "Loan days:</strong> 14 → 21" in text


def test_values_are_in_the_librarians_words() -> None:
    copy = make_copy()
    act_on_page(signed_in(make_member("Librarian")), "withdraw", copy)
    assert "Available → Withdrawn" in history(copy)
    reader = make_reader()
    reader.is_blocked, reader.block_reason = True, "Noise"
    reader.save()
    assert "no → yes" in history(reader)
    assert "– → Noise" in history(reader)


def test_loans_holds_charges_waivers_and_closed_days_have_a_history(anna: Reader) -> None:
    boss, copy = make_member("Librarian"), make_copy()
    loan = lend(anna, copy, on=timezone.localdate(), by=boss)
    desk.renew(loan, by=boss)
    assert "Renewals:</strong> 0 → 1" in history(loan)
    hold = holds.place(make_reader(), copy.book, by=boss)
    holds.cancel(hold, by=boss)
    assert "Waiting → Cancelled" in history(hold)
    charge = charges.assess(anna, ChargeKind.FINE, charges.ZERO + 1, description="x", by=boss)
    assert charge is not None
    waiver = charges.waive(charge, charges.ZERO + 1, by=boss, reason="x")
    for row in (charge, waiver, ClosedDay.objects.create(date=timezone.localdate())):
        assert "Added" in history(row)


def test_a_page_of_history_compares_its_last_row_with_the_page_before() -> None:
    copy = make_copy()
    for number in range(60):
        copy.note = f"note {number}"
        copy.save()
    first = history(copy)
    assert "note 58 → note 59" in first
    assert "note 9 → note 10" in first


def test_the_history_of_a_deleted_row_can_still_be_read() -> None:
    copy = make_copy()
    url = page(copy, "history")
    copy.delete()
    assert "Deleted" in as_superuser().get(url).text


def test_a_password_is_in_no_history() -> None:
    reader = make_reader(password="secret-1")
    for password in ("secret-2", "secret-3"):
        reader.set_password(password)
        reader.save()
    text = history(reader)
    assert reader.password not in text
    assert "assword:" not in text


def test_nobody_opens_or_brings_back_an_old_version() -> None:
    copy = make_copy(note="old")
    copy.note = "new"
    copy.save()
    client = as_superuser()
    old = Copy.history.filter(note="old").get()
    url = reverse("admin:catalog_copy_simple_history", args=[copy.pk, old.pk])
    data = {"barcode": copy.barcode, "note": "old", "book": copy.book_id}
    assert client.get(url).status_code == 404
    assert client.post(url, data).status_code == 404
    assert client.post(url, {**data, "_change_history": "1"}).status_code == 404
    assert client.post(page(copy, "history"), data).status_code in (200, 405)
    copy.refresh_from_db()
    assert copy.note == "new"
    assert "revert" not in history(copy).lower()


def test_a_history_is_seen_by_those_who_see_the_row() -> None:
    reader = make_reader()
    assert signed_in(make_member("Auditor")).get(page(reader, "history")).status_code == 200
    stranger = make_reader("Stranger", is_staff=True)
    assert signed_in(stranger).get(page(reader, "history")).status_code == 403
