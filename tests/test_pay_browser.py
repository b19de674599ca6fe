"""Paying in a real browser: from the link in a message to the thank-you page."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from alerts.models import Event
from billing import charges, links
from billing.models import Charge, Payment, PaymentEvent, PaymentStatus
from circulation.models import Reader
from tests.emulators.checkout import EmulatedStripe
from tests.factories import lend, make_charge, make_copy, make_reader, set_policy, take_back
from tests.paying import disagreements, waiting

pytestmark = [
    pytest.mark.browser,
    pytest.mark.emulator,
    pytest.mark.django_db(transaction=True),
]

SECOND = 1000
expect.set_options(timeout=15 * SECOND)  # two cores shared by tests, server and browser


@pytest.fixture
def anna(transactional_db: None) -> Reader:
    set_policy(grace_days=0)
    return make_reader("Anna")


@pytest.fixture
def shop(
    emulated_stripe: EmulatedStripe, live_server: LiveServer, settings: Settings
) -> EmulatedStripe:
    """The emulator, which sends readers back to the live server, and its events there."""
    settings.SITE_URL = live_server.url
    emulated_stripe.forward_to = f"{live_server.url}/api/payments/webhook/stripe/"
    return emulated_stripe


@pytest.fixture
def reader_page(page: Page, live_server: LiveServer) -> Iterator[Page]:
    """A page on which no script fails, and for which ours loads nothing from elsewhere."""
    strays: list[str] = []
    page.on("pageerror", lambda error: strays.append(str(error)))
    page.on("console", lambda said: strays.append(said.text) if said.type == "error" else None)
    yield page
    assert strays == []


def late_fine(reader: Reader) -> Charge:
    """Four open days at 0.50."""
    today = timezone.localdate()
    loan = lend(reader, make_copy(), on=today - timedelta(days=18))
    take_back(loan.copy, on=today)
    return loan.charges.get()


def pay_at_stripe(page: Page, amount: str) -> None:
    page.wait_for_url("**/checkout/cs_*")
    expect(page.locator("body")).to_contain_text("Library account")
    expect(page.locator("body")).not_to_contain_text("Solaris")
    page.get_by_role("button", name=f"Pay ${amount}").click()


def expect_thanks(page: Page, amount: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Thank you")
    expect(page.get_by_role("main")).to_contain_text(f"Your payment of {amount} USD has arrived.")
    expect(page).to_have_title("Thank you · Carrel")
    assert re.search(r"/api/payments/success/\?session_id=cs_", page.url)


def expect_one_settlement(payment: Payment, reader: Reader) -> None:
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.PAID
    assert charges.balance(reader) == 0
    assert Event.objects.filter(kind="PAYMENT_COMPLETED").count() == 1
    assert disagreements() == {}


def test_a_fine_is_paid_from_the_signed_link_to_the_thank_you_page(
    reader_page: Page, shop: EmulatedStripe, anna: Reader
) -> None:
    fine = late_fine(anna)
    payment = waiting(fine)
    reader_page.goto(links.for_payment(payment))
    pay_at_stripe(reader_page, "2.00")
    expect_thanks(reader_page, "2.00")
    expect_one_settlement(payment, anna)
    event = PaymentEvent.objects.get(payment=payment)
    assert (event.kind, event.outcome) == ("checkout.session.completed", "Paid")
    reader_page.goto(links.for_payment(payment))
    expect(reader_page.get_by_role("heading", level=1)).to_have_text("Nothing to pay")


def test_without_webhooks_the_return_alone_settles(
    reader_page: Page, shop: EmulatedStripe, anna: Reader
) -> None:
    shop.forward_to = ""
    fine = late_fine(anna)
    payment = waiting(fine)
    reader_page.goto(links.for_payment(payment))
    pay_at_stripe(reader_page, "2.00")
    expect_thanks(reader_page, "2.00")
    reader_page.reload()
    expect_thanks(reader_page, "2.00")
    expect_one_settlement(payment, anna)
    assert not PaymentEvent.objects.exists()


def test_what_is_too_little_alone_is_paid_with_the_rest(
    reader_page: Page, shop: EmulatedStripe, anna: Reader
) -> None:
    small = make_charge(anna, "0.20")
    late_fine(anna)
    reader_page.goto(links.for_payment(waiting(small)))
    reader_page.get_by_role("link", name="Pay all that is open: 2.20 USD").click()
    pay_at_stripe(reader_page, "2.20")
    expect_thanks(reader_page, "2.20")
    expect_one_settlement(Payment.objects.get(status=PaymentStatus.PAID), anna)


def test_one_who_turns_back_goes_on_later_in_the_same_session(
    reader_page: Page, shop: EmulatedStripe, anna: Reader
) -> None:
    payment = waiting(late_fine(anna))
    reader_page.goto(links.for_payment(payment))
    reader_page.get_by_role("link", name="Cancel").click()
    expect(reader_page.get_by_role("heading", level=1)).to_have_text("Payment paused")
    reader_page.goto(links.for_payment(payment))
    pay_at_stripe(reader_page, "2.00")
    expect_thanks(reader_page, "2.00")
    expect_one_settlement(payment, anna)


def test_the_page_looks_again_by_itself_until_the_provider_answers(
    reader_page: Page, shop: EmulatedStripe, anna: Reader
) -> None:
    shop.forward_to = ""
    payment = waiting(late_fine(anna))
    reader_page.goto(links.for_payment(payment))
    reader_page.wait_for_url("**/checkout/cs_*")
    shop.fail_next(500, times=2)  # its own webhook, which goes through the relay, and our question
    reader_page.get_by_role("button", name="Pay $2.00").click()
    heading = reader_page.get_by_role("heading", level=1)
    expect(heading).to_have_text("Your payment is being confirmed")
    expect(heading).to_have_text("Thank you")
    expect_one_settlement(payment, anna)
