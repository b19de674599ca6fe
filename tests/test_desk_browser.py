"""The Desk in a real browser, by keyboard alone: what a librarian's day is made of."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from playwright.sync_api import Locator, Page, Route, expect
from pytest_django.live_server_helper import LiveServer

from billing import charges
from billing.models import ChargeKind
from circulation import holds
from circulation.models import Loan, Override, Reader
from tests.browsing import sign_in
from tests.factories import (
    lend,
    make_book,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    set_policy,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PASSWORD = "a-long-enough-password"
SECOND = 1000
expect.set_options(timeout=15 * SECOND)  # two cores shared by tests, server and browser


class DeskPage:
    """The page as a librarian sees it: a field, rows, a panel."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.field = page.get_by_label("Card, name or barcode to lend").or_(
            page.get_by_label("Barcode to take back")
        )
        self.rows = page.locator(".desk-rows > li")
        self.newest = self.rows.first
        self.panel = page.locator(".desk-reader")

    def scan(self, code: str) -> None:
        """Type as a scanner does: into whatever has the focus, with Enter at the end."""
        self.page.keyboard.type(code)
        self.page.keyboard.press("Enter")

    def press(self, key: str) -> None:
        self.page.keyboard.press(key)

    def expect_newest(self, headline: str, *texts: str) -> Locator:
        expect(self.newest.locator(".desk-headline")).to_have_text(re.compile(rf"^{headline}"))
        for text in texts:
            expect(self.newest).to_contain_text(text)
        return self.newest

    def welcome(self, reader: Reader) -> None:
        self.scan(reader.card_number or "")
        expect(self.panel.get_by_role("heading", level=2)).to_have_text(str(reader))


@pytest.fixture
def librarian(transactional_db: None) -> Reader:
    set_policy(grace_days=0)
    return make_member("Librarian")


@pytest.fixture
def anna(transactional_db: None) -> Reader:
    return make_reader("Anna")


@pytest.fixture
def at_desk(page: Page, live_server: LiveServer, librarian: Reader) -> Iterator[DeskPage]:
    """The Desk, opened by a librarian who has signed in; no script may fail on it."""
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    open_desk(page, live_server, librarian)
    yield DeskPage(page)
    assert failures == []


def open_desk(page: Page, live_server: LiveServer, staff: Reader) -> None:
    sign_in(page, live_server, staff)
    page.goto(f"{live_server.url}/admin/desk/")
    expect(page.locator("#desk-field")).to_be_focused()


def late_loan(reader: Reader, *, days: int) -> Loan:
    return lend(reader, make_copy(), on=timezone.localdate() - timedelta(days=14 + days))


def test_a_librarian_signs_in_and_lends(
    page: Page, live_server: LiveServer, librarian: Reader, anna: Reader
) -> None:
    librarian.set_password(PASSWORD)
    librarian.save()
    copy = make_copy()
    page.goto(f"{live_server.url}/admin/desk/")
    page.locator("[name=username]").fill(librarian.email or "")
    page.locator("[name=password]").fill(PASSWORD)
    page.keyboard.press("Enter")
    desk_page = DeskPage(page)
    expect(desk_page.field).to_be_focused()
    desk_page.welcome(anna)
    desk_page.scan(copy.barcode)
    desk_page.expect_newest("Lent", "Solaris", copy.barcode, "Due")
    expect(desk_page.panel).to_contain_text(copy.barcode)
    expect(page.get_by_role("status")).to_contain_text("Lent")
    expect(desk_page.field).to_be_focused()
    assert Loan.objects.get().reader == anna


def test_a_late_return_shows_the_fine_and_why(at_desk: DeskPage, anna: Reader) -> None:
    loan = late_loan(anna, days=4)
    at_desk.press("F2")
    at_desk.scan(loan.copy.barcode)
    row = at_desk.expect_newest("Taken back", "2.00 USD", "4 open days × 0.50")
    expect(row).to_contain_text("Anna Nowak now owes 2.00 USD")


def test_one_key_switches_the_mode_and_says_so(at_desk: DeskPage) -> None:
    lend_mode = at_desk.page.get_by_role("button", name="Lend", exact=True)
    return_mode = at_desk.page.get_by_role("button", name="Return", exact=True)
    expect(lend_mode).to_have_attribute("aria-pressed", "true")
    at_desk.press("F2")
    expect(return_mode).to_have_attribute("aria-pressed", "true")
    expect(lend_mode).to_have_attribute("aria-pressed", "false")
    expect(at_desk.page.get_by_role("status")).to_have_text("Return mode")
    expect(at_desk.field).to_be_focused()
    at_desk.press("F2")
    expect(lend_mode).to_have_attribute("aria-pressed", "true")


def test_a_refused_loan_lists_all_reasons_and_is_overridden_with_one(
    at_desk: DeskPage, anna: Reader
) -> None:
    anna.is_blocked = True
    anna.block_reason = "Two wet books"
    anna.save()
    charges.assess(anna, ChargeKind.FINE, Decimal("9.00"), description="An old fine")
    copy = make_copy()
    at_desk.welcome(anna)
    at_desk.scan(copy.barcode)
    at_desk.expect_newest("Not lent", "Two wet books", "owes 9.00")
    expect(at_desk.field).to_be_focused()
    at_desk.press("F8")
    expect(at_desk.page.get_by_label("Why do you override this?")).to_be_focused()
    at_desk.scan("Her mother pays on Friday")
    at_desk.expect_newest("Lent", copy.barcode)
    expect(at_desk.field).to_be_focused()
    assert set(Override.objects.values_list("reason", flat=True)) == {"Her mother pays on Friday"}


def test_a_refused_scan_does_not_spoil_the_next(at_desk: DeskPage, anna: Reader) -> None:
    taken, free = make_copy(), make_copy()
    lend(make_reader("Bartek"), taken, on=timezone.localdate())
    at_desk.welcome(anna)
    at_desk.scan(taken.barcode)
    at_desk.scan(free.barcode)
    at_desk.expect_newest("Lent", free.barcode)
    expect(at_desk.rows.nth(1)).to_contain_text("On loan to Bartek Nowak")


def test_an_override_is_cancelled_by_escape(at_desk: DeskPage, anna: Reader) -> None:
    charges.assess(anna, ChargeKind.FINE, Decimal("9.00"), description="An old fine")
    at_desk.welcome(anna)
    at_desk.scan(make_copy().barcode)
    at_desk.expect_newest("Not lent")
    at_desk.press("F8")
    at_desk.press("Escape")
    expect(at_desk.field).to_be_focused()
    expect(at_desk.panel).to_contain_text("Anna Nowak")
    assert not Loan.objects.exists()


def test_a_renewal_is_offered_and_done_only_on_its_key(at_desk: DeskPage, anna: Reader) -> None:
    loan = lend(anna, make_copy(), on=timezone.localdate() - timedelta(days=5))
    at_desk.welcome(anna)
    at_desk.scan(loan.copy.barcode)
    at_desk.expect_newest("This reader has it already", "Renew it")
    at_desk.press("Enter")
    at_desk.press("F8")
    at_desk.expect_newest("Renewed", "Now due")
    at_desk.press("F8")
    at_desk.scan("R-none")
    at_desk.expect_newest("Unknown")
    loan.refresh_from_db()
    assert loan.renewals == 1


def test_a_scanner_that_sends_enter_twice_does_no_harm(at_desk: DeskPage, anna: Reader) -> None:
    copy = make_copy()
    at_desk.welcome(anna)
    at_desk.scan(copy.barcode)
    at_desk.press("Enter")
    at_desk.scan(copy.barcode)
    at_desk.scan("R-none")
    at_desk.expect_newest("Unknown")
    expect(at_desk.rows).to_have_count(2)
    assert Loan.objects.get().renewals == 0


def test_one_key_undoes_the_last_act_and_its_money(at_desk: DeskPage, anna: Reader) -> None:
    first, second = make_copy(), make_copy(make_book("Lalka", daily_fee="0.10"))
    at_desk.welcome(anna)
    at_desk.scan(first.barcode)
    at_desk.scan(second.barcode)
    at_desk.expect_newest("Lent", "Lalka", "1.40 USD")
    at_desk.press("F9")
    at_desk.expect_newest("Undone: Lent", "Lalka", "Owes 0.00 USD now, 1.40 USD before.")
    expect(at_desk.rows.nth(1)).to_contain_text("undone")
    expect(at_desk.panel).not_to_contain_text("Lalka")
    at_desk.press("F9")
    at_desk.expect_newest("Undone: Lent", first.barcode)
    assert not Loan.objects.open().exists()


def test_an_unknown_barcode_becomes_a_copy_and_is_lent(at_desk: DeskPage, anna: Reader) -> None:
    make_book("Lalka")
    make_book("Lalki i ludzie")
    at_desk.welcome(anna)
    at_desk.scan("ZZ-0042")
    at_desk.expect_newest("Unknown", "ZZ-0042", "Add a copy")
    at_desk.press("F8")
    expect(at_desk.page.get_by_label("Which book is it a copy of?")).to_be_focused()
    at_desk.scan("lalk")
    expect(at_desk.page.locator("[data-pick]")).to_have_count(2)
    at_desk.scan("1")
    at_desk.expect_newest("Lent", "Lalka", "ZZ-0042")
    expect(at_desk.rows.nth(1)).to_contain_text("Copy added")
    expect(at_desk.field).to_be_focused()


def test_an_unknown_card_leads_to_the_form_of_a_new_reader(at_desk: DeskPage) -> None:
    at_desk.scan("NEW-7")
    at_desk.expect_newest("Unknown")
    with at_desk.page.context.expect_page() as opened:
        at_desk.press("Shift+F8")
    expect(opened.value.locator("[name=card_number]")).to_have_value("NEW-7")


def test_a_reader_is_found_by_part_of_the_name_with_the_arrow_keys(at_desk: DeskPage) -> None:
    make_reader("Adam", last_name="Łódzki")
    zofia = make_reader("Zofia", last_name="Łódzka")
    at_desk.scan("lodz")
    expect(at_desk.page.locator("[data-pick]")).to_have_count(2)
    at_desk.press("Enter")  # alone, it chooses nobody
    at_desk.press("ArrowDown")
    at_desk.press("Enter")
    expect(at_desk.panel.get_by_role("heading", level=2)).to_have_text(str(zofia))


def test_thirty_scans_faster_than_the_server_all_arrive_in_their_order(
    at_desk: DeskPage, anna: Reader
) -> None:
    set_policy(max_loans=30)
    copies = [make_copy() for _number in range(30)]
    at_desk.scan(anna.card_number or "")
    for copy in copies:
        at_desk.scan(copy.barcode)
    at_desk.press("F2")  # the scans keep the mode in which they were made
    expect(at_desk.rows).to_have_count(30, timeout=60 * SECOND)
    shown = at_desk.rows.locator(".desk-title code").all_text_contents()
    assert shown == [copy.barcode for copy in reversed(copies)]
    assert list(Loan.objects.order_by("pk").values_list("copy__barcode", flat=True)) == shown[::-1]


def test_the_list_keeps_the_newest_rows_only(at_desk: DeskPage) -> None:
    at_desk.page.locator("#desk").evaluate("desk => (desk.dataset.mostRows = 5)")
    for number in range(8):
        at_desk.scan(f"X{number}")
    at_desk.expect_newest("Unknown", "X7")
    expect(at_desk.rows).to_have_count(5)


def test_escape_lets_the_reader_go_with_the_chosen_due_date(
    at_desk: DeskPage, anna: Reader
) -> None:
    due = timezone.localdate() + timedelta(days=30)
    at_desk.welcome(anna)
    at_desk.press("F4")
    box = at_desk.page.get_by_label("Due date for the next copies")
    expect(box).to_be_focused()
    box.fill(due.isoformat())
    at_desk.press("Enter")
    chosen = at_desk.page.locator(".desk-date", has_text="Chosen due date:")
    expect(chosen).to_contain_text(str(due.day))
    at_desk.scan(make_copy().barcode)
    at_desk.expect_newest("Lent")
    assert Loan.objects.get().expected_return_date == due
    at_desk.press("Escape")
    expect(at_desk.panel).to_contain_text("No reader at the desk")
    expect(chosen).to_be_hidden()


def test_a_silent_reader_is_let_go_after_a_minute(at_desk: DeskPage, anna: Reader) -> None:
    at_desk.page.clock.install()
    at_desk.page.reload()
    at_desk.welcome(anna)
    at_desk.page.clock.run_for(50 * SECOND)
    countdown = at_desk.page.get_by_text("Lets go in")
    expect(countdown).to_be_visible()
    at_desk.press("Shift")
    at_desk.page.clock.run_for(SECOND)
    expect(countdown).to_be_hidden()
    at_desk.page.clock.run_for(60 * SECOND)
    expect(at_desk.panel).to_contain_text("No reader at the desk")


def test_a_book_drop_date_stays_until_it_is_cleared(at_desk: DeskPage, anna: Reader) -> None:
    loan, other = late_loan(anna, days=4), late_loan(make_reader("Bartek"), days=4)
    at_desk.press("F2")
    at_desk.press("F4")
    at_desk.page.get_by_label("Day on which the copies were dropped").fill(
        loan.expected_return_date.isoformat()
    )
    at_desk.press("Enter")
    shown = at_desk.page.locator(".desk-date", has_text="Book drop: every return counts as of")
    expect(shown).to_be_visible()
    at_desk.scan(loan.copy.barcode)
    at_desk.expect_newest("Taken back", "as of")
    assert charges.balance(anna) == 0
    expect(shown).to_be_visible()
    at_desk.page.get_by_role("button", name="Clear").click()
    expect(shown).to_be_hidden()
    at_desk.scan(other.copy.barcode)
    at_desk.expect_newest("Taken back", "2.00 USD")


def test_a_hold_slip_is_printed_for_the_one_who_waits(at_desk: DeskPage, anna: Reader) -> None:
    loan = lend(anna, make_copy(), on=timezone.localdate())
    holds.place(make_reader("Bartek"), loan.copy.book)
    at_desk.page.evaluate("window.print = () => (window.hasPrinted = true)")
    at_desk.press("F2")
    at_desk.scan(loan.copy.barcode)
    at_desk.expect_newest("For the hold shelf: Bartek Nowak")
    at_desk.press("F8")
    at_desk.page.wait_for_function("window.hasPrinted")
    at_desk.page.emulate_media(media="print")
    slip = at_desk.page.locator(".desk-print")
    expect(slip).to_be_visible()
    expect(slip).to_contain_text("Bartek Nowak")
    expect(at_desk.field).to_be_hidden()


def test_what_is_scanned_without_a_connection_waits_for_it(at_desk: DeskPage, anna: Reader) -> None:
    copies = [make_copy(), make_copy()]
    at_desk.welcome(anna)
    at_desk.page.context.set_offline(True)
    for copy in copies:
        at_desk.scan(copy.barcode)
    problem = at_desk.page.locator(".desk-problem")
    expect(problem).to_contain_text("No connection")
    for copy in copies:
        expect(problem).to_contain_text(copy.barcode)
    at_desk.page.context.set_offline(False)
    at_desk.expect_newest("Lent", copies[1].barcode)
    expect(at_desk.rows.nth(1)).to_contain_text(copies[0].barcode)
    expect(problem).to_be_hidden()


def test_after_signing_in_again_elsewhere_the_waiting_scan_goes_on(
    at_desk: DeskPage, live_server: LiveServer, librarian: Reader, anna: Reader
) -> None:
    copy = make_copy()
    at_desk.welcome(anna)
    at_desk.page.context.clear_cookies(name="sessionid")
    at_desk.scan(copy.barcode)
    expect(at_desk.page.get_by_role("alert")).to_contain_text("signed out")
    expect(at_desk.page.get_by_role("link", name="Sign in")).to_be_visible()
    open_desk(at_desk.page.context.new_page(), live_server, librarian)
    at_desk.press("F8")
    at_desk.expect_newest("Lent", copy.barcode)


def test_a_server_that_fails_is_asked_again_or_given_up(at_desk: DeskPage, anna: Reader) -> None:
    copy = make_copy()
    at_desk.welcome(anna)

    def fail(route: Route) -> None:
        route.fulfill(status=500, body="<h1>Server Error</h1>", content_type="text/html")

    at_desk.page.route("**/desk/scan/", fail)
    at_desk.scan(copy.barcode)
    problem = at_desk.page.locator(".desk-problem")
    expect(problem).to_be_visible()  # it lists what waits before it is shown
    expect(problem).to_contain_text(copy.barcode)
    at_desk.press("Escape")
    expect(problem).to_be_hidden()
    at_desk.page.unroute("**/desk/scan/")
    at_desk.scan("R-none")
    at_desk.expect_newest("Unknown")
    assert not Loan.objects.exists()


def test_what_was_typed_stays_where_it_is_not_allowed(
    page: Page, live_server: LiveServer, anna: Reader
) -> None:
    loan = lend(anna, make_copy(), on=timezone.localdate())
    open_desk(page, live_server, make_staff(permissions=("circulation.check_out",)))
    desk_page = DeskPage(page)
    desk_page.press("F2")
    desk_page.scan(loan.copy.barcode)
    desk_page.expect_newest("Not done", "may not do this")
    expect(desk_page.field).to_have_value(loan.copy.barcode)
    desk_page.press("F2")
    desk_page.scan(anna.card_number or "")  # typed over what stayed
    expect(desk_page.panel.get_by_role("heading", level=2)).to_have_text(str(anna))


def test_the_focus_returns_after_a_click_anywhere(at_desk: DeskPage) -> None:
    at_desk.page.locator(".desk-nobody").click()
    expect(at_desk.field).to_be_focused()
    at_desk.page.get_by_role("button", name="Return", exact=True).click()
    expect(at_desk.field).to_be_focused()


def test_markup_in_a_title_does_nothing(at_desk: DeskPage, anna: Reader) -> None:
    title = "<img src=x onerror='window.wasRun=1'> {{ x }}"
    copy = make_copy(make_book(title))
    at_desk.welcome(anna)
    at_desk.scan(copy.barcode)
    at_desk.expect_newest("Lent", title)
    assert at_desk.page.evaluate("window.wasRun") is None


def test_the_page_fits_a_telephone(at_desk: DeskPage, anna: Reader) -> None:
    copy = make_copy(make_book("Donaudampfschifffahrtsgesellschaftskapitänsmütze" * 2))
    at_desk.page.set_viewport_size({"width": 390, "height": 844})
    at_desk.welcome(anna)
    at_desk.scan(copy.barcode)
    at_desk.expect_newest("Lent")
    assert at_desk.page.evaluate("document.documentElement.scrollWidth") <= 390
