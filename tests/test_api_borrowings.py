"""Borrowings over the API: who sees which, what is told of each, filters, order and cost."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from pytest_django import DjangoAssertNumQueries

from billing import charges
from billing.models import Charge
from circulation import desk, fines, undo
from circulation.models import Loan, LoanPolicy, Reader
from config.rest import paging
from tests.api import client_for, listed, wrong_fields
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
    pay_cash,
    take_back,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule")]

TODAY = march(19)  # a Thursday, three open days after Monday the 16th


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    with time_machine.travel(noon(TODAY), tick=False):
        yield


@pytest.fixture
def clerk(db: None) -> Reader:
    return make_staff("Klara", permissions=("circulation.view_loan",))


def borrowings_of(reader: Reader, query: str = "") -> list[int]:
    return listed(reader, f"/api/borrowings/{query}")


def shown(reader: Reader, loan: Loan) -> dict[str, Any]:
    answer = client_for(reader).get(f"/api/borrowings/{loan.pk}/")
    assert answer.status_code == 200, answer.content
    row: dict[str, Any] = answer.json()
    return row


def test_a_borrowing_tells_of_its_dates_its_book_its_reader_and_its_money(anna: Reader) -> None:
    copy = make_copy(make_book("Solaris", daily_fee="0.10", cover="HARD"), barcode="30001")
    loan = lend(anna, copy, on=TODAY)
    payment = anna.payments.get()
    expected = {
        "id": loan.pk,
        "borrow_date": "2026-03-19",
        "expected_return_date": "2026-04-02",
        "actual_return_date": None,
        "lost_date": None,
        "undone_at": None,
        "is_active": True,
        "is_overdue": False,
        "renewals": 0,
        "max_renewals": 2,
        "book_id": copy.book_id,
        "book": {
            "id": copy.book_id,
            "title": "Solaris",
            "author": "Lem, Stanisław",
            "cover": "HARD",
        },
        "barcode": "30001",
        "user_id": anna.pk,
        "user": {"id": anna.pk, "name": "Anna Nowak"},
        "money": {"fee": "1.40", "fine": "0.00", "replacement": "0.00", "owed": "1.40"},
        "payments": [payment.pk],
    }
    assert shown(anna, loan) == expected
    assert client_for(anna).get("/api/borrowings").json()["results"] == [expected]


def test_a_reader_without_a_name_is_called_by_the_card(clerk: Reader) -> None:
    nameless = make_reader("", last_name="", card_number="R777", email=None)
    assert shown(clerk, lend(nameless, make_copy()))["user"]["name"] == "R777"


class TestWhoSeesWhat:
    def test_readers_see_their_own_and_others_are_not_there(
        self, anna: Reader, bartek: Reader
    ) -> None:
        own, foreign = lend(anna, make_copy()), lend(bartek, make_copy())
        assert borrowings_of(anna) == [own.pk]
        assert borrowings_of(anna, f"?user_id={anna.pk}") == [own.pk]
        assert client_for(anna).get(f"/api/borrowings/{foreign.pk}").status_code == 404

    def test_a_reader_who_asks_for_another_is_refused_in_words(
        self, anna: Reader, bartek: Reader
    ) -> None:
        answer = client_for(anna).get(f"/api/borrowings?user_id={bartek.pk}")
        assert answer.status_code == 403
        assert answer.json()["detail"] == "You may see what is your own. Leave out `user_id`."

    @pytest.mark.parametrize("role", ["Librarian", "Assistant", "Auditor"])
    def test_these_roles_may_see_all_loans(self, role: str, anna: Reader, bartek: Reader) -> None:
        loans = [lend(anna, make_copy()), lend(bartek, make_copy())]
        member = make_member(role)
        assert sorted(borrowings_of(member)) == [loan.pk for loan in loans]
        assert shown(member, loans[0])["user"]["name"] == "Anna Nowak"

    @pytest.mark.parametrize("role", ["", "Cashier"])
    def test_staff_without_the_permission_see_their_own(self, role: str, anna: Reader) -> None:
        guard = make_member(role) if role else make_staff("Gustaw")
        foreign, own = lend(anna, make_copy()), lend(guard, make_copy())
        assert borrowings_of(guard) == [own.pk]
        assert client_for(guard).get(f"/api/borrowings/{foreign.pk}").status_code == 404

    def test_nobody_sees_anything_without_signing_in(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        for address in ("/api/borrowings/", f"/api/borrowings/{loan.pk}/"):
            answer = client_for().get(address)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_what_was_undone_was_never_made_for_its_reader(
        self, anna: Reader, clerk: Reader
    ) -> None:
        done = desk.check_out(anna, make_copy(), on=TODAY)
        loan = undo.undo(done.act, on=TODAY)
        assert borrowings_of(anna) == []
        assert client_for(anna).get(f"/api/borrowings/{loan.pk}").status_code == 404
        assert shown(clerk, loan)["undone_at"]


class TestFilters:
    @pytest.fixture
    def loans(self, anna: Reader, bartek: Reader) -> dict[str, Loan]:
        late = lend_until(march(16), anna)
        returned = lend(anna, make_copy(), on=march(4))
        take_back(returned.copy, on=march(6))
        lost = lend(anna, make_copy(), on=march(3))
        desk.mark_lost(lost, on=march(5))
        return {
            "late": late,
            "lost": lost,
            "returned": returned,
            "out": lend(bartek, make_copy(), on=TODAY),
        }

    @pytest.mark.parametrize(
        ("query", "names"),
        [
            ("", {"late", "lost", "returned", "out"}),
            ("?user_id=&is_active=&overdue=", {"late", "lost", "returned", "out"}),
            ("?is_active=true", {"late", "out"}),
            ("?is_active=1", {"late", "out"}),
            ("?is_active=False", {"lost", "returned"}),
            ("?overdue=true", {"late"}),
            ("?overdue=false", {"lost", "returned", "out"}),
            ("?is_active=true&overdue=false", {"out"}),
            ("?user_id=999999", set()),
        ],
    )
    def test_staff_narrow_the_list(
        self, query: str, names: set[str], loans: dict[str, Loan], clerk: Reader
    ) -> None:
        assert set(borrowings_of(clerk, query)) == {loans[name].pk for name in names}

    def test_staff_ask_for_one_reader(
        self, loans: dict[str, Loan], bartek: Reader, clerk: Reader
    ) -> None:
        assert borrowings_of(clerk, f"?user_id={bartek.pk}&is_active=true") == [loans["out"].pk]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("?user_id=anna", "user_id"),
            ("?user_id=-1", "user_id"),
            ("?user_id=99999999999999999999", "user_id"),
            ("?user_id=1%00", "user_id"),
            ("?is_active=perhaps", "is_active"),
            ("?overdue=2", "overdue"),
            ("?page=-1", "page"),
            ("?page_size=ten", "page_size"),
        ],
    )
    def test_what_makes_no_sense_is_said_by_field(
        self, query: str, field: str, clerk: Reader
    ) -> None:
        assert wrong_fields(client_for(clerk).get(f"/api/borrowings{query}")) == {field}

    @pytest.mark.parametrize("number", ["0", "999999", "9" * 30])
    def test_a_number_that_no_loan_has_is_not_found(self, number: str, clerk: Reader) -> None:
        answer = client_for(clerk).get(f"/api/borrowings/{number}")
        assert answer.status_code == 404
        assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_newest_come_first_and_pages_miss_none(clerk: Reader) -> None:
    older = lend(make_reader(), make_copy(), on=march(3))
    same_day = [lend(make_reader(), make_copy(), on=march(4)) for _number in range(4)]
    expected = [*(loan.pk for loan in reversed(same_day)), older.pk]
    assert borrowings_of(clerk) == expected
    paged = [borrowings_of(clerk, f"?page_size=2&page={page}") for page in (1, 2, 3)]
    assert [pk for page in paged for pk in page] == expected
    assert client_for(clerk).get("/api/borrowings?page=4&page_size=2").status_code == 404


class TestMoney:
    def test_a_fine_grows_from_day_to_day_before_the_job_writes_it(self, anna: Reader) -> None:
        loan = lend_until(march(16), anna)
        money = {"fee": "0.00", "fine": "1.50", "replacement": "0.00", "owed": "1.50"}
        assert shown(anna, loan)["money"] == money
        assert not Charge.objects.exists()
        fines.accrue(on=march(19))
        assert shown(anna, loan)["money"] == money
        with time_machine.travel(noon(march(20)), tick=False):
            assert shown(anna, loan)["money"]["owed"] == "2.00"

    def test_what_was_waived_or_paid_is_not_owed(self, anna: Reader, maria: Reader) -> None:
        loan = lend(anna, make_copy(make_book(daily_fee="0.10")), on=MONDAY)
        fee = loan.charges.get()
        charges.waive(fee, fee.amount / 2, by=maria, reason="Late opening")
        pay_cash(fee, "0.30", by=maria)
        money = shown(anna, loan)["money"]
        assert (money["fee"], money["owed"]) == ("0.70", "1.90")  # 0.40, and 1.50 for being late

    def test_a_lost_copy_costs_its_replacement(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(price="30.00"), on=MONDAY)
        desk.mark_lost(loan, on=march(5))
        row = shown(anna, loan)
        assert row["money"]["replacement"] == row["money"]["owed"] == "30.00"
        assert (row["is_active"], row["lost_date"]) == (False, "2026-03-05")

    def test_fines_of_earlier_due_dates_share_the_cap(self, anna: Reader, rule: LoanPolicy) -> None:
        start = march(19) - timedelta(days=60)
        loan = lend(anna, make_copy(), on=start)
        desk.renew(loan, on=start + timedelta(days=24))  # eight open days late: 4.00
        assert shown(anna, loan)["money"]["fine"] == "10.00"


def test_head_is_as_get_and_other_methods_are_not_there(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    client = client_for(anna)
    assert client.head("/api/borrowings/").status_code == 200
    for method in ("put", "patch", "delete"):
        answer = getattr(client, method)(f"/api/borrowings/{loan.pk}/")
        assert answer.status_code == 405
    assert client.get(f"/api/borrowings/{loan.pk}/return/").status_code == 405
    assert Loan.objects.get().is_open


@pytest.mark.parametrize("address", ["/api/borrowings", "/api/library/borrowings/"])
def test_every_address_answers_alike(address: str, anna: Reader) -> None:
    loan = lend(anna, make_copy())
    client = client_for(anna)
    assert [row["id"] for row in client.get(address).json()["results"]] == [loan.pk]


def test_pages_far_in_hold_what_they_would_hold_otherwise(
    maria: Reader, rule: LoanPolicy, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule.max_loans = 100
    rule.save()
    for day in range(7):
        lend(make_reader(), make_copy(), on=march(1 + day % 3))
    client = client_for(maria)
    asked = [f"/api/borrowings?page_size=2&page={page}" for page in range(1, 5)]
    before = [client.get(address).json() for address in asked]
    monkeypatch.setattr(paging, "DEEP", 0)
    assert [client.get(address).json() for address in asked] == before


def test_a_page_asks_the_database_the_same_however_many_are_on_it(
    anna: Reader, rule: LoanPolicy, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Loans renewed after a fine, and late again, ask most: their cap was used up in part."""
    rule.max_loans = 100
    rule.debt_limit = None
    rule.save()
    client = client_for(anna)

    def late_again() -> None:
        loan = lend(anna, make_copy(make_book(daily_fee="0.10")), on=march(1) - timedelta(days=60))
        desk.renew(loan, on=march(1) - timedelta(days=40))

    late_again()
    # The reader; the loans; charges; two of the calendar; earlier fines.
    with django_assert_num_queries(6):
        client.get("/api/borrowings")
    for _number in range(6):
        late_again()
    with django_assert_num_queries(6):
        assert len(client.get("/api/borrowings").json()["results"]) == 7
