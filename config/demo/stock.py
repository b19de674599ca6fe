"""The demo's rules and stock: closing days, policies, and copies of the titles in `fixtures/`."""

import csv
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import BytesIO, StringIO
from typing import Any

from catalog.models import ItemType
from circulation.models import ClosedDay, ClosedWeekday, LoanPolicy, ReaderCategory, Weekday
from config.demo import BASE_DIR
from config.demo.people import CHILD, TEACHER

CATALOGUE = BASE_DIR / "fixtures" / "gutenberg_catalog.csv"
AUDIO, FILM = "Audio", "Film"
ITEM_TYPES = {"Sound": AUDIO, "MovingImage": FILM}
# The records that lending.py uses again and again; the library has three copies of each.
POPULAR = (
    *(11, 12, 16, 35, 36, 43, 45, 55, 74, 76, 84, 98, 120, 132, 135, 145, 158, 161, 164, 174),
    *(205, 219, 244, 345, 514, 521, 730, 768, 996, 1184, 1232, 1260, 1342, 1399, 1400, 1661),
    *(1727, 2500, 2542, 2554, 2591, 2600, 2641, 2680, 2701, 2814, 2852, 4300, 5200, 6130),
)


def barcode(record: int, number: int = 1) -> str:
    """Return the barcode of a record's copy, from 1: short enough to type."""
    return f"{record:05d}-{number}"


def make_rules(*, today: date) -> None:
    """Make the item types, the policies and the days on which the demo's library is closed."""
    for name in ITEM_TYPES.values():
        ItemType.objects.get_or_create(name=name)
    ClosedWeekday.objects.get_or_create(weekday=Weekday.SUNDAY)
    for year in (today.year - 1, today.year, today.year + 1):
        for month, day, reason in ((1, 1, "New Year"), (12, 25, "Christmas")):
            ClosedDay.objects.get_or_create(
                date=date(year, month, day), defaults={"reason": reason}
            )
    _set_policy(None, None)
    _set_policy(CHILD, None, loan_days=21, max_loans=8, fine_per_day=Decimal("0.10"), fine_cap=2)
    _set_policy(TEACHER, None, loan_days=28, max_loans=15, grace_days=2)
    _set_policy(None, FILM, loan_days=7, max_loans=2, max_renewals=0, fine_per_day=Decimal("1.00"))


def _set_policy(category: str | None, item_type: str | None, **terms: Any) -> None:
    defaults = {
        "fine_factor": None,
        "fine_per_day": Decimal("0.50"),
        "fine_cap": Decimal("10.00"),
        **terms,
    }
    LoanPolicy.objects.update_or_create(
        category=ReaderCategory.objects.get_or_create(name=category)[0] if category else None,
        item_type=ItemType.objects.get(name=item_type) if item_type else None,
        defaults=defaults,
    )


def copies_file() -> BytesIO:
    """Return a file of copies, one to three for each title, to be imported like any other."""
    made = StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(["barcode", "source_id", "item_type", "price"])
    writer.writerows(_copies())
    return BytesIO(made.getvalue().encode())


def _copies() -> Iterator[tuple[str, int, str, str]]:
    with CATALOGUE.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            record = int(row["Text#"])
            price = f"{10 + record % 25}.50" if record % 3 == 0 else ""
            for number in range(1, _how_many(record) + 1):
                yield barcode(record, number), record, ITEM_TYPES.get(row["Type"], ""), price


def _how_many(record: int) -> int:
    if record in POPULAR:
        return 3
    return 1 + (record % 5 == 0) + (record % 35 == 0)
