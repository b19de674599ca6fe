"""The day's takings: each sum counted once, on the day of the library's own clock."""

import csv
import io
import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from billing import payments, refunds
from billing.models import Payment, PaymentStatus, Refund, RefundStatus
from billing.till import day_sheet
from billing.till.takings import Day
from circulation.models import Reader
from tests.factories import make_charge, make_member, make_reader, make_staff, march
from tests.office import as_superuser, signed_in

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def evening() -> Any:
    """It is the evening of Monday, 2 March 2026."""
    with time_machine.travel(datetime(2026, 3, 2, 18, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def cashier() -> Reader:
    return make_member("Cashier")


@pytest.fixture
def till(cashier: Reader) -> Client:
    return signed_in(cashier)


def cash(reader: Reader, amount: str, *, by: Reader, at: datetime = NOON) -> Payment:
    charge = make_charge(reader, amount)
    return payments.take_cash(reader, {charge.pk: charge.amount}, by=by, at=at)


def online(reader: Reader, amount: str, *, at: datetime = NOON, **fields: Any) -> Payment:
    """A payment as it is once a provider has said that it is paid."""
    number = uuid.uuid4()
    paid = {"paid_amount": Decimal(amount), "paid_currency": "USD", "paid_at": at}
    defaults: dict[str, Any] = {"provider": "STRIPE", "status": PaymentStatus.PAID, **paid}
    return Payment.objects.create(
        reader=reader,
        money_to_pay=Decimal(amount),
        currency="USD",
        key=number,
        session_id=f"cs_{number}",
        **{**defaults, **fields},
    )


def refunded(payment: Payment, amount: str, **fields: Any) -> Refund:
    defaults: dict[str, Any] = {"status": RefundStatus.DONE, "done_at": NOON, "reason": "Twice"}
    return Refund.objects.create(
        payment=payment, amount=Decimal(amount), key=uuid.uuid4(), **{**defaults, **fields}
    )


def sheet(client: Client, **query: str) -> Any:
    response = client.get(reverse("billing-day"), query)
    assert response.status_code == 200
    return response


def rows(response: Any, title: str) -> list[list[str]]:
    """Return the rows of a table of the sheet as they are read."""
    [table] = [table for table in response.context["tables"] if table.title == title]
    return [[re.sub(r"<[^>]*>", "", str(cell)).strip() for cell in row] for row in table.rows]


def records(client: Client, **query: str) -> list[list[str]]:
    response = client.get(reverse("billing-day-csv"), query)
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    return list(csv.reader(io.StringIO(text)))


def test_cash_is_counted_for_each_member_of_staff_and_in_all(till: Client, anna: Reader) -> None:
    maria, piotr = make_staff("Maria"), make_staff("Piotr")
    first = cash(anna, "5.00", by=maria)
    cash(anna, "0.10", by=maria)
    cash(anna, "0.20", by=piotr)
    refunds.refund(first, Decimal("1.50"), by=piotr, reason="Change was short")
    assert rows(sheet(till), "Cash") == [
        ["Maria Nowak", "2", "5.10", "0", "0.00", "5.10"],
        ["Piotr Nowak", "1", "0.20", "1", "1.50", "-1.30"],
        ["In all", "3", "5.30", "1", "1.50", "3.80"],
    ]


def test_what_came_online_is_counted_for_each_provider(till: Client, anna: Reader) -> None:
    online(anna, "5.00")
    online(anna, "2.00", status=PaymentStatus.REVIEW, review_reason="Paid twice")
    payment = online(anna, "3.00", provider="PAYPAL")
    refunded(payment, "1.00")
    refunded(payment, "1.00", by=make_staff())
    assert rows(sheet(till), "Online") == [
        ["PayPal", "1", "3.00", "–", "2", "2.00", "1.00"],
        ["Stripe", "2", "7.00", "2.00", "0", "0.00", "7.00"],
    ]


def test_another_currency_is_never_added_to_the_library_s(till: Client, anna: Reader) -> None:
    online(anna, "5.00")
    fields = {"paid_currency": "EUR", "status": PaymentStatus.REVIEW, "review_reason": "Currency"}
    online(anna, "4.00", **fields)
    shown = sheet(till)
    assert [row[2] for row in rows(shown, "Online")] == ["4.00\xa0EUR", "5.00"]
    assert [(net.currency, net.taken) for net in shown.context["net"]] == [
        ("EUR", Decimal("4.00")),
        ("USD", Decimal("5.00")),
    ]


def test_only_what_was_received_or_given_back_counts(till: Client, anna: Reader) -> None:
    make_charge(anna, "9.00")
    unpaid = {"paid_amount": None, "paid_at": None, "paid_currency": ""}
    online(anna, "8.00", status=PaymentStatus.EXPIRED, **unpaid)
    payment = online(anna, "5.00")
    refunded(payment, "1.00", status=RefundStatus.PENDING, done_at=None)
    refunded(payment, "1.00", status=RefundStatus.FAILED)
    assert rows(sheet(till), "Online") == [["Stripe", "1", "5.00", "–", "0", "0.00", "5.00"]]
    assert len(rows(sheet(till), "In the order of the day")) == 1


def test_the_lines_stand_in_the_order_of_the_day(till: Client, anna: Reader) -> None:
    maria = make_staff("Maria")
    late = cash(anna, "1.00", by=maria, at=NOON + timedelta(hours=1))
    early = online(anna, "2.00", at=NOON - timedelta(hours=1))
    refunded(early, "0.50")
    shown = [row[:6] for row in rows(sheet(till), "In the order of the day")]
    assert shown == [
        ["11:00", "Payment", str(early.pk), "2.00", "Stripe", "–"],
        ["12:00", "Refund", str(early.pk), "-0.50", "Stripe", "–"],
        ["13:00", "Payment", str(late.pk), "1.00", "Cash", "Maria Nowak"],
    ]


@pytest.mark.parametrize(
    ("zone", "first", "last"),
    [
        ("UTC", "2026-03-01T00:00+00:00", "2026-03-01T23:59:59+00:00"),
        ("Europe/Warsaw", "2026-02-28T23:00+00:00", "2026-03-01T22:59:59+00:00"),
        ("Pacific/Auckland", "2026-02-28T11:00+00:00", "2026-03-01T10:59:59+00:00"),
    ],
)
def test_the_day_is_that_of_the_library_s_clock(
    anna: Reader, settings: Settings, zone: str, first: str, last: str
) -> None:
    settings.TIME_ZONE = zone
    begin, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
    inside = [online(anna, "1.00", at=at) for at in (begin, end)]
    for at in (begin - timedelta(seconds=1), end + timedelta(seconds=1)):
        online(anna, "1.00", at=at)
    assert list(Day(march(1)).payments().order_by("pk")) == inside


def test_a_day_of_23_hours_ends_at_its_midnight(anna: Reader, settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    inside = online(anna, "1.00", at=datetime(2026, 3, 29, 21, 59, tzinfo=UTC))
    online(anna, "1.00", at=datetime(2026, 3, 29, 22, 0, tzinfo=UTC))
    assert list(Day(march(29)).payments()) == [inside]


def test_another_day_is_shown_on_request(till: Client, anna: Reader, cashier: Reader) -> None:
    cash(anna, "5.00", by=cashier, at=NOON - timedelta(days=3))
    shown = sheet(till, date="2026-02-27")
    assert rows(shown, "Cash") == [["Cashier Nowak", "1", "5.00", "0", "0.00", "5.00"]]
    assert (str(shown.context["before"]), str(shown.context["after"])) == (
        "2026-02-26",
        "2026-02-28",
    )
    assert sheet(till).context["after"] is None


@pytest.mark.parametrize(
    ("date", "told"),
    [
        ("2026-03-03", "Tue 3 Mar 2026 has not come yet"),
        ("9999-12-31", "has not come yet"),
        ("2026-02-30", "“2026-02-30” is not a date. Write it as in 2026-03-02."),
        ("yesterday", "“yesterday” is not a date"),
        ("x" * 1000, "at most 40 characters"),
        ("\x00", "Null characters"),
        ("0001-01-01", "There are no takings before Thu 1 Jan 1970"),
        ("<script>", "“&lt;script&gt;” is not a date"),
    ],
)
def test_a_day_that_cannot_be_shown_is_told_in_words(till: Client, date: str, told: str) -> None:
    shown = sheet(till, date=date)
    assert told in shown.content.decode()
    assert "tables" not in shown.context
    to_page = till.get(reverse("billing-day-csv"), {"date": date})
    assert to_page.status_code == 302
    assert told in till.get(to_page.headers["Location"]).content.decode()


def test_the_oldest_and_the_present_day_can_be_shown(till: Client) -> None:
    assert sheet(till, date="1970-01-01").context["before"] is None
    assert sheet(till, date="2026-03-02").context["day"] == march(2)


def test_the_csv_holds_each_line_with_refunds_as_negative_sums(
    till: Client, cashier: Reader, anna: Reader
) -> None:
    payment = cash(anna, "5.00", by=cashier)
    refunded(payment, "2.00", by=cashier, done_at=NOON + timedelta(minutes=5))
    number, name = str(payment.pk), "Cashier Nowak"
    person = [anna.card_number, "Anna Nowak", "Fine"]
    assert records(till)[1:] == [
        [
            "2026-03-02 12:00:00+00:00",
            "Payment",
            number,
            "5.00",
            "USD",
            "CASH",
            name,
            *person,
            "Paid",
        ],
        [
            "2026-03-02 12:05:00+00:00",
            "Refund",
            number,
            "-2.00",
            "USD",
            "CASH",
            name,
            *person,
            "Done",
        ],
    ]


@pytest.mark.parametrize("name", ["=1+1", "+48", "-2", "@SUM(A1)", "=\t1", "  =spaced", "＝1"])
def test_a_name_never_runs_as_a_formula(till: Client, name: str) -> None:
    online(make_reader("", last_name=name), "5.00")
    [_headers, line] = records(till)
    assert line[8].startswith("'")
    assert line[3] == "5.00"


def test_the_csv_needs_its_permission_and_is_offered_to_who_has_it(till: Client) -> None:
    looker = signed_in(make_staff(permissions=("billing.view_payment",)))
    assert reverse("billing-day-csv") in sheet(till).content.decode()
    assert reverse("billing-day-csv") not in sheet(looker).content.decode()
    assert looker.get(reverse("billing-day-csv")).status_code == 403


def test_the_sheet_needs_its_permission() -> None:
    other = signed_in(make_staff(permissions=("billing.view_charge",)))
    assert other.get(reverse("billing-day")).status_code == 403
    assert Client().get(reverse("billing-day")).status_code == 302


def test_the_sidebar_leads_to_it(till: Client) -> None:
    link = f'href="{reverse("billing-day")}"'
    assert link in sheet(till).content.decode()
    other = signed_in(make_staff(permissions=("billing.view_charge",)))
    assert link not in other.get(reverse("admin:index")).content.decode()


def test_a_busy_day_is_bounded_on_the_page_and_whole_in_the_csv(
    anna: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(day_sheet, "MOST_LINES", 10)
    office = as_superuser()
    few, whole = _queries(office)
    people = [make_staff() for _each in range(6)]
    for minute in range(24):
        staff = people[minute % 6]
        payment = cash(anna, "1.00", by=staff, at=NOON - timedelta(minutes=minute))
        if minute % 10 == 0:
            refunded(payment, "0.50", by=staff)
    shown = sheet(office)
    assert len(rows(shown, "In the order of the day")) == 10
    assert "Only the first 10 are listed" in shown.content.decode()
    assert rows(shown, "Cash")[-1] == ["In all", "24", "24.00", "3", "1.50", "22.50"]
    lines = records(office)[1:]
    assert len(lines) == 27
    assert sum(Decimal(line[3]) for line in lines) == Decimal("22.50")
    # Who took the cash is asked for once there is any.
    assert _queries(office) == (few + 1, whole)


def _queries(client: Client) -> tuple[int, int]:
    """Return how many queries the page and the CSV take."""
    with CaptureQueriesContext(connection) as page:
        sheet(client)
    with CaptureQueriesContext(connection) as file:
        records(client)
    return len(page), len(file)


def test_a_day_is_found_by_its_index(anna: Reader) -> None:
    plan = Day(march(2)).payments().order_by("paid_at", "pk").explain()
    if connection.vendor == "sqlite":
        assert "payment_by_day" in plan
