"""Pay links: where they lead, whatever became of the debt, and what they never tell or do."""

from decimal import Decimal

import pytest
from django.core import signing
from django.test import Client
from pytest_django import Settings

from billing import charges, links, payments
from billing.models import Charge, Payment, PaymentStatus
from circulation.models import Reader
from tests.factories import forget, make_charge
from tests.paying import in_session, session_of, waiting
from tests.scripted_paypal import ScriptedPayPal
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")

SESSIONS = "/v1/checkout/sessions"
JSON = {"Accept": "application/json"}
TITLE = "A book that is nobody's business"


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna, "5.00", description=TITLE)


def link_to(charge: Charge) -> str:
    return links.for_payment(waiting(charge))


# Where it leads.


def test_a_pay_link_leads_to_a_session_for_what_is_owed(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    answer = client.get(link_to(fine))
    [session] = stripe_server.sessions.values()
    assert (answer.status_code, answer["Location"]) == (302, session["url"])
    assert session["amount_total"] == 500


def test_opened_again_it_leads_to_the_same_session(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    link = link_to(fine)
    first = client.get(link)
    assert client.get(link)["Location"] == first["Location"]
    assert len(stripe_server.sent("POST", SESSIONS)) == 1


def test_once_the_session_is_over_it_leads_to_a_new_one(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    link = link_to(fine)
    first = client.get(link)
    stripe_server.expire(next(iter(stripe_server.sessions)))
    second = client.get(link)
    assert second.status_code == 302
    assert second["Location"] != first["Location"]
    assert len(stripe_server.sessions) == 2


def test_it_asks_for_what_is_owed_when_it_is_opened(
    client: Client, stripe_server: ScriptedStripe, fine: Charge, maria: Reader
) -> None:
    link = link_to(fine)
    charges.waive(fine, Decimal("2.00"), by=maria, reason="Was ill")
    client.get(link)
    [session] = stripe_server.sessions.values()
    assert session["amount_total"] == 300


def test_what_was_paid_and_given_back_is_asked_for_again(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    link = link_to(fine)
    client.get(link)
    stripe_server.pay("cs_test_1")
    stripe_server.refund_in_dashboard("cs_test_1")
    payments.settle(Payment.objects.get(session_id="cs_test_1"))
    assert client.get(link)["Location"].startswith(stripe_server.url)


def test_a_link_for_the_account_asks_for_everything_at_once(
    client: Client, stripe_server: ScriptedStripe, anna: Reader, bartek: Reader
) -> None:
    make_charge(anna, "5.00")
    make_charge(anna, "0.20")
    make_charge(bartek, "9.00")
    client.get(links.for_account(anna.pk))
    [session] = stripe_server.sessions.values()
    assert session["amount_total"] == 520


def test_paypal_is_where_it_leads_without_stripe(
    client: Client, paypal_server: ScriptedPayPal, fine: Charge
) -> None:
    answer = client.get(link_to(fine))
    assert answer["Location"].startswith(f"{paypal_server.url}/checkoutnow?token=")


# Where it leads to a page instead.


def test_what_is_settled_is_not_asked_for_again(
    client: Client, stripe_server: ScriptedStripe, fine: Charge, anna: Reader, maria: Reader
) -> None:
    link = link_to(fine)
    payments.take_cash(anna, {fine.pk: Decimal("5.00")}, by=maria)
    answer = client.get(link)
    assert answer.status_code == 200
    assert "Nothing to pay" in answer.text
    assert not stripe_server.calls


def test_what_was_paid_without_our_knowing_is_found_out_by_the_link(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    link = link_to(fine)
    client.get(link)
    stripe_server.pay("cs_test_1")
    assert "Nothing to pay" in client.get(link).text
    assert Payment.objects.get(session_id="cs_test_1").status == PaymentStatus.PAID


def test_one_who_never_owed_has_nothing_to_pay(
    client: Client, stripe_server: ScriptedStripe, anna: Reader
) -> None:
    for link in (links.for_account(anna.pk), links.for_account(anna.pk + 1000)):
        assert "Nothing to pay" in client.get(link).text
    assert not stripe_server.calls


def test_while_the_money_is_on_its_way_it_says_so_and_asks_for_no_more(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    link = link_to(fine)
    client.get(link)
    stripe_server.pay_later("cs_test_1")
    answer = client.get(link)
    assert answer.status_code == 409
    assert "A payment of 5.00 USD is on its way already" in answer.text
    assert len(stripe_server.sessions) == 1


def test_too_little_for_the_provider_can_be_paid_with_the_rest(
    client: Client, stripe_server: ScriptedStripe, fine: Charge, anna: Reader
) -> None:
    small = make_charge(anna, "0.20")
    answer = client.get(link_to(small))
    assert answer.status_code == 200
    assert "0.20 USD is too little to be paid online: the least is 0.50 USD" in answer.text
    assert "Pay all that is open: 5.20 USD" in answer.text
    assert links.for_account(anna.pk) in answer.text
    assert not stripe_server.calls
    client.get(links.for_account(anna.pk))
    [session] = stripe_server.sessions.values()
    assert session["amount_total"] == 520


def test_too_little_altogether_stays_on_the_account(
    client: Client, stripe_server: ScriptedStripe, anna: Reader
) -> None:
    small = make_charge(anna, "0.20")
    for link in (link_to(small), links.for_account(anna.pk)):
        answer = client.get(link)
        assert "stays on your account" in answer.text
        assert "<a " not in answer.text


def test_without_a_provider_it_sends_to_the_desk(client: Client, fine: Charge) -> None:
    answer = client.get(link_to(fine))
    assert answer.status_code == 200
    assert "Please pay at the desk" in answer.text


def test_while_the_provider_is_away_it_asks_to_try_again_and_then_goes_on(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    link = link_to(fine)
    stripe_server.down()
    answer = client.get(link)
    assert (answer.status_code, answer["Retry-After"]) == (503, "120")
    assert "Try again in a few minutes" in answer.text
    assert charges.owed(fine) == Decimal("5.00")
    stripe_server.up()
    assert client.get(link).status_code == 302


def test_an_answer_that_was_lost_leads_to_one_session_in_the_end(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    link = link_to(fine)
    stripe_server.answer_after_accepting_then_drop()
    assert client.get(link).status_code == 503
    assert client.get(link)["Location"] == f"{stripe_server.url}/pay/cs_test_1"
    assert len(stripe_server.sessions) == 1


def test_what_the_provider_refuses_can_be_paid_at_the_desk(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    stripe_server.fail_next(400, message="No such thing, sk_test_secret")
    answer = client.get(link_to(fine))
    assert answer.status_code == 409
    assert "pay at the desk" in answer.text
    assert "such thing" not in answer.text


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_session_at_a_provider_of_before_gives_way_to_one_at_the_present_one(
    stripe_server: ScriptedStripe,
    paypal_server: ScriptedPayPal,
    settings: Settings,
    fine: Charge,
    is_listed: bool,
) -> None:
    settings.PAYMENT_PROVIDER = "PAYPAL"
    link, client = link_to(fine), Client()
    client.get(link)
    settings.PAYMENT_PROVIDER = "STRIPE"
    settings.PAYPAL_CLIENT_ID = settings.PAYPAL_CLIENT_SECRET = ""
    if not is_listed:
        settings.PAYMENT_GATEWAYS = ["billing.gateways.cash.Cash", "billing.gateways.stripe.Stripe"]
    assert client.get(link)["Location"].startswith(stripe_server.url)


# What it never tells or does.


UNKNOWN = {
    "unsigned": "p1",
    "empty signature": "p1:",
    "wrong signature": "p1:wrong",
    "nothing but a colon": ":",
    "right length": "p1:" + "A" * 43,
    "slashes": "a/b/../c",
    "NUL": "%00",
    "NUL in the number": "p1%00:x",
    "not UTF-8": "%FF%FE",
    "letters beyond ASCII": "é:ż",
    "very long": "x" * 20_000,
    "signed for something else": signing.Signer(salt="something-else").sign("p1"),
}


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("token", UNKNOWN.values(), ids=UNKNOWN)
def test_a_link_that_was_not_made_here_is_unknown(
    client: Client, stripe_server: ScriptedStripe, fine: Charge, token: str, slash: str
) -> None:
    answer = client.get(f"/pay/{token}{slash}")
    assert answer.status_code == 404
    assert "This link is not complete" in answer.text
    assert not stripe_server.calls


def test_a_link_that_was_changed_by_a_letter_is_unknown(client: Client, fine: Charge) -> None:
    token = link_to(fine).split("/")[-2]
    for changed in (token[:-1], "q" + token[1:], token.replace(":", "0:"), token.swapcase()):
        assert client.get(f"/pay/{changed}/").status_code == 404


def test_a_link_to_a_payment_that_is_gone_is_unknown(client: Client, fine: Charge) -> None:
    link = link_to(fine)
    forget(Charge.objects.all())
    assert client.get(link).status_code == 404


def test_a_link_still_works_after_the_secret_key_was_changed(
    client: Client, stripe_server: ScriptedStripe, settings: Settings, fine: Charge
) -> None:
    link = link_to(fine)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another" * 10
    assert client.get(link).status_code == 302
    assert link != link_to(fine)


def test_a_preview_of_a_link_opens_no_session(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    answer = client.head(link_to(fine))
    assert (answer.status_code, answer.content) == (200, b"")
    assert not stripe_server.calls


def test_it_can_only_be_read(fine: Charge) -> None:
    client = Client(enforce_csrf_checks=True)
    for method in (client.post, client.put, client.patch, client.delete):
        assert method(link_to(fine)).status_code == 405


def test_it_works_without_its_last_slash(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    assert client.get(link_to(fine).removesuffix("/")).status_code == 302


def test_a_link_and_its_page_name_nobody(client: Client, fine: Charge, anna: Reader) -> None:
    link = link_to(fine)
    answer = client.get(link)
    for secret in ("Anna", "Nowak", anna.email, anna.card_number, TITLE):
        assert str(secret) not in link + answer.text


def test_nothing_of_it_is_kept_indexed_framed_or_passed_on(
    client: Client, stripe_server: ScriptedStripe, fine: Charge
) -> None:
    for answer in (client.get(link_to(fine)), client.get("/pay/unknown/")):
        assert "no-store" in answer["Cache-Control"]
        assert "noindex" in answer["X-Robots-Tag"]
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert not answer.cookies


def test_a_program_is_told_the_same_as_json(
    client: Client, stripe_server: ScriptedStripe, anna: Reader
) -> None:
    small, enough = make_charge(anna, "0.20"), make_charge(anna, "5.00")
    too_small = client.get(link_to(small), headers=JSON)
    assert too_small.json()["code"] == "too_small"
    assert too_small.json()["link"] == links.for_account(anna.pk)
    unknown = client.get("/pay/unknown/", headers=JSON)
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_link")
    stripe_server.down()
    away = client.get(link_to(enough), headers=JSON)
    assert (away.status_code, away.json()["code"]) == (503, "provider_away")
    assert away["Retry-After"] == "120"
    assert "Accept" in away["Vary"]


def test_a_session_belongs_to_one_reader_alone(
    client: Client, stripe_server: ScriptedStripe, anna: Reader, bartek: Reader
) -> None:
    of_anna, of_bartek = (in_session(make_charge(each)) for each in (anna, bartek))
    assert client.get(links.for_payment(of_bartek))["Location"].endswith(session_of(of_bartek))
    assert client.get(links.for_payment(of_anna))["Location"].endswith(session_of(of_anna))
