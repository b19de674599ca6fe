"""From the Desk to the reader's page and back, and through its tabs, in a real browser."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from billing import accounts
from circulation import holds
from circulation.models import Loan, Reader
from tests.browsing import nothing_astray, sign_in
from tests.factories import (
    lend,
    make_book,
    make_charge,
    make_copy,
    make_member,
    make_reader,
    set_policy,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

expect.set_options(timeout=15_000)  # two cores shared by tests, server and browser
NARROW = {"width": 390, "height": 844}


@pytest.fixture
def anna(transactional_db: None) -> Reader:
    """She has one book, late by a week, waits for another, and owes 5.00 for a third."""
    set_policy(debt_limit=None)
    today = timezone.localdate()
    anna = make_reader("Anna")
    lend(anna, make_copy(make_book("Solaris")), on=today - timedelta(days=21))
    wanted = make_copy(make_book("Eden"))
    lend(make_reader("Adam"), wanted, on=today)
    holds.place(anna, wanted.book)
    make_charge(anna, "5.00", description="10 open days × 0.50")
    return anna


@pytest.fixture
def signed_in_page(page: Page, live_server: LiveServer, anna: Reader) -> Iterator[Page]:
    """A browser in which a librarian is signed in; no script may fail, nobody else be asked."""
    sign_in(page, live_server, make_member("Librarian"))
    with nothing_astray(page, live_server, "data:"):
        yield page


def open_tab(page: Page, name: str) -> None:
    tabs = page.get_by_role("navigation", name="Reader's page")
    tabs.get_by_role("link", name=re.compile(f"^{name}")).click()
    expect(tabs.locator("[aria-current=page]")).to_have_text(re.compile(f"^{name}"))


def test_one_key_leads_from_the_desk_to_all_that_the_library_knows_of_a_reader(
    signed_in_page: Page, live_server: LiveServer, anna: Reader
) -> None:
    desk = signed_in_page
    desk.goto(f"{live_server.url}/admin/desk/")
    desk.keyboard.type(anna.card_number or "")
    desk.keyboard.press("Enter")
    expect(desk.locator(".desk-reader")).to_contain_text("Solaris")
    with desk.context.expect_page() as opened:
        desk.keyboard.press("F7")
    page = opened.value
    expect(page.get_by_role("heading", name="Anna Nowak", exact=True)).to_be_visible()
    expect(page.get_by_text("overdue by 7 days")).to_be_visible()
    open_tab(page, "Past loans")
    expect(page.get_by_text("This reader has returned nothing.")).to_be_visible()
    open_tab(page, "Holds")
    expect(page.get_by_role("cell", name="Eden")).to_be_visible()
    open_tab(page, "Notices")
    expect(page.get_by_text(f"go to {anna.email}")).to_be_visible()
    open_tab(page, "Blocks")
    expect(page.get_by_text("Staff never blocked this reader.")).to_be_visible()
    open_tab(page, "Account")
    expect(page.get_by_text("10 open days × 0.50").first).to_be_visible()
    page.get_by_label("Amount to take").fill("5.00")
    page.keyboard.press("Enter")
    expect(page.get_by_text("5.00 USD taken.")).to_be_visible()
    assert accounts.debt(anna) == 0
    open_tab(page, "Details")
    expect(page.get_by_label("Phone")).to_be_visible()


def test_the_readers_page_leads_back_to_the_desk_with_the_reader_at_it(
    signed_in_page: Page, live_server: LiveServer, anna: Reader
) -> None:
    page = signed_in_page
    page.goto(f"{live_server.url}/admin/circulation/reader/{anna.pk}/")
    page.get_by_role("link", name="Serve at the desk").click()
    expect(page.locator(".desk-reader")).to_contain_text("Anna Nowak")
    expect(page.locator("#desk-field")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator(".desk-nobody")).to_be_visible()
    page.reload()
    expect(page.locator("#desk-field")).to_be_focused()
    expect(page.locator(".desk-nobody")).to_be_visible()


def test_a_ticked_loan_is_renewed_by_keyboard(
    signed_in_page: Page, live_server: LiveServer, anna: Reader
) -> None:
    page = signed_in_page
    page.goto(f"{live_server.url}/admin/circulation/reader/{anna.pk}/")
    page.get_by_role("checkbox", name=re.compile("^Renew Solaris")).focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Renew what is ticked").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Solaris: Renewed until")).to_be_visible()
    assert Loan.objects.get(reader=anna).renewals == 1


def test_every_tab_and_the_books_page_fit_a_telephone(
    signed_in_page: Page, live_server: LiveServer, anna: Reader
) -> None:
    page = signed_in_page
    page.set_viewport_size(NARROW)  # type: ignore[arg-type]
    page.goto(f"{live_server.url}/admin/circulation/reader/{anna.pk}/")
    for name in ("Past loans", "Holds", "Account", "Notices", "Blocks", "Details", "Loans now"):
        open_tab(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], name
    book = Loan.objects.get(reader=anna).copy.book
    page.goto(f"{live_server.url}/admin/catalog/book/{book.pk}/change/")
    expect(page.get_by_role("link", name="Anna Nowak").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
