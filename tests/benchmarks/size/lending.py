"""Ten years of loans, the desk's acts on them, and holds: every invariant of the desk kept."""

from circulation.models import DeskAct, Hold, Loan, Override
from tests.benchmarks.size.filling import Clock, chance, fill, numbers
from tests.benchmarks.size.shape import DAYS, STAFF, TWO_YEARS_OF_DAYS, Shape

LOAN_DAYS = 14
BY = f"1 + i % {STAFF}"


def write(shape: Shape, clock: Clock) -> None:
    _returned(shape, clock)
    _unreturned(shape, clock)
    _acts(shape, clock)
    _holds(shape, clock)


def _returned(shape: Shape, clock: Clock) -> None:
    """Half of these are of a fiftieth of the copies; a fifth, of a fiftieth of the readers."""
    ago = f"(20 + ({shape.returned} - i) * {DAYS} / {shape.loans})"
    # Late ones are so old that they have come back all the same.
    late = f"(i % 7 = 0 AND i % 1000 <> 3 AND {ago} > 60)"
    lent_for = (
        f"CASE WHEN i % 1000 = 3 THEN 0 WHEN {late} THEN {LOAN_DAYS + 1} + {chance('i', 30)} "
        f"ELSE {chance('i', LOAN_DAYS)} END"
    )
    fill(
        Loan,
        numbers(1, shape.returned),
        id="i",
        copy_id=f"CASE WHEN i % 10 < 5 THEN {shape.copies} - {chance('i', shape.best_copies)} "
        f"ELSE 1 + {chance('i', shape.copies)} END",
        reader_id=_reader(shape),
        borrow_date=clock.day(ago),
        expected_return_date=clock.day(f"{ago} - {LOAN_DAYS}"),
        actual_return_date=clock.day(f"{ago} - ({lent_for})"),
        undone_at=f"CASE WHEN i % 1000 = 3 THEN {clock.moment(ago)} END",
        created_at=clock.moment(ago),
        lent_by_id=BY,
        taken_back_by_id="1 + i % 7",
        **_terms(),
    )


def _unreturned(shape: Shape, clock: Clock) -> None:
    """The loan after the last returned one has the copy of slot 0, and so on."""
    slot = f"(i - {shape.returned + 1})"
    days_late = f"(1 + {chance('i', 400)})"
    first_lost = shape.overdue + shape.open
    ago = (
        f"CASE WHEN {slot} < {shape.overdue} THEN {LOAN_DAYS} + {days_late} "
        f"WHEN {slot} < {first_lost} THEN i % {LOAN_DAYS} ELSE 60 + i % {TWO_YEARS_OF_DAYS} END"
    )
    fill(
        Loan,
        numbers(shape.returned + 1, shape.loans),
        id="i",
        copy_id=shape.copy_at(slot),
        reader_id=_reader(shape),
        borrow_date=clock.day(f"({ago})"),
        expected_return_date=clock.day(f"({ago}) - {LOAN_DAYS}"),
        lost_date=f"CASE WHEN {slot} >= {first_lost} THEN {clock.day('30')} END",
        created_at=clock.moment(f"({ago})"),
        lent_by_id=BY,
        **_terms(),
    )


def _reader(shape: Shape) -> str:
    busy = max(shape.readers // 50, 1)
    turn = chance("i", shape.readers, turn=1)
    return f"CASE WHEN i % 5 = 2 THEN 1 + {turn} % {busy} ELSE 1 + {turn} END"


def _terms() -> dict[str, str]:
    return {
        "loan_days": str(LOAN_DAYS),
        "max_renewals": "2",
        "daily_fee": "CASE WHEN i % 5 = 0 THEN 0.10 ELSE 0 END",
        "fine_per_day": "0.10",
        "fine_cap": "10.00",
        "lost_fee": "20.00",
    }


def _acts(shape: Shape, clock: Clock) -> None:
    loans = "FROM circulation_loan WHERE"
    fill(
        DeskAct,
        f"{loans} TRUE",
        id="id",
        loan_id="id",
        kind="'check_out'",
        by_id="lent_by_id",
        date="borrow_date",
        at="created_at",
        undone_at="undone_at",
    )
    fill(
        DeskAct,
        f"{loans} actual_return_date IS NOT NULL AND undone_at IS NULL",
        id=f"{shape.loans} + id",
        loan_id="id",
        kind="CASE WHEN id % 4 = 1 THEN 'renew' ELSE 'check_in' END",
        by_id="taken_back_by_id",
        date="actual_return_date",
        at="created_at",
    )
    fill(
        Override,
        f"{loans} id % 300 = 1",
        loan_id="id",
        block="'limit'",
        message="'The reader has borrowed as much as the rules allow.'",
        reason="'School project ' || id",
        by_id="lent_by_id",
        created_at="created_at",
    )


def _holds(shape: Shape, clock: Clock) -> None:
    """A hold for every reader; the last of them wait for the best books, some at the shelf."""
    shelved = shape.shelved
    waiting = shape.readers // 20
    over = shape.readers - waiting
    fill(
        Hold,
        numbers(1, over),
        book_id=f"1 + {chance('i', shape.books)}",
        reader_id="i",
        placed_at=clock.moment(f"30 + ({over} - i) * {DAYS} / {over}"),
        closed_at=clock.moment(f"10 + ({over} - i) * {DAYS} / {over}"),
        status="CASE i % 7 WHEN 0 THEN 'expired' WHEN 1 THEN 'cancelled' ELSE 'fulfilled' END",
        pickup_until=f"CASE WHEN i % 7 = 0 THEN {clock.day('1 + i % 1000')} END",
    )
    fill(
        Hold,
        numbers(over + 1, shape.readers),
        book_id=f"1 + i % {shape.best_books}",
        reader_id="i",
        placed_at=clock.moment("i % 60"),
        status="'waiting'",
    )
    # These readers have no other active hold: the numbers begin where nobody waits.
    first_slot = shape.overdue + shape.open + shape.lost
    ready = f"JOIN catalog_copy c ON c.id = {shape.copy_at(f'{first_slot} + i - 1')} WHERE"
    fill(
        Hold,
        numbers(1, shelved).replace("WHERE", ready),
        book_id="c.book_id",
        reader_id=f"1 + i % {over}",
        placed_at=clock.moment("10 + i % 60"),
        status="'ready'",
        copy_id="c.id",
        pickup_until=clock.day("i % 8 - 5"),
    )
