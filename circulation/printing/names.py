"""How readers are named on what is printed, and in what is said about it."""

from collections.abc import Sequence

from circulation.models import Reader

MOST = 10
CARD_END = 4
"""The figures of a card that are shown: a hold shelf is read by everybody."""


def for_the_shelf(reader: Reader) -> tuple[str, str]:
    """Return how a reader is told apart without being named in full: “Nowak A.” and “…0042”."""
    initial = f" {reader.first_name[0]}." if reader.first_name else ""
    card = f"…{reader.card_number[-CARD_END:]}" if reader.card_number else ""
    return f"{reader.last_name}{initial}".strip(), card


def listed(names: Sequence[object]) -> str:
    """Return the first few of many names, and whether there are more."""
    return ", ".join(map(str, names[:MOST])) + (" …" if len(names) > MOST else "")
