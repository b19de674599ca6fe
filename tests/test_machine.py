"""A library and its accounts, run by chance: whatever is done in whatever order, all agrees."""

from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from typing import Any

import pytest
from django.db.models import F, OuterRef, Q, Subquery
from django.test import override_settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from billing import accounts, charges
from billing.models import Charge, ChargeKind, Payment, PaymentStatus, Refund
from catalog import imports, inventory
from catalog.models import Book, Copy, CopyStatus
from circulation import blocks, desk, fines, holds, rules, stock, undo
from circulation.models import DeskAct, Hold, HoldStatus, Loan, Reader
from circulation.refusals import Overriding, RefusedError
from config import integrity
from tests import machine
from tests.factories import (
    MONDAY,
    Weekday,
    close_on,
    make_book,
    make_copy,
    noon,
    set_policy,
)
from tests.machine_accounts import GATEWAYS, Accounts, Till

# These look at the database and not at what the acts do; they run once, at the end.
SLOW_CHECKS = {
    "the_database_has_its_constraints",
    "the_database_file_is_sound",
    "search_index_is_current",
}
OVERRIDABLE = frozenset(
    {
        "held_for_others",
        "reader_blocked",
        "reader_expired",
        "too_many_loans",
        "too_many_renewals",
        "unpaid_charges",
    }
)

few = st.integers(0, 20)
rarely = st.integers(0, 5).map(lambda n: n == 5)


class Library(Accounts):
    """Three books, a calendar, and money."""

    refusals = (
        *Accounts.refusals,
        RefusedError,
        stock.StockRefusedError,
        holds.HoldNotActiveError,
        inventory.InventoryRefusedError,
    )
    kept = (*Accounts.kept, Copy, Loan, Hold, DeskAct)
    checks = tuple(check for check in integrity.CHECKS if check.name not in SLOW_CHECKS)

    @initialize(fee=st.sampled_from(["0.00", "0.35"]), cap=st.sampled_from(["3.00", "10.00", None]))
    def open_the_library(self, fee: str, cap: str | None) -> None:
        self.open_the_accounts()
        set_policy(fine_cap=cap, max_loans=3, hold_shelf_days=4)
        close_on(Weekday.SUNDAY)
        self.books = [
            make_book(f"Book {copies}", daily_fee=fee, source_id=str(copies))
            for copies in (1, 2, 3)
        ]
        for number, book in enumerate(self.books, start=1):
            for _ in range(number):
                make_copy(book)
        self.today = MONDAY
        self.moments = 0
        self.final_fines: dict[int, Decimal] = {}

    def override(self, wanted: bool) -> Overriding | None:
        return Overriding(OVERRIDABLE, "By chance") if wanted else None

    @rule(
        reader=few,
        copy=few,
        is_any=rarely,
        override=rarely,
        days=st.none() | st.integers(-1, 30),
    )
    def lend(self, reader: int, copy: int, is_any: bool, override: bool, days: int | None) -> None:
        copies = Copy.objects.all()
        free = copies.filter(status=CopyStatus.AVAILABLE)
        item = self.pick(copies if is_any or not free else free, copy)
        self.act(
            "lend",
            lambda: desk.check_out(
                self.readers[reader % 4],
                item,
                due=None if days is None else self.today + timedelta(days=days),
                by=self.librarian,
                override=self.override(override),
                on=self.today,
            ),
        )

    @rule(reader=few, book=few, override=rarely)
    def lend_any(self, reader: int, book: int, override: bool) -> None:
        self.act(
            "lend_any",
            lambda: desk.check_out(
                self.readers[reader % 4],
                self.books[book % 3],
                by=self.librarian,
                override=self.override(override),
                on=self.today,
            ),
        )

    @rule(copy=few)
    def scan(self, copy: int) -> None:
        item = self.pick(Copy.objects.all(), copy)
        self.act("scan", lambda: desk.check_in(item, by=self.librarian, today=self.today))

    @rule(loan=few, days=st.just(0) | st.integers(-1, 12))
    def take_back(self, loan: int, days: int) -> None:
        out = self.pick(Loan.objects.unreturned(), loan)
        dated = self.today - timedelta(days=days)
        if out is not None:
            self.act(
                "take_back",
                lambda: desk.check_in(out.copy, on=dated, by=self.librarian, today=self.today),
            )

    @rule(loan=few, is_any=rarely, override=st.booleans())
    def renew(self, loan: int, is_any: bool, override: bool) -> None:
        out = self.pick(Loan.objects.all() if is_any else Loan.objects.open(), loan)
        if out is not None:
            self.act(
                "renew",
                lambda: desk.renew(
                    out, by=self.librarian, override=self.override(override), on=self.today
                ),
            )

    @rule(reader=few, book=few)
    def place_hold(self, reader: int, book: int) -> None:
        self.moments += 1
        at = noon(self.today) + timedelta(seconds=self.moments // 2)  # now and then two at once
        self.act(
            "place_hold", lambda: holds.place(self.readers[reader % 4], self.books[book % 3], at=at)
        )

    @rule(hold=few, is_any=rarely)
    def cancel_hold(self, hold: int, is_any: bool) -> None:
        found = self.pick(Hold.objects.all() if is_any else Hold.objects.active(), hold)

        def cancel() -> bool:
            holds.cancel(found, by=self.librarian, at=noon(self.today), on=self.today)
            return True

        if found is not None:
            self.act("cancel_hold", cancel)

    @rule(loan=few, is_any=rarely)
    def mark_lost(self, loan: int, is_any: bool) -> None:
        out = self.pick(Loan.objects.all() if is_any else Loan.objects.open(), loan)
        if out is not None:
            self.act("mark_lost", lambda: desk.mark_lost(out, by=self.librarian, on=self.today))

    @rule(back=st.integers(0, 3))
    def undo_one_of_the_last(self, back: int) -> None:
        acts = list(DeskAct.objects.order_by("-pk")[: back + 1])
        if acts:
            self.act("undo", lambda: undo.undo(acts[-1], by=self.librarian, on=self.today))

    @rule(
        copy=few,
        status=st.sampled_from([CopyStatus.WITHDRAWN, CopyStatus.IN_REPAIR, CopyStatus.LOST]),
    )
    def take_out(self, copy: int, status: CopyStatus) -> None:
        item = self.pick(Copy.objects.all(), copy)

        def take_out() -> bool:
            stock.take_out(item, status, by=self.librarian)
            return True

        self.act("take_out", take_out)

    @rule(copy=few)
    def bring_back(self, copy: int) -> None:
        item = self.pick(Copy.objects.filter(status__in=stock.OUT), copy)

        def bring_back() -> bool:
            stock.bring_back(item, by=self.librarian)
            return True

        if item is not None:
            self.act("bring_back", bring_back)

    @rule(book=few, number=st.integers(0, 4))
    def set_inventory(self, book: int, number: int) -> None:
        chosen = self.books[book % 3]

        def write() -> bool:
            inventory.set_inventory(chosen, number, by=self.librarian)
            assert Copy.objects.filter(book=chosen, status=CopyStatus.AVAILABLE).count() == number
            return True

        self.act("set_inventory", write)

    @rule(book=few, number=st.integers(0, 5))
    def import_books(self, book: int, number: int) -> None:
        chosen = self.books[book % 3]
        rows = f"Text#,title,copies\n{chosen.source_id},{chosen.title},{number}\n"

        def run() -> bool | None:
            report = imports.run(
                "books", BytesIO(rows.encode()), by=self.librarian, file_name="books.csv"
            )
            if not report.is_accepted:
                return None
            again = imports.run(
                "books", BytesIO(rows.encode()), by=self.librarian, file_name="books.csv"
            )
            assert (again.new, again.changed, again.unchanged) == (0, 0, 1)
            return True

        self.act("import_books", run)

    @rule(reader=few, is_blocked=st.booleans())
    def block_or_unblock(self, reader: int, is_blocked: bool) -> None:
        who = self.readers[reader % 4]
        Reader.objects.filter(pk=who.pk).update(is_blocked=is_blocked, block_reason="By chance")

    @rule(ahead=st.integers(-3, 20))
    def close_a_day(self, ahead: int) -> None:
        day = self.today + timedelta(days=ahead)
        if rules.calendar().is_open(day):
            close_on(day)

    @rule(nights=st.integers(1, 9), runs=st.booleans())
    def sleep(self, nights: int, runs: bool) -> None:
        """Days go by, with the jobs every night, or with none until the last."""
        for night in range(1, nights + 1):
            self.today += timedelta(days=1)
            if runs or night == nights:
                self.run_jobs(self.today)
        type(self).acted["sleep"] += 1

    def run_jobs(self, on: date) -> None:
        fines.accrue(on=on)
        assert fines.accrue(on=on) == sum(
            fines.quote(loan, on=on).amount == 0
            and not loan.charges.filter(
                kind=ChargeKind.FINE, due_date=loan.expected_return_date
            ).exists()
            for loan in Loan.objects.overdue(on=on)
        )
        holds.expire(on=on)
        assert holds.expire(on=on) == 0
        assert not Hold.objects.ready().filter(pickup_until__lt=on).exists()
        for loan in Loan.objects.overdue(on=on):
            fine = loan.charges.filter(kind=ChargeKind.FINE, is_accruing=True).first()
            taken_off = charges.adjusted(fine) if fine else charges.ZERO
            due = max(fines.quote(loan, on=on).amount, taken_off)
            assert (fine.amount if fine else charges.ZERO) == due

    @invariant()
    def queues_are_in_order_without_gaps(self) -> None:
        for book in Book.objects.all():
            waiting = holds.with_position(Hold.objects.waiting().filter(book=book))
            assert [hold.position for hold in waiting] == list(range(1, len(waiting) + 1))

    @invariant()
    def nobody_has_what_was_not_lent(self) -> None:
        counted = Copy.objects.filter(status=CopyStatus.ON_LOAN).count()
        assert counted == Loan.objects.open().count()
        for hold in Hold.objects.exclude(status__in=(HoldStatus.WAITING, HoldStatus.READY)):
            assert hold.closed_at is not None

    @invariant()
    def what_is_over_costs_no_more(self) -> None:
        closed = Loan.objects.exclude(actual_return_date=None, lost_date=None)
        now = {
            loan.pk: sum(
                (
                    fine.amount - charges.adjusted(fine)
                    for fine in loan.charges.filter(kind=ChargeKind.FINE)
                ),
                charges.ZERO,
            )
            for loan in closed
        }
        for pk, cost in now.items():
            assert cost <= self.final_fines.get(pk, cost)
        self.final_fines = now

    @invariant()
    def only_credit_makes_the_debt_that_counts_less_than_nothing(self) -> None:
        for reader in self.readers:
            counts = blocks.debt_that_counts(reader, on=self.today)
            assert counts + accounts.credit(reader) >= 0

    @invariant()
    def the_audit_ends_with_what_is_so(self) -> None:
        # A draft has no line in the audit before something happens to it.
        happened = Payment.objects.exclude(status=PaymentStatus.PENDING)
        for rows, fields in (
            (Copy.objects.all(), ("status",)),
            (
                Loan.objects.all(),
                ("expected_return_date", "actual_return_date", "lost_date", "renewals"),
            ),
            (Hold.objects.all(), ("status", "copy_id", "pickup_until")),
            (Charge.objects.all(), ("amount", "is_accruing", "description")),
            (happened, ("status", "paid_amount", "refunded_amount", "provider")),
            (Refund.objects.all(), ("status", "amount", "provider_id")),
        ):
            assert not _differing_from_its_history(rows, fields), rows.model


def _differing_from_its_history(rows: Any, fields: tuple[str, ...]) -> list[int]:
    latest = rows.model.history.filter(id=OuterRef("pk")).order_by("-history_id")
    differs = Q(pk__in=[])
    for field in fields:
        name = f"last_{field}"
        rows = rows.annotate(**{name: Subquery(latest.values(field)[:1])})
        same = Q(**{field: F(name)}) | Q(**{f"{field}__isnull": True, f"{name}__isnull": True})
        differs |= ~same
    return list(rows.filter(differs).values_list("pk", flat=True))


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [Library, Till])
@override_settings(PAYMENT_GATEWAYS=GATEWAYS)
def test_whatever_is_done_in_whatever_order_everything_agrees(
    kind: type[machine.Chance], capsys: pytest.CaptureFixture[str]
) -> None:
    machine.run(kind, capsys)
