"""Readers and staff, the rules they borrow by, and whom they want to hear of."""

from datetime import timedelta
from decimal import Decimal

from django.contrib.auth.models import Group

from catalog.models import AuthorFollow
from catalog.text import fold
from circulation.models import (
    ClosedDay,
    ClosedWeekday,
    ExternalIdentity,
    LoanPolicy,
    Reader,
    ReaderCategory,
    Weekday,
)
from tests.benchmarks.size.filling import Clock, chance, execute, fill, numbers
from tests.benchmarks.size.shape import STAFF, Shape

CATEGORIES = ("Adult", "Child", "Student", "Teacher")
FIRST_NAMES = (
    "Anna Jan Zoë Łukasz María Olga Stanisław Édith Piotr Grace Kwame Yuki Nina Paul".split()
)
LAST_BEGIN = (
    "Nowa Kowal Lem Wiśniew Schmid Dub Garc Ross Tana Okaf Zieliń Wójc Dąb Krów Szy".split()
)
LAST_END = (
    "k ska ski owska tt ois ía i ka or czyk ik rowska ner man berg son sen ów es a e o".split()
)
NAMES = "size_names"


def write(shape: Shape, clock: Clock) -> None:
    _rules(clock)
    _names()
    first, last = len(FIRST_NAMES), len(LAST_BEGIN) * len(LAST_END)
    named = (
        f"JOIN {NAMES} f ON f.kind = 1 AND f.number = i % {first} "
        f"JOIN {NAMES} l ON l.kind = 2 AND l.number = i / {first} % {last} WHERE"
    )
    fill(
        Reader,
        numbers(1, shape.readers).replace("WHERE", named),
        id="i",
        password="'!'",
        email="CASE WHEN i % 10 < 7 THEN 'reader' || i || '@example.org' END",
        first_name="f.name",
        last_name="l.name",
        search_name="l.folded || ' ' || f.folded",
        card_number="'C' || (1000000 + i)",
        category_id=f"CASE WHEN i % 3 = 0 THEN 1 + {chance('i', len(CATEGORIES))} END",
        expiry_date=f"CASE WHEN i % 4 = 0 THEN {clock.day('i % 1500 - 1300')} END",
        is_blocked="i % 200 = 7",
        block_reason="CASE WHEN i % 200 = 7 THEN 'Returns wet books' ELSE '' END",
        is_active="i % 90 <> 89",
        date_joined=clock.moment("i % 3650"),
    )
    execute(f"DROP TABLE {NAMES}")
    _staff()
    _follows(shape, clock)


def _rules(clock: Clock) -> None:
    made = [ReaderCategory(pk=pk, name=name) for pk, name in enumerate(CATEGORIES, 1)]
    ReaderCategory.objects.bulk_create(made)
    LoanPolicy.objects.all().delete()
    terms = {"fine_factor": None, "fine_per_day": "0.10", "fine_cap": "10.00", "max_loans": 9999}
    LoanPolicy.objects.create(**terms, debt_limit=None, lost_fee="20.00", max_holds=9999)
    for category in made:
        LoanPolicy.objects.create(category=category, **terms, debt_limit=Decimal(9999))
    ClosedWeekday.objects.create(weekday=Weekday.SUNDAY)
    days = [clock.on - timedelta(days=30 * number) for number in range(1, 100)]
    ClosedDay.objects.bulk_create(ClosedDay(date=day, reason="Feast") for day in days)


def _names() -> None:
    """Keep the parts of names with their folded forms for the readers to be made of."""
    last_names = [begin + end for begin in LAST_BEGIN for end in LAST_END]
    rows = [
        f"({kind}, {number}, '{name}', '{fold(name)}')"
        for kind, names in ((1, FIRST_NAMES), (2, last_names))
        for number, name in enumerate(names)
    ]
    execute(f"CREATE TEMPORARY TABLE {NAMES} (kind int, number int, name text, folded text)")
    execute(f"INSERT INTO {NAMES} VALUES {', '.join(rows)}")
    execute(f"CREATE UNIQUE INDEX {NAMES}_number ON {NAMES} (kind, number)")


def _staff() -> None:
    staff = Reader.objects.filter(pk__lte=STAFF)
    staff.update(is_staff=True, is_active=True, is_blocked=False, block_reason="", expiry_date=None)
    staff.filter(pk=1).update(is_superuser=True)
    librarians = Group.objects.get(name="Librarian")
    librarians.user_set.set(staff.filter(pk__gt=1))  # type: ignore[attr-defined]


def _follows(shape: Shape, clock: Clock) -> None:
    first = numbers(1, shape.readers // 2)
    fill(
        AuthorFollow,
        first.replace(
            "WHERE", "JOIN catalog_book b ON b.id = 1 + i % 5000 WHERE b.author <> '' AND"
        ),
        reader_id="i",
        author="substr(b.author, 1, 200)",
        folded="substr(b.search_rest, 1, 40)",
        created_at=clock.moment("i % 1000"),
    )
    fill(
        ExternalIdentity,
        numbers(1, shape.readers // 20),
        reader_id="i",
        issuer="'https://id.example'",
        subject="'person-' || i",
        email="'reader' || i || '@example.org'",
    )
