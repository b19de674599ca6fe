"""The local day of an instant as the database tells it, at the pace of the database."""

import datetime
from collections.abc import Iterator
from typing import Any, NamedTuple

from django.db.models.functions import TruncDate
from django.utils import timezone

WHOLE_DAY = datetime.timedelta(days=1)


def midnight(day: datetime.date) -> datetime.datetime:
    """Return when a day begins in the library."""
    return timezone.make_aware(datetime.datetime.combine(day, datetime.time.min))


class Run(NamedTuple):
    """Days in a row of 24 hours and of one offset from UTC, or one day of another length."""

    end: datetime.datetime
    """The instant, in UTC, at which the day after begins."""
    offset: datetime.timedelta
    odd_day: datetime.date | None = None


class LocalDay(TruncDate):
    """The library's day of instants that lie from the day `first` to `last`, both included.

    SQLite has no zones and would ask Python for each row, 7 µs a time; so it is told by how much
    the days are shifted. A day on which the clocks change is known by its beginning and end.
    """

    def __init__(
        self, expression: Any, *, first: datetime.date, last: datetime.date, **extra: Any
    ) -> None:
        super().__init__(expression, **extra)
        self.first, self.last = first, last

    def as_sqlite(
        self, compiler: Any, connection: Any, **_context: Any
    ) -> tuple[str, tuple[Any, ...]]:
        column, its_params = compiler.compile(self.lhs)
        whens: list[str] = []
        params: list[Any] = []
        for run in runs(self.first, self.last):
            params += [*its_params, connection.ops.adapt_datetimefield_value(run.end)]
            if run.odd_day is not None:
                whens.append(f"WHEN {column} < %s THEN %s")
                params.append(connection.ops.adapt_datefield_value(run.odd_day))
                continue
            # Without the fraction of the second, which SQLite rounds into the next day.
            whens.append(f"WHEN {column} < %s THEN date(substr({column}, 1, 19), %s)")
            params += [*its_params, f"{run.offset.total_seconds():+.0f} seconds"]
        return f"CASE {' '.join(whens)} END", tuple(params)


def runs(first: datetime.date, last: datetime.date) -> Iterator[Run]:
    """Yield the runs from one day to another, in order."""
    known: Run | None = None
    start = _utc(midnight(first))
    for number in range((last - first).days + 1):
        day = first + datetime.timedelta(days=number)
        end = _utc(midnight(day + WHOLE_DAY))
        offset = datetime.datetime.combine(day, datetime.time.min, datetime.UTC) - start
        run = Run(end, offset, None if end - start == WHOLE_DAY else day)
        if known and (known.offset, known.odd_day) != (run.offset, run.odd_day):
            yield known
        known, start = run, end
    if known:
        yield known


def _utc(instant: datetime.datetime) -> datetime.datetime:
    return instant.astimezone(datetime.UTC)
