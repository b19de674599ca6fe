"""Holds: the queue, the hold shelf, and who gets a copy next, whatever the order of events."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, transaction

from catalog.models import Book, Copy, CopyStatus, ItemType
from circulation import desk, holds, stock
from circulation.models import Hold, HoldStatus, LoanPolicy, Reader, ReaderCategory, Weekday
from circulation.queue import waiting_ahead
from tests.factories import (
    MONDAY,
    close_on,
    codes,
    lend,
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


def queue(book: Book) -> list[tuple[Reader, int]]:
    waiting = holds.with_position(Hold.objects.waiting().filter(book=book))
    return [(hold.reader, hold.position) for hold in waiting]


def place(reader: Reader, book: Book, *, day: int = 2, **options: Any) -> Hold:
    return holds.place(reader, book, at=noon(march(day)), **options)


def state(hold: Hold) -> tuple[str, Copy | None]:
    hold.refresh_from_db()
    return hold.status, hold.copy if hold.status == HoldStatus.READY else None


def status(copy: Copy) -> str:
    copy.refresh_from_db()
    return copy.status


@pytest.fixture
def lent(db: None) -> Copy:
    """A copy, the only one of its book, that somebody has out."""
    return lend(make_reader("Olga"), make_copy(), on=MONDAY).copy


class TestTheQueue:
    def test_it_is_in_the_order_of_placing(
        self, lent: Copy, anna: Reader, bartek: Reader, celina: Reader
    ) -> None:
        for day, reader in enumerate((celina, anna, bartek), start=2):
            place(reader, lent.book, day=day)
        assert queue(lent.book) == [(celina, 1), (anna, 2), (bartek, 3)]

    def test_two_at_the_same_moment_stand_in_the_order_of_their_numbers(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        place(bartek, lent.book)
        place(anna, lent.book)
        assert queue(lent.book) == [(bartek, 1), (anna, 2)]

    def test_it_closes_up_without_gaps_when_one_leaves(
        self, lent: Copy, anna: Reader, bartek: Reader, celina: Reader
    ) -> None:
        first = place(anna, lent.book, day=2)
        place(bartek, lent.book, day=3)
        place(celina, lent.book, day=4)
        holds.cancel(first, at=noon(march(5)))
        assert queue(lent.book) == [(bartek, 1), (celina, 2)]

    def test_a_reader_who_comes_back_stands_at_the_end(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        holds.cancel(place(anna, lent.book, day=2), at=noon(march(3)))
        place(bartek, lent.book, day=3)
        place(anna, lent.book, day=4)
        assert queue(lent.book) == [(bartek, 1), (anna, 2)]


class TestPlacing:
    def refusal(self, reader: Reader, book: Book, *, day: int = 2) -> list[str]:
        with pytest.raises(holds.HoldRefusedError) as refused:
            place(reader, book, day=day)
        return codes(refused.value)

    def test_a_second_hold_on_the_same_book_is_refused(self, lent: Copy, anna: Reader) -> None:
        place(anna, lent.book)
        assert self.refusal(anna, lent.book) == ["already_on_hold"]

    def test_also_while_the_first_is_ready(self, lent: Copy, anna: Reader) -> None:
        place(anna, lent.book)
        take_back(lent, on=march(3))
        assert self.refusal(anna, lent.book, day=3) == ["already_on_hold"]

    def test_the_database_itself_refuses_a_second_active_hold(
        self, lent: Copy, anna: Reader
    ) -> None:
        place(anna, lent.book)
        with pytest.raises(IntegrityError), transaction.atomic():
            Hold.objects.create(book=lent.book, reader=anna, placed_at=noon(march(3)))

    def test_a_hold_on_a_book_the_reader_has_out_is_refused(self, anna: Reader) -> None:
        copy = lend(anna, make_copy()).copy
        assert self.refusal(anna, copy.book) == ["already_borrowed"]

    def test_the_most_holds_allowed_are_three(self, anna: Reader) -> None:
        for _ in range(3):
            place(anna, make_copy().book)
        assert self.refusal(anna, make_copy().book) == ["too_many_holds"]

    def test_holds_that_are_over_do_not_count(self, anna: Reader) -> None:
        set_policy(max_holds=1)
        holds.cancel(place(anna, make_copy().book), at=noon(march(3)))
        assert place(anna, make_copy().book)

    @pytest.mark.parametrize("gone", [CopyStatus.WITHDRAWN, CopyStatus.LOST])
    def test_a_book_whose_copies_are_all_gone_is_not_waited_for(
        self, anna: Reader, gone: CopyStatus
    ) -> None:
        assert self.refusal(anna, make_copy(status=gone).book) == ["no_copy_to_wait_for"]

    def test_a_book_without_copies_is_not_waited_for(self, anna: Reader) -> None:
        assert self.refusal(anna, make_book()) == ["no_copy_to_wait_for"]

    def test_a_copy_in_repair_is_waited_for(self, anna: Reader) -> None:
        assert place(anna, make_copy(status=CopyStatus.IN_REPAIR).book)

    @pytest.mark.parametrize(
        ("fields", "code"),
        [
            ({"is_active": False}, "reader_inactive"),
            ({"expiry_date": march(1)}, "reader_expired"),
            ({"is_blocked": True, "block_reason": "Lost keys"}, "reader_blocked"),
        ],
    )
    def test_a_reader_who_may_not_borrow_may_not_wait(
        self, fields: dict[str, Any], code: str
    ) -> None:
        assert self.refusal(make_reader(**fields), make_copy().book) == [code]

    def test_without_any_policy_it_is_refused_and_says_why(self, anna: Reader) -> None:
        LoanPolicy.objects.all().delete()
        assert self.refusal(anna, make_copy().book) == ["no_policy"]


class TestTheHoldShelf:
    def test_a_returned_copy_waits_for_the_first_in_the_queue(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        first, second = place(anna, lent.book, day=2), place(bartek, lent.book, day=3)
        done = take_back(lent, on=march(4))
        assert done.shelved is not None
        assert done.shelved.hold == first
        assert state(first) == ("ready", lent)
        assert state(second) == ("waiting", None)
        assert status(lent) == CopyStatus.ON_HOLD_SHELF

    def test_its_days_run_from_the_return_and_not_from_the_placing(self, anna: Reader) -> None:
        copy = lend(make_reader(), make_copy(), on=date(2026, 1, 21)).copy
        hold = holds.place(anna, copy.book, at=noon(date(2026, 1, 22)))
        take_back(copy, on=date(2026, 2, 4))
        hold.refresh_from_db()
        assert hold.pickup_until == date(2026, 2, 11)

    def test_the_last_day_is_an_open_one(self, lent: Copy, anna: Reader) -> None:
        close_on(Weekday.MONDAY)
        hold = place(anna, lent.book)
        take_back(lent, on=march(8))
        hold.refresh_from_db()
        assert hold.pickup_until == march(17)  # the 15th is a Sunday

    def test_the_days_are_those_of_the_reader_s_rule(self, lent: Copy) -> None:
        child = ReaderCategory.objects.create(name="Child")
        LoanPolicy.objects.create(category=child, hold_shelf_days=2, fine_factor=0)
        hold = place(make_reader("Daniel", category=child), lent.book)
        take_back(lent, on=march(3))
        hold.refresh_from_db()
        assert hold.pickup_until == march(5)

    def test_scanning_the_copy_again_changes_nothing(self, lent: Copy, anna: Reader) -> None:
        hold = place(anna, lent.book)
        take_back(lent, on=march(4))
        again = take_back(lent, on=march(6))
        assert again.shelved is None
        assert "on the hold shelf for Anna Nowak until Wed 11 Mar 2026" in again.message
        hold.refresh_from_db()
        assert hold.pickup_until == march(11)
        assert hold.history.count() == 2

    def test_two_copies_serve_two_readers(self, lent: Copy, anna: Reader, bartek: Reader) -> None:
        other = lend(make_reader(), make_copy(lent.book)).copy
        first, second = place(anna, lent.book, day=2), place(bartek, lent.book, day=3)
        take_back(other, on=march(4))
        take_back(lent, on=march(4))
        assert (state(first), state(second)) == (("ready", other), ("ready", lent))

    def test_the_database_itself_refuses_a_second_ready_hold_of_a_copy(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        place(anna, lent.book)
        take_back(lent, on=march(3))
        with pytest.raises(IntegrityError), transaction.atomic():
            Hold.objects.create(
                book=lent.book,
                reader=bartek,
                placed_at=noon(march(3)),
                status=HoldStatus.READY,
                copy=lent,
                pickup_until=march(10),
            )


class TestPickingUp:
    def test_a_copy_on_the_shelf_is_for_one_reader(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        first, second = place(anna, lent.book, day=2), place(bartek, lent.book, day=3)
        take_back(lent, on=march(4))
        with pytest.raises(desk.CheckOutRefusedError, match="on the hold shelf for Anna Nowak"):
            lend(bartek, lent, on=march(4))
        lend(anna, lent, on=march(4))
        assert state(first)[0] == "fulfilled"
        take_back(lent, on=march(5))
        assert state(second) == ("ready", lent)

    def test_the_first_in_the_queue_may_take_a_free_copy_before_being_told(
        self, anna: Reader, bartek: Reader
    ) -> None:
        copy = make_copy()
        first, second = place(anna, copy.book, day=2), place(bartek, copy.book, day=3)
        lend(anna, copy, on=march(4))
        assert state(first)[0] == "fulfilled"
        assert queue(copy.book) == [(bartek, 1)]
        assert state(second)[0] == "waiting"

    def test_the_second_may_not_while_there_is_one_copy(self, anna: Reader, bartek: Reader) -> None:
        copy = make_copy()
        place(anna, copy.book, day=2)
        place(bartek, copy.book, day=3)
        with pytest.raises(desk.CheckOutRefusedError) as refused:
            lend(bartek, copy, on=march(4))
        assert codes(refused.value) == ["held_for_others"]

    @pytest.mark.parametrize(("free", "may"), [(1, False), (2, False), (3, True)])
    def test_one_who_does_not_wait_may_take_what_the_waiting_leave(
        self, anna: Reader, bartek: Reader, celina: Reader, free: int, may: bool
    ) -> None:
        book = make_book()
        copies = [make_copy(book) for _ in range(free)]
        place(anna, book, day=2)
        place(bartek, book, day=3)
        if may:
            assert lend(celina, copies[0], on=march(4))
            return
        with pytest.raises(desk.CheckOutRefusedError) as refused:
            lend(celina, book, on=march(4))
        assert codes(refused.value) == ["held_for_others"]

    def test_a_reader_with_a_copy_on_the_shelf_who_takes_another_sets_it_free(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        first, second = place(anna, lent.book, day=2), place(bartek, lent.book, day=3)
        take_back(lent, on=march(4))
        other = make_copy(lent.book)
        lend(anna, other, on=march(4))
        assert state(first)[0] == "fulfilled"
        assert state(second) == ("ready", lent)

    def test_and_into_the_open_shelves_where_nobody_waits(self, lent: Copy, anna: Reader) -> None:
        place(anna, lent.book)
        take_back(lent, on=march(4))
        lend(anna, make_copy(lent.book), on=march(4))
        assert status(lent) == CopyStatus.AVAILABLE

    def test_a_copy_given_away_by_override_sends_its_hold_back_to_the_head(
        self, lent: Copy, anna: Reader, bartek: Reader, celina: Reader, maria: Reader
    ) -> None:
        first = place(anna, lent.book, day=2)
        place(bartek, lent.book, day=3)
        take_back(lent, on=march(4))
        lend(celina, lent, on=march(4), by=maria, override=overriding("held_for_others"))
        assert state(first) == ("waiting", None)
        assert queue(lent.book) == [(anna, 1), (bartek, 2)]

    def test_two_ready_readers_may_swap_their_copies(
        self, lent: Copy, anna: Reader, bartek: Reader, maria: Reader
    ) -> None:
        other = lend(make_reader(), make_copy(lent.book)).copy
        first, second = place(anna, lent.book, day=2), place(bartek, lent.book, day=3)
        take_back(lent, on=march(4))
        take_back(other, on=march(4))
        lend(anna, other, on=march(5), by=maria, override=overriding("held_for_others"))
        assert state(first)[0] == "fulfilled"
        assert state(second) == ("ready", lent)
        assert status(other) == CopyStatus.ON_LOAN

    def test_a_hold_that_lies_too_long_can_be_picked_up_until_the_job_comes(
        self, lent: Copy, anna: Reader
    ) -> None:
        hold = place(anna, lent.book)
        take_back(lent, on=march(4))
        lend(anna, lent, on=march(30))
        assert state(hold)[0] == "fulfilled"
        assert holds.expire(on=march(30)) == 0


class TestLeaving:
    def test_a_cancelled_ready_hold_passes_its_copy_on(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        first, second = place(anna, lent.book, day=2), place(bartek, lent.book, day=3)
        take_back(lent, on=march(4))
        passed = holds.cancel(first, at=noon(march(5)))
        assert passed is not None
        assert passed.hold == second
        assert (state(first)[0], state(second)) == ("cancelled", ("ready", lent))
        second.refresh_from_db()
        assert second.pickup_until == march(12)

    def test_with_nobody_waiting_its_copy_is_free(self, lent: Copy, anna: Reader) -> None:
        hold = place(anna, lent.book)
        take_back(lent, on=march(4))
        assert holds.cancel(hold, at=noon(march(5))) is None
        assert status(lent) == CopyStatus.AVAILABLE

    def test_a_cancelled_waiting_hold_touches_no_copy(self, lent: Copy, anna: Reader) -> None:
        assert holds.cancel(place(anna, lent.book), at=noon(march(5))) is None
        assert status(lent) == CopyStatus.ON_LOAN

    def test_a_hold_that_is_over_cannot_be_cancelled(self, lent: Copy, anna: Reader) -> None:
        hold = place(anna, lent.book)
        holds.cancel(hold, at=noon(march(5)))
        with pytest.raises(holds.HoldNotActiveError, match="Cancelled"):
            holds.cancel(hold, at=noon(march(5)))

    def test_a_stale_ready_hold_in_memory_does_not_free_a_lent_copy(
        self, lent: Copy, anna: Reader
    ) -> None:
        hold = place(anna, lent.book)
        take_back(lent, on=march(4))
        hold.refresh_from_db()
        lend(anna, lent, on=march(4))
        with pytest.raises(holds.HoldNotActiveError):
            holds.cancel(hold, at=noon(march(5)))
        assert status(lent) == CopyStatus.ON_LOAN


class TestExpiry:
    def test_a_hold_is_kept_through_its_last_day(self, lent: Copy, anna: Reader) -> None:
        hold = place(anna, lent.book)
        take_back(lent, on=march(4))
        assert holds.expire(on=march(11)) == 0
        assert state(hold) == ("ready", lent)
        assert holds.expire(on=march(12)) == 1
        assert state(hold)[0] == "expired"
        assert status(lent) == CopyStatus.AVAILABLE

    def test_the_copy_passes_on_once_however_often_the_job_runs(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        first, second = place(anna, lent.book, day=2), place(bartek, lent.book, day=3)
        take_back(lent, on=march(4))
        assert [holds.expire(on=march(12)) for _ in range(2)] == [1, 0]
        assert (state(first)[0], state(second)) == ("expired", ("ready", lent))
        second.refresh_from_db()
        assert second.pickup_until == march(19)
        assert second.history.count() == 2

    def test_a_late_job_gives_the_next_reader_the_full_days(
        self, lent: Copy, anna: Reader, bartek: Reader
    ) -> None:
        place(anna, lent.book, day=2)
        second = place(bartek, lent.book, day=3)
        take_back(lent, on=march(4))
        assert holds.expire(on=march(30)) == 1
        second.refresh_from_db()
        assert second.pickup_until == date(2026, 4, 6)

    def test_without_ready_holds_there_is_nothing_to_do(self, lent: Copy, anna: Reader) -> None:
        place(anna, lent.book)
        assert holds.expire(on=march(30)) == 0

    def test_a_reader_whose_hold_expired_may_place_another(self, lent: Copy, anna: Reader) -> None:
        place(anna, lent.book)
        take_back(lent, on=march(4))
        holds.expire(on=march(12))
        assert place(anna, lent.book, day=12)


class TestCopiesThatGoAway:
    @pytest.mark.parametrize("away", [CopyStatus.WITHDRAWN, CopyStatus.IN_REPAIR, CopyStatus.LOST])
    def test_a_shelf_copy_that_goes_sends_its_hold_to_the_head(
        self, lent: Copy, anna: Reader, bartek: Reader, away: CopyStatus
    ) -> None:
        first = place(anna, lent.book, day=2)
        place(bartek, lent.book, day=3)
        take_back(lent, on=march(4))
        assert stock.take_out(lent, away) == first
        assert state(first) == ("waiting", None)
        assert queue(lent.book) == [(anna, 1), (bartek, 2)]
        assert status(lent) == away

    def test_a_copy_brought_back_waits_to_be_pulled(self, anna: Reader) -> None:
        copy = make_copy(status=CopyStatus.IN_REPAIR)
        hold = place(anna, copy.book)
        stock.bring_back(copy)
        assert state(hold)[0] == "waiting"
        assert holds.to_pull().get() == hold


class TestThePullList:
    def test_it_names_as_many_as_there_are_free_copies(
        self, anna: Reader, bartek: Reader, celina: Reader
    ) -> None:
        book = make_book()
        make_copy(book)
        make_copy(book)
        expected = [place(anna, book, day=2), place(bartek, book, day=3)]
        place(celina, book, day=4)
        assert list(holds.to_pull()) == expected

    def test_a_book_without_a_free_copy_is_not_on_it(self, lent: Copy, anna: Reader) -> None:
        place(anna, lent.book)
        assert not holds.to_pull().exists()

    def test_pulling_is_scanning(self, anna: Reader) -> None:
        copy = make_copy()
        hold = place(anna, copy.book)
        take_back(copy, on=march(3))
        assert state(hold) == ("ready", copy)
        assert not holds.to_pull().exists()


def test_who_waits_ahead_is_counted_from_one_s_own_place(
    anna: Reader, bartek: Reader, celina: Reader
) -> None:
    book = make_copy().book
    place(anna, book)
    own = place(bartek, book)  # at the same moment
    place(celina, book)
    assert waiting_ahead(book.pk, own) == 1
    assert waiting_ahead(book.pk, None) == 3


def test_the_rule_of_a_hold_is_that_of_a_copy_one_could_get(anna: Reader) -> None:
    film = ItemType.objects.create(name="Film")
    LoanPolicy.objects.create(item_type=film, max_holds=0, fine_factor=0)
    copy = make_copy(item_type=film)
    with pytest.raises(holds.HoldRefusedError):
        place(anna, copy.book)
    make_copy(copy.book)
    assert place(anna, copy.book)


def test_the_day_of_a_hold_is_the_library_s_own(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    reader = make_reader(expiry_date=march(2))
    half_past_midnight = datetime(2026, 3, 2, 23, 30, tzinfo=ZoneInfo("UTC"))
    with pytest.raises(holds.HoldRefusedError):
        holds.place(reader, make_copy().book, at=half_past_midnight)
    assert holds.place(reader, make_copy().book, at=half_past_midnight - timedelta(hours=1))
