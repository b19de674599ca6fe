"""Every page of the admin opens, for whom it should, in few queries, whatever is typed into it."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from unfold.admin import ModelAdmin

from billing import charges, payments, refunds
from billing.models import (
    Adjustment,
    Allocation,
    Charge,
    ChargeKind,
    Payment,
    PaymentEvent,
    Refund,
)
from catalog.models import Book, Copy, ItemType
from circulation import desk, holds
from circulation.models import (
    ClosedDay,
    ClosedWeekday,
    Hold,
    Loan,
    LoanPolicy,
    Override,
    Reader,
    ReaderCategory,
)
from tests.factories import lend, make_book, make_copy, make_member, make_reader
from tests.office import as_superuser, page, signed_in

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
EVIL = "<script>alert(1)</script> {{ 1234 * 5678 }} {% evil %}"
MONEY = (Charge, Adjustment, Payment, Allocation, Refund, PaymentEvent)
BUSY = (Book, Copy, Reader, Loan, Hold, *MONEY)
ODD_QUERIES = (
    "q=%00",
    "q=a%00b",
    "status=%00",
    "q=%27%22%25_%5C%2A%28",
    "q=" + "a+" * 3000,
    "q=" + "x" * 5000,
    "q=AND+OR+NOT+NEAR%28%22",
    "p=99999",
    "p=-1",
    "p=x",
    "o=xyz",
    "o=99.-99",
    "all=",
    "_facets=True",
    "e=1",
    "state=nonsense",
    "owed=nonsense",
    "provider=nonsense",
    "for=nonsense",
    "paid_at_from=nonsense&paid_at_to=9999-12-31",
    "paid_at_from=0001-01-01&paid_at_to=2026-02-30",
    "payment__reader__id__exact=99999999999999999999999",
    "q=99999999999999999999999",
    "q=%D9%A1",
    "inventory=nonsense",
    "language=%F0%9F%93%9A",
    "reader__id__exact=x",
    "reader__id__exact=99999999999999999999999",
    "copy__book__id__exact=0",
    "category__id__exact=x",
    "nonsense=1",
)


def make_one_of_each(number: int = 1) -> None:
    """Rows of every kind that the library's own pages list."""
    today = timezone.localdate()
    by = make_reader("Boss", is_staff=True)
    for place in range(number):
        kind = ItemType.objects.create(name=f"DVD {place}")
        category = ReaderCategory.objects.create(name=f"Child {place}")
        LoanPolicy.objects.create(category=category, item_type=kind, fine_per_day=1)
        ClosedDay.objects.create(date=today.replace(day=1, year=2020 + place), reason="Feast")
        reader = make_reader(EVIL, category=category)
        book = make_book(EVIL, language=f"l{place}", daily_fee="0.50")
        loan = lend(reader, make_copy(book, item_type=kind), on=today, by=by)
        holds.place(make_reader("Waiting"), book, by=by)
        fine = charges.assess(reader, ChargeKind.FINE, charges.ZERO + 3, description=EVIL)
        assert fine is not None
        charges.waive(fine, charges.ZERO + 1, by=by, reason=EVIL)
        paid = payments.take_cash(reader, {fine.pk: charges.ZERO + 1}, by=by)
        refunds.refund(paid, charges.ZERO + 1, by=by, reason=EVIL)
        PaymentEvent.objects.create(
            provider="STRIPE", event_id=f"e{place}", kind=EVIL, payment=paid, outcome=EVIL
        )
        Override.objects.create(loan=loan, block="x", message=EVIL, reason=EVIL, by=by)
    ClosedWeekday.objects.create(weekday=6)


def queries(client: Client, url: str) -> int:
    ContentType.objects.get_for_models(*apps.get_models())  # Django keeps them in memory
    with CaptureQueriesContext(connection) as asked:
        assert client.get(url).status_code == 200, url
    return len(asked)


def assert_no_query_breaks(client: Client, model: type[Model]) -> None:
    """A list shows something, or leads to itself without what was asked, or says it is wrong."""
    url = page(model, "changelist")
    for query in ODD_QUERIES:
        response = client.get(f"{url}?{query}")
        assert response.status_code in (200, 302, 400), query
        assert response.headers.get("Location", url) in (url, f"{url}?e=1"), query


def addresses(model: type[Model]) -> list[str]:
    """Return the pages of a model that its admin says can be opened, and of its newest row."""
    row: Any = model._default_manager.order_by("-pk").first()
    found = [page(model, "changelist")]
    if row is not None:
        found += [page(row, "change"), page(row, "history")]
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_is_unfolds(model: type[Model]) -> None:
    assert isinstance(admin.site._registry[model], ModelAdmin)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model._meta.label)
def test_every_page_opens_in_few_queries(model: type[Model], db: None) -> None:
    make_one_of_each()
    client = as_superuser()
    pages = admin.site._registry[model]
    for url in addresses(model):
        assert queries(client, url) <= (10 if url.endswith(model.__name__.lower() + "/") else 12), (
            url
        )
    request: Any = client.get("/admin/").wsgi_request
    if pages.has_add_permission(request):
        assert queries(client, page(model, "add")) <= 10
    if pages.search_fields:
        assert queries(client, page(model, "changelist") + "?q=ev") <= 8
    row = model._default_manager.order_by("-pk").first()
    if row is not None and pages.has_delete_permission(request, row):
        assert queries(client, page(row, "delete")) <= 10


@pytest.mark.slow
@pytest.mark.parametrize("role", ["Librarian", "Assistant", "Cashier", "Auditor"])
def test_each_role_opens_what_the_sidebar_offers_it(role: str, db: None) -> None:
    make_one_of_each()
    client = signed_in(make_member(role))
    offered = [
        item["link"]
        for group in client.get("/admin/").context["sidebar_navigation"]
        for item in group["items"]
        if item["has_permission"]
    ]
    assert offered
    for link in offered:
        assert client.get(str(link)).status_code == 200, link


@pytest.mark.slow
def test_longer_lists_ask_no_more_queries(db: None) -> None:
    client = as_superuser()

    def asked() -> dict[str, int]:
        urls = [page(model, "changelist") for model in BUSY]
        return {url: queries(client, url) for url in (*urls, *(f"{each}?q=al" for each in urls))}

    def add(number: int) -> None:
        copy = make_copy(make_book(f"Alpha {number}"))
        reader = make_reader("Alfred")
        loan = lend(reader, copy, on=timezone.localdate())
        holds.place(make_reader("Alice"), copy.book)
        fine = charges.assess(
            reader, ChargeKind.FINE, charges.ZERO + 1, description="x", loan=loan, by=reader
        )
        assert fine is not None
        paid = payments.take_cash(reader, {fine.pk: fine.amount}, by=reader)
        refunds.refund(paid, paid.money_to_pay, by=reader, reason="x")
        event = {"kind": "x", "event_id": f"x{number}", "payment": paid}
        PaymentEvent.objects.create(provider="STRIPE", **event)

    make_one_of_each(2)
    for number in range(14):
        add(number)
    before = asked()
    for number in range(14, 20):
        add(number)
    assert asked() == before


def test_a_book_page_with_many_copies_loans_and_holds_asks_no_more_queries(db: None) -> None:
    kind = ItemType.objects.create(name="DVD")
    client, book = as_superuser(), make_book()

    def grow(count: int) -> int:
        copies = [make_copy(book, item_type=kind) for _number in range(2 * count)]
        for copy in copies[:count]:
            lend(make_reader(), copy, on=timezone.localdate())
        for _number in range(count):
            holds.place(make_reader(), book)
        for copy in copies[count:]:
            desk.check_in(copy)
        return queries(client, page(book, "change"))

    assert grow(2) == grow(30) <= 12


def test_a_readers_page_with_a_long_past_asks_no_more_queries(rule: LoanPolicy) -> None:
    rule.max_loans = 100
    rule.debt_limit = None
    rule.save()
    client, reader = as_superuser(), make_reader()

    def grow(count: int) -> int:
        for _number in range(count):
            loan = lend(reader, make_copy(make_book(daily_fee=1)), on=timezone.localdate())
            desk.renew(loan)
        return queries(client, page(reader, "change"))

    assert grow(2) == grow(30) <= 12


def test_a_history_of_many_changes_asks_no_more_queries(db: None) -> None:
    client, reader = as_superuser(), make_reader()

    def grow(count: int) -> int:
        for number in range(count):
            reader.category = ReaderCategory.objects.create(name=f"{count} {number}")
            reader.save()
        return queries(client, page(reader, "history"))

    assert grow(2) + 1 == grow(60) <= 12  # one more for the row before the page


@pytest.mark.parametrize("model", BUSY, ids=lambda model: model.__name__)
def test_a_script_in_a_title_is_inert_on_every_page(model: type[Model], db: None) -> None:
    make_one_of_each()
    client = as_superuser()
    for url in addresses(model):
        text = client.get(url).content.decode()
        assert "<script>alert(1)" not in text, url
        assert "7006652" not in text, url


@pytest.mark.slow
@pytest.mark.parametrize("model", BUSY, ids=lambda model: model.__name__)
def test_no_list_breaks_whatever_is_asked_of_it(model: type[Model], db: None) -> None:
    make_one_of_each()
    client = as_superuser()
    assert_no_query_breaks(client, model)


@pytest.mark.slow
@pytest.mark.parametrize("term", ["", "lem", "%00", "x" * 5000, "a+" * 3000, "%27", "99999999999"])
@pytest.mark.parametrize(
    ("model", "field"), [("loan", "reader"), ("loan", "copy"), ("hold", "book")]
)
def test_no_autocomplete_breaks_whatever_is_typed(
    model: str, field: str, term: str, db: None
) -> None:
    make_one_of_each()
    url = f"/admin/autocomplete/?app_label=circulation&model_name={model}&field_name={field}"
    assert as_superuser().get(f"{url}&term={term}").status_code == 200


def test_nobody_can_fish_for_passwords_through_a_list(db: None) -> None:
    client = signed_in(make_member("Librarian"))
    for url in (
        "/admin/circulation/reader/?password__startswith=p",
        "/admin/circulation/loan/?reader__password__startswith=p",
        "/admin/billing/charge/?reader__password__startswith=p",
        "/admin/billing/payment/?reader__password__startswith=p",
        "/admin/billing/refund/?payment__reader__password__startswith=p",
    ):
        assert client.get(url).status_code == 400, url


def test_an_empty_list_says_what_to_do(db: None) -> None:
    client = as_superuser()
    assert "Lend the first copy at the desk." in client.get(page(Loan, "changelist")).text
    assert "Try fewer words" in client.get(page(Loan, "changelist") + "?q=nobody").text


def test_books_are_found_by_the_search_of_the_catalogue_best_first(db: None) -> None:
    for title in ("Droga do Łodzi", "Łódź", "Solaris"):
        make_book(title)
    changes = as_superuser().get(page(Book, "changelist") + "?q=lodz").context["cl"]
    assert [book.title for book in changes.result_list] == ["Łódź", "Droga do Łodzi"]


def test_books_are_filtered_by_what_is_available_and_by_language(db: None) -> None:
    free, out = make_copy(make_book("Free", language="pl")), make_copy(make_book("Out"))
    make_book("Bare", language="en")
    lend(make_reader(), out, on=timezone.localdate())
    client = as_superuser()

    def titles(query: str) -> set[str]:
        rows = client.get(page(Book, "changelist") + query).context["cl"].result_list
        return {book.title for book in rows}

    assert titles("?inventory=available") == {free.book.title}
    assert titles("?inventory=out") == {"Out"}
    assert titles("?inventory=none") == {"Bare"}
    assert titles("?language=pl") == {"Free"}
    holds.place(make_reader(), out.book)
    assert titles("?holds=yes") == {"Out"}


@pytest.mark.parametrize("term", ["R77", "nowak zof", "Zofia", "zofia now", "zofia@x"])
def test_a_reader_is_found_by_card_name_or_email(term: str, db: None) -> None:
    zofia = make_reader("Zofia", card_number="R77", email="zofia@x.org")
    make_reader("Adam", card_number="R777")
    found = as_superuser().get(page(Reader, "changelist"), {"q": term}).context["cl"]
    assert list(found.result_list) == [zofia]


def test_counting_stops_at_a_thousand_where_something_is_filtered(db: None) -> None:
    Book.objects.bulk_create(Book(title=f"Book {n}", identity=str(n)) for n in range(1100))
    client = as_superuser()
    assert client.get(page(Book, "changelist")).context["cl"].result_count == 1100
    filtered = client.get(page(Book, "changelist") + "?cover__exact=SOFT")
    assert filtered.context["cl"].result_count == 1000
    assert "the first 1000 books" in filtered.text


def test_what_no_database_can_be_asked_is_not_asked(db: None) -> None:
    client, url = as_superuser(), page(Loan, "changelist")
    for query in ("reader__id__exact=9999999999999999999999", "source_id=%00", "%00=1"):
        assert client.get(f"{url}?{query}").headers["Location"] == url
