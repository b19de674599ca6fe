"""Copies that leave circulation and return, the inventory that is counted, and deletion."""

from decimal import Decimal

import pytest

from billing import charges
from billing.models import ChargeKind
from catalog import inventory
from catalog.models import Book, Copy, CopyStatus
from circulation import deletion, desk, holds, stock
from circulation.models import Reader
from tests.factories import (
    MONDAY,
    lend,
    make_book,
    make_copy,
    make_reader,
    march,
    noon,
    take_back,
)

pytestmark = pytest.mark.usefixtures("rule")

OUT = [CopyStatus.WITHDRAWN, CopyStatus.IN_REPAIR, CopyStatus.LOST]


def free(book: Book) -> set[str]:
    return set(inventory.dispensable(book).values_list("barcode", flat=True))


class TestTakingOut:
    @pytest.mark.parametrize("away", OUT)
    def test_a_copy_leaves_and_comes_back(self, maria: Reader, away: CopyStatus) -> None:
        copy = make_copy()
        assert stock.take_out(copy, away, by=maria) is None
        copy.refresh_from_db()
        assert copy.status == away
        assert copy.history.first().history_user == maria
        stock.bring_back(copy, by=maria)
        copy.refresh_from_db()
        assert copy.status == CopyStatus.AVAILABLE

    @pytest.mark.parametrize("away", OUT)
    def test_a_copy_on_loan_stays(self, anna: Reader, away: CopyStatus) -> None:
        copy = lend(anna, make_copy()).copy
        with pytest.raises(stock.StockRefusedError, match="is on loan"):
            stock.take_out(copy, away)
        copy.refresh_from_db()
        assert copy.status == CopyStatus.ON_LOAN

    @pytest.mark.parametrize(
        "status", [CopyStatus.AVAILABLE, CopyStatus.ON_LOAN, CopyStatus.ON_HOLD_SHELF]
    )
    def test_out_is_not_in(self, status: CopyStatus) -> None:
        with pytest.raises(ValueError, match=status):
            stock.take_out(make_copy(), status)

    def test_the_same_again_leaves_no_line_in_the_audit(self) -> None:
        copy = make_copy()
        stock.take_out(copy, CopyStatus.WITHDRAWN)
        stock.take_out(copy, CopyStatus.WITHDRAWN)
        assert copy.history.count() == 2  # made, withdrawn

    def test_what_a_reader_lost_can_be_written_off_but_not_repaired(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        desk.mark_lost(loan, on=march(3))
        with pytest.raises(stock.StockRefusedError, match="Take it back at the desk"):
            stock.take_out(loan.copy, CopyStatus.IN_REPAIR)
        stock.take_out(loan.copy, CopyStatus.WITHDRAWN)

    def test_a_copy_in_circulation_is_not_brought_back(self, anna: Reader) -> None:
        for copy in (make_copy(), lend(anna, make_copy()).copy):
            with pytest.raises(stock.StockRefusedError, match="in circulation already"):
                stock.bring_back(copy)


class TestInventory:
    def test_it_is_the_number_of_free_copies(self, anna: Reader, bartek: Reader) -> None:
        book = make_book()
        lend(anna, make_copy(book))
        desk.mark_lost(lend(bartek, make_copy(book)), on=march(3))
        make_copy(book, barcode="FREE")
        assert free(book) == {"FREE"}

    def test_without_copies_it_is_none(self) -> None:
        assert free(make_book()) == set()

    def test_copies_on_the_hold_shelf_do_not_count(self, anna: Reader) -> None:
        copy = make_copy()
        holds.place(anna, copy.book, at=noon(MONDAY))
        take_back(copy, on=MONDAY)
        assert free(copy.book) == set()

    def test_raising_it_adds_copies_with_barcodes_of_our_own(self, maria: Reader) -> None:
        book = make_book()
        make_copy(book)
        inventory.set_inventory(book, 3, by=maria)
        assert len(free(book)) == 3
        added = Copy.objects.filter(has_generated_barcode=True)
        assert added.count() == 2
        assert {copy.history.get().history_user for copy in added} == {maria}

    def test_lowering_it_withdraws_the_least_missed(self, anna: Reader) -> None:
        book = make_book()
        make_copy(book, barcode="GENERATED", has_generated_barcode=True)
        make_copy(book, barcode="PRINTED")
        used = make_copy(book, barcode="USED", has_generated_barcode=True)
        take_back(lend(anna, used).copy, on=march(3))
        inventory.set_inventory(book, 2, by=None)
        assert free(book) == {"PRINTED", "USED"}
        inventory.set_inventory(book, 1, by=None)
        assert free(book) == {"USED"}
        inventory.set_inventory(book, 0, by=None)
        assert free(book) == set()
        assert book.copies.filter(status=CopyStatus.WITHDRAWN).count() == 3

    def test_the_same_number_changes_nothing(self) -> None:
        copy = make_copy()
        inventory.set_inventory(copy.book, 1, by=None)
        assert copy.history.count() == 1

    def test_copies_that_are_out_are_left_alone(self, anna: Reader) -> None:
        loan = lend(anna, make_copy())
        inventory.set_inventory(loan.copy.book, 0, by=None)
        loan.copy.refresh_from_db()
        assert loan.copy.status == CopyStatus.ON_LOAN

    @pytest.mark.parametrize("count", [-1, 1001])
    def test_an_impossible_number_is_refused(self, count: int) -> None:
        with pytest.raises(inventory.InventoryRefusedError):
            inventory.set_inventory(make_book(), count, by=None)

    def test_generated_barcodes_avoid_copies_and_cards(self) -> None:
        make_copy(barcode="C00000001")
        make_reader(card_number="C00000003")
        made = inventory.add_copies(make_book(), 2, by=None)
        assert [copy.barcode for copy in made] == ["C00000002", "C00000004"]


class TestDeletion:
    def test_a_reader_without_a_past_goes(self, anna: Reader) -> None:
        deletion.delete_reader(anna)
        assert not Reader.objects.filter(pk=anna.pk).exists()

    def test_a_reader_with_an_open_loan_stays(self, anna: Reader) -> None:
        lend(anna, make_copy())
        with pytest.raises(deletion.DeletionRefusedError, match="loans not returned: 1"):
            deletion.delete_reader(anna)

    def test_a_reader_with_a_past_stays(self, anna: Reader) -> None:
        take_back(lend(anna, make_copy()).copy, on=march(3))
        with pytest.raises(deletion.DeletionRefusedError, match="past loans: 1"):
            deletion.delete_reader(anna)

    def test_a_reader_who_owes_stays(self, anna: Reader) -> None:
        charges.assess(anna, ChargeKind.FINE, Decimal("1.50"), description="Old fine")
        with pytest.raises(deletion.DeletionRefusedError, match=r"1\.50 USD owed"):
            deletion.delete_reader(anna)

    def test_a_reader_who_owed_stays(self, anna: Reader, maria: Reader) -> None:
        charge = charges.assess(anna, ChargeKind.FINE, Decimal("1.50"), description="Old fine")
        assert charge is not None
        charges.waive(charge, Decimal("1.50"), by=maria, reason="Ill")
        with pytest.raises(deletion.DeletionRefusedError, match="settled charges"):
            deletion.delete_reader(anna)

    def test_a_reader_who_waits_stays(self, anna: Reader) -> None:
        holds.place(anna, make_copy().book, at=noon(MONDAY))
        with pytest.raises(deletion.DeletionRefusedError, match="holds: 1"):
            deletion.delete_reader(anna)

    def test_staff_whose_name_stands_in_the_records_stay(self, anna: Reader, maria: Reader) -> None:
        lend(anna, make_copy(), by=maria)
        with pytest.raises(deletion.DeletionRefusedError, match="staff in 2 records"):
            deletion.delete_reader(maria)
        assert Reader.objects.filter(pk=maria.pk).exists()

    def test_a_book_goes_with_its_unused_copies(self) -> None:
        copy = make_copy()
        deletion.delete_book(copy.book)
        assert not Book.objects.exists()
        assert not Copy.objects.exists()

    def test_a_book_with_a_copy_on_loan_stays(self, anna: Reader, bartek: Reader) -> None:
        book = make_book()
        make_copy(book)
        lend(anna, make_copy(book))
        take_back(lend(bartek, make_copy(book)).copy, on=march(3))
        with pytest.raises(
            deletion.DeletionRefusedError, match="loans not returned: 1, past loans: 1"
        ):
            deletion.delete_book(book)
        assert Copy.objects.count() == 3

    def test_a_book_that_somebody_waits_for_stays(self, anna: Reader) -> None:
        copy = make_copy()
        holds.place(anna, copy.book, at=noon(MONDAY))
        with pytest.raises(deletion.DeletionRefusedError, match="holds: 1"):
            deletion.delete_book(copy.book)

    def test_an_unused_copy_goes(self) -> None:
        deletion.delete_copy(make_copy())
        assert not Copy.objects.exists()

    def test_a_copy_on_loan_stays(self, anna: Reader) -> None:
        copy = lend(anna, make_copy()).copy
        with pytest.raises(deletion.DeletionRefusedError, match="loans not returned: 1"):
            deletion.delete_copy(copy)

    def test_a_copy_on_the_hold_shelf_stays(self, anna: Reader) -> None:
        copy = make_copy()
        holds.place(anna, copy.book, at=noon(MONDAY))
        take_back(copy, on=MONDAY)
        with pytest.raises(deletion.DeletionRefusedError, match="holds: 1"):
            deletion.delete_copy(copy)
