"""What a page is cut from, where counting the rows needs less than showing them."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Listed:
    """Counted in one table, shown in its order with all that is joined or computed."""

    counted: Any
    shown: Any

    def count(self) -> int:
        return self.counted.count()

    def __getitem__(self, part: slice) -> Any:
        return self.shown[part]

    def values(self, key: str) -> Any:
        """Return the keys alone, in the order in which they are shown."""
        return self.counted.order_by(*self.shown.query.order_by).values(key)

    def filter(self, **which: Any) -> Any:
        return self.shown.filter(**which)
