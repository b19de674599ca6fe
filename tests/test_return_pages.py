"""Where providers send readers back: what is said of a payment is true, and told to nobody else."""

import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings

from alerts.models import Event
from billing import ledger, links, payment_states, payments, refunds
from billing.models import Payment, PaymentStatus
from circulation.models import Reader
from tests.factories import MONDAY, make_charge, noon
from tests.paying import in_session, session_of
from tests.scripted_paypal import ScriptedPayPal
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")

SUCCESS = "/api/payments/success/"
CANCEL = "/api/payments/cancel/"
LOOK_UP = "/v1/checkout/sessions/{id}"
JSON = {"Accept": "application/json"}
TITLE = "A book that is nobody's business"


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(noon(MONDAY), tick=False) as clock:
        yield clock


@pytest.fixture
def payment(stripe_server: ScriptedStripe, anna: Reader) -> Payment:
    return in_session(make_charge(anna, "5.00", description=TITLE))


def back(client: Client, payment: Payment, **query: str) -> str:
    """Return the page that a reader who comes back from Stripe sees."""
    answer = client.get(SUCCESS, {"session_id": session_of(payment), **query})
    assert answer.status_code == 200
    return answer.text


def saw(text: str, title: str, *said: str) -> bool:
    return f"<h1>{title}</h1>" in text and all(each in text for each in said)


def status_of(payment: Payment) -> str:
    payment.refresh_from_db()
    return payment.status


# What is said.


def test_one_who_has_paid_is_thanked_and_it_is_settled(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.pay(session_of(payment))
    page = back(client, payment)
    assert saw(page, "Thank you", "Your payment of 5.00 USD has arrived.")
    assert "http-equiv" not in page
    assert status_of(payment) == PaymentStatus.PAID


def test_one_who_reloads_the_page_is_thanked_again_and_nothing_is_asked(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.pay(session_of(payment))
    first = back(client, payment)
    asked = len(stripe_server.calls)
    assert back(client, payment) == first
    assert len(stripe_server.calls) == asked
    assert Event.objects.filter(kind="PAYMENT_COMPLETED").count() == 1


def test_one_who_has_not_paid_is_not_thanked(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    page = back(client, payment)
    assert saw(page, "Not paid yet", "has not received 5.00 USD so far", "Go on paying")
    assert links.for_payment(payment) in page
    assert status_of(payment) == PaymentStatus.PENDING


def test_money_that_takes_days_is_on_its_way_until_it_has_arrived(
    client: Client,
    stripe_server: ScriptedStripe,
    clock: time_machine.Traveller,
    payment: Payment,
) -> None:
    stripe_server.pay_later(session_of(payment))
    page = back(client, payment)
    assert saw(page, "Your payment is on its way", "5.00 USD", "do not pay again")
    assert status_of(payment) == PaymentStatus.PROCESSING
    stripe_server.succeed_later(session_of(payment))
    clock.shift(timedelta(days=3))
    assert saw(back(client, payment), "Thank you")


def test_money_that_never_comes_can_be_paid_again(
    client: Client,
    stripe_server: ScriptedStripe,
    clock: time_machine.Traveller,
    payment: Payment,
) -> None:
    stripe_server.pay_later(session_of(payment))
    back(client, payment)
    stripe_server.fail_later(session_of(payment))
    clock.shift(timedelta(days=3))
    page = back(client, payment)
    assert saw(page, "Not paid", "was not completed", "Try again")
    assert status_of(payment) == PaymentStatus.FAILED
    assert client.get(links.for_payment(payment)).status_code == 302


def test_a_session_that_is_over_was_not_paid(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.expire(session_of(payment))
    page = back(client, payment)
    assert saw(page, "Not paid", "This payment of 5.00 USD was not completed.")
    assert links.for_payment(payment) in page


def test_a_sum_that_does_not_fit_has_arrived_and_is_looked_at(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.change(session_of(payment), amount_total=700, currency="eur")
    stripe_server.pay(session_of(payment))
    page = back(client, payment)
    assert saw(page, "Payment received", "Your payment of 7.00 EUR has arrived")
    assert "5.00" not in page
    assert status_of(payment) == PaymentStatus.REVIEW


def test_what_was_given_back_is_called_so(
    client: Client, stripe_server: ScriptedStripe, payment: Payment, maria: Reader
) -> None:
    stripe_server.pay(session_of(payment))
    paid = payments.settle(payment)
    refunds.send(refunds.refund(paid, Decimal("5.00"), by=maria, reason="Paid twice"))
    page = back(client, payment)
    assert saw(page, "Payment refunded", "5.00 USD was given back")


def test_a_part_that_was_given_back_takes_nothing_from_the_thanks(
    client: Client, stripe_server: ScriptedStripe, payment: Payment, maria: Reader
) -> None:
    stripe_server.pay(session_of(payment))
    paid = payments.settle(payment)
    refunds.send(refunds.refund(paid, Decimal("2.00"), by=maria, reason="Too much"))
    assert saw(back(client, payment), "Thank you", "5.00 USD")


def test_what_was_paid_in_a_session_that_was_given_up_is_not_called_unpaid(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    """The cashier took the money while the reader was paying: it must not be paid a third time."""
    stripe_server.pay(session_of(payment))
    ledger.give_up(ledger.lock(payment))
    assert saw(back(client, payment), "Thank you", "5.00 USD has arrived")
    assert status_of(payment) == PaymentStatus.PAID


def test_while_a_session_that_was_given_up_cannot_be_asked_about_nothing_is_claimed(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.pay(session_of(payment))
    ledger.give_up(ledger.lock(payment))
    stripe_server.down()
    page = back(client, payment)
    assert saw(page, "Your payment is being confirmed", "do not pay again before you know")


def test_while_the_provider_is_away_nothing_is_claimed(
    client: Client,
    stripe_server: ScriptedStripe,
    clock: time_machine.Traveller,
    payment: Payment,
) -> None:
    stripe_server.pay(session_of(payment))
    stripe_server.down()
    assert saw(back(client, payment), "Your payment is being confirmed", "5.00 USD")
    assert status_of(payment) == PaymentStatus.PENDING
    stripe_server.up()
    clock.shift(timedelta(seconds=4))
    assert saw(back(client, payment), "Thank you")


def test_the_sum_is_in_the_currency_in_which_it_was_asked_for(
    client: Client, stripe_server: ScriptedStripe, settings: Settings, payment: Payment
) -> None:
    settings.CURRENCY = "EUR"
    assert "5.00 USD" in back(client, payment)


# PayPal.


def test_what_was_approved_at_paypal_is_captured_once_on_return(
    client: Client, paypal_server: ScriptedPayPal, anna: Reader
) -> None:
    payment = in_session(make_charge(anna, "5.00"))
    paypal_server.approve(session_of(payment))
    for _time in range(2):
        answer = client.get(SUCCESS, {"token": session_of(payment), "PayerID": "X"})
        assert saw(answer.text, "Thank you", "5.00 USD")
    assert paypal_server.captures[session_of(payment)] == 1


def test_a_card_that_was_declined_at_paypal_is_not_paid_yet(
    client: Client, paypal_server: ScriptedPayPal, anna: Reader
) -> None:
    payment = in_session(make_charge(anna, "5.00"))
    paypal_server.approve(session_of(payment))
    paypal_server.decline_next_capture()
    answer = client.get(SUCCESS, {"token": session_of(payment)})
    assert saw(answer.text, "Not paid yet", "Go on paying")


def test_one_who_turned_back_at_paypal_can_go_on(
    client: Client, paypal_server: ScriptedPayPal, anna: Reader
) -> None:
    payment = in_session(make_charge(anna, "5.00"))
    answer = client.get(CANCEL, {"token": session_of(payment)})
    assert saw(answer.text, "Payment paused", links.for_payment(payment))
    assert status_of(payment) == PaymentStatus.PENDING


# Turning back.


def test_turning_back_pauses_and_changes_nothing(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    asked = len(stripe_server.calls)
    answer = client.get(CANCEL)
    assert saw(answer.text, "Payment paused", "Nothing is charged for leaving")
    assert status_of(payment) == PaymentStatus.PENDING
    assert len(stripe_server.calls) == asked


def test_the_page_for_turning_back_does_not_say_paused_of_what_is_paid(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.pay(session_of(payment))
    payments.settle(payment)
    answer = client.get(CANCEL, {"session_id": session_of(payment)}, follow=True)
    assert saw(answer.text, "Thank you")


# Who asks for what is not theirs.

FOREIGN = {
    "missing": {},
    "empty": {"session_id": ""},
    "unknown": {"session_id": "cs_test_unknown"},
    "our placeholder": {"session_id": "{CHECKOUT_SESSION_ID}"},
    "a payment's number": {"session_id": "1"},
    "very long": {"session_id": "x" * 5000},
    "NUL": {"session_id": "cs_test_1\x00"},
    "a pattern": {"session_id": "cs_test_%"},
    "other letters": {"session_id": "CS_TEST_1"},
    "space": {"session_id": " cs_test_1"},
    "repeated": {"session_id": ["cs_test_1", "cs_test_unknown"]},
    "unknown to PayPal": {"token": "5O1"},
    "markup": {"session_id": "<script>alert(1)</script>"},
}


@pytest.mark.parametrize("address", [SUCCESS, CANCEL])
@pytest.mark.parametrize("query", FOREIGN.values(), ids=FOREIGN)
def test_an_unknown_session_gets_the_same_page_whatever_it_is_and_pays_nothing(
    client: Client,
    stripe_server: ScriptedStripe,
    payment: Payment,
    query: dict[str, str],
    address: str,
) -> None:
    stripe_server.pay(session_of(payment))
    asked = len(stripe_server.calls)
    answer = client.get(address, query)
    assert answer.status_code == 200
    assert answer.content == client.get(address).content
    assert "5.00" not in answer.text
    assert status_of(payment) == PaymentStatus.PENDING
    assert len(stripe_server.calls) == asked


def test_a_session_of_another_shop_at_the_same_provider_is_unknown(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.sessions["cs_foreign"] = {**stripe_server.sessions["cs_test_1"]}
    assert "Thank you" not in client.get(SUCCESS, {"session_id": "cs_foreign"}).text


def test_a_payment_of_a_provider_that_is_not_listed_any_more_is_unknown(
    client: Client, stripe_server: ScriptedStripe, settings: Settings, payment: Payment
) -> None:
    settings.PAYMENT_GATEWAYS = ["billing.gateways.cash.Cash"]
    answer = client.get(SUCCESS, {"session_id": session_of(payment)})
    assert answer.content == client.get(SUCCESS).content


def test_a_payment_of_a_provider_without_its_keys_is_being_confirmed(
    client: Client, stripe_server: ScriptedStripe, settings: Settings, payment: Payment
) -> None:
    settings.STRIPE_SECRET_KEY = ""
    assert saw(back(client, payment), "Your payment is being confirmed")


def test_the_pages_name_nobody(
    client: Client, stripe_server: ScriptedStripe, payment: Payment, anna: Reader
) -> None:
    stripe_server.pay(session_of(payment))
    page = back(client, payment)
    for secret in ("Anna", "Nowak", anna.email, anna.card_number, TITLE):
        assert str(secret) not in page


# Being asked often.


def test_the_provider_is_not_hammered_by_reloading(
    client: Client,
    stripe_server: ScriptedStripe,
    clock: time_machine.Traveller,
    payment: Payment,
) -> None:
    for _time in range(20):
        back(client, payment)
    assert len(stripe_server.sent("GET", LOOK_UP)) == 1
    clock.shift(timedelta(seconds=4))
    back(client, payment)
    assert len(stripe_server.sent("GET", LOOK_UP)) == 2


def test_a_provider_in_trouble_is_not_hammered_either(
    client: Client,
    stripe_server: ScriptedStripe,
    clock: time_machine.Traveller,
    payment: Payment,
) -> None:
    stripe_server.fail_next(500, times=20)
    for _time in range(20):
        assert saw(back(client, payment), "Your payment is being confirmed")
    assert len(stripe_server.sent("GET", LOOK_UP)) == 1


def test_the_page_looks_again_by_itself_a_few_times_and_then_has_a_button(
    client: Client,
    stripe_server: ScriptedStripe,
    clock: time_machine.Traveller,
    payment: Payment,
) -> None:
    stripe_server.pay_later(session_of(payment))
    page = back(client, payment)
    looks = 0
    while found := re.search(r'content="4;url=([^"]+)"', page):
        assert "looks again by itself" in page
        looks += 1
        clock.shift(timedelta(seconds=4))
        page = client.get(found[1].replace("&amp;", "&")).text
    assert looks == payment_states.MOST_TRIES
    assert "looks again by itself" not in page
    assert f'href="{payment_states.address(payment)}">Look again</a>' in page


@pytest.mark.parametrize("tries", ["-1", "x", "", "1e9", "٣", "9" * 5000, "\x00"])
def test_a_count_that_makes_no_sense_is_a_first_look(
    client: Client, stripe_server: ScriptedStripe, payment: Payment, tries: str
) -> None:
    assert "tries=1&quot;" in back(client, payment, tries=tries).replace('"', "&quot;")


# How it is asked for.


@pytest.mark.parametrize("address", [SUCCESS, CANCEL])
def test_it_can_only_be_read_and_needs_neither_slash_nor_sign_in(address: str) -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.get(address).status_code == 200
    assert client.get(address.removesuffix("/")).status_code == 200
    assert client.head(address).status_code == 200
    for method in (client.post, client.put, client.patch, client.delete):
        assert method(address).status_code == 405


@pytest.mark.parametrize("address", [SUCCESS, CANCEL])
def test_the_page_is_whole_by_itself(client: Client, address: str) -> None:
    answer = client.get(address)
    assert '<html lang="en">' in answer.text
    assert '<meta name="robots" content="noindex, nofollow">' in answer.text
    assert "<script" not in answer.text
    assert re.findall(r'(?:src|href)="(?!/static/)', answer.text) == []
    assert answer["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer["Cache-Control"]
    assert not answer.cookies


def test_a_program_is_told_the_same_as_json(
    client: Client, stripe_server: ScriptedStripe, payment: Payment
) -> None:
    stripe_server.pay(session_of(payment))
    answer = client.get(SUCCESS, {"session_id": session_of(payment)}, headers=JSON)
    assert answer.json() == {
        "code": "paid",
        "title": "Thank you",
        "detail": "Your payment of 5.00 USD has arrived.",
        "status": "PAID",
        "money_to_pay": "5.00",
        "currency": "USD",
    }
    unknown = client.get(SUCCESS, {"session_id": "cs_test_unknown"}, headers=JSON)
    assert unknown.json().keys() == {"code", "title", "detail"}
    assert client.get(CANCEL, headers=JSON).json()["code"] == "paused"


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "image/png", ";;", "a/b;q=x", "\x7f"])
def test_whoever_does_not_ask_for_json_gets_the_page(client: Client, accept: str) -> None:
    answer = client.get(SUCCESS, headers={"Accept": accept})
    assert answer["Content-Type"].startswith("text/html")


def test_the_page_is_the_librarys_own(settings: Settings) -> None:
    settings.LIBRARY_NAME = "Biblioteka w Rynku"
    shown = Client().get("/api/payments/success/").content.decode()
    assert "<header>Biblioteka w Rynku</header>" in shown
