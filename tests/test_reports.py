"""Reports: right to the unit and the cent, bounded on the page, whole and safe in the CSV."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from alerts.backoffice import remembered
from billing import charges, payments, refunds
from billing.models import ChargeKind
from billing.till.takings import Day, in_all
from circulation import desk, holds, undo
from circulation.models import Loan, LoanPolicy, Reader
from circulation.reports import overdue, wanted
from tests.factories import (
    lend,
    lend_until,
    make_book,
    make_charge,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    march,
    noon,
    set_policy,
    take_back,
)
from tests.office import signed_in

pytestmark = pytest.mark.django_db

TODAY = march(31)
PERIOD = {"first": "2026-03-01", "last": "2026-03-31"}
NAMES = ("overdue", "money", "circulation", "most-wanted", "never-lent")


@pytest.fixture(autouse=True)
def noon_of_tuesday() -> Iterator[None]:
    """It is noon on Tuesday, 31 March 2026."""
    with time_machine.travel(noon(TODAY), tick=False):
        yield


@pytest.fixture
def rule(db: None) -> LoanPolicy:
    """Neither closed days nor debts stand in the way of what is reported on."""
    return set_policy(max_loans=20, debt_limit="99.00")


@pytest.fixture
def office() -> Client:
    return signed_in(make_member("Librarian"))


def shown(client: Client, name: str, **asked: Any) -> Any:
    response = client.get(reverse(f"report-{name}"), asked)
    assert response.status_code == 200
    return response


def rows(response: Any, number: int = 0) -> list[list[str]]:
    """Return the rows of a table of the page as they are read."""
    read = (
        [re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", str(cell))).strip() for cell in row]
        for row in response.context["tables"][number].rows
    )
    return list(read)


def records(client: Client, name: str, **asked: Any) -> list[list[str]]:
    response: Any = client.get(reverse(f"report-{name}-csv"), asked)
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))[1:]


# Overdue readers.


def late_by(days: int, reader: Reader, title: str = "Solaris") -> Loan:
    return lend_until(TODAY - timedelta(days=days), reader, make_copy(make_book(title)))


def test_overdue_readers_are_listed_with_their_items_contacts_and_debt(
    rule: LoanPolicy, office: Client
) -> None:
    anna = make_reader("Anna", phone="+48 600 100 200", contact_email="mother@example.org")
    bartek = make_reader("Bartek", email=None)
    late_by(3, bartek, "Eden")
    first, _second = late_by(40, anna), late_by(1, anna, "Fiasco")
    lend(anna, make_copy(), on=TODAY)
    make_charge(anna, "7.25")
    [of_anna, of_bartek] = rows(shown(office, "overdue"))
    assert of_anna[1:] == [
        f"Anna Nowak {anna.card_number}",
        "+48 600 100 200 mother@example.org",
        f"Solaris ({first.copy.barcode}, 40 days late) Fiasco ({_second.copy.barcode}, 1 day late)",
        "7.25",
    ]
    assert of_bartek[1:3] == [f"Bartek Nowak {bartek.card_number}", "neither phone nor email"]
    assert of_bartek[-1] == "0.00"


def test_readers_are_chosen_by_lateness_and_by_how_to_reach_them(
    rule: LoanPolicy, office: Client
) -> None:
    for name, days, contacts in (
        ("Phone", 8, {"phone": "123", "email": None}),
        ("Both", 7, {"phone": "123"}),
        ("Email", 31, {}),
        ("None", 91, {"email": None}),
    ):
        late_by(days, make_reader(name, last_name="", **contacts))

    def names(**asked: Any) -> list[str]:
        return [row[1].split()[0] for row in rows(shown(office, "overdue", **asked))]

    assert names() == ["None", "Email", "Phone", "Both"]
    assert names(late=8) == ["None", "Email", "Phone"]
    assert names(late=31) == ["None", "Email"]
    assert names(late=91) == ["None"]
    assert names(reach="phone") == ["Phone", "Both"]
    assert names(reach="email") == ["Email", "Both"]
    assert names(reach="phone_only") == ["Phone"]
    assert names(reach="none") == ["None"]
    assert [each[2] for each in records(office, "overdue", late=31)] == ["Email", "None"]


def test_many_overdue_readers_come_page_by_page_and_all_in_the_csv(
    rule: LoanPolicy, office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "READERS_ON_A_PAGE", 2)
    for days in (5, 4, 3):
        late_by(days, make_reader(f"Reader{days}"))
    first = shown(office, "overdue", late=1)
    assert [row[1].split()[0] for row in rows(first)] == ["Reader5", "Reader4"]
    second = office.get(reverse("report-overdue") + first.context["after_url"])
    assert [row[1].split()[0] for row in rows(second)] == ["Reader3"]
    assert "after_url" not in second.context
    assert len(records(office, "overdue")) == 3
    assert "nobody on this page" in shown(office, "overdue", page=9).content.decode()


def test_who_comes_first_does_not_depend_on_how_many_loans_are_looked_at(
    rule: LoanPolicy, office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overdue, "READERS_ON_A_PAGE", 2)
    monkeypatch.setattr(overdue, "LOANS_OF_A_READER", 1)
    monkeypatch.setattr(overdue, "MORE", 2)
    anna, bartek, celina, dorota = map(make_reader, ("Anna", "Bartek", "Celina", "Dorota"))
    for days in (40, 40, 40, 40, 39):
        late_by(days, anna)
    for reader, days in ((dorota, 9), (celina, 9), (bartek, 9), (bartek, 41), (anna, 2)):
        late_by(days, reader)
    first, second = (rows(shown(office, "overdue", page=page)) for page in (1, 2))
    names = [row[1].split()[0] for row in (*first, *second)]
    assert names == ["Bartek", "Anna", "Celina", "Dorota"]


def test_a_reader_with_many_items_leads_to_the_list_of_them(
    rule: LoanPolicy, office: Client
) -> None:
    anna = make_reader("Anna")
    for _number in range(7):
        late_by(3, anna)
    [[*_cells, items, _owed]] = rows(shown(office, "overdue"))
    assert items.endswith("and 2 more")
    assert len(records(office, "overdue")) == 7


def test_the_csv_of_overdue_items_is_safe_in_a_spreadsheet(
    rule: LoanPolicy, office: Client
) -> None:
    anna = make_reader("Anna", last_name="=HYPERLINK()", phone="+48 1")
    loan = late_by(2, anna, "@SUM(A1)")
    make_charge(anna, "2.50")
    assert records(office, "overdue") == [
        [
            anna.card_number,
            "'=HYPERLINK()",
            "Anna",
            "'+48 1",
            anna.email,
            "",
            "1",
            loan.copy.barcode,
            "'@SUM(A1)",
            "Lem, Stanisław",
            loan.borrow_date.isoformat(),
            "2026-03-29",
            "2",
            "2.50",
        ]
    ]


# Money.


def test_money_is_told_apart_by_day_kind_and_provider(office: Client, anna: Reader) -> None:
    by = make_staff()
    fine, lost = make_charge(anna, "5.00"), make_charge(anna, "20.00", kind=ChargeKind.LOST)
    parts = {fine.pk: Decimal("5.00"), lost.pk: Decimal("7.50")}
    both = payments.take_cash(anna, parts, by=by, at=noon(march(2)))
    late = payments.take_cash(anna, {lost.pk: Decimal("1.50")}, by=by, at=noon(march(3)))
    with time_machine.travel(noon(march(4))):
        refunds.refund(both, Decimal("0.50"), by=by, reason="Change was short")
        refunds.refund(late, Decimal("1.50"), by=by, reason="Wrong reader")
    expected = [
        ["2026-03-02", "Fine", "Cash", "5.00", "0.00", "5.00", "USD"],
        ["2026-03-02", "Lost copy", "Cash", "7.50", "0.00", "7.50", "USD"],
        ["2026-03-03", "Lost copy", "Cash", "1.50", "0.00", "1.50", "USD"],
        ["2026-03-04", "Lost copy", "Cash", "0.00", "1.50", "-1.50", "USD"],
        ["2026-03-04", "several", "Cash", "0.00", "0.50", "-0.50", "USD"],
    ]
    assert records(office, "money", **PERIOD) == expected
    page = shown(office, "money", **PERIOD)
    assert rows(page)[-1] == ["In all", "", "14.00", "2.00", "12.00"]
    assert [row[1:] for row in rows(page, 1)] == [
        row[1:-1] for row in (*expected[3:], *expected[2:3], *expected[:2])
    ]


def test_money_for_no_charge_is_told_as_such(office: Client, anna: Reader) -> None:
    charge = make_charge(anna, "5.00")
    payments.take_cash(anna, {charge.pk: Decimal("5.00")}, by=make_staff(), at=noon(march(2)))
    charges.void(charge, by=None, reason="Wrong reader")
    [record] = records(office, "money", **PERIOD)
    assert record[1] == "not for a charge: credit, or to be reviewed"
    assert record[3:6] == ["5.00", "0.00", "5.00"]


def test_money_agrees_with_the_sheet_of_each_day(
    office: Client, anna: Reader, settings: Settings
) -> None:
    settings.TIME_ZONE = "Pacific/Auckland"
    by, sums = make_staff(), ["0.10", "0.20", "0.70", "12.35"]
    for number, amount in enumerate(sums):
        charge = make_charge(anna, amount)
        at = datetime(2026, 3, 2 + number // 2, 10 + number, 30, tzinfo=UTC)
        payments.take_cash(anna, {charge.pk: charge.amount}, by=by, at=at)
    found = records(office, "money", **PERIOD)
    for day in {record[0] for record in found}:
        [whole] = in_all(Day(datetime.fromisoformat(day).date()).sums())
        assert sum(Decimal(record[3]) for record in found if record[0] == day) == whole.taken
    assert sum(Decimal(record[3]) for record in found) == Decimal("13.35")


# Circulation.


def test_each_month_counts_what_happened_in_it(
    rule: LoanPolicy, office: Client, anna: Reader
) -> None:
    early, late, lost, undone = (make_copy() for _number in range(4))
    lend(anna, early, on=march(2))
    take_back(early, on=march(5))
    lent = lend(anna, late, on=march(2))
    desk.renew(lent, on=march(3))
    with time_machine.travel(noon(march(28))):
        take_back(late, on=march(28))
    desk.mark_lost(lend(anna, lost, on=march(6)), on=march(9))
    act = lend(anna, undone, on=TODAY).acts.get()
    undo.undo(act, by=make_staff())
    book = make_book()
    lend(make_reader(), make_copy(book), on=TODAY - timedelta(days=40))
    holds.place(anna, book, at=noon(march(30)))
    assert records(office, "circulation", first="2026-01-15", last="2026-03-31") == [
        ["2026-01", "0", "0", "0", "0", "0", "0"],
        ["2026-02", "1", "0", "0", "0", "0", "0"],
        ["2026-03", "3", "1", "2", "1", "1", "1"],
    ]
    whole = rows(shown(office, "circulation"))
    assert whole[0] == ["March 2026", "3", "1", "2", "1", "1", "1"]
    assert [len(whole), whole[-1][:2]] == [13, ["In all", "4"]]


def test_the_most_wanted_are_those_lent_and_those_waited_for(
    rule: LoanPolicy, office: Client
) -> None:
    twice, once, waited = make_book("Twice"), make_book("Once"), make_book("Waited for")
    make_book("Nobody's")
    copies = {book: make_copy(book) for book in (twice, once, waited)}
    for book, day in ((twice, 2), (once, 2), (twice, 9)):
        lend(make_reader(), copies[book], on=march(day))
        take_back(copies[book], on=march(day + 1))
    lend(make_reader(), copies[waited], on=march(1) - timedelta(days=3))
    holds.place(make_reader(), waited, at=noon(march(30)))
    page = shown(office, "most-wanted", **PERIOD)
    assert rows(page) == [["Waited for", "Lem, Stanisław", "0", "1", "1"]]
    assert [row[0] for row in rows(page, 1)] == ["Twice", "Once"]
    assert [(row[0], *row[4:]) for row in records(office, "most-wanted", **PERIOD)] == [
        ("Twice", "2", "0", "1"),
        ("Once", "1", "0", "1"),
        ("Waited for", "0", "1", "1"),
    ]


def test_never_lent_are_books_to_lend_that_nobody_borrowed(
    rule: LoanPolicy, office: Client
) -> None:
    never, before, lately = make_book("Never"), make_book("Before"), make_book("Lately")
    make_book("Without copies")
    make_copy(make_book("Gone"), status="withdrawn")
    copies = [make_copy(book) for book in (never, before, lately)]
    for copy, days in ((copies[1], 500), (copies[2], 20)):
        lend(make_reader(), copy, on=TODAY - timedelta(days=days))
        take_back(copy, on=TODAY - timedelta(days=days - 1))
    old = noon(TODAY - timedelta(days=600))
    type(never).objects.update(created_at=old)
    assert [row[0] for row in rows(shown(office, "never-lent"))] == ["Never"]
    idle = records(office, "never-lent", years=1)
    assert [(row[0], row[4], row[6]) for row in idle] == [
        ("Before", "1", (TODAY - timedelta(days=500)).isoformat()),
        ("Never", "1", ""),
    ]
    assert records(office, "never-lent", years=2) == []


def test_a_page_shows_the_first_rows_and_says_where_all_are(
    office: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wanted, "MOST_ROWS", 2)
    monkeypatch.setattr(wanted.cut, "__defaults__", (2,))
    for number in range(3):
        make_copy(make_book(f"Book {number}"))
    page = shown(office, "never-lent")
    assert len(rows(page)) == 2
    assert "the CSV holds all" in page.content.decode()
    assert len(records(office, "never-lent")) == 3


# All of them.


@pytest.mark.parametrize(
    ("role", "seen"),
    [
        ("Librarian", set(NAMES)),
        ("Assistant", set(NAMES)),
        ("Cashier", {"money"}),
        ("Auditor", set(NAMES) - {"overdue"}),
    ],
)
def test_each_role_sees_the_reports_of_its_work(role: str, seen: set[str]) -> None:
    client = signed_in(make_member(role))
    page = client.get(reverse("reports"))
    assert {report.code for report in page.context["reports"]} == seen
    for name in NAMES:
        assert client.get(reverse(f"report-{name}")).status_code == (200 if name in seen else 403)


@pytest.mark.parametrize(
    ("role", "taken"),
    [
        ("Librarian", set(NAMES)),
        ("Assistant", {"circulation", "most-wanted", "never-lent"}),
        ("Cashier", {"money"}),
        ("Auditor", {"circulation", "most-wanted", "never-lent"}),
    ],
)
def test_names_and_money_are_taken_away_by_those_who_may_export_them(
    role: str, taken: set[str]
) -> None:
    client = signed_in(make_member(role))
    for name in NAMES:
        answer = client.get(reverse(f"report-{name}-csv")).status_code
        assert answer == (200 if name in taken else 403), name


def test_who_may_see_nothing_gets_no_list_of_reports() -> None:
    nobody = signed_in(make_staff())
    assert nobody.get(reverse("reports")).status_code == 403
    assert Client().get(reverse("reports")).status_code == 302
    assert signed_in(make_member("Librarian")).post(reverse("reports")).status_code == 405


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"first": "yesterday"}, "“yesterday” is not a date"),
        ({"first": "2026-03-31", "last": "2026-03-01"}, "ends before it begins"),
        ({"first": "2026-04-01"}, "between Thu 1 Jan 1970 and today"),
        ({"first": "1970-01-01"}, "At most 3660 days"),
        ({"first": "\x00"}, "Null characters are not allowed"),
    ],
)
def test_a_period_that_is_none_is_said_in_words(
    office: Client, asked: dict[str, str], said: str
) -> None:
    assert said in shown(office, "money", **asked).content.decode()
    answer = office.get(reverse("report-money-csv"), asked)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(reverse("report-money"))


@pytest.mark.parametrize(
    "asked", [{"late": "x"}, {"reach": "nobody"}, {"page": "0"}, {"page": "99999999999999999999"}]
)
def test_choices_that_are_none_break_nothing(office: Client, asked: dict[str, str]) -> None:
    assert shown(office, "overdue", **asked).context["tables"] == []


def test_no_report_asks_the_database_often(
    rule: LoanPolicy, office: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(3):
        reader = make_reader()
        loan = late_by(3 + number, reader)
        holds.place(make_reader(), loan.copy.book, at=noon(march(30)))
        payments.take_cash(
            reader, {make_charge(reader).pk: Decimal("5.00")}, by=make_staff(), at=noon(march(2))
        )
    for name in NAMES:
        with django_assert_max_num_queries(12):
            shown(office, name, **PERIOD)  # what is longer is put away, too


@pytest.mark.parametrize("name", ["money", "circulation", "most-wanted"])
def test_a_long_period_is_counted_now_and_then_and_says_when(
    rule: LoanPolicy, office: Client, anna: Reader, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "WORTH_IT", 0)
    year = {"first": "2025-04-01", "last": "2026-03-31"}
    book = make_book()
    copies = [make_copy(book) for _number in range(3)]
    lend(anna, copies.pop(), on=march(2))

    def figures(**asked: str) -> tuple[list[list[str]], bool]:
        page = shown(office, name, **asked)
        return rows(page, -1), "Counted at 10:00" in page.content.decode()

    def one_more(at: datetime) -> None:
        payments.take_cash(anna, {make_charge(anna).pk: Decimal("5.00")}, by=make_staff(), at=at)
        lend(anna, copies.pop(), on=march(3))

    one_more(noon(march(2)))
    before = figures(**year)
    one_more(noon(march(2)))
    assert before[1]
    assert figures(**year) == before
    assert figures(**PERIOD)[1] is False
    assert figures(**PERIOD)[0][0] != before[0][0]
    whole = records(office, name, **year)
    with time_machine.travel(noon(TODAY) + timedelta(minutes=10, seconds=1)):
        anew = figures(**year)
    assert not anew[1]
    assert anew[0] != before[0]
    assert records(office, name, **year) == whole


def test_a_long_period_that_is_counted_at_once_is_never_out_of_date(
    rule: LoanPolicy, office: Client, anna: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembered, "WORTH_IT", 60)
    year = {"first": "2025-04-01", "last": "2026-03-31"}
    lend(anna, make_copy(), on=march(2))
    before = rows(shown(office, "circulation", **year))
    lend(anna, make_copy(), on=march(3))
    assert rows(shown(office, "circulation", **year)) != before
    assert "Counted at" not in shown(office, "circulation", **year).content.decode()


def test_an_empty_library_is_told_what_to_do(office: Client) -> None:
    said = {
        "overdue": "All is well",
        "money": "Choose another",
        "circulation": "Choose another",
        "most-wanted": "Nobody waits for a book.",
        "never-lent": "Every book was lent",
    }
    for name, text in said.items():
        assert text in shown(office, name).content.decode()
