"""Today: each number is that of the list behind it, for whom it should be, in few queries."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.core.cache import cache
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts.models import Channel, Delivery, DeliveryStatus, Event
from billing import accounts
from billing.models import Allocation, Payment, PaymentStatus
from circulation.models import Hold, HoldStatus, Loan
from config import dashboard_charts, first_day, jobs, most_lent, waiting
from config.models import JobRun
from tests.factories import (
    MONDAY,
    WARSAW,
    close_on,
    make_book,
    make_charge,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    pay_cash,
    set_policy,
)
from tests.office import signed_in
from tests.test_admin_pages import queries

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


def make_loan(due: date, **fields: Any) -> Loan:
    fields.setdefault("copy", make_copy())
    fields.setdefault("reader", make_reader())
    fields.setdefault("borrow_date", due - 14 * DAY)
    return Loan.objects.create(expected_return_date=due, **fields)


def make_hold(status: HoldStatus = HoldStatus.WAITING, **fields: Any) -> Hold:
    fields.setdefault("book", make_book())
    return Hold.objects.create(
        reader=make_reader(), placed_at=timezone.now() - 20 * DAY, status=status, **fields
    )


def on_shelf(until: date, status: HoldStatus = HoldStatus.READY) -> Hold:
    return make_hold(status, copy=make_copy(status="on_hold_shelf"), pickup_until=until)


def make_payment(**fields: Any) -> Payment:
    usual = {"money_to_pay": 5, "paid_amount": 5, "currency": "USD", "paid_currency": "USD"}
    usual |= {"status": PaymentStatus.PAID, "provider": "CASH", "paid_at": timezone.now()}
    return Payment.objects.create(reader=make_reader(), **{**usual, **fields})


def give_up(*, at: datetime) -> Delivery:
    channel, _made = Channel.objects.get_or_create(
        name="Staff", defaults={"backend": "console", "audience": "STAFF"}
    )
    event = Event.objects.create(kind="loan_created", subject="x", key=str(uuid4()))
    return Delivery.objects.create(
        event=event,
        channel=channel,
        key=str(uuid4()),
        kind=event.kind,
        status=DeliveryStatus.DEAD,
        finished_at=at,
    )


@pytest.fixture
def busy_day() -> None:
    """A day on which something of everything waits, beside what waits for nobody."""
    today, now = timezone.localdate(), timezone.now()
    for late in (-1, 0, 1, 7, 8, 30, 31, 400):
        make_loan(today - late * DAY)
    make_loan(today - 5 * DAY, actual_return_date=today)
    make_loan(today - 5 * DAY, lost_date=today)
    make_hold(book=make_copy().book)
    make_hold()
    for until in (today, today - DAY):
        on_shelf(until)
    for until in (today - 7 * DAY, today - 8 * DAY):
        on_shelf(until, HoldStatus.EXPIRED)
    make_payment(status=PaymentStatus.REVIEW)
    make_payment()
    make_charge(make_reader(), "3.00")
    give_up(at=now - 6 * DAY)
    give_up(at=now - 8 * DAY)


def in_list(url: str) -> set[int]:
    """Return which rows the list at an address has, without drawing it."""
    request: Any = RequestFactory().get(url)
    request.user = make_reader("Root", is_staff=True, is_superuser=True)
    model = url.split("?", maxsplit=1)[0].split("/")[2:4]
    pages = next(
        pages
        for each, pages in admin.site._registry.items()
        if [each._meta.app_label, each._meta.model_name] == model
    )
    return {row.pk for row in pages.get_changelist_instance(request).queryset}


def numbers(client: Client) -> dict[str, str]:
    """Return what the page says, by the address that it leads to."""
    sections = client.get("/admin/").context["sections"]
    return {figure.url: figure.number for section in sections for figure in section.figures}


def test_each_number_is_that_of_the_list_behind_it(busy_day: None) -> None:
    for name, work in waiting.WORK.items():
        if name != "late jobs":
            rows = {row.pk for row in work.rows(timezone.now())}
            assert rows, name
            assert rows == in_list(work.url), name


def test_the_page_shows_all_the_numbers(busy_day: None) -> None:
    shown = numbers(signed_in(make_member("Librarian")))
    expected = {"due": 1, "late-1": 2, "late-8": 2, "late-31": 2, "pull": 1, "ready": 2}
    expected |= {"forgotten": 2, "review": 1, "failed": 1}
    assert {name: shown[waiting.WORK[name].url] for name in expected} == {
        name: str(number) for name, number in expected.items()
    }
    assert shown["/admin/billing/charge/?owed=open"] == "3.00 USD"


def test_a_number_stops_where_its_list_stops_counting() -> None:
    reader = make_reader()
    Payment.objects.bulk_create(
        Payment(
            reader=reader, status="REVIEW", provider="CASH", currency="USD", money_to_pay=1,
            paid_amount=1, paid_at=timezone.now(),
        )
        for _number in range(1001)
    )  # fmt: skip
    shown = numbers(signed_in(make_member("Cashier")))
    assert shown["/admin/billing/payment/?state=review"] == "1,000+"


@pytest.mark.parametrize(
    ("role", "sections", "charts"),
    [
        ("Librarian", ["Loans", "Hold shelf", "Money", "Alerts and jobs"], 2),
        ("Auditor", ["Loans", "Hold shelf", "Money", "Alerts and jobs"], 2),
        ("Assistant", ["Loans", "Hold shelf", "Money"], 2),
        ("Cashier", ["Money"], 1),
    ],
)
def test_each_role_sees_its_own_part_of_the_day(
    role: str, sections: list[str], charts: int
) -> None:
    shown = signed_in(make_member(role)).get("/admin/").context
    assert [section.title for section in shown["sections"]] == sections
    assert len(shown["charts"]) == charts
    assert (shown["most_lent"] is None) == (role == "Cashier")
    assert (shown["checklist"] is not None) == (role == "Librarian")


def test_who_has_no_role_is_told_whom_to_ask() -> None:
    assert "Ask an administrator to give you one." in signed_in(make_staff()).get("/admin/").text


def test_a_new_library_is_told_what_to_do_first() -> None:
    text = signed_in(make_member("Librarian")).get("/admin/").text
    for sentence in (
        "First day",
        "Lend the first copy at the",
        "Nothing was paid",
        "nobody owes anything",
    ):
        assert sentence in text


def test_jobs_that_are_late_are_counted_and_told_of() -> None:
    jobs.sync()
    now = timezone.now()
    for job in jobs.JOBS:
        JobRun.objects.create(name=job.name, started_at=now, finished_at=now)
    client = signed_in(make_member("Librarian"))
    assert numbers(client)["/admin/config/jobrun/jobs/"] == "0"
    JobRun.objects.filter(name="accrue_fines").update(error="RuntimeError: the disk is full")
    assert numbers(client)["/admin/config/jobrun/jobs/"] == "1"
    assert "the disk is full" in client.get("/admin/").text


def test_more_of_everything_asks_no_more_queries(busy_day: None) -> None:
    jobs.sync()
    client = signed_in(make_member("Librarian"))
    few = queries(client, "/admin/")
    today = timezone.localdate()
    for number in range(12):
        make_loan(today - number * DAY, borrow_date=today - (14 + number) * DAY)
        make_payment(paid_at=timezone.now() - number * 3 * DAY)
        make_charge(make_reader())
        make_hold(book=make_copy().book)
    assert queries(client, "/admin/") == few
    JobRun.objects.create(name=jobs.JOBS[0].name, finished_at=timezone.now())
    Channel.objects.update(last_ok_at=timezone.now())
    assert queries(client, "/admin/") <= 12


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads the plans of SQLite")
def test_no_question_goes_through_a_whole_table(busy_day: None) -> None:
    client = signed_in(make_member("Auditor"))
    client.get("/admin/")
    with CaptureQueriesContext(connection) as asked:
        client.get("/admin/")
    scans = set()
    with connection.cursor() as cursor:
        for query in asked.captured_queries:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            scans |= {row[3] for row in cursor.fetchall() if row[3].startswith("SCAN ")}
    growing = {
        scan
        for scan in scans
        if scan.split()[1].startswith(("circulation_", "billing_", "catalog_", "alerts_"))
    }
    # Of its index only what is to be paid is in there.
    assert {scan for scan in growing if "allocation_one_open" not in scan} == set()


def test_what_is_owed_is_summed_from_what_waits_to_be_paid() -> None:
    anna, maria = make_reader(), make_staff()
    make_charge(anna, "2.50")
    partly = make_charge(anna, "5.00")
    pay_cash(partly, "1.00", by=maria)
    pay_cash(make_charge(anna, "9.00"), "9.00", by=maria)
    assert accounts.outstanding() == (2, Decimal("6.50"))

    fine = make_charge(anna, "3.00")
    session = Payment.objects.filter(allocations__charge=fine)
    session.update(provider="STRIPE", key=uuid4())
    fine.amount = Decimal("3.50")
    fine.save()
    assert Allocation.objects.get(charge=fine).amount == 3
    assert accounts.outstanding() == (3, Decimal("10.00"))


# Charts


def values(chart: dashboard_charts.Chart, label: str) -> list[float]:
    return list(next(line.values for line in chart.lines if line.label == label))


def test_loans_and_returns_are_counted_by_day_for_thirty_days() -> None:
    first = MONDAY - 29 * DAY
    for lent in (first - DAY, first, MONDAY, MONDAY):
        make_loan(lent + 14 * DAY, borrow_date=lent)
    make_loan(MONDAY, borrow_date=MONDAY - 100 * DAY, actual_return_date=MONDAY - DAY)
    undone = {"undone_at": timezone.now(), "actual_return_date": MONDAY}
    make_loan(MONDAY + 14 * DAY, borrow_date=MONDAY, **undone)
    chart = dashboard_charts.lending(on=MONDAY)
    assert values(chart, "Lent") == [1] + 28 * [0] + [2]
    assert values(chart, "Returned") == 28 * [0] + [1, 0]
    assert (chart.places[0], chart.places[-1]) == ("1 Feb", "2 Mar")


def test_money_is_summed_by_the_weeks_of_the_library(settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    timezone.activate(WARSAW)
    monday = datetime(2026, 3, 2, 0, 0, tzinfo=WARSAW)
    make_payment(paid_at=monday, paid_amount=Decimal("1.10"))
    make_payment(paid_at=monday + 6 * DAY, paid_amount=Decimal("2.20"))
    make_payment(paid_at=monday - timedelta(minutes=1), paid_amount=4)
    make_payment(paid_at=monday - 50 * DAY, paid_amount=8)
    make_payment(paid_at=monday, paid_currency="EUR", paid_amount=16)
    make_payment(paid_at=monday, provider="", paid_amount=0)
    chart = dashboard_charts.money(on=MONDAY + 3 * DAY)
    timezone.deactivate()
    assert values(chart, "USD") == [0, 0, 0, 0, 0, 0, 4, 3.3]
    assert values(chart, "EUR") == [0, 0, 0, 0, 0, 0, 0, 16]


def test_the_titles_most_lent_come_first() -> None:
    for title, times in (("Solaris", 1), ("Eden", 3), ("Fiasco", 2)):
        book = make_book(title)
        for _number in range(times):
            make_loan(MONDAY + 14 * DAY, borrow_date=MONDAY, copy=make_copy(book))
    make_loan(MONDAY, borrow_date=MONDAY - 30 * DAY, copy=make_copy(make_book("Long ago")))
    found = most_lent.ranking(at=datetime(2026, 3, 2, 12, tzinfo=WARSAW), is_much=False)
    assert found.counted_at is None
    assert [(book.title, book.number, book.percent) for book in found.titles] == [
        ("Eden", 3, 100),
        ("Fiasco", 2, 66),
        ("Solaris", 1, 33),
    ]


def test_where_much_is_lent_the_titles_are_counted_now_and_then_and_say_when(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(most_lent, "MANY", 2)
    today = timezone.localdate()
    eden, fiasco = make_book("Eden"), make_book("Fiasco")
    for book in (eden, eden, fiasco):
        make_loan(today, borrow_date=today, copy=make_copy(book))
    client = signed_in(make_member("Assistant"))
    first = client.get("/admin/")
    assert "counted at" in first.text
    for _number in range(3):
        make_loan(today, borrow_date=today, copy=make_copy(fiasco))
    again = client.get("/admin/").context["most_lent"]
    assert again.counted_at == first.context["most_lent"].counted_at
    assert [book.number for book in again.titles] == [2, 1]
    cache.clear()
    newly = client.get("/admin/").context["most_lent"]
    assert [book.number for book in newly.titles] == [4, 2]


def test_a_chart_is_a_table_too() -> None:
    make_payment(paid_amount=1234)
    text = signed_in(make_member("Cashier")).get("/admin/").text
    assert '<canvas class="chart"' in text
    assert "<td>1234.00</td>" in text


# The first day


def done() -> set[str]:
    return {str(each.step.title) for each in first_day.standings().standings if each.is_done}


STEPS: dict[str, Callable[[], object]] = {
    "Set the loan rules": set_policy,
    "Say when you are closed": lambda: close_on(MONDAY),
    "Bring in the first books": make_copy,
    "Bring in the first readers": make_reader,
    "Start a worker": lambda: JobRun.objects.create(name="deliver_alerts"),
    "Let messages go out": lambda: Channel.objects.create(
        name="Staff", backend="console", audience="STAFF", last_ok_at=timezone.now()
    ),
    "Lend the first copy": lambda: make_loan(MONDAY),
}


@pytest.mark.parametrize("title", STEPS)
def test_a_step_of_the_first_day_is_done_by_doing_it(title: str) -> None:
    make_staff()
    assert done() == set()
    STEPS[title]()
    assert title in done()


def test_the_checklist_goes_away_when_all_is_done_that_is_needed() -> None:
    client = signed_in(make_member("Librarian"))
    *needed, last = STEPS.values()
    for do in needed:
        do()
    checklist = client.get("/admin/").context["checklist"]
    assert [str(each.step.title) for each in checklist.standings if not each.is_done] == [
        "Lend the first copy",
        "Let readers pay online",
    ]
    last()
    assert client.get("/admin/").context["checklist"] is None


def test_a_step_says_what_is_missing_for_it() -> None:
    found = {str(each.step.title): each.lacks for each in first_day.standings().standings}
    assert "add one" in found["Let messages go out"][0]
    assert "STRIPE_SECRET_KEY" in found["Let readers pay online"][0]
    Channel.objects.create(name="Mail", backend="email", audience="READERS")
    found = {str(each.step.title): each.lacks for each in first_day.standings().standings}
    assert "EMAIL_URL" in found["Let messages go out"][0]


def test_the_set_up_shows_every_setting_and_what_is_missing() -> None:
    text = signed_in(make_member("Librarian")).get("/admin/set-up/").text
    for word in ("Set the loan rules", "PAYPAL_CLIENT_ID", "EMAIL_URL", "TIME_ZONE", "to do"):
        assert word in text


def test_the_set_up_is_for_those_who_see_the_rules() -> None:
    assert signed_in(make_member("Assistant")).get("/admin/set-up/").status_code == 403
    assert signed_in(make_member("Auditor")).get("/admin/set-up/").status_code == 200
    assert signed_in(make_member("Auditor")).post("/admin/set-up/").status_code == 405
