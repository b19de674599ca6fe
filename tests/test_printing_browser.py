"""Printing from the lists in a real browser: what is on the paper is measured and scanned."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from circulation.models import Reader
from circulation.printing.sheets import LABELS
from tests import paper
from tests.browsing import nothing_astray, sign_in
from tests.factories import (
    lend,
    make_book,
    make_copy,
    make_member,
    make_reader,
    set_policy,
)
from tests.office import page as address

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

expect.set_options(timeout=15_000)  # two cores shared by tests, server and browser
CLOSE = 0.3
"""Millimetres within which a bar is found: a printed dot is 0.04, a pixel of the scan likewise."""


@pytest.fixture
def office(page: Page, live_server: LiveServer) -> Iterator[Page]:
    """A browser in which a librarian is signed in; no script may fail, nothing leaves the site."""
    sign_in(page, live_server, make_member("Librarian"))
    with nothing_astray(page, live_server):
        yield page


def printed(page: Page, folder: Path) -> list[paper.Page]:
    """Print what the browser shows, on the paper that it asks for."""
    file = folder / "printed.pdf"
    page.pdf(path=file, prefer_css_page_size=True)
    return paper.read(file)


def follow(page: Page, button: str) -> None:
    """Press a button, and wait for the page that it leads to: half a page cannot be printed."""
    with page.expect_navigation():
        page.get_by_role("button", name=button).click()


def choose_all(page: Page, action: str) -> None:
    """Tick the rows of a list and run an action on them."""
    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option(label=action)
    follow(page, "Run")


def test_labels_lie_on_their_places_and_scan(
    office: Page, live_server: LiveServer, tmp_path: Path
) -> None:
    book = make_book("Eden")
    for number in range(23):
        make_copy(book, barcode=f"C{number:07}")
    office.goto(live_server.url + address(type(book.copies.get(barcode="C0000000")), "changelist"))
    choose_all(office, "Print labels")
    expect(office.get_by_role("heading", level=1)).to_have_text("Barcode labels (23)")
    sheet = LABELS[0]
    office.get_by_label("First position").fill("2")
    expect(office.get_by_role("button", name="Print")).to_be_disabled()
    office.get_by_label("Move right (mm)").fill("1.5")
    office.get_by_label("Move down (mm)").fill("-0.5")
    follow(office, "Show")
    expect(office.locator(".label")).to_have_count(23)
    first, second = printed(office, tmp_path)
    for side in (first, second):
        assert [side.width, side.height] == pytest.approx(sheet.paper, abs=0.3)
    scanned = {code.text: code for code in first.barcodes}
    assert sorted(scanned) == [f"C{number:07}" for number in range(20)]
    assert sorted(code.text for code in second.barcodes) == [f"C{n:07}" for n in range(20, 23)]
    for number in range(20):
        code, spot = scanned[f"C{number:07}"], sheet.spot(number + 1, right=1.5, down=-0.5)
        middle = (code.left + code.right) / 2
        assert middle == pytest.approx(spot.left + sheet.width / 2, abs=CLOSE)
        assert spot.top < code.top < code.bottom < spot.top + sheet.height
    follow(office, "Test page")
    expect(office.locator(".place")).to_have_count(21)
    [test] = printed(office, tmp_path)
    assert "This line is 100 mm long" in test.text


def test_cards_scan_as_the_numbers_of_their_readers(
    office: Page, live_server: LiveServer, tmp_path: Path
) -> None:
    for number in range(3):
        make_reader(f"Reader{number}", card_number=f"R00{number}")
    office.goto(live_server.url + address(Reader, "changelist") + "?q=Reader")
    choose_all(office, "Print cards")
    office.get_by_label("Sheet").select_option("card")
    follow(office, "Show")
    expect(office.locator(".card")).to_have_count(3)
    pages = printed(office, tmp_path)
    assert [[code.text for code in each.barcodes] for each in pages] == [
        ["R000"],
        ["R001"],
        ["R002"],
    ]
    assert [pages[0].width, pages[0].height] == pytest.approx([85.6, 54.0], abs=0.3)


def test_overdue_readers_are_worked_through_from_the_report_to_the_letters(
    office: Page, live_server: LiveServer, tmp_path: Path
) -> None:
    set_policy()
    today = timezone.localdate()
    for name, days in (("Anna", 50), ("Bartek", 40), ("Celina", 30)):
        reader = make_reader(name, phone="+48 600 100 200")
        lend(reader, make_copy(make_book(f"Book of {name}")), on=today - timedelta(days=days))
    office.goto(live_server.url + reverse("reports"))
    office.get_by_role("link", name="Overdue readers").click()
    expect(office.locator("tbody tr")).to_have_count(3)
    expect(office.locator('a[href="tel:+48600100200"]')).to_have_count(3)
    with office.expect_download() as download:
        office.get_by_role("link", name="As CSV").click()
    assert Path(download.value.path()).read_text("utf-8-sig").count("Book of") == 3
    report = "\n".join(each.text for each in printed(office, tmp_path))
    assert "Book of Anna" in report
    assert "As CSV" not in report
    office.get_by_label("Letter for Bartek Nowak").uncheck()
    follow(office, "Letters for those ticked")
    anna, celina = printed(office, tmp_path)
    assert "Dear Anna Nowak" in anna.text
    assert "Book of Anna" in anna.text
    assert "Dear Celina Nowak" in celina.text
    assert "Back to the list" not in anna.text + celina.text
