"""Lending, taking back and renewing over the API: by staff, and by readers where they may."""

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from pytest_django import Settings

from catalog.models import Copy, CopyStatus
from circulation import checks, desk, holds
from circulation.models import DeskAct, Hold, HoldStatus, Loan, LoanPolicy, Override, Reader
from tests.api import client_for, reasons, wrong_fields
from tests.factories import (
    MONDAY,
    lend,
    lend_until,
    make_book,
    make_charge,
    make_copy,
    make_member,
    make_reader,
    march,
    noon,
    take_back,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule")]

TODAY = march(2)
DUE = "2026-03-16"  # after the fourteen days of the case files


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    with time_machine.travel(noon(TODAY), tick=False):
        yield


@pytest.fixture
def assistant(db: None) -> Reader:
    return make_member("Assistant")


@pytest.fixture
def librarian(db: None) -> Reader:
    return make_member("Librarian")


@pytest.fixture
def self_service(settings: Settings) -> None:
    settings.READER_SELF_SERVICE = frozenset({"borrow", "return"})


def lend_by(caller: Reader | None, **sent: Any) -> Any:
    return client_for(caller).post("/api/borrowings/", sent)


def act(caller: Reader | None, loan: Loan, what: str, **sent: Any) -> Any:
    return client_for(caller).post(f"/api/borrowings/{loan.pk}/{what}/", sent)


class TestStaffLend:
    def test_a_book_to_a_reader(self, assistant: Reader, anna: Reader) -> None:
        copy = make_copy(make_book(daily_fee="0.10"))
        answer = lend_by(assistant, book=copy.book_id, user_id=anna.pk)
        assert answer.status_code == 201, answer.content
        loan = Loan.objects.get()
        assert (loan.reader, loan.lent_by, loan.copy) == (anna, assistant, copy)
        row = answer.json()
        assert (row["id"], row["user_id"], row["expected_return_date"]) == (loan.pk, anna.pk, DUE)
        assert row["money"]["owed"] == "1.40"
        assert answer.headers["Location"] == f"/api/borrowings/{loan.pk}/"
        assert client_for(assistant).get(answer.headers["Location"]).json() == row

    def test_the_very_copy_whose_barcode_they_read(self, assistant: Reader, anna: Reader) -> None:
        first = make_copy()
        second = make_copy(first.book, barcode="00042")
        answer = lend_by(assistant, barcode="00042", user_id=anna.pk)
        assert answer.json()["barcode"] == "00042"
        assert Loan.objects.get().copy == second

    def test_until_a_date_of_their_choice(self, assistant: Reader, anna: Reader) -> None:
        copy = make_copy()
        answer = lend_by(
            assistant, book=copy.book_id, user_id=anna.pk, expected_return_date="2026-04-01"
        )
        assert answer.json()["expected_return_date"] == "2026-04-01"

    def test_to_themselves_where_they_name_nobody(self, assistant: Reader) -> None:
        answer = lend_by(assistant, book=make_copy().book_id)
        assert answer.json()["user_id"] == assistant.pk

    def test_and_are_told_all_that_stands_against_it(self, assistant: Reader, anna: Reader) -> None:
        make_charge(anna, "6.00")
        anna.is_blocked, anna.block_reason = True, "Shouted"
        anna.save()
        answer = lend_by(assistant, book=make_copy().book_id, user_id=anna.pk)
        assert set(reasons(answer)) == {"reader_blocked", "unpaid_charges"}
        told = answer.json()
        assert told["code"] == told["reasons"][0]["code"] == "reader_blocked"
        assert told["reasons"][0] == {
            "code": "reader_blocked",
            "message": "The reader is blocked: Shouted",
            "is_overridable": True,
        }
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert not Loan.objects.exists()

    def test_against_what_they_set_aside_in_writing(self, librarian: Reader, anna: Reader) -> None:
        make_charge(anna, "6.00")
        override = {"codes": ["unpaid_charges"], "reason": "Pays tomorrow"}
        answer = lend_by(librarian, book=make_copy().book_id, user_id=anna.pk, override=override)
        assert answer.status_code == 201
        set_aside = Override.objects.get()
        assert (set_aside.reason, set_aside.by) == ("Pays tomorrow", librarian)

    def test_but_not_against_it_without_that_permission(
        self, assistant: Reader, anna: Reader
    ) -> None:
        make_charge(anna, "6.00")
        override = {"codes": ["unpaid_charges"], "reason": "Pays tomorrow"}
        answer = lend_by(assistant, book=make_copy().book_id, user_id=anna.pk, override=override)
        assert reasons(answer) == ["unpaid_charges", "override_not_permitted"]

    def test_no_copy_that_is_out(self, assistant: Reader, anna: Reader, bartek: Reader) -> None:
        copy = lend(bartek, make_copy()).copy
        by_book = lend_by(assistant, book=copy.book_id, user_id=anna.pk)
        assert reasons(by_book) == ["no_copy_available"]
        by_barcode = lend_by(assistant, barcode=copy.barcode, user_id=anna.pk)
        assert reasons(by_barcode) == ["copy_on_loan"]

    def test_once_on_a_double_click(self, assistant: Reader, anna: Reader) -> None:
        copy = make_copy()
        for _click in range(2):
            answer = lend_by(assistant, barcode=copy.barcode, user_id=anna.pk)
        assert reasons(answer) == ["already_borrowed"]
        assert Loan.objects.get().renewals == 0

    @pytest.mark.parametrize(
        ("day", "code"),
        [("2026-03-01", "due_in_past"), ("2026-03-02", "due_today"), ("2029-03-02", "due_too_far")],
    )
    def test_until_no_date_that_makes_no_sense(
        self, day: str, code: str, assistant: Reader, anna: Reader
    ) -> None:
        book = make_copy().book
        answer = lend_by(assistant, book=book.pk, user_id=anna.pk, expected_return_date=day)
        assert reasons(answer) == [code]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "book"),
        ({"book": 1, "barcode": "1"}, "book"),
        ({"book": 999_999}, "book"),
        ({"book": "Solaris"}, "book"),
        ({"book": 10**30}, "book"),
        ({"book": None}, "book"),
        ({"book": [1]}, "book"),
        ({"barcode": "nothing"}, "barcode"),
        ({"barcode": "1\x00"}, "barcode"),
        ({"barcode": ""}, "barcode"),
        ({"book": 1, "expected_return_date": "16.03.2026"}, "expected_return_date"),
        ({"book": 1, "expected_return_date": "2026-02-30"}, "expected_return_date"),
        ({"book": 1, "expected_return_date": 20260316}, "expected_return_date"),
        ({"book": 1, "user_id": 999_999}, "user_id"),
        ({"book": 1, "user_id": "anna"}, "user_id"),
        ({"book": 1, "override": "all"}, "override"),
        ({"book": 1, "override": {"codes": [], "reason": "x"}}, "override.codes"),
        ({"book": 1, "override": {"codes": ["a"]}}, "override.reason"),
        ([], ""),
        (None, ""),
        ("book", ""),
    ],
)
def test_bad_input_is_told_by_field(sent: Any, field: str, librarian: Reader) -> None:
    body = json.dumps(sent)
    client = client_for(librarian)
    answer = client.post("/api/borrowings/", body, content_type="application/json")
    assert wrong_fields(answer) == {field}


@pytest.mark.parametrize("body", ["{", '{"book": NaN}', "\x00", '{"barcode": "\\ud800"}'])
def test_what_is_no_json_is_refused(body: str, librarian: Reader) -> None:
    client = client_for(librarian)
    answer = client.post("/api/borrowings/", body, content_type="application/json")
    assert answer.status_code == 400
    assert client.post("/api/borrowings/", "book=1", content_type="text/plain").status_code == 415


@pytest.mark.parametrize("role", ["Cashier", "Auditor"])
def test_roles_that_do_not_work_the_desk_may_not_act(role: str, anna: Reader) -> None:
    member, loan = make_member(role), lend(anna, make_copy(), on=TODAY)
    answers = [
        lend_by(member, book=make_copy().book_id, user_id=anna.pk),
        act(member, loan, "return"),
        act(member, loan, "renew"),
    ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert Loan.objects.get().is_open


def test_readers_may_not_act_unless_the_library_says_so(anna: Reader) -> None:
    loan = lend(anna, make_copy(), on=TODAY)
    for caller, status in ((anna, 403), (None, 401)):
        answers = [
            lend_by(caller, book=make_copy().book_id),
            act(caller, loan, "return"),
            act(caller, loan, "renew"),
        ]
        assert [answer.status_code for answer in answers] == [status] * 3
    assert Loan.objects.get().is_open
    assert Loan.objects.get().renewals == 0


@pytest.mark.usefixtures("self_service")
class TestReadersServeThemselves:
    def test_they_borrow_for_themselves(self, anna: Reader) -> None:
        answer = lend_by(anna, book=make_copy().book_id, expected_return_date="2026-03-10")
        assert answer.status_code == 201, answer.content
        loan = Loan.objects.get()
        assert (loan.reader, loan.lent_by) == (anna, anna)
        assert loan.expected_return_date == march(10)
        assert lend_by(anna, book=make_copy().book_id, user_id=anna.pk).status_code == 201

    def test_they_borrow_for_nobody_else(self, anna: Reader, bartek: Reader) -> None:
        answer = lend_by(anna, book=make_copy().book_id, user_id=bartek.pk)
        assert answer.status_code == 403
        assert not Loan.objects.exists()

    @pytest.mark.parametrize(("day", "status"), [(DUE, 201), ("2026-03-17", 409)])
    def test_they_borrow_for_no_longer_than_the_rules_say(
        self, day: str, status: int, anna: Reader
    ) -> None:
        answer = lend_by(anna, book=make_copy().book_id, expected_return_date=day)
        assert answer.status_code == status
        if status == 409:
            assert reasons(answer) == ["due_after_policy"]

    def test_a_rule_that_ends_on_a_closed_day_ends_on_the_next_open_one(
        self, anna: Reader, rule: LoanPolicy
    ) -> None:
        rule.loan_days = 13  # until a Sunday
        rule.save()
        answer = lend_by(anna, book=make_copy().book_id, expected_return_date=DUE)
        assert answer.json()["expected_return_date"] == DUE

    def test_the_late_date_is_told_with_all_other_reasons(self, anna: Reader) -> None:
        make_charge(anna, "6.00")
        answer = lend_by(anna, book=make_copy().book_id, expected_return_date="2026-04-01")
        assert reasons(answer) == ["due_after_policy", "unpaid_charges"]

    def test_they_override_nothing(self, anna: Reader) -> None:
        make_charge(anna, "6.00")
        override = {"codes": ["unpaid_charges"], "reason": "I want it"}
        book = make_copy().book
        assert lend_by(anna, book=book.pk, override=override).status_code == 403
        assert not Loan.objects.exists()

    def test_a_librarian_who_may_not_lend_serves_herself_as_a_reader(self) -> None:
        auditor = make_member("Auditor")
        book = make_copy().book
        late = lend_by(auditor, book=book.pk, expected_return_date="2026-04-01")
        assert reasons(late) == ["due_after_policy"]

    def test_they_are_not_told_for_whom_a_copy_is_kept(self, anna: Reader, bartek: Reader) -> None:
        copy = make_copy()
        holds.place(bartek, copy.book, at=noon(TODAY))
        take_back(copy, on=TODAY)
        answer = lend_by(anna, barcode=copy.barcode)
        assert reasons(answer) == ["held_for_others"]
        assert "for another reader until" in answer.json()["detail"]
        assert "Bartek" not in answer.content.decode()

    def test_they_give_back_what_is_their_own(self, anna: Reader, bartek: Reader) -> None:
        own, foreign = lend(anna, make_copy(), on=TODAY), lend(bartek, make_copy(), on=TODAY)
        assert act(anna, foreign, "return").status_code == 404
        assert act(anna, foreign, "renew").status_code == 404
        answer = act(anna, own, "return")
        assert answer.status_code == 200, answer.content
        own.refresh_from_db()
        assert (own.actual_return_date, own.taken_back_by) == (TODAY, anna)

    def test_they_are_not_told_who_gets_it_next(self, anna: Reader, bartek: Reader) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        holds.place(bartek, loan.copy.book, at=noon(TODAY))
        answer = act(anna, loan, "return")
        assert answer.json()["hold_shelf"] is None
        assert "Bartek" not in answer.content.decode()

    def test_only_staff_say_that_it_came_back_earlier(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        answer = act(anna, loan, "return", date="2026-03-02")
        assert answer.status_code == 403
        assert answer.json()["detail"] == "Only staff may choose this. Leave out `date`."

    def test_a_lost_book_is_brought_to_the_desk(self, anna: Reader, assistant: Reader) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        desk.mark_lost(loan, on=TODAY)
        assert reasons(act(anna, loan, "return")) == ["loan_lost"]
        found = act(assistant, loan, "return").json()
        assert found["money"]["owed"] == "0.00"
        assert "found again" in found["message"]

    def test_they_renew_what_is_their_own_and_choose_no_date(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        refused = act(anna, loan, "renew", expected_return_date="2026-03-20")
        assert refused.status_code == 403
        with time_machine.travel(noon(march(9)), tick=False):
            answer = act(anna, loan, "renew")
        assert answer.json()["expected_return_date"] == "2026-03-23"

    def test_each_act_is_allowed_by_its_own_word(self, anna: Reader, settings: Settings) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        settings.READER_SELF_SERVICE = frozenset({"return"})
        assert lend_by(anna, book=make_copy().book_id).status_code == 403
        assert act(anna, loan, "renew").status_code == 403
        settings.READER_SELF_SERVICE = frozenset({"borrow"})
        assert act(anna, loan, "return").status_code == 403
        assert act(anna, loan, "renew").status_code == 200


class TestStaffTakeBack:
    def test_the_fine_is_told_and_how_it_came_about(self, assistant: Reader) -> None:
        loan = lend_until(TODAY)
        with time_machine.travel(noon(march(5)), tick=False):
            answer = act(assistant, loan, "return")
        row = answer.json()
        assert answer.status_code == 200
        assert (row["id"], row["is_active"]) == (loan.pk, False)
        assert row["actual_return_date"] == "2026-03-05"
        assert row["message"] == "Taken back."
        assert row["final_fine"] == {"amount": "1.50", "description": "3 open days × 0.50"}
        assert row["money"]["fine"] == row["money"]["owed"] == "1.50"
        assert DeskAct.objects.filter(kind=DeskAct.Kind.CHECK_IN).get().by == assistant

    def test_a_return_in_time_costs_nothing(self, assistant: Reader, anna: Reader) -> None:
        row = act(assistant, lend(anna, make_copy(), on=TODAY), "return").json()
        assert row["final_fine"] is None
        assert row["hold_shelf"] is None

    def test_from_the_book_drop_as_of_the_day_it_fell_in(self, assistant: Reader) -> None:
        loan = lend_until(march(2))
        with time_machine.travel(noon(march(5)), tick=False):
            row = act(assistant, loan, "return", date="2026-03-02").json()
        assert row["actual_return_date"] == "2026-03-02"
        assert row["final_fine"] is None

    @pytest.mark.parametrize(
        ("day", "code"),
        [("2026-03-03", "return_in_future"), ("2026-02-01", "return_before_loan")],
    )
    def test_as_of_no_day_on_which_it_cannot_have_been(
        self, day: str, code: str, assistant: Reader
    ) -> None:
        loan = lend_until(TODAY)
        assert reasons(act(assistant, loan, "return", date=day)) == [code]

    def test_the_copy_is_put_aside_for_the_first_in_the_queue(
        self, assistant: Reader, anna: Reader, bartek: Reader
    ) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        hold = holds.place(bartek, loan.copy.book, at=noon(TODAY))
        assert act(assistant, loan, "return").json()["hold_shelf"] == {
            "hold_id": hold.pk,
            "user": {"id": bartek.pk, "name": "Bartek Nowak"},
            "pickup_until": "2026-03-09",
        }

    def test_twice_is_refused_and_changes_nothing(self, assistant: Reader, anna: Reader) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        assert act(assistant, loan, "return").status_code == 200
        answer = act(assistant, loan, "return")
        assert reasons(answer) == ["already_returned"]
        assert DeskAct.objects.filter(kind=DeskAct.Kind.CHECK_IN).count() == 1

    def test_never_the_newer_loan_of_somebody_else(
        self, assistant: Reader, anna: Reader, bartek: Reader
    ) -> None:
        old = lend(anna, make_copy(), on=TODAY)
        take_back(old.copy, on=TODAY)
        new = lend(bartek, old.copy, on=TODAY)
        assert reasons(act(assistant, old, "return")) == ["already_returned"]
        new.refresh_from_db()
        assert new.is_open
        assert Copy.objects.get(pk=new.copy_id).status == CopyStatus.ON_LOAN

    @pytest.mark.parametrize("number", ["999999", "9" * 30])
    def test_a_loan_that_is_not_there_is_not_found(self, number: str, assistant: Reader) -> None:
        answer = client_for(assistant).post(f"/api/borrowings/{number}/return", {})
        assert answer.status_code == 404

    @pytest.mark.parametrize("sent", [{"date": "yesterday"}, {"date": "0000-00-00"}])
    def test_a_date_that_is_none_is_bad_input(
        self, sent: dict[str, str], assistant: Reader, anna: Reader
    ) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        assert wrong_fields(act(assistant, loan, "return", **sent)) == {"date"}


class TestStaffRenew:
    def test_from_today_and_until_a_date_of_their_choice(
        self, assistant: Reader, anna: Reader
    ) -> None:
        loan = lend(anna, make_copy(), on=MONDAY)
        with time_machine.travel(noon(march(9)), tick=False):
            row = act(assistant, loan, "renew").json()
            assert (row["renewals"], row["expected_return_date"]) == (1, "2026-03-23")
            row = act(assistant, loan, "renew", expected_return_date="2026-03-30").json()
        assert (row["renewals"], row["expected_return_date"]) == (2, "2026-03-30")

    def test_no_further_than_the_rules_say_but_with_an_override(
        self, assistant: Reader, librarian: Reader, anna: Reader
    ) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        Loan.objects.update(renewals=2)
        assert reasons(act(assistant, loan, "renew")) == ["too_many_renewals"]
        override = {"codes": ["too_many_renewals"], "reason": "Thesis"}
        assert act(librarian, loan, "renew", override=override).json()["renewals"] == 3

    def test_nothing_that_is_over_or_lost(self, assistant: Reader, anna: Reader) -> None:
        returned = lend(anna, make_copy(), on=TODAY)
        take_back(returned.copy, on=TODAY)
        lost = lend(anna, make_copy(), on=TODAY)
        desk.mark_lost(lost, on=TODAY)
        assert reasons(act(assistant, returned, "renew")) == ["loan_not_open"]
        assert reasons(act(assistant, lost, "renew")) == ["loan_lost"]

    def test_nothing_that_others_wait_for(
        self, assistant: Reader, anna: Reader, bartek: Reader
    ) -> None:
        loan = lend(anna, make_copy(), on=TODAY)
        holds.place(bartek, loan.copy.book, at=noon(TODAY))
        assert reasons(act(assistant, loan, "renew")) == ["held_for_others"]


def test_a_hold_is_fulfilled_by_lending_the_copy_kept_for_it(
    assistant: Reader, anna: Reader
) -> None:
    copy = make_copy()
    holds.place(anna, copy.book, at=noon(TODAY))
    take_back(copy, on=TODAY)
    assert lend_by(assistant, book=copy.book_id, user_id=anna.pk).status_code == 201
    assert Hold.objects.get().status == HoldStatus.FULFILLED


class TestTheDomainItself:
    def test_a_check_in_that_expects_a_loan_closes_that_one_or_none(
        self, anna: Reader, bartek: Reader
    ) -> None:
        old = lend(anna, make_copy(), on=TODAY)
        take_back(old.copy, on=TODAY)
        with pytest.raises(desk.CheckInRefusedError):
            desk.check_in(old.copy, expected=old)
        new = lend(bartek, old.copy, on=TODAY)
        with pytest.raises(desk.CheckInRefusedError):
            desk.check_in(old.copy, expected=old)
        assert desk.check_in(new.copy, expected=new).loan == new

    def test_staff_at_the_desk_may_lend_for_longer_than_the_rules_say(
        self, assistant: Reader, anna: Reader
    ) -> None:
        for reader in (anna, assistant):
            done = desk.check_out(reader, make_copy(), due=march(30), by=assistant, on=TODAY)
            assert done.loan.expected_return_date == march(30)

    def test_what_readers_cannot_do_is_no_self_service(self, settings: Settings) -> None:
        settings.READER_SELF_SERVICE = frozenset({"borrow", "return", "hold"})
        assert checks.check_self_service() == []
        settings.READER_SELF_SERVICE = frozenset({"borrow", "holds", " return"})
        [error] = checks.check_self_service()
        assert error.id == "circulation.E001"
        assert " return, holds" in error.msg


def test_a_loan_costs_what_it_did_at_the_desk(assistant: Reader) -> None:
    """The API and the desk are doors to one room: the same loan, the same money."""
    by_api, by_desk = make_reader(), make_reader()
    copies = [make_copy(make_book(daily_fee="0.25")) for _number in range(2)]
    lend_by(assistant, barcode=copies[0].barcode, user_id=by_api.pk)
    desk.check_out(by_desk, copies[1], by=assistant)
    sums = Loan.objects.values_list(
        "expected_return_date", "charges__amount", "acts__kind", "lent_by"
    )
    assert set(sums) == {(date(2026, 3, 16), Decimal("3.50"), "check_out", assistant.pk)}
