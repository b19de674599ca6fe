"""Today and the palette in a real browser: seen, clicked, and used by keyboard alone."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from circulation.models import Reader
from tests.browsing import nothing_astray, sign_in
from tests.factories import lend, make_book, make_copy, make_member, make_reader, set_policy

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

SECOND = 1000
expect.set_options(timeout=15 * SECOND)  # two cores shared by tests, server and browser


@pytest.fixture
def today(page: Page, live_server: LiveServer, transactional_db: None) -> Iterator[Page]:
    """Today, opened by a librarian: nothing fails on it, and it asks no other host."""
    set_policy()
    anna = make_reader("Anna", card_number="R7")
    for days in (14, 20, 60):
        lend(anna, make_copy(make_book("Solaris")), on=timezone.localdate() - timedelta(days=days))
    sign_in(page, live_server, make_member("Librarian", card_number="S1"))
    with nothing_astray(page, live_server, "data:", "blob:"):
        page.goto(f"{live_server.url}/admin/")
        yield page


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 390)]
)
def test_the_page_fits_and_its_charts_are_drawn(today: Page, scheme: str, width: int) -> None:
    today.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    today.set_viewport_size({"width": width, "height": 900})
    today.reload()
    expect(today.get_by_role("heading", name="Loans and returns")).to_be_visible()
    # One chart: no money was taken yet, there a sentence stands.
    today.wait_for_function(
        "() => { const all = [...document.querySelectorAll('canvas')];"
        " return all.length === 1 && Chart.getChart(all[0]) !== undefined; }"
    )
    assert today.evaluate("document.documentElement.scrollWidth") <= width
    today.get_by_text("As a table").click()
    expect(today.get_by_role("row", name="Day Lent Returned")).to_be_visible()


def test_a_number_leads_to_its_list(today: Page) -> None:
    today.get_by_role("link", name="1 to 7 days late 1").click()
    expect(today).to_have_url(re.compile(r"/admin/circulation/loan/\?state=late-1$"))
    expect(today.get_by_text("overdue by 6 days")).to_be_visible()


def test_a_step_of_the_first_day_leads_to_where_it_is_done(today: Page) -> None:
    checklist = today.get_by_role("region", name="First day")
    expect(checklist).to_contain_text("4 of 8 done")
    checklist.get_by_role("link", name="Channels").click()
    expect(today.get_by_role("heading", level=1)).to_contain_text("hannel")


def test_a_reader_is_found_by_keyboard_alone(today: Page) -> None:
    today.keyboard.press("Control+k")
    expect(today.locator("#search-input-command")).to_be_focused()
    today.keyboard.type("nowak a")
    expect(today.locator("#command-results-list")).to_contain_text("Reader, card R7")
    today.keyboard.press("ArrowDown")
    today.keyboard.press("Enter")
    anna = Reader.objects.get(card_number="R7")
    expect(today).to_have_url(re.compile(rf"/circulation/reader/{anna.pk}/"))


def test_a_scanner_need_not_wait_for_the_list(today: Page, live_server: LiveServer) -> None:
    today.goto(f"{live_server.url}/admin/desk/")
    today.keyboard.press("Control+k")  # the desk's own field has the focus
    expect(today.locator("#search-input-command")).to_be_focused()
    today.keyboard.type("R7\n")
    anna = Reader.objects.get(card_number="R7")
    expect(today).to_have_url(re.compile(rf"/circulation/reader/{anna.pk}/"))


def test_the_palette_says_so_when_it_finds_nothing(today: Page) -> None:
    today.get_by_role("button", name="Find anything").click()
    expect(today.locator("#search-input-command")).to_be_focused()
    today.keyboard.type("zzzz")
    expect(today.locator("#command-results")).to_contain_text("Nothing is called so")
