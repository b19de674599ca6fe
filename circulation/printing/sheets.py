"""The sheets of labels and cards that can be bought, and where each piece lies on them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from django.utils.translation import gettext_lazy

Piece = TypeVar("Piece")

A4 = (210.0, 297.0)
LETTER = (215.9, 279.4)
ID_CARD = (85.6, 54.0)


class Spot(NamedTuple):
    """The upper left corner of a piece, in millimetres from that of the paper."""

    left: float
    top: float


@dataclass(frozen=True)
class Sheet:
    """All sizes are in millimetres, as the makers give them."""

    code: str
    title: Any
    paper: tuple[float, float]
    columns: int
    rows: int
    width: float
    height: float
    left: float
    top: float
    step_right: float
    """From the left edge of a piece to that of the next one."""
    step_down: float
    has_crop_marks: bool = False
    """Plain paper: the pieces have to be cut out."""

    @property
    def places(self) -> int:
        return self.columns * self.rows

    @property
    def is_small(self) -> bool:
        """Whether there is room for little more than the barcode."""
        return self.height < 30

    @property
    def paper_style(self) -> str:
        width, height = self.paper
        return f"width:{width}mm;height:{height}mm"

    @property
    def page_rule(self) -> str:
        """How CSS calls for this paper, to its very edges."""
        width, height = self.paper
        return f"@page {{ size: {width}mm {height}mm; margin: 0 }}"

    @property
    def ruler(self) -> int:
        """The length of the line on the test page, to be measured, in millimetres."""
        return 100 if self.paper[0] > 120 else 50

    def spot(self, place: int, *, right: float = 0, down: float = 0) -> Spot:
        """Return where a place is, counted from 0 by rows, on a printer that is off by so much."""
        row, column = divmod(place, self.columns)
        return Spot(
            round(self.left + column * self.step_right + right, 3),
            round(self.top + row * self.step_down + down, 3),
        )


def laid_out(
    pieces: Sequence[Piece], sheet: Sheet, *, first: int
) -> Iterator[list[tuple[int, Piece]]]:
    """Yield for each sheet its pieces with their places; the first goes to place no. `first`."""
    if not pieces:
        return
    before = first - 1
    for start in range(-before, len(pieces), sheet.places):
        page = range(max(start, 0), min(start + sheet.places, len(pieces)))
        yield [(number - start, pieces[number]) for number in page]


LABELS = (
    Sheet(
        "a4-21",
        gettext_lazy("A4, 3 × 7 labels of 63.5 × 38.1 mm (as Avery L7160)"),
        A4, 3, 7, 63.5, 38.1, 7.25, 15.15, 66.0, 38.1,
    ),
    Sheet(
        "a4-24",
        gettext_lazy("A4, 3 × 8 labels of 70 × 36 mm (as Avery 3490)"),
        A4, 3, 8, 70.0, 36.0, 0.0, 4.5, 70.0, 36.0,
    ),
    Sheet(
        "a4-65",
        gettext_lazy("A4, 5 × 13 labels of 38.1 × 21.2 mm (as Avery L7651)"),
        A4, 5, 13, 38.1, 21.2, 4.75, 10.7, 40.6, 21.2,
    ),
    Sheet(
        "a4-40",
        gettext_lazy("A4, 4 × 10 labels of 48.5 × 25.4 mm (as Avery 3657)"),
        A4, 4, 10, 48.5, 25.4, 8.0, 21.5, 48.5, 25.4,
    ),
    Sheet(
        "letter-30",
        gettext_lazy("US Letter, 3 × 10 labels of 2⅝ × 1 in (as Avery 5160)"),
        LETTER, 3, 10, 66.675, 25.4, 4.7625, 12.7, 69.85, 25.4,
    ),
)  # fmt: skip

CARDS = (
    Sheet(
        "a4-cards",
        gettext_lazy("A4, 2 × 5 cards of 85.6 × 54 mm, to cut out"),
        A4, 2, 5, 85.6, 54.0, 17.4, 11.5, 89.6, 55.0, has_crop_marks=True,
    ),
    Sheet(
        "a4-business",
        gettext_lazy("A4, 2 × 5 cards of 85 × 54 mm, perforated (as Avery C32011)"),
        A4, 2, 5, 85.0, 54.0, 15.0, 13.5, 95.0, 54.0,
    ),
    Sheet(
        "letter-cards",
        gettext_lazy("US Letter, 2 × 5 cards of 3½ × 2 in (as Avery 5371)"),
        LETTER, 2, 5, 88.9, 50.8, 19.05, 12.7, 88.9, 50.8,
    ),
    Sheet(
        "card",
        gettext_lazy("One card of 85.6 × 54 mm, for a card printer"),
        ID_CARD, 1, 1, 85.6, 54.0, 0.0, 0.0, 85.6, 54.0,
    ),
)  # fmt: skip
