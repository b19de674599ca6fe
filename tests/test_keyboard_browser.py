"""The pages beside the Desk by keyboard alone: every way there is with Tab, Enter and Space."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from circulation.models import Hold
from tests.browsing import nothing_astray, sign_in
from tests.factories import lend, make_book, make_copy, make_member, make_reader, set_policy

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

expect.set_options(timeout=15_000)  # two cores shared by tests, server and browser
MOST_TABS = 80
FOCUSED = """() => {
    const at = document.activeElement;
    if (!at?.matches("a, button, input, select, [role=combobox]")) return {name: "", seen: true};
    const labels = (at.getAttribute("aria-labelledby") ?? "").split(" ").filter(Boolean);
    const names = labels.map((id) => document.getElementById(id)?.innerText ?? "");
    const look = getComputedStyle(at);
    return {name: [...names, at.innerText, at.value].join("\\n"),
            seen: look.outlineStyle !== "none" || look.boxShadow !== "none"};
}"""


@pytest.fixture
def office(page: Page, live_server: LiveServer, transactional_db: None) -> Iterator[Page]:
    """Today, opened by a librarian; Anna has had Solaris for three weeks."""
    set_policy()
    anna = make_reader("Anna", card_number="R7")
    lend(anna, make_copy(make_book("Solaris")), on=timezone.localdate() - timedelta(days=21))
    sign_in(page, live_server, make_member("Librarian", card_number="S1"))
    with nothing_astray(page, live_server, "data:", "blob:"):
        page.goto(f"{live_server.url}/admin/")
        yield page


def tab_to(page: Page, name: str) -> None:
    """Press Tab until a line of what has the focus begins with `name`; it has to show."""
    page.wait_for_load_state()
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if re.search(rf"^\s*{name}", focused["name"], re.MULTILINE):  # an icon is a line, too
            assert focused["seen"], f"nothing shows that {name} has the focus"
            return
    page.screenshot(path="/tmp/carrel/kb.png")
    pytest.fail(f"{MOST_TABS} times Tab do not lead to {name}.")


def follow(page: Page, name: str) -> None:
    tab_to(page, name)
    with page.expect_navigation():
        page.keyboard.press("Enter")


def test_a_number_of_today_opens_its_list(office: Page) -> None:
    follow(office, "1 to 7 days late")
    expect(office).to_have_url(re.compile(r"/admin/circulation/loan/\?state=late-1$"))
    follow(office, "Solaris")
    expect(office.get_by_text("Overdue by 7 days", exact=False).first).to_be_visible()


def test_the_overdue_are_written_to(office: Page) -> None:
    follow(office, "Reports and printing")
    follow(office, "Overdue readers")
    expect(office.get_by_role("heading", level=2, name="Overdue readers")).to_be_visible()
    follow(office, "Letters for those ticked")
    expect(office.get_by_text("Solaris")).to_be_visible()
    tab_to(office, "Print")


def test_a_hold_is_placed_on_the_books_page(office: Page) -> None:
    adam = make_reader("Adam", card_number="R8")
    office.keyboard.press("Control+k")
    expect(office.locator("#search-input-command")).to_be_focused()
    office.keyboard.type("Solaris")
    expect(office.locator("#command-results-list")).to_contain_text("Solaris")
    office.keyboard.press("ArrowDown")
    office.keyboard.press("Enter")
    expect(office.get_by_role("heading", name="Solaris", exact=True)).to_be_visible()
    follow(office, "Place a hold")
    tab_to(office, r"Reader\W*$")
    office.keyboard.press("Enter")
    office.keyboard.type("R8")
    expect(office.get_by_role("option", name=re.compile("Adam"))).to_be_visible()
    office.keyboard.press("Enter")
    follow(office, "Place the hold")
    expect(office.get_by_text("Adam Nowak").first).to_be_visible()
    assert Hold.objects.get().reader == adam
