"""Undo: on the same day, the last act at the desk is as if it had not been, with its money."""

from decimal import Decimal

import pytest

from billing import charges
from billing.models import Charge, ChargeKind
from catalog.models import Copy, CopyStatus
from circulation import desk, fines, holds, stock, undo
from circulation.models import DeskAct, Hold, HoldStatus, Loan, Reader
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
    take_back,
)

pytestmark = pytest.mark.usefixtures("rule")


def last_act() -> DeskAct:
    act = DeskAct.objects.filter(undone_at=None).first()
    assert act is not None
    return act


def refusal(act: DeskAct, *, day: int) -> list[str]:
    with pytest.raises(undo.UndoRefusedError) as refused:
        undo.undo(act, on=march(day))
    act.refresh_from_db()
    return codes(refused.value)


def status(copy: Copy) -> str:
    copy.refresh_from_db()
    return copy.status


def state(hold: Hold) -> str:
    hold.refresh_from_db()
    return hold.status


class TestACheckOut:
    def test_it_counts_as_never_made(self, anna: Reader, bartek: Reader, maria: Reader) -> None:
        done = desk.check_out(anna, make_copy(make_book(daily_fee="1.00")), on=MONDAY)
        loan = undo.undo(done.act, by=maria, on=MONDAY)
        assert loan.undone_at is not None
        assert charges.balance(anna) == 0
        assert done.fee is not None
        assert done.fee.adjustments.get().by == maria
        assert status(loan.copy) == CopyStatus.AVAILABLE
        assert lend(bartek, loan.copy)

    def test_a_fee_waived_in_part_is_voided_for_the_rest(self, anna: Reader, maria: Reader) -> None:
        done = desk.check_out(anna, make_copy(make_book(daily_fee="1.00")), on=MONDAY)
        assert done.fee is not None
        charges.waive(done.fee, Decimal(4), by=maria, reason="Sale")
        undo.undo(done.act, on=MONDAY)
        assert charges.owed(done.fee) == 0

    def test_a_hold_that_was_picked_up_is_on_the_shelf_again(
        self, anna: Reader, bartek: Reader
    ) -> None:
        copy = lend(bartek, make_copy()).copy
        hold = holds.place(anna, copy.book, at=noon(march(3)))
        take_back(copy, on=march(4))
        done = desk.check_out(anna, copy, on=march(5))
        undo.undo(done.act, on=march(5))
        hold.refresh_from_db()
        assert (hold.status, hold.copy, hold.closed_at) == (HoldStatus.READY, copy, None)
        assert hold.pickup_until == march(11)
        assert status(copy) == CopyStatus.ON_HOLD_SHELF

    def test_a_hold_fulfilled_from_the_open_shelves_waits_again(self, anna: Reader) -> None:
        copy = make_copy()
        hold = holds.place(anna, copy.book, at=noon(MONDAY))
        undo.undo(desk.check_out(anna, copy, on=march(3)).act, on=march(3))
        assert state(hold) == HoldStatus.WAITING
        assert status(copy) == CopyStatus.AVAILABLE

    def test_a_copy_lent_past_its_hold_is_on_the_shelf_for_it_again(
        self, anna: Reader, bartek: Reader, maria: Reader
    ) -> None:
        copy = lend(bartek, make_copy()).copy
        hold = holds.place(anna, copy.book, at=noon(march(3)))
        take_back(copy, on=march(4))
        done = desk.check_out(
            bartek, copy, on=march(4), by=maria, override=overriding("held_for_others")
        )
        undo.undo(done.act, on=march(4))
        assert state(hold) == HoldStatus.READY
        assert status(copy) == CopyStatus.ON_HOLD_SHELF

    def test_a_reader_whose_shelf_copy_passed_on_gets_the_one_in_hand(
        self, anna: Reader, bartek: Reader, celina: Reader
    ) -> None:
        shelf = lend(celina, make_copy()).copy
        first = holds.place(anna, shelf.book, at=noon(march(3)))
        second = holds.place(bartek, shelf.book, at=noon(march(4)))
        take_back(shelf, on=march(5))
        other = make_copy(shelf.book)
        done = desk.check_out(anna, other, on=march(5))
        assert state(second) == HoldStatus.READY
        undo.undo(done.act, on=march(5))
        first.refresh_from_db()
        assert (first.status, first.copy) == (HoldStatus.READY, other)
        assert state(second) == HoldStatus.READY

    def test_a_reader_who_has_placed_another_hold_since_keeps_that_one(self, anna: Reader) -> None:
        copy = make_copy()
        make_copy(copy.book)
        first = holds.place(anna, copy.book, at=noon(march(2)))
        check_out = desk.check_out(anna, copy, on=march(3))
        desk.mark_lost(check_out.loan, on=march(3))
        second = holds.place(anna, copy.book, at=noon(march(3)))
        undo.undo(last_act(), on=march(3))
        undo.undo(check_out.act, on=march(3))
        assert (state(first), state(second)) == (HoldStatus.FULFILLED, HoldStatus.WAITING)


class TestACheckIn:
    def test_the_loan_is_open_again_and_its_fine_grows_on(self, anna: Reader) -> None:
        loan = lend_until(march(2), anna)
        take_back(loan.copy, on=march(5))
        undo.undo(last_act(), on=march(5))
        loan.refresh_from_db()
        assert loan.is_open
        assert loan.taken_back_by is None
        assert status(loan.copy) == CopyStatus.ON_LOAN
        fine = loan.charges.get()
        assert (fine.amount, fine.is_accruing) == (Decimal("1.50"), True)
        fines.accrue(on=march(6))
        assert charges.balance(anna) == Decimal("2.00")

    def test_of_a_book_drop_the_fine_is_that_of_today_again(self, anna: Reader) -> None:
        loan = lend_until(march(2), anna)
        fines.accrue(on=march(13))
        take_back(loan.copy, on=march(13), dated=march(2))
        undo.undo(last_act(), on=march(13))
        assert charges.balance(anna) == Decimal("5.00")

    def test_of_a_loan_in_time_there_is_no_money(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        take_back(loan.copy, on=march(3))
        undo.undo(last_act(), on=march(3))
        assert not Charge.objects.exists()

    def test_the_copy_is_taken_from_the_hold_that_it_passed_to(
        self, anna: Reader, bartek: Reader
    ) -> None:
        loan = lend(anna, make_copy())
        hold = holds.place(bartek, loan.copy.book, at=noon(march(3)))
        take_back(loan.copy, on=march(4))
        undo.undo(last_act(), on=march(4))
        assert state(hold) == HoldStatus.WAITING
        assert status(loan.copy) == CopyStatus.ON_LOAN

    def test_also_from_the_one_it_passed_on_to(
        self, anna: Reader, bartek: Reader, celina: Reader
    ) -> None:
        loan = lend(anna, make_copy())
        first = holds.place(bartek, loan.copy.book, at=noon(march(3)))
        second = holds.place(celina, loan.copy.book, at=noon(march(4)))
        take_back(loan.copy, on=march(5))
        act = last_act()
        holds.cancel(first, at=noon(march(5)))
        undo.undo(act, on=march(5))
        assert (state(first), state(second)) == (HoldStatus.CANCELLED, HoldStatus.WAITING)

    def test_a_copy_that_went_to_repair_since_stays_there(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        take_back(loan.copy, on=march(3))
        stock.take_out(loan.copy, CopyStatus.IN_REPAIR)
        assert refusal(last_act(), day=3) == ["undo_overtaken"]
        loan.refresh_from_db()
        assert not loan.is_open

    def test_a_copy_that_is_lent_again_stays_lent(self, anna: Reader, bartek: Reader) -> None:
        loan = lend(anna, make_copy())
        take_back(loan.copy, on=march(3))
        act = last_act()
        lend(bartek, loan.copy, on=march(3))
        assert refusal(act, day=3) == ["undo_overtaken"]
        undo.undo(last_act(), on=march(3))
        undo.undo(act, on=march(3))
        assert Loan.objects.open().get() == loan


class TestARenewal:
    def test_the_loan_is_due_as_before_and_the_fee_goes(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(make_book(daily_fee="0.10")))
        done = desk.renew(loan, on=march(10))
        undo.undo(done.act, on=march(10))
        loan.refresh_from_db()
        assert (loan.expected_return_date, loan.renewals) == (march(16), 0)
        assert charges.balance(anna) == Decimal("1.40")

    def test_of_an_overdue_loan_the_fine_grows_on(self, anna: Reader) -> None:
        loan = lend_until(march(2), anna)
        Loan.objects.update(notification_sent=True)
        done = desk.renew(loan, on=march(5))
        undo.undo(done.act, on=march(5))
        loan.refresh_from_db()
        assert loan.notification_sent
        fine = loan.charges.get()
        assert (fine.amount, fine.is_accruing) == (Decimal("1.50"), True)
        take_back(loan.copy, on=march(6))
        assert charges.balance(anna) == Decimal("2.00")

    def test_the_second_of_two_goes_first(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        first = desk.renew(loan, on=march(10))
        second = desk.renew(first.loan, on=march(10))
        assert refusal(first.act, day=10) == ["undo_overtaken"]
        undo.undo(second.act, on=march(10))
        undo.undo(first.act, on=march(10))
        loan.refresh_from_db()
        assert (loan.expected_return_date, loan.renewals) == (march(16), 0)

    def test_undone_and_made_again_charges_once(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(make_book(daily_fee="0.10")))
        undo.undo(desk.renew(loan, on=march(10)).act, on=march(10))
        undo.undo(desk.renew(loan, on=march(10)).act, on=march(10))
        desk.renew(loan, on=march(10))
        assert charges.balance(anna) == Decimal("2.20")


class TestALoss:
    def test_the_loan_is_open_again_and_the_charge_gone(self, anna: Reader) -> None:
        loan = lend_until(march(2), anna)
        desk.mark_lost(loan, on=march(5))
        undo.undo(last_act(), on=march(5))
        loan.refresh_from_db()
        assert loan.is_open
        assert status(loan.copy) == CopyStatus.ON_LOAN
        assert charges.balance(anna) == Decimal("1.50")
        assert loan.charges.get(kind=ChargeKind.FINE).is_accruing

    def test_made_again_it_is_charged_again(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        desk.mark_lost(loan, on=march(5))
        undo.undo(last_act(), on=march(5))
        desk.mark_lost(loan, on=march(5))
        assert charges.balance(anna) == Decimal("20.00")

    def test_a_copy_that_was_found_since_is_not_lent_out_by_undo(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        desk.mark_lost(loan, on=march(5))
        loss = last_act()
        take_back(loan.copy, on=march(5))
        assert refusal(loss, day=5) == ["undo_overtaken"]
        assert status(loan.copy) == CopyStatus.AVAILABLE

    def test_a_copy_written_off_since_stays_so(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        desk.mark_lost(loan, on=march(5))
        stock.take_out(loan.copy, CopyStatus.WITHDRAWN)
        assert refusal(last_act(), day=5) == ["undo_overtaken"]


def test_twice_is_refused(anna: Reader) -> None:
    done = desk.check_out(anna, make_copy(), on=MONDAY)
    undo.undo(done.act, on=MONDAY)
    assert refusal(done.act, day=2) == ["undone_already"]


def test_only_on_the_same_day(anna: Reader) -> None:
    done = desk.check_out(anna, make_copy(), on=MONDAY)
    assert refusal(done.act, day=3) == ["undo_too_late"]


def test_an_older_act_on_the_same_copy_waits_for_the_newer(anna: Reader) -> None:
    done = desk.check_out(anna, make_copy(), on=MONDAY)
    take_back(done.loan.copy, on=MONDAY)
    assert refusal(done.act, day=2) == ["undo_overtaken"]


def test_acts_on_other_copies_are_in_nobody_s_way(anna: Reader) -> None:
    done = desk.check_out(anna, make_copy(), on=MONDAY)
    lend(make_reader(), make_copy(done.loan.copy.book))
    assert undo.undo(done.act, on=MONDAY)


def test_a_failure_half_way_leaves_all_as_it_was(
    anna: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = desk.check_out(anna, make_copy(make_book(daily_fee="1.00")), on=MONDAY)

    def fail(*_args: object, **_options: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(undo, "_put_back", fail)
    with pytest.raises(RuntimeError):
        undo.undo(done.act, on=MONDAY)
    done.act.refresh_from_db()
    assert done.act.undone_at is None
    assert charges.balance(anna) == 14


class TestAFind:
    def test_the_copy_is_lost_again_and_charged_again(self, anna: Reader) -> None:
        loan = lend_until(march(2), anna, make_copy(price="25.00"))
        desk.mark_lost(loan, on=march(2))
        found = take_back(loan.copy, on=march(4))
        assert charges.balance(anna) == 0
        undone = undo.undo(found.act, on=march(4))
        assert undone.actual_return_date is None
        assert undone.lost_date == march(2)
        undone.copy.refresh_from_db()
        assert undone.copy.status == CopyStatus.LOST
        assert charges.balance(anna) == Decimal("25.00")

    def test_the_hold_it_went_to_waits_again_and_the_next_find_settles_all(
        self, anna: Reader, bartek: Reader
    ) -> None:
        loan = lend_until(march(2), anna, make_copy(price="25.00"))
        hold = holds.place(bartek, loan.copy.book, at=noon(march(1)))
        desk.mark_lost(loan, on=march(2))
        undo.undo(take_back(loan.copy, on=march(4)).act, on=march(4))
        hold.refresh_from_db()
        assert hold.status == HoldStatus.WAITING
        assert take_back(loan.copy, on=march(4)).shelved is not None
        assert charges.balance(anna) == 0
