"""The Desk over HTTP: what each scan answers, who may do it, and at what cost."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from billing import charges
from billing.models import ChargeKind
from catalog.models import Copy, CopyStatus
from circulation import desk, holds
from circulation.models import DeskAct, Hold, HoldStatus, Loan, Override, Reader, ReaderCategory
from tests.counting import queries_of
from tests.factories import (
    MONDAY,
    lend,
    lend_until,
    make_book,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    march,
    noon,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule", "a_monday")]

ACTS = ("scan", "lend", "renew", "undo", "reader", "books", "add_copy")
MARKUP = "<script>alert(1)</script> {{ x }}"
INERT = "&lt;script&gt;alert(1)&lt;/script&gt; {{ x }}"


@pytest.fixture
def a_monday() -> Iterator[None]:
    with time_machine.travel(noon(MONDAY), tick=False):
        yield


@pytest.fixture
def librarian(db: None) -> Reader:
    return make_member("Librarian")


class Desk:
    """The page's script, in short: what it posts and what it gets back."""

    def __init__(self, staff: Reader) -> None:
        self.client = Client()
        self.client.force_login(staff)

    def post(self, act: str, /, *, status: int = 200, **fields: Any) -> dict[str, Any]:
        response = self.client.post(reverse(f"desk_{act}"), fields)
        assert response.status_code == status, response.content
        answer: dict[str, Any] = response.json()
        return answer

    def lend(self, code: str, reader: Reader | None = None, **fields: Any) -> dict[str, Any]:
        at_desk = reader.pk if reader else ""
        return self.post("scan", mode="lend", code=code, reader=at_desk, **fields)

    def take_back(self, code: str, **fields: Any) -> dict[str, Any]:
        return self.post("scan", mode="return", code=code, **fields)


@pytest.fixture
def at_desk(librarian: Reader) -> Desk:
    return Desk(librarian)


def desk_of(*permissions: str) -> Desk:
    return Desk(make_staff(permissions=tuple(f"circulation.{name}" for name in permissions)))


def owing(reader: Reader, amount: str) -> Reader:
    charges.assess(reader, ChargeKind.FINE, Decimal(amount), description="An old fine")
    return reader


# Who may.


def test_the_page_opens_for_staff_of_the_desk(at_desk: Desk) -> None:
    response = at_desk.client.get(reverse("desk"))
    assert response.status_code == 200
    assert b'id="desk-field"' in response.content


def test_the_page_starts_in_the_mode_that_the_user_may_use() -> None:
    page = desk_of("check_in").client.get(reverse("desk"))
    assert page.context["mode"] == "return"


def test_the_page_is_refused_to_staff_without_a_desk_permission() -> None:
    assert desk_of().client.get(reverse("desk")).status_code == 403


def test_the_page_sends_a_reader_to_the_sign_in() -> None:
    response = Desk(make_reader()).client.get(reverse("desk"))
    assert response.status_code == 302
    assert reverse("admin:login") in response["Location"]


@pytest.mark.parametrize("act", ACTS)
def test_an_act_cannot_be_done_by_following_a_link(at_desk: Desk, act: str) -> None:
    assert at_desk.client.get(reverse(f"desk_{act}")).status_code == 405


@pytest.mark.parametrize("act", ACTS)
def test_an_act_without_a_session_says_so(client: Client, act: str) -> None:
    response = client.post(reverse(f"desk_{act}"))
    assert response.status_code == 401
    assert "Sign in" in response.json()["say"]


@pytest.mark.parametrize("act", ACTS)
def test_an_act_is_refused_to_staff_without_a_desk_permission(act: str) -> None:
    assert "may not do this" in desk_of().post(act, status=403)["row"]


def test_an_account_that_was_switched_off_is_signed_out(at_desk: Desk, librarian: Reader) -> None:
    Reader.objects.filter(pk=librarian.pk).update(is_active=False)
    at_desk.post("scan", mode="lend", code="B1", status=401)


def test_one_who_is_no_longer_staff_is_signed_out(anna: Reader) -> None:
    former = make_staff(permissions=("circulation.check_out",))
    Reader.objects.filter(pk=former.pk).update(is_staff=False)
    copy = make_copy()
    Desk(former).post("scan", status=401, mode="lend", code=copy.barcode, reader=anna.pk)
    assert not Loan.objects.exists()


@pytest.mark.parametrize("act", ACTS)
def test_an_act_needs_the_token_of_the_page(librarian: Reader, act: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(librarian)
    assert client.post(reverse(f"desk_{act}")).status_code == 403


def test_lending_needs_its_permission_and_keeps_what_was_scanned(anna: Reader) -> None:
    copy = make_copy()
    post = {"mode": "lend", "code": copy.barcode, "reader": anna.pk}
    refused = desk_of("check_in").post("scan", status=403, **post)
    assert copy.barcode in refused["row"]
    assert not Loan.objects.exists()


def test_taking_back_needs_its_permission(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    desk_of("check_out").post("scan", status=403, mode="return", code=loan.copy.barcode)
    assert Loan.objects.open().exists()


def test_renewing_needs_its_permission(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    desk_of("check_out").post("renew", status=403, loan=loan.pk)
    assert Loan.objects.get().renewals == 0


# The reader.


def test_a_card_shows_who_it_is_and_what_stands_against_lending(at_desk: Desk) -> None:
    reader = make_reader(
        "Zofia",
        category=ReaderCategory.objects.create(name="Child"),
        expiry_date=date(2026, 2, 1),
        is_blocked=True,
        block_reason="Two wet books",
    )
    answer = at_desk.lend(owing(reader, "7.50").card_number or "")
    panel = answer["reader"]["panel"]
    assert answer["reader"]["id"] == reader.pk
    for shown in ("Zofia Nowak", "Child", "Expired Sun 1 Feb 2026", "Two wet books", "7.50 USD"):
        assert shown in panel


def test_the_panel_counts_fines_that_have_grown_since_the_nightly_job(
    at_desk: Desk, anna: Reader
) -> None:
    lend_until(date(2026, 2, 25), anna)  # overdue on Thursday, Friday, Saturday and Monday
    assert "2.00 USD" in at_desk.lend(anna.card_number or "")["reader"]["panel"]


def test_the_panel_marks_overdue_loans_and_shows_ready_holds_first(
    at_desk: Desk, anna: Reader, bartek: Reader
) -> None:
    lend_until(date(2026, 2, 25), anna, make_copy(make_book("Late")))
    waited_for = make_copy(make_book("Waited for"))
    lend(bartek, waited_for)
    holds.place(anna, waited_for.book)
    ready = make_copy(make_book("Ready"))
    holds.place(anna, ready.book)
    desk.check_in(ready)
    panel = at_desk.lend(anna.card_number or "")["reader"]["panel"]
    assert panel.count("Overdue") == 1
    assert panel.index("Ready") < panel.index("Waited for")
    assert "until Mon 9 Mar 2026" in panel
    assert "No. 1 in the queue" in panel


def test_part_of_a_name_without_its_accents_lists_readers(at_desk: Desk) -> None:
    for first_name in ("Żaneta", "Zenon"):
        make_reader(first_name, last_name="Łódzki")
    make_reader("Zenon", last_name="Wójcik")
    answer = at_desk.lend("lodz")
    assert answer["picks"].count("data-pick") == 2
    assert "reader" not in answer
    assert at_desk.lend("ZEN lodz")["reader"]["name"] == "Zenon Łódzki"


def test_a_long_list_of_names_is_cut_and_says_so(at_desk: Desk) -> None:
    for _number in range(12):
        make_reader(last_name="Kowalska")
    picks = at_desk.lend("kowal")["picks"]
    assert picks.count("data-pick") == 9
    assert "There are more" in picks


def test_a_reader_is_picked_from_the_list(at_desk: Desk, anna: Reader) -> None:
    assert at_desk.post("reader", reader=anna.pk)["reader"]["name"] == "Anna Nowak"


# Lending.


def test_a_scanned_copy_is_lent_to_the_reader_at_the_desk(
    at_desk: Desk, anna: Reader, librarian: Reader
) -> None:
    copy = make_copy(make_book(daily_fee="0.50"))
    answer = at_desk.lend(copy.barcode, anna)
    loan = Loan.objects.get()
    assert (loan.copy, loan.reader, loan.lent_by) == (copy, anna, librarian)
    assert answer["tone"] == "good"
    for shown in ("Solaris", copy.barcode, "Mon 16 Mar 2026", "Lending fee 7.00 USD"):
        assert shown in answer["row"]
    assert copy.barcode in answer["reader"]["panel"]
    assert "Mon 16 Mar 2026" in answer["say"]


def test_a_chosen_due_date_is_granted(at_desk: Desk, anna: Reader) -> None:
    at_desk.lend(make_copy().barcode, anna, due="2026-03-27")
    assert Loan.objects.get().expected_return_date == march(27)


def test_a_chosen_due_date_in_the_past_is_refused_with_the_other_reasons(
    at_desk: Desk, anna: Reader
) -> None:
    row = at_desk.lend(make_copy().barcode, owing(anna, "9.00"), due="2026-02-27")["row"]
    assert "in the past" in row
    assert "owes 9.00" in row
    assert "data-offer" not in row


@pytest.mark.parametrize("nonsense", ["soon", "2026-02-30", "9" * 30])
def test_a_date_that_is_none_is_refused(at_desk: Desk, anna: Reader, nonsense: str) -> None:
    post = {"mode": "lend", "code": make_copy().barcode, "reader": anna.pk, "due": nonsense}
    assert "is not a date" in at_desk.post("scan", status=400, **post)["row"]
    assert not Loan.objects.exists()


def test_a_copy_without_a_reader_at_the_desk_tells_who_has_it(at_desk: Desk, anna: Reader) -> None:
    loan = lend(anna, make_copy())
    row = at_desk.lend(loan.copy.barcode)["row"]
    assert "Scan a card first" in row
    assert "On loan to Anna Nowak, due Mon 16 Mar 2026." in row


def test_what_the_reader_has_already_is_offered_for_renewal_and_not_renewed(
    at_desk: Desk, anna: Reader
) -> None:
    loan = lend(anna, make_copy(), on=date(2026, 2, 25))
    for _scan in range(3):
        row = at_desk.lend(loan.copy.barcode, anna)["row"]
    assert "Renew it" in row
    loan.refresh_from_db()
    assert loan.renewals == 0
    answer = at_desk.post("renew", loan=loan.pk)
    assert "Mon 16 Mar 2026" in answer["row"]
    assert answer["reader"]["id"] == anna.pk
    loan.refresh_from_db()
    assert loan.renewals == 1


def test_a_renewal_is_not_offered_to_staff_who_may_not_renew(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    row = desk_of("check_out").lend(loan.copy.barcode, anna)["row"]
    assert "data-offer" not in row


def test_a_copy_that_another_reader_has_tells_who(
    at_desk: Desk, anna: Reader, bartek: Reader
) -> None:
    loan = lend(anna, make_copy())
    row = at_desk.lend(loan.copy.barcode, bartek)["row"]
    assert "already on loan" in row
    assert "On loan to Anna Nowak" in row


# Refusals.


@pytest.fixture
def unwelcome(anna: Reader) -> Reader:
    """A reader against whom two overridable reasons stand."""
    anna.is_blocked = True
    anna.block_reason = "Two wet books"
    anna.save()
    return owing(anna, "9.00")


SEEN = "reader_blocked,unpaid_charges"


def test_all_reasons_are_shown_and_overridden_with_a_reason(
    at_desk: Desk, unwelcome: Reader, librarian: Reader
) -> None:
    copy = make_copy()
    row = at_desk.lend(copy.barcode, unwelcome)["row"]
    assert "Two wet books" in row
    assert "owes 9.00" in row
    assert 'data-ask="reason"' in row
    assert SEEN in row
    given: dict[str, Any] = {"reader": unwelcome.pk, "copy": copy.pk, "codes": SEEN}
    answer = at_desk.post("lend", reason="Her mother pays on Friday", **given)
    assert answer["tone"] == "good"
    kept = Override.objects.values_list("block", "reason", "by")
    reason = "Her mother pays on Friday"
    expected = {(code, reason, librarian.pk) for code in SEEN.split(",")}
    assert set(kept) == expected


def test_an_override_covers_only_the_reasons_that_were_seen(
    at_desk: Desk, unwelcome: Reader
) -> None:
    given: dict[str, Any] = {
        "reader": unwelcome.pk,
        "copy": make_copy().pk,
        "codes": "reader_blocked",
    }
    assert "owes 9.00" in at_desk.post("lend", reason="Known", **given)["row"]
    assert not Loan.objects.exists()


@pytest.mark.parametrize("reason", ["", "   "])
def test_an_override_needs_a_reason(at_desk: Desk, unwelcome: Reader, reason: str) -> None:
    given: dict[str, Any] = {"reader": unwelcome.pk, "copy": make_copy().pk, "codes": SEEN}
    assert at_desk.post("lend", reason=reason, **given)["tone"] == "bad"
    assert not Loan.objects.exists()


def test_a_copy_scanned_into_the_reason_box_is_no_reason(at_desk: Desk, unwelcome: Reader) -> None:
    copy = make_copy()
    given: dict[str, Any] = {"reader": unwelcome.pk, "copy": copy.pk, "codes": SEEN}
    answer = at_desk.post("lend", status=400, reason=make_copy().barcode, **given)
    assert "not a reason" in answer["row"]
    assert not Loan.objects.exists()


def test_who_may_override_is_told_to_those_who_may_not(unwelcome: Reader) -> None:
    row = desk_of("check_out").lend(make_copy().barcode, unwelcome)["row"]
    assert "These may: Librarian." in row
    assert "data-offer" not in row


def test_an_override_by_address_is_refused_to_those_who_may_not(unwelcome: Reader) -> None:
    given: dict[str, Any] = {"reader": unwelcome.pk, "copy": make_copy().pk, "codes": SEEN}
    answer = desk_of("check_out").post("lend", reason="Please", **given)
    assert "You may not override this" in answer["row"]
    assert not Loan.objects.exists()


def test_no_override_is_offered_against_a_withdrawn_copy(at_desk: Desk, unwelcome: Reader) -> None:
    copy = make_copy(status=CopyStatus.WITHDRAWN)
    row = at_desk.lend(copy.barcode, unwelcome)["row"]
    assert "withdrawn" in row
    assert "data-offer" not in row


def test_a_refused_renewal_is_overridden_like_a_refused_loan(at_desk: Desk, anna: Reader) -> None:
    loan = lend(anna, make_copy(), on=date(2026, 2, 25))
    owing(anna, "9.00")
    refused = at_desk.post("renew", loan=loan.pk)
    assert "Not renewed" in refused["row"]
    assert "unpaid_charges" in refused["row"]
    renewed = at_desk.post("renew", loan=loan.pk, codes="unpaid_charges", reason="Pays tomorrow")
    assert renewed["tone"] == "good"
    assert Loan.objects.get().renewals == 1


# Taking back.


def test_a_late_return_explains_the_fine_and_what_is_owed_now(at_desk: Desk, anna: Reader) -> None:
    loan = lend_until(date(2026, 2, 25), owing(anna, "1.00"))
    answer = at_desk.take_back(loan.copy.barcode)
    loan.refresh_from_db()
    assert loan.actual_return_date == MONDAY
    fine = loan.charges.get()
    assert fine.amount == Decimal("2.00")
    for shown in ("2.00 USD", "Was due Wed 25 Feb 2026", "Anna Nowak now owes 3.00 USD"):
        assert shown in answer["row"]
    assert fine.description in answer["say"]


def test_a_late_return_within_the_grace_days_says_that_there_is_no_fine(
    at_desk: Desk, anna: Reader
) -> None:
    loan = lend_until(date(2026, 2, 27), anna)  # late on Saturday and Monday
    assert "3 days late, no fine." in at_desk.take_back(loan.copy.barcode)["row"]


def test_a_book_drop_date_takes_back_what_had_been_counted(at_desk: Desk, anna: Reader) -> None:
    loan = lend_until(date(2026, 2, 25), anna)
    row = at_desk.take_back(loan.copy.barcode, dropped="2026-02-25")["row"]
    assert "as of Wed 25 Feb 2026" in row
    assert charges.balance(anna) == 0


def test_a_book_drop_date_in_the_future_is_refused(at_desk: Desk, anna: Reader) -> None:
    loan = lend(anna, make_copy())
    row = at_desk.take_back(loan.copy.barcode, dropped="2026-03-03")["row"]
    assert "Not taken back" in row
    assert Loan.objects.open().exists()


def test_a_return_that_somebody_waits_for_prints_a_hold_slip(
    at_desk: Desk, anna: Reader, bartek: Reader
) -> None:
    loan = lend(anna, make_copy())
    holds.place(bartek, loan.copy.book)
    row = at_desk.take_back(loan.copy.barcode)["row"]
    assert "For the hold shelf: Bartek Nowak" in row
    assert "Kept until Mon 9 Mar 2026." in row
    assert "desk-slip" in row
    assert "data-print" in row
    again = at_desk.take_back(loan.copy.barcode)
    assert "on the hold shelf for Bartek Nowak" in again["row"]
    assert Hold.objects.get().status == HoldStatus.READY


def test_a_lost_copy_that_turns_up_says_what_happens_to_its_charge(
    at_desk: Desk, anna: Reader
) -> None:
    loan = lend(anna, make_copy())
    desk.mark_lost(loan)
    assert "found again" in at_desk.take_back(loan.copy.barcode)["row"]
    assert charges.balance(anna) == 0


def test_a_copy_that_is_not_on_loan_is_a_message(at_desk: Desk) -> None:
    answer = at_desk.take_back(make_copy().barcode)
    assert answer["tone"] == "note"
    assert "not checked out" in answer["row"]


def test_a_return_brings_the_panel_of_the_reader_at_the_desk_up_to_date(
    at_desk: Desk, anna: Reader
) -> None:
    loan = lend(anna, make_copy())
    answer = at_desk.take_back(loan.copy.barcode, reader=anna.pk)
    assert loan.copy.barcode not in answer["reader"]["panel"]


# Unknown codes.


def test_an_unknown_code_may_be_a_new_copy_or_a_new_reader(at_desk: Desk) -> None:
    row = at_desk.lend("ZZ-1")["row"]
    assert "Add a copy with it" in row
    assert f"{reverse('admin:circulation_reader_add')}?card_number=ZZ-1" in row


def test_an_unknown_barcode_in_return_mode_offers_the_copy_alone(at_desk: Desk) -> None:
    row = at_desk.take_back("ZZ-1")["row"]
    assert row.count("data-offer") == 1
    assert 'data-ask="book"' in row


def test_an_unknown_code_offers_nothing_that_the_user_may_not_do() -> None:
    assert "data-offer" not in desk_of("check_out").lend("ZZ-1")["row"]


def test_a_name_that_nobody_has_is_no_barcode(at_desk: Desk) -> None:
    row = at_desk.lend("Anna Maria Ćwiek")["row"]
    assert "No reader is called that" in row
    assert "Add a copy" not in row


def test_a_copy_with_an_unknown_barcode_is_added_and_scanned_again(
    at_desk: Desk, librarian: Reader
) -> None:
    book = make_book("Lalka")
    make_book("Potop")
    picks = at_desk.post("books", text="lalk")["picks"]
    assert f'data-pick="{book.pk}"' in picks
    assert "Potop" not in picks
    answer = at_desk.post("add_copy", book=book.pk, barcode="ZZ-1")
    assert answer["again"] == "ZZ-1"
    copy = Copy.objects.get(barcode="ZZ-1")
    assert (copy.book, copy.status) == (book, CopyStatus.AVAILABLE)
    assert copy.history.get().history_user == librarian


def test_the_number_of_a_card_is_no_barcode_of_a_copy(at_desk: Desk, anna: Reader) -> None:
    answer = at_desk.post("add_copy", book=make_book().pk, barcode=anna.card_number)
    assert answer["tone"] == "bad"
    assert not Copy.objects.exists()


def test_adding_a_copy_needs_its_permission() -> None:
    staff = desk_of("check_out")
    staff.post("add_copy", status=403, book=make_book().pk, barcode="ZZ-1")
    staff.post("books", status=403, text="solaris")
    assert not Copy.objects.exists()


@pytest.mark.parametrize(
    ("act", "fields"),
    [
        ("scan", {"mode": "lend", "code": ""}),
        ("scan", {"mode": "lend", "code": "\x00"}),
        ("scan", {"mode": "give", "code": "B1"}),
        ("lend", {"reader": "1; DROP", "copy": "1"}),
        ("lend", {"reader": "999999", "copy": "999999"}),
        ("renew", {"loan": "999999"}),
        ("reader", {"reader": "999999"}),
        ("add_copy", {"book": "999999", "barcode": "ZZ-1"}),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(
    at_desk: Desk, act: str, fields: dict[str, str]
) -> None:
    assert at_desk.post(act, status=400, **fields)["row"]


# Undo.


def test_undo_takes_back_the_named_act_and_its_money(at_desk: Desk, anna: Reader) -> None:
    at_desk.lend(make_copy(make_book(daily_fee="0.50")).barcode, anna)
    act = DeskAct.objects.get()
    answer = at_desk.post("undo", act=act.pk, reader=anna.pk)
    assert answer["undone"] == act.pk
    assert "Undone: Lent" in answer["row"]
    assert "Owes 0.00 USD now, 7.00 USD before." in answer["row"]
    assert not Loan.objects.open().exists()
    assert charges.balance(anna) == 0


def test_undo_without_a_name_takes_the_last_act_of_today(at_desk: Desk, anna: Reader) -> None:
    first, second = make_copy(), make_copy()
    for copy in (first, second):
        at_desk.lend(copy.barcode, anna)
    at_desk.post("undo")
    assert Loan.objects.open().get().copy == first
    at_desk.post("undo")
    assert "nothing today" in at_desk.post("undo")["row"]


def test_undo_leaves_the_acts_of_others_alone(at_desk: Desk, anna: Reader) -> None:
    copy = make_copy()
    desk_of("check_out").lend(copy.barcode, anna)
    assert "nothing today" in at_desk.post("undo")["row"]
    assert "nothing today" in at_desk.post("undo", act=DeskAct.objects.get().pk)["row"]
    assert Loan.objects.open().exists()


def test_undo_of_an_act_that_was_overtaken_says_why(
    at_desk: Desk, anna: Reader, maria: Reader
) -> None:
    copy = make_copy()
    at_desk.lend(copy.barcode, anna)
    lent = DeskAct.objects.get()
    desk.check_in(copy, by=maria)
    assert "Not undone" in at_desk.post("undo", act=lent.pk)["row"]


def test_undo_needs_the_permission_of_the_act(anna: Reader) -> None:
    staff = make_staff(permissions=("circulation.check_out", "circulation.check_in"))
    at_desk = Desk(staff)
    at_desk.lend(make_copy().barcode, anna)
    staff.user_permissions.remove(staff.user_permissions.get(codename="check_out"))
    at_desk.post("undo", status=403)
    assert Loan.objects.open().exists()


def test_a_page_opened_anew_shows_what_can_still_be_undone(
    at_desk: Desk, anna: Reader, bartek: Reader
) -> None:
    kept, undone = make_copy(), make_copy()
    at_desk.lend(kept.barcode, anna)
    at_desk.lend(undone.barcode, anna)
    at_desk.post("undo")
    desk_of("check_out").lend(make_copy().barcode, bartek)
    page = at_desk.client.get(reverse("desk"))
    assert [row.code for row in page.context["rows"]] == [kept.barcode]


# Safety and cost.


def test_markup_in_titles_and_names_is_inert(at_desk: Desk) -> None:
    reader = make_reader(MARKUP, last_name="", is_blocked=True, block_reason=MARKUP)
    copy = make_copy(make_book(MARKUP, author=MARKUP))
    shown = [
        at_desk.lend(reader.card_number or "")["reader"]["panel"],
        at_desk.lend(copy.barcode, reader)["row"],
        at_desk.lend(copy.barcode)["row"],
        at_desk.lend(MARKUP)["row"],
        at_desk.post("books", text="script")["picks"],
    ]
    for html in shown:
        assert INERT in html
        assert "<script" not in html


def count(at_desk: Desk, act: str, /, **fields: Any) -> int:
    return queries_of(lambda: at_desk.post(act, **fields))


def test_the_page_takes_few_queries(at_desk: Desk, anna: Reader) -> None:
    for _number in range(5):
        at_desk.lend(make_copy().barcode, anna)
    assert queries_of(lambda: at_desk.client.get(reverse("desk"))) <= 12


def test_a_scan_costs_the_same_whatever_has_happened_before(at_desk: Desk, anna: Reader) -> None:
    copy = make_copy(make_book(daily_fee="0.01"))

    def costs() -> tuple[int, int, int]:
        scanned = {"code": copy.barcode, "reader": anna.pk}
        return (
            count(at_desk, "scan", mode="lend", code=anna.card_number),
            count(at_desk, "scan", mode="lend", **scanned),
            count(at_desk, "scan", mode="return", **scanned),
        )

    before = costs()
    for _visit in range(10):
        at_desk.lend(copy.barcode, anna)
        at_desk.take_back(copy.barcode)
    for _loan in range(3):
        lend(anna, make_copy())
        holds.place(make_reader(), make_copy().book)
    assert costs() == before
    card, lent, returned = before
    assert card <= 12
    assert lent <= 39
    assert returned <= 31


def test_a_panel_costs_the_same_for_any_number_of_overdue_loans(
    at_desk: Desk, anna: Reader
) -> None:
    for _loan in range(3):
        lend_until(date(2026, 2, 25), anna)
    three = count(at_desk, "scan", mode="lend", code=anna.card_number)
    lend_until(date(2026, 2, 25), anna)
    assert count(at_desk, "scan", mode="lend", code=anna.card_number) == three
