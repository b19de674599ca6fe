"""How large a library is, and how its rows hang together: who has which copy, by number alone."""

from collections.abc import Iterator
from dataclasses import dataclass

STEP = 7919
"""A prime: its multiples meet each copy once before they meet one twice."""
TWO_YEARS_OF_DAYS, DAYS = 730, 3650
STAFF = 8
"""The first few readers work in the library."""


@dataclass(frozen=True)
class Shape:
    """A library that is this share of the largest one, of a million books."""

    share: float

    @property
    def books(self) -> int:
        return round(1_000_000 * self.share)

    @property
    def copies(self) -> int:
        return self.books * 3 // 2

    @property
    def loans(self) -> int:
        return self.books * 2

    @property
    def readers(self) -> int:
        return self.books // 10

    @property
    def best_books(self) -> int:
        """Those that are lent all the time."""
        return self.books // 1000 or 1

    @property
    def best_copies(self) -> int:
        return 30 * self.best_books

    @property
    def overdue(self) -> int:
        return self.loans // 20

    @property
    def open(self) -> int:
        return self.loans // 100

    @property
    def lost(self) -> int:
        return self.loans // 1000

    @property
    def returned(self) -> int:
        """The number of the last loan that came back; the overdue, open and lost ones follow."""
        return self.loans - self.overdue - self.open - self.lost

    @property
    def shelved(self) -> int:
        """Copies on the hold shelf."""
        return self.copies // 500

    @property
    def inverse(self) -> int:
        return pow(STEP, -1, self.copies)

    def statuses(self) -> Iterator[tuple[str, int]]:
        """Yield the statuses of copies in their order, each with the slot at which it ends."""
        end = 0
        for status, number in (
            ("on_loan", self.overdue + self.open),
            ("lost", self.lost),
            ("on_hold_shelf", self.shelved),
            ("in_repair", self.copies // 300),
            ("withdrawn", self.copies // 50),
        ):
            end += number
            yield status, end

    def copy_at(self, slot: str) -> str:
        """Return SQL for the copy of a slot, counted from 0."""
        return f"(1 + ({slot}) * {STEP} % {self.copies})"

    def __str__(self) -> str:
        return f"{self.books:,} books, {self.copies:,} copies, {self.loans:,} loans"
