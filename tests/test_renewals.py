"""Renewals: how far, how often, for what fee, and what stands against them."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from billing import charges
from billing.models import ChargeKind
from circulation import desk, fines, holds
from circulation.models import Loan, LoanPolicy, Override, Reader
from tests.factories import (
    MONDAY,
    codes,
    lend,
    lend_until,
    make_book,
    make_copy,
    make_reader,
    march,
    noon,
    overriding,
    set_policy,
    take_back,
)

pytestmark = pytest.mark.usefixtures("rule")


def refusal(loan: Loan, **options: Any) -> list[str]:
    with pytest.raises(desk.RenewalRefusedError) as refused:
        desk.renew(loan, **options)
    unchanged = Loan.objects.get(pk=loan.pk)
    assert unchanged.expected_return_date == loan.expected_return_date
    assert unchanged.renewals == loan.renewals
    return codes(refused.value)


def test_a_renewal_runs_from_today(anna: Reader, maria: Reader) -> None:
    loan = lend(anna, make_copy())
    desk.renew(loan, on=march(10), by=maria)
    loan.refresh_from_db()
    assert (loan.expected_return_date, loan.renewals) == (march(24), 1)
    assert loan.history.first().history_user == maria


def test_a_renewal_never_brings_the_due_date_forward(anna: Reader) -> None:
    loan = lend(anna, make_copy(), due=date(2026, 4, 30))
    assert desk.renew(loan, on=march(10)).loan.expected_return_date == date(2026, 4, 30)


def test_a_renewal_lets_the_overdue_notice_be_sent_anew(anna: Reader) -> None:
    loan = lend_until(march(2), anna)
    Loan.objects.update(notification_sent=True)
    assert not desk.renew(loan, on=march(5)).loan.notification_sent


def test_a_renewal_charges_only_the_days_it_adds(anna: Reader) -> None:
    loan = lend(anna, make_copy(make_book(daily_fee="0.10")))
    fee = desk.renew(loan, on=march(10)).fee
    assert fee is not None
    assert (fee.amount, fee.description) == (Decimal("0.80"), "8 days × 0.10")
    assert charges.balance(anna) == Decimal("2.20")


def test_the_fee_of_the_check_out_is_charged_on_although_the_book_is_dearer_now(
    anna: Reader,
) -> None:
    loan = lend(anna, make_copy(make_book(daily_fee="0.10")))
    type(loan.copy.book).objects.update(daily_fee="9.00")
    fee = desk.renew(loan, on=march(10)).fee
    assert fee is not None
    assert fee.amount == Decimal("0.80")


def test_an_accrued_fine_stays_and_later_lateness_is_a_second_one(anna: Reader) -> None:
    loan = lend_until(march(2), anna)
    fines.accrue(on=march(5))
    desk.renew(loan, on=march(5))  # due on the 19th
    fines.accrue(on=march(23))
    amounts = (
        loan.charges.filter(kind=ChargeKind.FINE)
        .order_by("due_date")
        .values_list("due_date", "amount", "is_accruing")
    )
    assert list(amounts) == [
        (march(2), Decimal("1.50"), False),
        (march(19), Decimal("1.50"), True),
    ]


def test_a_fine_that_no_job_wrote_down_is_made_at_the_renewal(anna: Reader) -> None:
    loan = lend_until(march(2), anna)
    desk.renew(loan, on=march(5))
    assert charges.balance(anna) == Decimal("1.50")


def test_all_fines_of_a_loan_share_one_cap(anna: Reader) -> None:
    set_policy(debt_limit=None)
    loan = lend_until(march(2), anna)
    desk.renew(loan, on=march(18))  # fourteen open days: 7.00; due on 1 April
    take_back(loan.copy, on=date(2026, 5, 1))
    fined = loan.charges.order_by("due_date")
    assert [fine.amount for fine in fined] == [Decimal("7.00"), Decimal("3.00")]
    assert "limited to 3.00" in fined[1].description


def test_a_waived_first_fine_leaves_no_more_room_under_the_cap(anna: Reader, maria: Reader) -> None:
    loan = lend_until(march(2), anna)
    fines.accrue(on=march(18))
    charges.waive(loan.charges.get(), Decimal("7.00"), by=maria, reason="Ill")
    desk.renew(loan, on=march(18))
    take_back(loan.copy, on=date(2026, 5, 1))
    assert charges.balance(anna) == Decimal("3.00")


def test_when_the_cap_is_used_up_a_second_lateness_makes_no_row(anna: Reader) -> None:
    set_policy(debt_limit=None)
    loan = lend_until(march(2), anna)
    desk.renew(loan, on=date(2026, 4, 7))
    take_back(loan.copy, on=date(2026, 6, 1))
    assert loan.charges.get().amount == Decimal("10.00")


def test_a_loan_within_grace_can_be_renewed_without_a_fine(anna: Reader) -> None:
    loan = lend_until(march(2), anna)
    desk.renew(loan, on=march(4))
    assert charges.balance(anna) == 0


def test_renewals_are_numbered(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    desk.renew(loan, on=march(10))
    loan = desk.renew(loan, on=march(20)).loan
    assert refusal(loan, on=march(21)) == ["too_many_renewals"]


def test_the_number_of_renewals_is_that_of_the_check_out(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    set_policy(max_renewals=0)
    assert desk.renew(loan, on=march(10))


def test_a_reader_with_the_most_loans_may_renew(anna: Reader) -> None:
    set_policy(max_loans=1)
    assert desk.renew(lend(anna, make_copy()), on=march(10))


def test_a_debt_stops_a_renewal(anna: Reader) -> None:
    loan = lend(anna, make_copy())
    charges.assess(anna, ChargeKind.LOST, Decimal("5.01"), description="Old debt")
    assert refusal(loan, on=march(10)) == ["unpaid_charges"]


def test_the_fine_of_the_very_loan_stops_its_renewal_above_the_limit(anna: Reader) -> None:
    loan = lend_until(march(2), anna)
    assert refusal(loan, on=march(14)) == ["unpaid_charges"]
    assert desk.renew(loan, on=march(13))


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"is_active": False}, "reader_inactive"),
        ({"expiry_date": march(9)}, "reader_expired"),
        ({"is_blocked": True, "block_reason": "Lost keys"}, "reader_blocked"),
    ],
)
def test_what_stops_a_reader_stops_a_renewal(
    anna: Reader, fields: dict[str, Any], code: str
) -> None:
    loan = lend(anna, make_copy())
    Reader.objects.filter(pk=anna.pk).update(**fields)
    assert refusal(loan, on=march(10)) == [code]


class TestOthersWait:
    def test_a_loan_that_others_wait_for_is_not_renewed(self, anna: Reader, bartek: Reader) -> None:
        loan = lend(anna, make_copy())
        holds.place(bartek, loan.copy.book, at=noon(march(3)))
        assert refusal(loan, on=march(10)) == ["held_for_others"]

    def test_with_a_free_copy_for_each_who_waits_it_is(
        self, anna: Reader, bartek: Reader, celina: Reader
    ) -> None:
        loan = lend(anna, make_copy())
        make_copy(loan.copy.book)
        holds.place(bartek, loan.copy.book, at=noon(march(3)))
        assert desk.renew(loan, on=march(10))
        holds.place(celina, loan.copy.book, at=noon(march(10)))
        loan.refresh_from_db()
        assert refusal(loan, on=march(11)) == ["held_for_others"]

    def test_one_who_has_a_copy_on_the_shelf_waits_no_longer(
        self, anna: Reader, bartek: Reader, celina: Reader
    ) -> None:
        loan = lend(anna, make_copy())
        other = lend(celina, make_copy(loan.copy.book))
        holds.place(bartek, loan.copy.book, at=noon(march(3)))
        take_back(other.copy, on=march(4))
        assert desk.renew(loan, on=march(10))

    def test_a_librarian_may_override_it(self, anna: Reader, bartek: Reader, maria: Reader) -> None:
        loan = lend(anna, make_copy())
        holds.place(bartek, loan.copy.book, at=noon(march(3)))
        desk.renew(loan, on=march(10), by=maria, override=overriding("held_for_others"))
        assert Override.objects.get().loan == loan


class TestTheDueDate:
    def test_a_chosen_date_is_used(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        assert desk.renew(loan, due=march(29), on=march(10)).loan.expected_return_date == march(30)

    def test_a_date_in_the_past_is_refused(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        assert refusal(loan, due=march(9), on=march(10)) == ["due_in_past"]


class TestLoansThatAreOver:
    def test_a_returned_loan_is_not_renewed(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        take_back(loan.copy, on=march(3))
        with pytest.raises(desk.LoanNotOpenError) as refused:
            desk.renew(loan, on=march(3))
        assert codes(refused.value) == ["loan_not_open"]

    def test_an_earlier_loan_of_a_copy_that_is_out_again_is_not_renewed(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        take_back(loan.copy, on=march(3))
        now = lend(make_reader(), loan.copy, on=march(3))
        with pytest.raises(desk.LoanNotOpenError):
            desk.renew(loan, on=march(4))
        now.refresh_from_db()
        assert now.renewals == 0

    def test_a_lost_loan_is_not_renewed(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        desk.mark_lost(loan, on=march(3))
        with pytest.raises(desk.LoanNotOpenError, match="marked lost on Tue 3 Mar 2026"):
            desk.renew(loan, on=march(3))


def test_without_any_policy_a_renewal_is_refused_and_says_why(anna: Reader) -> None:
    loan = lend(anna, make_copy(), on=MONDAY)
    LoanPolicy.objects.all().delete()
    assert refusal(loan, on=march(10)) == ["no_policy"]
