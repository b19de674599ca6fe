"""Cash from the Desk to the printed receipt, in a real browser, by keyboard alone."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from billing import accounts
from billing.models import Payment, PaymentStatus
from circulation.models import Reader
from tests.browsing import nothing_astray, sign_in
from tests.factories import make_charge, make_member, make_reader, set_policy
from tests.till import account_url, receipt_url

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

expect.set_options(timeout=15_000)  # two cores shared by tests, server and browser


@pytest.fixture
def anna(transactional_db: None) -> Reader:
    """She owes 5.00, then 3.00."""
    set_policy()
    anna = make_reader("Anna")
    make_charge(anna, "5.00")
    make_charge(anna, "3.00")
    return anna


@pytest.fixture
def signed_in_page(page: Page, live_server: LiveServer, anna: Reader) -> Iterator[Page]:
    """A browser in which a librarian is signed in; no script may fail in it."""
    sign_in(page, live_server, make_member("Librarian"))
    with nothing_astray(page, live_server, "data:"):
        yield page


def paid() -> Payment:
    return Payment.objects.exclude(provider="").get(status=PaymentStatus.PAID)


def test_cash_is_taken_from_the_desk_to_the_receipt_without_a_mouse(
    signed_in_page: Page, live_server: LiveServer, anna: Reader
) -> None:
    desk = signed_in_page
    desk.goto(f"{live_server.url}/admin/desk/")
    expect(desk.locator("#desk-field")).to_be_focused()
    desk.keyboard.type(anna.card_number or "")
    desk.keyboard.press("Enter")
    expect(desk.locator(".desk-reader")).to_contain_text("8.00 USD")
    with desk.context.expect_page() as opened:
        desk.keyboard.press("F6")
    page = opened.value
    expect(page).to_have_url(f"{live_server.url}{account_url(anna)}")
    expect(page.get_by_label("Amount to take")).to_be_focused()
    page.keyboard.type("6")  # over what is there, which is selected
    page.keyboard.press("Tab")
    expect(page.get_by_label("Cash given")).to_be_focused()
    page.keyboard.type("10")
    expect(page.locator("[data-change]")).to_contain_text("4.00 USD")
    page.keyboard.press("Enter")
    told = "6.00 USD taken. Give back 4.00 USD. Still owed: 2.00 USD."
    expect(page.get_by_text(told)).to_be_visible()
    assert paid().paid_amount == Decimal("6.00")
    expect(page.get_by_role("link", name=f"Receipt no. {paid().pk}")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{live_server.url}{receipt_url(paid())}")
    expect(page.get_by_role("button", name="Print")).to_be_focused()
    page.evaluate("window.print = () => { document.title = 'printed'; }")
    page.keyboard.press("Enter")
    expect(page).to_have_title("printed")


def test_the_amount_follows_the_ticks(
    signed_in_page: Page, live_server: LiveServer, anna: Reader
) -> None:
    page = signed_in_page
    page.goto(live_server.url + account_url(anna))
    amount = page.get_by_label("Amount to take")
    expect(amount).to_have_value("8.00")
    oldest = page.get_by_role("checkbox", name="Take 5.00 for: Fine")
    oldest.focus()
    page.keyboard.press("Space")
    expect(amount).to_have_value("3.00")
    amount.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("3.00 USD taken.")).to_be_visible()
    assert accounts.debt(anna) == Decimal("5.00")


def test_a_button_pressed_twice_sends_once(
    signed_in_page: Page, live_server: LiveServer, anna: Reader
) -> None:
    page = signed_in_page
    page.goto(live_server.url + account_url(anna))
    page.get_by_label("Amount to take").fill("1.00")
    page.get_by_role("button", name="Take cash").dblclick()
    expect(page.get_by_text("1.00 USD taken.")).to_be_visible()
    assert accounts.debt(anna) == Decimal("7.00")
