"""A list is sorted by the column that was clicked, or says why not; it keeps nobody waiting."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client
from unfold.templatetags import unfold_list

from alerts.backoffice import change_list
from catalog.models import Book
from tests.factories import MONDAY, lend_until, make_book, make_member
from tests.office import signed_in

pytestmark = pytest.mark.django_db

BOOKS = "/admin/catalog/book/"
LOANS = "/admin/circulation/loan/"
LATER = MONDAY + timedelta(days=14)


@pytest.fixture
def client() -> Client:
    return signed_in(make_member("Librarian"))


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than two rows are too many to sort."""
    monkeypatch.setattr(change_list, "SORTED_AT_MOST", 2)


@pytest.fixture
def three_books() -> None:
    for title, fee in (("Eden", 3), ("Fiasco", 1), ("Solaris", 2)):
        make_book(title, daily_fee=fee)


def place(client: Client, url: str, column: str) -> int:
    return list(client.get(url).context["cl"].list_display).index(column)


def shown(client: Client, url: str) -> list[Any]:
    return list(client.get(url).context["cl"].result_list)


def titles(client: Client, order: str) -> list[str]:
    return [book.title for book in shown(client, f"{BOOKS}?o={order}")]


@pytest.mark.usefixtures("three_books")
def test_a_list_is_sorted_by_the_column_that_was_clicked(client: Client) -> None:
    fee = place(client, BOOKS, "daily_fee")
    assert titles(client, f"{fee}") == ["Fiasco", "Solaris", "Eden"]
    assert titles(client, f"-{fee}") == ["Eden", "Solaris", "Fiasco"]
    assert "too many to sort" not in client.get(f"{BOOKS}?o={fee}").text


@pytest.mark.usefixtures("three_books", "many")
def test_too_many_rows_keep_their_order_and_the_page_says_what_to_do(client: Client) -> None:
    fee = place(client, BOOKS, "daily_fee")
    answer = client.get(f"{BOOKS}?o=-{fee}")
    changes = answer.context["cl"]
    assert "more than 2 books: too many to sort by daily fee. Search or filter" in answer.text
    assert [book.title for book in changes.result_list] == [
        "Eden",
        "Fiasco",
        "Solaris",
    ]
    # Neither the head nor the way to the next page says that they are sorted by it.
    assert fee not in changes.get_ordering_field_columns()
    assert "o=" not in changes.get_query_string({"p": 2})


@pytest.mark.usefixtures("three_books", "many")
def test_fewer_of_many_rows_are_sorted(client: Client) -> None:
    fee = place(client, BOOKS, "daily_fee")
    found = shown(client, f"{BOOKS}?q=eden&o=-{fee}")
    assert [book.title for book in found] == ["Eden"]
    assert "too many to sort" not in client.get(f"{BOOKS}?q=eden&o=-{fee}").text


@pytest.mark.usefixtures("three_books", "many")
def test_however_many_they_are_sorted_by_what_an_index_holds(client: Client) -> None:
    assert titles(client, f"-{place(client, BOOKS, 'title')}") == ["Solaris", "Fiasco", "Eden"]


@pytest.mark.usefixtures("three_books", "many")
def test_the_head_of_a_column_leads_to_rows_in_its_order(client: Client) -> None:
    Book.objects.update(author="Lem")
    Book.objects.filter(title="Solaris").update(author="Aaron")

    def clicked(column: str) -> Any:
        heads = list(unfold_list.result_headers(client.get(BOOKS).context["cl"]))
        return client.get(BOOKS + heads[place(client, BOOKS, column)]["url_primary"])

    by_author = clicked("author")
    found = [book.title for book in by_author.context["cl"].result_list]
    assert found == ["Solaris", "Eden", "Fiasco"]
    assert "too many to sort" not in by_author.text
    assert "too many to sort by daily fee. Search" in clicked("daily_fee").text


@pytest.mark.usefixtures("three_books", "many")
def test_what_is_searched_for_is_sorted_by_index_in_its_own_order_only(client: Client) -> None:
    title, author = place(client, BOOKS, "title"), place(client, BOOKS, "author")
    assert "too many to sort" not in client.get(f"{BOOKS}?o={author}&q=").text
    assert "too many to sort" not in client.get(f"{BOOKS}?o={title}&language=en").text
    make_book("Eden again", language="en")
    Book.objects.update(language="en")
    assert "too many to sort by author" in client.get(f"{BOOKS}?o={author}&language=en").text
    assert "too many to sort" not in client.get(f"{BOOKS}?o={title}&language=en").text


@pytest.mark.usefixtures("three_books", "many")
def test_two_columns_are_too_much_for_many_rows(client: Client) -> None:
    fee, title = place(client, BOOKS, "daily_fee"), place(client, BOOKS, "title")
    assert "too many to sort by title, daily fee" in client.get(f"{BOOKS}?o=-{title}.{fee}").text


@pytest.mark.usefixtures("many")
def test_open_loans_are_sorted_by_the_due_date_however_many(client: Client) -> None:
    days = [LATER + timedelta(days=number) for number in (2, 0, 1)]
    for day in days:
        lend_until(day)
    due = place(client, LOANS, "due")

    def dates(query: str) -> list[date]:
        return [loan.expected_return_date for loan in shown(client, f"{LOANS}?{query}")]

    assert dates(f"state=open&o={due}") == sorted(days)
    assert "too many to sort by due" in client.get(f"{LOANS}?o={due}").text


@pytest.mark.usefixtures("three_books", "many")
@pytest.mark.parametrize("order", ["99", "-", "x", "0", "..", "-99.x", "2.99"])
def test_columns_that_there_are_not_are_passed_over(order: str, client: Client) -> None:
    assert client.get(f"{BOOKS}?o={order}").status_code == 200
