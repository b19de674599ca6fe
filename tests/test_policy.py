"""The rules as arithmetic: calendars, due dates, fines, roundings, and which policy applies."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from circulation import policy, rules
from circulation.models import ClosedWeekday, LoanPolicy, ReaderCategory, Weekday
from circulation.policy import Calendar, FineTerms
from tests.factories import close_on, march, set_policy

ALWAYS_OPEN = Calendar()
SUNDAYS = Calendar(frozenset({6}))
HALF = FineTerms(Decimal("0.50"), grace_days=2, cap=Decimal("10.00"))

days = st.dates(date(2020, 1, 1), date(2030, 12, 31))
calendars = st.builds(
    lambda weekdays, dates: Calendar(frozenset(weekdays), tuple(sorted(dates))),
    st.sets(st.integers(0, 6), max_size=6),
    st.sets(st.dates(date(2026, 1, 1), date(2026, 3, 31)), max_size=20),
)


def fine(
    due: date, returned: date, terms: FineTerms = HALF, calendar: Calendar = SUNDAYS
) -> Decimal:
    return policy.fine(due=due, returned=returned, terms=terms, calendar=calendar).amount


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [
        ("1.665", "1.67"),
        ("1.664", "1.66"),
        ("0.005", "0.01"),
        ("0.0049", "0.00"),
        ("2.675", "2.68"),
        ("10", "10.00"),
    ],
)
def test_money_is_rounded_half_up_to_cents(amount: str, rounded: str) -> None:
    assert str(policy.money(Decimal(amount))) == rounded


@pytest.mark.parametrize(
    ("closed", "lent", "loan_days", "due"),
    [
        ((), march(2), 14, march(16)),
        ((), date(2026, 3, 22), 14, date(2026, 4, 6)),  # over the change of clocks, then a Sunday
        ((), date(2026, 10, 11), 14, date(2026, 10, 26)),  # and the change back
        ((march(16),), march(2), 14, march(17)),
        ((march(14), march(16), march(17)), march(1), 13, march(18)),  # Saturday to Tuesday
        ((), date(2025, 12, 18), 14, date(2026, 1, 1)),
        ((date(2026, 1, 1),), date(2025, 12, 18), 14, date(2026, 1, 2)),
        ((date(2025, 12, 31), date(2026, 1, 1)), date(2025, 12, 17), 14, date(2026, 1, 2)),
        ((), date(2028, 2, 15), 14, date(2028, 2, 29)),
        ((date(2028, 2, 29),), date(2028, 2, 15), 14, date(2028, 3, 1)),
        ((), date(2027, 2, 15), 14, date(2027, 3, 1)),
    ],
)
def test_a_due_date_on_a_closed_day_moves_to_the_next_open_one(
    closed: tuple[date, ...], lent: date, loan_days: int, due: date
) -> None:
    calendar = Calendar(frozenset({6}), closed)
    assert policy.due_date(lent=lent, loan_days=loan_days, calendar=calendar).date == due


def test_days_of_a_lending_fee_are_counted_before_the_move_off_closed_days() -> None:
    due = policy.due_date(lent=date(2026, 3, 22), loan_days=14, calendar=SUNDAYS)
    assert due == policy.Due(date(2026, 4, 6), days_granted=14)


def test_a_chosen_date_is_moved_off_closed_days_too() -> None:
    due = policy.due_date(lent=march(2), loan_days=14, calendar=SUNDAYS, chosen=march(8))
    assert due == policy.Due(march(9), days_granted=6)


def test_a_calendar_without_open_days_is_an_error_and_no_endless_loop() -> None:
    with pytest.raises(policy.NeverOpenError, match="closed on every day"):
        policy.due_date(lent=march(2), loan_days=14, calendar=Calendar(frozenset(range(7))))


def test_a_closure_of_a_year_but_one_day_still_has_a_due_date() -> None:
    closed = tuple(march(2) + timedelta(days=n) for n in range(365))
    assert Calendar(frozenset(), closed).next_open_day(march(2)) == date(2027, 3, 2)


@pytest.mark.parametrize(
    ("present", "renewed", "chosen", "due", "days_granted"),
    [
        (march(16), march(10), None, march(24), 8),
        (march(16), march(2), None, march(16), 0),  # never earlier, nothing granted
        (march(16), march(16), None, march(30), 14),
        (march(9), march(16), None, march(30), 14),  # overdue: from today
        (march(16), march(10), march(12), march(16), 0),  # a chosen date neither
        (march(16), march(15), None, march(30), 13),  # 29 March is a Sunday
    ],
)
def test_a_renewal_runs_from_today_and_never_to_before_the_present_date(
    present: date, renewed: date, chosen: date | None, due: date, days_granted: int
) -> None:
    renewal = policy.renewed_due_date(
        present=present, renewed=renewed, loan_days=14, calendar=SUNDAYS, chosen=chosen
    )
    assert renewal == policy.Due(due, days_granted)


@pytest.mark.parametrize(
    ("due", "returned", "amount"),
    [
        (march(2), march(2), "0.00"),
        (march(2), march(1), "0.00"),
        (march(2), march(4), "0.00"),  # two open days are within grace
        (march(2), march(5), "1.50"),  # once exceeded, the grace days count
        (march(6), march(9), "0.00"),
        (march(6), march(10), "1.50"),  # Saturday, Monday, Tuesday
        (march(7), march(8), "0.00"),  # only a Sunday
        (march(2), date(2026, 3, 24), "9.50"),  # nineteen open days
        (march(2), date(2026, 3, 25), "10.00"),
        (march(2), date(2026, 4, 7), "10.00"),  # thirty-one
        (date(2025, 12, 31), date(2026, 1, 3), "1.50"),
        (date(2028, 2, 28), date(2028, 3, 2), "1.50"),  # with the 29th
        (date(2026, 3, 27), date(2026, 3, 31), "1.50"),  # over the change of clocks
    ],
)
def test_a_fine_counts_open_days_after_the_due_day(due: date, returned: date, amount: str) -> None:
    assert fine(due, returned) == Decimal(amount)


def test_a_fine_is_rounded_once_over_all_its_days() -> None:
    terms = FineTerms(Decimal("0.333"))
    assert fine(march(2), march(7), terms, ALWAYS_OPEN) == Decimal("1.67")


@pytest.mark.parametrize(
    ("rate", "returned", "amount"),
    [("0.0025", 4, "0.01"), ("0.0025", 3, "0.00"), ("0.1666", 5, "0.50"), ("0", 31, "0.00")],
)
def test_a_rate_keeps_four_decimals(rate: str, returned: int, amount: str) -> None:
    terms = FineTerms(Decimal(rate))
    assert fine(march(2), march(returned), terms, ALWAYS_OPEN) == Decimal(amount)


def test_a_cap_of_nothing_forgives_everything() -> None:
    assert fine(march(2), march(30), FineTerms(Decimal("0.50"), cap=Decimal(0))) == 0


def test_without_a_cap_a_fine_has_no_end() -> None:
    assert fine(march(2), date(2027, 3, 2), FineTerms(Decimal("0.50")), ALWAYS_OPEN) == Decimal(
        "182.50"
    )


@pytest.mark.parametrize(
    ("due", "returned", "terms", "explanation"),
    [
        (march(6), march(10), HALF, "3 open days × 0.50; Sunday not counted"),
        (march(2), march(3), HALF, "1 open day late; forgiven"),
        (march(7), march(8), HALF, "no open day late"),
        (march(9), march(10), FineTerms(Decimal("0.3330")), "1 open day × 0.333"),
        (march(9), march(11), FineTerms(Decimal("100.0000")), "2 open days × 100.00"),
        (
            march(9),
            march(14),
            FineTerms(Decimal("5.0000"), cap=Decimal("10.00")),
            "5 open days × 5.00; limited to 10.00",
        ),
    ],
)
def test_a_fine_explains_its_sum(
    due: date, returned: date, terms: FineTerms, explanation: str
) -> None:
    made = policy.fine(due=due, returned=returned, terms=terms, calendar=SUNDAYS)
    assert made.explanation == explanation


def test_an_explanation_names_three_closed_dates_and_counts_the_rest() -> None:
    calendar = Calendar(frozenset(), tuple(march(day) for day in (3, 4, 5, 6, 7)))
    made = policy.fine(due=march(2), returned=march(10), terms=HALF, calendar=calendar)
    assert made.amount == Decimal("1.50")
    assert made.explanation.endswith(
        "2026-03-03, 2026-03-04, 2026-03-05, 2 more closed days not counted"
    )


def test_a_closed_date_on_a_closed_weekday_is_taken_off_once() -> None:
    calendar = Calendar(frozenset({6}), (march(8),))
    assert calendar.open_days(after=march(6), until=march(10)) == 3


@given(calendars, days, st.integers(0, 400))
def test_counting_open_days_agrees_with_looking_at_each(
    calendar: Calendar, after: date, length: int
) -> None:
    until = after + timedelta(days=length)
    each = sum(calendar.is_open(after + timedelta(days=n)) for n in range(1, length + 1))
    assert calendar.open_days(after=after, until=until) == each


@given(calendars, days)
def test_a_due_date_is_open_and_every_day_before_it_is_closed(
    calendar: Calendar, day: date
) -> None:
    found = calendar.next_open_day(day)
    assert calendar.is_open(found)
    assert not any(calendar.is_open(day + timedelta(days=n)) for n in range((found - day).days))


@given(calendars, days, st.integers(0, 60), st.decimals("0", "5", places=4), st.integers(0, 10))
def test_a_fine_never_shrinks_from_day_to_day_nor_exceeds_its_cap(
    calendar: Calendar, due: date, late: int, rate: Decimal, grace: int
) -> None:
    terms = FineTerms(rate, grace, Decimal("10.00"))
    today = fine(due, due + timedelta(days=late), terms, calendar)
    tomorrow = fine(due, due + timedelta(days=late + 1), terms, calendar)
    assert 0 <= today <= tomorrow <= Decimal("10.00")


@dataclass(frozen=True)
class Cell:
    name: str
    category_id: int | None
    item_type_id: int | None


MATRIX = [
    Cell("anything", None, None),
    Cell("child", 1, None),
    Cell("film", None, 2),
    Cell("child's film", 1, 2),
]


@pytest.mark.parametrize(
    ("category_id", "item_type_id", "names"),
    [
        (1, 2, ["child's film", "child", "film", "anything"]),
        (1, None, ["child", "anything"]),
        (1, 3, ["child", "anything"]),
        (None, 2, ["film", "anything"]),
        (9, 9, ["anything"]),
        (None, None, ["anything"]),
    ],
)
def test_the_most_specific_policy_applies_first(
    category_id: int | None, item_type_id: int | None, names: list[str]
) -> None:
    fitting = policy.by_precedence(MATRIX, category_id=category_id, item_type_id=item_type_id)
    assert [cell.name for cell in fitting] == names


def test_without_a_fitting_policy_there_is_a_clear_error(db: None) -> None:
    LoanPolicy.objects.all().delete()
    with pytest.raises(rules.NoPolicyError, match="Add one for any reader and any item"):
        rules.applicable(category_id=None, item_type_id=None)


def test_a_new_library_has_a_policy_to_lend_by(db: None) -> None:
    default = LoanPolicy.objects.get()
    assert (default.loan_days, default.max_loans, default.max_holds) == (14, 5, 3)
    assert (default.max_renewals, default.grace_days, default.fine_factor) == (2, 0, 1)
    assert default.hold_shelf_days == 7


@pytest.mark.parametrize(
    "fields",
    [
        {"fine_per_day": None},  # a blank rate
        {"fine_factor": "1"},  # both
        {"fine_per_day": "-0.01"},
        {"fine_cap": "-1"},
        {"loan_days": 0},
        {"hold_shelf_days": 0},
        {"lost_fee": None},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(db: None, fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        set_policy(**fields)


def test_there_is_one_policy_per_reader_category_and_item_type(db: None) -> None:
    child = ReaderCategory.objects.create(name="Child")
    LoanPolicy.objects.create(category=child, fine_factor=1)
    for category in (None, child):
        with pytest.raises(ValidationError, match="already"):
            LoanPolicy(category=category, fine_factor=1).full_clean()


def test_the_last_open_weekday_cannot_be_closed(db: None) -> None:
    close_on(*list(Weekday)[:6])
    with pytest.raises(ValidationError, match="At least one day"):
        ClosedWeekday(weekday=Weekday.SUNDAY).full_clean()
    ClosedWeekday.objects.get(weekday=Weekday.MONDAY).full_clean()
