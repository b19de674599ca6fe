"""Importing in a real browser: upload, look at the preview, confirm, find the books."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from catalog.models import Book, ImportRun
from tests.factories import make_member

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "a-long-enough-password"
GOOD = "Title;Author;ISBN;Copies\nSolaris;Lem, Stanisław;9788308049044;2\n<b>Lalka</b>;Prus;;1\n"
WRONG = GOOD + "Bieguni;Tokarczuk, Olga;9788308041190;-1\n"


@pytest.fixture
def importing(page: Page, live_server: LiveServer) -> Page:
    """The books' import page, open to a librarian who has signed in by the form."""
    librarian = make_member("Librarian", email="librarian@example.org", password=PASSWORD)
    page.goto(f"{live_server.url}/admin/login/?next=/admin/catalog/book/import/")
    page.get_by_label("Email").fill(librarian.email or "")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/import/")
    return page


def upload(page: Page, file: Path, content: str) -> None:
    file.write_text(content, encoding="utf-8")
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name="Submit").click()


def test_a_previewed_file_is_imported_when_it_is_confirmed(importing: Page, tmp_path: Path) -> None:
    upload(importing, tmp_path / "books.csv", GOOD)
    expect(importing.get_by_text("<b>Lalka</b>").first).to_be_visible()
    assert not Book.objects.exists()
    importing.get_by_role("button", name="Confirm import").click()
    importing.wait_for_url("**/admin/catalog/**")
    expect(importing.get_by_text("2 new").first).to_be_visible()
    assert Book.objects.get(title="Solaris").copies.count() == 2
    assert ImportRun.objects.get().rows_new == 2


def test_a_wrong_row_is_shown_with_its_line_and_nothing_can_be_confirmed(
    importing: Page, tmp_path: Path
) -> None:
    upload(importing, tmp_path / "books.csv", WRONG)
    row = importing.get_by_role("row").filter(has_text="9788308041190").first
    expect(row).to_contain_text("4")
    expect(importing.get_by_role("button", name="Confirm import")).to_have_count(0)
    assert not Book.objects.exists()


def test_a_preview_with_long_values_fits_a_telephone(importing: Page, tmp_path: Path) -> None:
    importing.set_viewport_size({"width": 390, "height": 844})
    long = "Donaudampfschifffahrtsgesellschaftskapitän" * 3
    upload(importing, tmp_path / "books.csv", f"{GOOD}{long};{long};{long};1\n")
    expect(importing.get_by_role("heading", name="The first rows")).to_be_visible()
    assert importing.evaluate("document.documentElement.scrollWidth") <= 390
