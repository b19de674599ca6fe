"""The palette: what a few letters, a card or a barcode find, for whom, and how fast."""

import pytest
from django.test import Client

from circulation.models import Reader
from circulation.reader_page import reader_url
from tests.factories import make_book, make_copy, make_member, make_reader, make_staff
from tests.office import page, signed_in
from tests.test_admin_pages import queries

pytestmark = pytest.mark.django_db


@pytest.fixture
def librarian() -> Client:
    return signed_in(make_member("Librarian", card_number="S1", last_name="Boss"))


@pytest.fixture
def stock() -> None:
    make_copy(make_book("Łódź", isbn="9780306406157"), barcode="Ab-7")
    make_reader("Zofia", last_name="Łoś", card_number="R77")


def found(client: Client, text: str) -> list[tuple[str, str]]:
    response = client.get("/admin/search/", {"s": text, "extended": "1"})
    assert response.status_code == 200
    results = (response.context or {}).get("results", ())
    return [(result.title, result.icon) for result in results]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Ab-7", ("Łódź", "barcode")),
        ("R77", ("Zofia Łoś", "person")),
        ("los zof", ("Zofia Łoś", "person")),
        ("lodz", ("Łódź", "menu_book")),
        ("0-306-40615-2", ("Łódź", "menu_book")),
        ("978-0-306-40615-7", ("Łódź", "menu_book")),
        ("desk", ("Desk", "barcode_reader")),
        ("closed", ("Closed days", "event_busy")),
        ("set up", ("Set-up", "checklist")),
    ],
)
def test_the_first_that_is_found_is_what_was_meant(
    librarian: Client, stock: None, text: str, first: tuple[str, str]
) -> None:
    assert found(librarian, text)[0] == first


def test_a_barcode_is_taken_as_it_stands(librarian: Client, stock: None) -> None:
    assert found(librarian, "ab-7") == []


def test_what_has_just_been_changed_is_found_as_it_is(librarian: Client, stock: None) -> None:
    assert found(librarian, "zofia")
    Reader.objects.filter(card_number="R77").update(first_name="Ewa", search_name="ewa los")
    assert found(librarian, "zofia") == []


@pytest.mark.parametrize(
    ("permission", "icons"),
    [
        ("circulation.view_reader", {"person"}),
        ("catalog.view_book", {"menu_book"}),
        ("catalog.view_copy", {"barcode"}),
    ],
)
def test_only_what_the_user_may_see_is_found(stock: None, permission: str, icons: set[str]) -> None:
    client = signed_in(make_staff("Maria", permissions=(permission,), card_number="S2"))
    everything = [*found(client, "R77"), *found(client, "lodz"), *found(client, "Ab-7")]
    assert {icon for _title, icon in everything} == icons


def test_pages_are_those_of_the_role(librarian: Client) -> None:
    assert ("Loan policies", "rule") in found(librarian, "polic")
    assert found(signed_in(make_member("Cashier")), "polic") == []


def test_nobody_else_is_answered() -> None:
    assert Client().get("/admin/search/?s=desk").status_code == 302
    assert signed_in(make_reader()).get("/admin/search/?s=desk").status_code == 302


def test_many_that_fit_are_cut_short_and_lead_to_all(librarian: Client) -> None:
    for _number in range(9):
        make_reader("Alma")
        make_book("Alma mater")
    results = librarian.get("/admin/search/", {"s": "alma"}).context["results"]
    assert len(results) == 14
    assert [result.link for result in results if result.icon == "list"] == [
        page(Reader, "changelist") + "?q=alma",
        "/admin/catalog/book/?q=alma",
    ]


def test_it_asks_little_however_much_there_is(librarian: Client) -> None:
    def grow(number: int) -> int:
        for _each in range(number):
            make_reader("Alma")
            make_copy(make_book("Alma mater"))
        return queries(librarian, "/admin/search/?s=alma")

    assert grow(1) == grow(15) <= 12


@pytest.mark.parametrize(
    "query",
    [
        *("", "s=", "s=%00", "s=+", "s=a%00b", "s=%27%22%25_*%28", "s=" + "x+" * 3000),
        *("s=AND+OR+NOT", "s=a&page=x", "s=a&page=99", "s=%D9%A1", "s=zz&open=1"),
        "s=99999999999999999999999",
    ],
)
def test_nothing_that_is_typed_breaks_it(librarian: Client, query: str) -> None:
    assert librarian.get(f"/admin/search/?{query}").status_code == 200


def test_what_is_scanned_is_opened_at_once(librarian: Client, stock: None) -> None:
    def opened(text: str) -> str:
        return librarian.get("/admin/search/", {"s": text, "open": "1"}).headers["Location"]

    zofia = Reader.objects.get(card_number="R77")
    make_reader("Zofia", last_name="R77")
    assert opened("R77") == reader_url(zofia.pk)
    assert opened("lodz").startswith("/admin/catalog/book/")


def test_what_may_mean_several_is_asked_back(librarian: Client, stock: None) -> None:
    make_reader("Zofia")
    text = librarian.get("/admin/search/", {"s": "zofia", "open": "1"}).text
    assert "fits more than one" in text
    assert "card R77" in text
    text = librarian.get("/admin/search/", {"s": "nobody", "open": "1"}).text
    assert "Type a card number or a barcode in full" in text
