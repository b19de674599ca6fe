"""The back-office for everyone: axe-core on its pages, light and dark, and on a narrow screen."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from billing.models import Charge, Payment
from catalog.models import Book, Copy, ImportRun
from circulation.models import Hold, Loan, LoanPolicy, Reader
from config import jobs
from config.models import JobRun
from tests import axe
from tests.browsing import nothing_astray, sign_in
from tests.factories import lend, make_copy, make_reader
from tests.office import page as page_of
from tests.test_admin_pages import make_one_of_each
from tests.test_role_table import make_the_rest

pytestmark = [
    pytest.mark.browser,
    pytest.mark.emulator,
    pytest.mark.django_db(transaction=True),
]

NARROW, WIDE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
LONGEST = 30_000
FILE = "Title;Author;ISBN;Copies\nSolaris;Lem, Stanisław;9788308049044;2\nLalka;Prus;;1\n"


def newest(model: Any) -> Any:
    return model._default_manager.order_by("pk").last()


def loaned(model: Any) -> Any:
    return Reader.objects.filter(loans__isnull=False).first()


ON_PAPER = ("Receipt", "Labels", "Slips", "Cards", "Letters")
"""Made to be printed: they look like paper whatever the theme is."""
PAGES: dict[str, Callable[[], str]] = {
    "Today": lambda: reverse("admin:index"),
    "Desk": lambda: reverse("desk"),
    "Set-up": lambda: reverse("set-up"),
    "History": lambda: reverse("history"),
    "Jobs": lambda: reverse("admin:config_jobs"),
    "Which rule": lambda: reverse("admin:circulation_which_rule"),
    "Day's takings": lambda: reverse("billing-day"),
    "Receipt": lambda: reverse("billing-receipt", args=[newest(Payment).pk]),
    "Reports": lambda: reverse("reports"),
    "Overdue readers": lambda: reverse("report-overdue"),
    "Money by day": lambda: reverse("report-money"),
    "Labels": lambda: reverse("print-labels"),
    "Import": lambda: page_of(Book, "import"),
    "Export": lambda: page_of(Book, "export"),
    "Imports": lambda: page_of(ImportRun, "changelist"),
    "An import": lambda: page_of(newest(ImportRun), "change"),
    "Loans": lambda: page_of(Loan, "changelist"),
    "Loans, filtered": lambda: page_of(Loan, "changelist") + "?state=overdue",
    "A loan": lambda: page_of(newest(Loan), "change"),
    "Its history": lambda: page_of(newest(Loan), "history"),
    "Holds": lambda: page_of(Hold, "changelist"),
    "New hold": lambda: page_of(Hold, "add"),
    "Readers": lambda: page_of(Reader, "changelist"),
    "New reader": lambda: page_of(Reader, "add"),
    "A reader": lambda: reverse("admin:circulation_reader_loans", args=[loaned(Reader).pk]),
    "A reader's past": lambda: reverse("admin:circulation_reader_past", args=[loaned(Reader).pk]),
    "A reader's account": lambda: reverse("billing-account", args=[loaned(Reader).pk]),
    "A reader's notices": lambda: reverse(
        "admin:circulation_reader_notices", args=[loaned(Reader).pk]
    ),
    "A reader's blocks": lambda: reverse(
        "admin:circulation_reader_blocks", args=[loaned(Reader).pk]
    ),
    "A reader's form": lambda: page_of(loaned(Reader), "change"),
    "Books": lambda: page_of(Book, "changelist"),
    "A book": lambda: page_of(newest(Book), "change"),
    "A copy": lambda: page_of(newest(Copy), "change"),
    "Charges": lambda: page_of(Charge, "changelist"),
    "A payment": lambda: page_of(newest(Payment), "change"),
    "Policies": lambda: page_of(LoanPolicy, "changelist"),
    "A policy": lambda: page_of(newest(LoanPolicy), "change"),
    "Roles": lambda: page_of(Group, "changelist"),
    "A role": lambda: page_of(newest(Group), "change"),
    "Slips": lambda: reverse("print-slips"),
    "Cards": lambda: reverse("print-cards"),
    "Letters": lambda: reverse("print-letters"),
    "A reader's holds": lambda: reverse("admin:circulation_reader_holds", args=[loaned(Reader).pk]),
    "Runs of jobs": lambda: page_of(JobRun, "changelist"),
    "Channels": lambda: reverse("admin:alerts_channel_changelist"),
    "New channel": lambda: reverse("admin:alerts_channel_add"),
    "Deliveries": lambda: reverse("admin:alerts_delivery_changelist"),
    "Nothing like it": lambda: page_of(Book, "changelist") + "?q=nothing-like-it",
}


@pytest.fixture
def library(transactional_db: None) -> None:
    make_one_of_each()
    make_the_rest()
    jobs.sync()
    late = make_reader("Late")
    lend(late, make_copy(), on=timezone.localdate() - timedelta(days=40))


@pytest.fixture(autouse=True)
def nothing_else(page: Page, live_server: LiveServer) -> Iterator[None]:
    with nothing_astray(page, live_server, "data:", "blob:"):
        yield


@pytest.fixture
def root(transactional_db: None) -> Reader:
    return make_reader("Root", is_staff=True, is_superuser=True)


def refuse(found: dict[str, dict[str, Any]]) -> None:
    """Fail with all that was found: pytest would cut it short."""
    if broken := axe.listed(found):
        pytest.fail(broken, pytrace=False)


def look(page: Page, url: str) -> None:
    page.goto(url, timeout=LONGEST)
    page.wait_for_load_state("networkidle", timeout=LONGEST)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_keeps_anybody_out(
    page: Page,
    live_server: LiveServer,
    library: None,
    root: Reader,
    theme: Literal["light", "dark"],
) -> None:
    page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    page.set_viewport_size(WIDE)
    look(page, f"{live_server.url}/admin/login/")
    found = {"Login": axe.violations(page)}
    sign_in(page, live_server, root)
    for name, address in PAGES.items():
        look(page, live_server.url + address())
        if name not in ON_PAPER:
            assert page.locator("html.dark").count() == (theme == "dark"), name
        found[name] = axe.violations(page)
    refuse(found)


def test_every_page_fits_a_phone(
    page: Page, live_server: LiveServer, library: None, root: Reader
) -> None:
    """Wide tables may be moved sideways in their own frame; the page itself may not."""
    page.set_viewport_size(NARROW)
    look(page, f"{live_server.url}/admin/login/")
    sign_in(page, live_server, root)
    too_wide = {}
    for name, address in PAGES.items():
        look(page, live_server.url + address())
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > NARROW["width"]:
            too_wide[name] = width
    assert too_wide == {}


def test_a_preview_of_an_import_keeps_nobody_out(
    page: Page, live_server: LiveServer, transactional_db: None, root: Reader, tmp_path: Path
) -> None:
    sign_in(page, live_server, root)
    file = tmp_path / "books.csv"
    file.write_text(FILE, encoding="utf-8")
    look(page, live_server.url + page_of(Book, "import"))
    page.set_input_files("input[type=file]", file)
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_text("Lalka").first).to_be_visible(timeout=LONGEST)
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        refuse({theme: axe.violations(page)})


def test_an_empty_library_keeps_nobody_out(
    page: Page, live_server: LiveServer, transactional_db: None, root: Reader
) -> None:
    """Lists without rows and the first day have other words and other links."""
    sign_in(page, live_server, root)
    found = {}
    for url in (reverse("admin:index"), page_of(Loan, "changelist"), reverse("history")):
        look(page, live_server.url + url)
        found[url] = axe.violations(page)
    refuse(found)
