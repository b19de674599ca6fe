"""The local day of an instant: the same in the database as here, whatever the clocks do."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from alerts.local_days import LocalDay, midnight, runs
from alerts.office_acts import OfficeAct

pytestmark = pytest.mark.django_db
MOMENT = timedelta(microseconds=1)


def days_of(first: date, last: date) -> dict[datetime, date]:
    """Return the day of each instant as the database tells it."""
    acts: Any = OfficeAct.objects.annotate(day=LocalDay("at", first=first, last=last))
    return dict(acts.values_list("at", "day"))


@pytest.mark.parametrize(
    ("zone", "first", "days"),
    [
        ("UTC", date(2026, 3, 28), 3),
        ("Europe/Warsaw", date(2026, 3, 27), 5),
        ("Europe/Warsaw", date(2026, 10, 23), 5),
        ("Asia/Kolkata", date(2026, 3, 2), 3),
        ("Asia/Kathmandu", date(1985, 12, 30), 4),  # from +5:30 to +5:45
        ("Australia/Lord_Howe", date(2026, 4, 3), 4),  # by half an hour
        ("Australia/Lord_Howe", date(2026, 10, 2), 4),
        ("America/Sao_Paulo", date(2018, 11, 2), 4),  # a day without a midnight
        ("America/Sao_Paulo", date(2018, 2, 16), 4),  # 23 o'clock comes twice
        ("America/Havana", date(2026, 10, 30), 4),  # midnight comes twice
        ("Pacific/Apia", date(2011, 12, 28), 5),  # 30 December was left out
    ],
)
def test_the_database_tells_the_day_as_the_library_s_clock(
    settings: Settings, zone: str, first: date, days: int
) -> None:
    settings.TIME_ZONE = zone
    last = first + timedelta(days=days - 1)
    begin, end = midnight(first), midnight(last + timedelta(days=1))
    begin, end = begin.astimezone(UTC), end.astimezone(UTC)
    instants = {begin, end - MOMENT}
    instants |= {begin + timedelta(minutes=15) * number for number in range(days * 4 * 26)}
    instants |= {instant - MOMENT for instant in instants}
    inside = sorted(instant for instant in instants if begin <= instant < end)
    OfficeAct.objects.bulk_create(OfficeAct(at=instant, what="x") for instant in inside)
    expected = {instant: timezone.localdate(instant) for instant in inside}
    assert days_of(first, last) == expected
    assert len(set(expected.values())) >= days - 1


def test_a_year_is_a_few_runs_of_days(settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    found = list(runs(date(2026, 1, 1), date(2026, 12, 31)))
    odd = [run.odd_day for run in found]
    assert odd == [None, date(2026, 3, 29), None, date(2026, 10, 25), None]
    assert [run.offset.total_seconds() / 3600 for run in found[::2]] == [1, 2, 1]


def test_no_row_is_asked_of_python() -> None:
    with CaptureQueriesContext(connection) as asked:
        days_of(date(2026, 3, 1), date(2026, 3, 2))
    assert "django_" not in asked[0]["sql"]
