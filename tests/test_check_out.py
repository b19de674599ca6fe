"""Check-out: what is lent, until when, for what fee, and everything that stands against it."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db import IntegrityError, transaction

from billing import charges
from billing.models import Charge, ChargeKind
from catalog.models import Copy, CopyStatus, ItemType
from circulation import blocks, desk, fines, holds
from circulation.models import Loan, LoanPolicy, Override, Reader, ReaderCategory, Weekday
from tests.counting import queries_of
from tests.factories import (
    MONDAY,
    close_on,
    codes,
    lend,
    lend_until,
    make_book,
    make_copy,
    make_reader,
    make_staff,
    march,
    noon,
    overriding,
    set_policy,
    take_back,
)

pytestmark = pytest.mark.usefixtures("rule")

WARSAW = ZoneInfo("Europe/Warsaw")


def refusal(reader: Reader, item: Any, **options: Any) -> list[str]:
    """The codes of all blocks of a check-out that must be refused and leave no trace."""
    before = Loan.objects.count(), Charge.objects.count()
    with pytest.raises(desk.CheckOutRefusedError) as refused:
        lend(reader, item, **options)
    assert (Loan.objects.count(), Charge.objects.count()) == before
    return codes(refused.value)


def test_a_copy_is_lent_on_the_terms_of_the_policy(anna: Reader, maria: Reader) -> None:
    copy = make_copy()
    done = desk.check_out(anna, copy, on=MONDAY, by=maria)
    loan = Loan.objects.get()
    assert done.loan == loan
    assert done.fee is None
    assert (loan.copy, loan.reader, loan.lent_by) == (copy, anna, maria)
    assert (loan.borrow_date, loan.expected_return_date) == (MONDAY, march(16))
    assert (loan.fine_per_day, loan.fine_cap, loan.grace_days) == (Decimal("0.5"), Decimal(10), 2)
    assert Copy.objects.get().status == CopyStatus.ON_LOAN
    assert loan.history.get().history_user == maria


def test_lending_on_a_closed_day_is_allowed(anna: Reader) -> None:
    loan = lend(anna, make_copy(), on=date(2026, 3, 22))
    assert loan.expected_return_date == date(2026, 4, 6)


@pytest.mark.parametrize(
    ("instant", "lent"),
    [
        (datetime(2026, 3, 2, 22, 59, tzinfo=ZoneInfo("UTC")), march(2)),
        (datetime(2026, 3, 2, 23, 30, tzinfo=ZoneInfo("UTC")), march(3)),  # 00:30 in Warsaw
        (datetime(2026, 3, 29, 1, 59, tzinfo=WARSAW), date(2026, 3, 29)),
        (datetime(2026, 3, 29, 23, 59, tzinfo=WARSAW), date(2026, 3, 29)),
        (datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=WARSAW), date(2026, 10, 25)),
        (datetime(2026, 12, 31, 23, 30, tzinfo=ZoneInfo("UTC")), date(2027, 1, 1)),
    ],
)
def test_the_clock_is_the_library_s_own(
    anna: Reader, settings: Any, instant: datetime, lent: date
) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    with time_machine.travel(instant, tick=False):
        loan = desk.check_out(anna, make_copy()).loan
    assert loan.borrow_date == lent


def test_a_worker_that_has_been_up_for_days_uses_the_date_of_today(anna: Reader) -> None:
    with time_machine.travel(noon(march(2)), tick=False) as clock:
        desk.check_out(anna, make_copy())
        clock.shift(timedelta(days=3))
        assert desk.check_out(anna, make_copy()).loan.borrow_date == march(5)


def test_a_book_with_a_daily_fee_is_charged_for_the_days_granted(anna: Reader) -> None:
    copy = make_copy(make_book(daily_fee="0.35"))
    fee = desk.check_out(anna, copy, on=date(2026, 3, 22)).fee
    assert fee is not None
    assert (fee.kind, fee.amount) == (ChargeKind.PAYMENT, Decimal("4.90"))  # 14 days, not 15
    assert fee.description == "14 days × 0.35"
    assert charges.balance(anna) == Decimal("4.90")


def test_a_book_without_a_fee_makes_no_charge(anna: Reader) -> None:
    lend(anna, make_copy())
    assert not Charge.objects.exists()


def test_a_factor_fine_is_taken_from_the_daily_fee_and_rounded_to_four_decimals(
    anna: Reader,
) -> None:
    set_policy(fine_per_day=None, fine_factor="0.3335")
    loan = lend(anna, make_copy(make_book(daily_fee="0.05")))  # 0.016675
    assert loan.fine_per_day == Decimal("0.0167")
    loan.refresh_from_db()
    assert loan.fine_per_day == Decimal("0.0167")


def test_later_settings_change_no_open_loan(anna: Reader) -> None:
    loan = lend_until(march(2), anna)
    set_policy(fine_per_day="9.00", fine_cap="99.00", grace_days=0, loan_days=1, max_renewals=0)
    assert fines.quote(loan, on=march(5)).amount == Decimal("1.50")
    renewed = desk.renew(loan, on=march(2)).loan
    assert renewed.expected_return_date == march(16)


class TestTheCopy:
    """What stands against lending this copy to anybody."""

    def test_a_copy_on_loan_cannot_be_lent_again(self, anna: Reader, bartek: Reader) -> None:
        loan = lend(anna, make_copy())
        assert refusal(bartek, loan.copy) == ["copy_on_loan"]

    def test_a_replayed_check_out_makes_no_second_loan_and_no_renewal(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        assert refusal(anna, loan.copy, on=march(3)) == ["already_borrowed"]
        loan.refresh_from_db()
        assert (loan.renewals, loan.expected_return_date) == (0, march(16))

    def test_the_database_itself_refuses_a_second_open_loan(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        with pytest.raises(IntegrityError), transaction.atomic():
            Loan.objects.create(
                copy=loan.copy, reader=anna, borrow_date=MONDAY, expected_return_date=march(16)
            )

    def test_the_database_itself_refuses_a_loan_of_a_copy_that_a_reader_lost(
        self, anna: Reader
    ) -> None:
        loan = lend(anna, make_copy())
        desk.mark_lost(loan, on=march(3))
        with pytest.raises(IntegrityError), transaction.atomic():
            Loan.objects.create(
                copy=loan.copy, reader=anna, borrow_date=MONDAY, expected_return_date=march(16)
            )

    @pytest.mark.parametrize(
        ("status", "code"),
        [
            (CopyStatus.WITHDRAWN, "copy_withdrawn"),
            (CopyStatus.IN_REPAIR, "copy_in_repair"),
            (CopyStatus.LOST, "copy_lost"),
        ],
    )
    def test_a_copy_out_of_circulation_cannot_be_lent_whoever_asks(
        self, anna: Reader, maria: Reader, status: CopyStatus, code: str
    ) -> None:
        copy = make_copy(status=status)
        assert refusal(anna, copy) == [code]
        assert refusal(anna, copy, by=maria, override=overriding(code)) == [code]

    def test_a_stale_copy_in_memory_changes_nothing(self, anna: Reader, bartek: Reader) -> None:
        stale = make_copy()
        lend(anna, Copy.objects.get())
        assert stale.status == CopyStatus.AVAILABLE
        assert refusal(bartek, stale) == ["copy_on_loan"]


class TestAnyCopyOfABook:
    def test_each_free_copy_is_lent_once(self) -> None:
        book = make_book()
        free = [make_copy(book) for _ in range(3)]
        make_copy(book, status=CopyStatus.IN_REPAIR)
        lent = [lend(make_reader(), book).copy for _ in range(3)]
        assert set(lent) == set(free)
        assert refusal(make_reader(), book) == ["no_copy_available"]

    def test_the_copy_on_the_hold_shelf_for_the_reader_is_preferred(
        self, anna: Reader, bartek: Reader
    ) -> None:
        book = make_book()
        make_copy(book)
        held = lend(bartek, make_copy(book)).copy
        hold = holds.place(anna, book, at=noon(march(3)))
        take_back(held, on=march(4))
        assert lend(anna, book, on=march(5)).copy == held
        hold.refresh_from_db()
        assert hold.status == "fulfilled"

    def test_a_copy_on_the_hold_shelf_for_another_is_not_free(
        self, anna: Reader, bartek: Reader
    ) -> None:
        copy = lend(bartek, make_copy()).copy
        holds.place(anna, copy.book, at=noon(march(3)))
        take_back(copy, on=march(4))
        assert refusal(bartek, copy.book, on=march(4)) == ["no_copy_available"]

    def test_a_book_without_copies_is_refused(self, anna: Reader) -> None:
        assert refusal(anna, make_book()) == ["no_copy_available"]


class TestTheDueDate:
    def test_a_chosen_date_is_used_and_charged(self, anna: Reader) -> None:
        copy = make_copy(make_book(daily_fee="1.00"))
        loan = lend(anna, copy, due=march(8))
        assert loan.expected_return_date == march(9)  # the 8th is a Sunday
        assert charges.balance(anna) == 6

    def test_a_date_in_the_past_is_refused_for_everybody(self, anna: Reader, maria: Reader) -> None:
        override = overriding("due_in_past")
        assert refusal(anna, make_copy(), due=march(1)) == ["due_in_past"]
        assert refusal(anna, make_copy(), due=march(1), by=maria, override=override) == [
            "due_in_past"
        ]

    def test_lending_for_the_same_day_needs_a_permission(self, anna: Reader, maria: Reader) -> None:
        assert refusal(anna, make_copy(), due=MONDAY, by=maria) == ["due_today"]
        may = make_staff(permissions=("circulation.lend_for_today",))
        loan = lend(anna, make_copy(), due=MONDAY, by=may)
        assert loan.expected_return_date == MONDAY
        assert not loan.is_overdue(on=MONDAY)

    def test_a_date_that_no_calendar_reaches_is_refused(self, anna: Reader) -> None:
        close_on(Weekday.FRIDAY)
        assert refusal(anna, make_copy(), due=date.max) == ["due_too_far"]

    def test_without_any_open_day_lending_is_refused_and_says_why(self, anna: Reader) -> None:
        close_on(*list(Weekday)[:6])
        assert refusal(anna, make_copy()) == ["never_open"]

    def test_without_any_policy_lending_is_refused_and_says_why(self, anna: Reader) -> None:
        LoanPolicy.objects.all().delete()
        assert refusal(anna, make_copy()) == ["no_policy"]


class TestTheReader:
    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"is_active": False}, "reader_inactive"),
            ({"expiry_date": march(1)}, "reader_expired"),
            ({"is_blocked": True, "block_reason": "Lost keys"}, "reader_blocked"),
        ],
    )
    def test_a_reader_who_may_not_borrow_is_refused(
        self, fields: dict[str, Any], code: str
    ) -> None:
        assert refusal(make_reader(**fields), make_copy()) == [code]

    def test_a_card_is_good_through_its_last_day(self) -> None:
        assert lend(make_reader(expiry_date=MONDAY), make_copy())

    def test_the_last_loan_allowed_is_the_fifth(self, anna: Reader) -> None:
        for _ in range(5):
            lend(anna, make_copy())
        assert refusal(anna, make_copy()) == ["too_many_loans"]

    def test_returned_loans_no_longer_count(self, anna: Reader) -> None:
        set_policy(max_loans=1)
        take_back(lend(anna, make_copy()).copy, on=march(3))
        assert lend(anna, make_copy(), on=march(3))

    def test_a_policy_for_an_item_type_counts_the_loans_of_that_type_only(
        self, anna: Reader
    ) -> None:
        film = ItemType.objects.create(name="Film")
        LoanPolicy.objects.create(item_type=film, max_loans=1, fine_factor=0)
        set_policy(max_loans=2)
        lend(anna, make_copy())
        lend(anna, make_copy(item_type=film))
        assert refusal(anna, make_copy(item_type=film)) == ["too_many_loans"]
        assert refusal(anna, make_copy()) == ["too_many_loans"]

    def test_a_reader_s_category_brings_its_own_rule(self) -> None:
        child = ReaderCategory.objects.create(name="Child")
        LoanPolicy.objects.create(category=child, loan_days=7, fine_factor=0)
        loan = lend(make_reader("Daniel", category=child), make_copy())
        assert loan.expected_return_date == march(9)


class TestDebt:
    def owe(self, reader: Reader, amount: str) -> Charge:
        charge = charges.assess(reader, ChargeKind.LOST, Decimal(amount), description="Old debt")
        assert charge is not None
        return charge

    @pytest.mark.parametrize(("debt", "found"), [("5.00", []), ("5.01", ["unpaid_charges"])])
    def test_a_debt_stops_lending_above_the_limit_not_at_it(
        self, anna: Reader, rule: LoanPolicy, debt: str, found: list[str]
    ) -> None:
        self.owe(anna, debt)
        assert [block.code for block in blocks.against_debt(anna, rule, on=MONDAY)] == found

    def test_many_small_debts_add_up_exactly(self, anna: Reader, rule: LoanPolicy) -> None:
        for _ in range(50):
            self.owe(anna, "0.10")
        assert blocks.against_debt(anna, rule, on=MONDAY) == []
        self.owe(anna, "0.01")
        [block] = blocks.against_debt(anna, rule, on=MONDAY)
        assert "owes 5.01 USD;" in block.message

    def test_what_was_waived_no_longer_counts(self, anna: Reader, maria: Reader) -> None:
        charges.waive(self.owe(anna, "5.01"), Decimal("0.01"), by=maria, reason="Small change")
        assert lend(anna, make_copy())

    def test_lending_fees_of_a_visit_do_not_stop_its_second_book(self, anna: Reader) -> None:
        dear = make_book(daily_fee="1.00")
        lend(anna, make_copy(dear))
        assert charges.balance(anna) == 14
        assert lend(anna, make_copy(dear))

    def test_the_fee_of_a_loan_counts_once_it_is_overdue(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(make_book(daily_fee="1.00")))
        assert lend(anna, make_copy(), on=loan.expected_return_date)
        late = loan.expected_return_date + timedelta(days=1)
        assert refusal(anna, make_copy(), on=late) == ["unpaid_charges"]

    def test_the_fee_of_a_loan_counts_once_it_is_returned(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(make_book(daily_fee="1.00")))
        take_back(loan.copy, on=march(3))
        assert refusal(anna, make_copy(), on=march(3)) == ["unpaid_charges"]

    def test_a_fine_that_no_job_has_written_down_counts(self, anna: Reader) -> None:
        lend_until(march(2), anna)
        assert lend(anna, make_copy(), on=march(13))  # ten open days: 5.00
        assert refusal(anna, make_copy(), on=march(14)) == ["unpaid_charges"]

    def test_a_fine_that_the_job_wrote_down_is_not_counted_twice(self, anna: Reader) -> None:
        lend_until(march(2), anna)
        fines.accrue(on=march(13))
        assert blocks.debt_that_counts(anna, on=march(13)) == Decimal("5.00")
        assert blocks.debt_that_counts(anna, on=march(14)) == Decimal("5.50")

    def test_a_policy_without_a_limit_never_stops(self, anna: Reader) -> None:
        set_policy(debt_limit=None)
        self.owe(anna, "999.00")
        assert lend(anna, make_copy())

    def test_the_debt_of_others_is_not_looked_at(self, anna: Reader, bartek: Reader) -> None:
        self.owe(bartek, "99.00")
        assert lend(anna, make_copy())


class TestOverrides:
    @pytest.fixture
    def blocked(self) -> Reader:
        return make_reader(is_blocked=True, block_reason="Lost keys", expiry_date=march(1))

    def test_all_reasons_are_told_at_once(self, blocked: Reader) -> None:
        set_policy(max_loans=0, debt_limit="0")
        charges.assess(blocked, ChargeKind.FINE, Decimal(1), description="Old fine")
        holds.place(make_reader(), make_copy().book, at=noon(MONDAY))
        assert set(refusal(blocked, Copy.objects.get(), due=march(1))) == {
            "due_in_past",
            "reader_expired",
            "reader_blocked",
            "too_many_loans",
            "unpaid_charges",
            "held_for_others",
        }

    def test_hard_reasons_come_first(self, blocked: Reader) -> None:
        assert refusal(blocked, make_copy(), due=march(1))[0] == "due_in_past"

    def test_a_librarian_may_override_in_writing(self, blocked: Reader, maria: Reader) -> None:
        override = overriding("reader_expired", "reader_blocked", reason=" New card is on its way ")
        loan = lend(blocked, make_copy(), by=maria, override=override)
        kept = Override.objects.filter(loan=loan)
        assert {made.block for made in kept} == {"reader_expired", "reader_blocked"}
        assert {made.reason for made in kept} == {"New card is on its way"}
        assert {made.by for made in kept} == {maria}
        assert any("Lost keys" in made.message for made in kept)

    def test_a_reason_that_nobody_saw_is_not_overridden(
        self, blocked: Reader, maria: Reader
    ) -> None:
        found = refusal(blocked, make_copy(), by=maria, override=overriding("reader_expired"))
        assert found == ["reader_expired", "reader_blocked"]

    def test_a_blank_reason_is_none(self, blocked: Reader, maria: Reader) -> None:
        override = overriding("reader_expired", "reader_blocked", reason=" \n ")
        assert refusal(blocked, make_copy(), by=maria, override=override)[-1] == "reason_missing"

    @pytest.mark.parametrize("permissions", [(), ("circulation.check_out",)])
    def test_overriding_needs_its_own_permission(
        self, blocked: Reader, permissions: tuple[str, ...]
    ) -> None:
        override = overriding("reader_expired", "reader_blocked")
        staff = make_staff(permissions=permissions)
        found = refusal(blocked, make_copy(), by=staff, override=override)
        assert found[-1] == "override_not_permitted"

    def test_nobody_in_particular_may_override_nothing(self, blocked: Reader) -> None:
        override = overriding("reader_expired", "reader_blocked")
        assert refusal(blocked, make_copy(), override=override)[-1] == "override_not_permitted"

    def test_an_override_that_proves_needless_is_not_kept(
        self, anna: Reader, maria: Reader
    ) -> None:
        lend(anna, make_copy(), by=maria, override=overriding("reader_expired"))
        assert not Override.objects.exists()

    def test_a_long_reason_is_kept_as_far_as_it_fits(self, blocked: Reader, maria: Reader) -> None:
        override = overriding("reader_expired", "reader_blocked", reason="x" * 1000)
        lend(blocked, make_copy(), by=maria, override=override)
        assert Override.objects.filter(reason="x" * 300).count() == 2


def test_a_failure_half_way_leaves_nothing(anna: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = make_copy(make_book(daily_fee="1.00"))

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(charges, "assess", fail)
    with pytest.raises(RuntimeError):
        desk.check_out(anna, copy, on=MONDAY)
    copy.refresh_from_db()
    assert copy.status == CopyStatus.AVAILABLE
    assert not Loan.objects.exists()


def test_a_check_out_asks_the_database_the_same_however_long_the_history(anna: Reader) -> None:
    book = make_book(daily_fee="0.10")
    set_policy(max_loans=100, debt_limit=None)

    def queries() -> int:
        copy = make_copy(book)
        return queries_of(lambda: lend(anna, copy, on=march(20)))

    first = queries()
    for day in range(1, 11):
        copy = make_copy(book)
        lend(anna, copy, on=march(day))
        take_back(copy, on=march(day))
        lend(anna, make_copy(book), on=march(19))
    assert queries() == first
    assert first <= 26
