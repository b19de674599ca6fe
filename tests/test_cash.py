"""Cash at the desk: taken in part or whole, once, with the change and what is still owed."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from billing import accounts, charges, payments
from billing.models import Charge, Payment, PaymentStatus
from circulation.models import Reader
from tests.factories import make_charge, make_member, make_reader, make_staff
from tests.office import said, signed_in
from tests.paying import again, in_session, owed, session_of
from tests.scripted_stripe import ScriptedStripe
from tests.till import account_url, form, receipt_url, take

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]


@pytest.fixture
def cashier() -> Reader:
    return make_member("Cashier")


@pytest.fixture
def till(cashier: Reader) -> Client:
    return signed_in(cashier)


@pytest.fixture
def debts(anna: Reader) -> list[Charge]:
    """5.00, then 3.00, then 2.00."""
    return [make_charge(anna, amount) for amount in ("5.00", "3.00", "2.00")]


def received() -> list[Payment]:
    """Return what somebody paid: a debt that came to nothing is settled without a provider."""
    paid = Payment.objects.filter(status=PaymentStatus.PAID).exclude(provider="")
    return list(paid.order_by("paid_at"))


def left(debts: list[Charge]) -> list[str]:
    return [str(owed(charge)) for charge in debts]


def test_all_that_is_owed_is_taken_unless_less_is_asked_for(
    till: Client, cashier: Reader, anna: Reader, debts: list[Charge]
) -> None:
    response = take(till, anna)
    [payment] = received()
    assert response.headers["Location"] == account_url(anna)
    assert (payment.paid_amount, payment.provider) == (Decimal("10.00"), "CASH")
    assert payment.taken_by == cashier
    assert left(debts) == ["0.00", "0.00", "0.00"]
    assert "10.00 USD taken. Nothing is owed." in said(response)
    assert receipt_url(payment) in said(response)


def test_a_smaller_sum_goes_to_the_oldest_charges_first(
    till: Client, anna: Reader, debts: list[Charge]
) -> None:
    response = take(till, anna, amount="6.50")
    assert left(debts) == ["0.00", "1.50", "2.00"]
    assert "6.50 USD taken. Still owed: 3.50 USD." in said(response)


def test_only_what_is_ticked_is_paid(till: Client, anna: Reader, debts: list[Charge]) -> None:
    take(till, anna, debts[2], debts[1], amount="4.00")
    assert left(debts) == ["5.00", "0.00", "1.00"]


def test_the_change_is_told(till: Client, anna: Reader, debts: list[Charge]) -> None:
    response = take(till, anna, amount="6.00", given="20")
    assert "6.00 USD taken. Give back 14.00 USD. Still owed: 4.00 USD." in said(response)


def test_exact_cash_needs_no_change(till: Client, anna: Reader, debts: list[Charge]) -> None:
    assert "Give back" not in said(take(till, anna, given="10.00"))
    assert left(debts) == ["0.00", "0.00", "0.00"]


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"amount": "10.01"}, "Only 10.00 USD is owed; 10.01 USD is too much"),
        ({"amount": "0"}, "greater than or equal to 0.01"),
        ({"amount": "-5"}, "greater than or equal to 0.01"),
        ({"amount": ""}, "Amount to take: This field is required"),
        ({"amount": "five"}, "Amount to take: Enter a number"),
        ({"amount": "NaN"}, "Amount to take: Enter a number"),
        ({"amount": "Infinity"}, "Amount to take: Enter a number"),
        ({"amount": "1e400"}, "Amount to take: Ensure that there are no more than"),
        ({"amount": "1.001"}, "no more than 2 decimal places"),
        ({"amount": "9" * 400}, "no more than 10 digits"),
        ({"amount": "\x00"}, "Amount to take: Enter a number"),
        ({"given": "9.99"}, "9.99 USD is not enough for 10.00 USD"),
        ({"given": "x"}, "Cash given: Enter a number"),
        ({"charge": []}, "Tick what the cash is for"),
        ({"charge": ["x", "", "\x00", "-1", "9" * 40]}, "Tick what the cash is for"),
        ({"charge": ["9" * 18]}, "Only 0.00 USD is owed"),
        ({"key": ""}, "This page is not complete. Reload it."),
        ({"key": "x"}, "This page is not complete. Reload it."),
    ],
)
def test_what_makes_no_sense_is_told_and_nothing_is_taken(
    till: Client, anna: Reader, debts: list[Charge], answers: dict[str, Any], told: str
) -> None:
    response = take(till, anna, **answers)
    assert response.status_code == 200
    assert told in said(response)
    assert received() == []


def test_what_was_filled_in_is_still_there_after_a_refusal(
    till: Client, anna: Reader, debts: list[Charge]
) -> None:
    page = take(till, anna, debts[1], amount="3.50").content.decode()
    assert 'value="3.50"' in page
    ticked = [charge for charge in debts if f'name="charge" value="{charge.pk}"' in page]
    checked = [part for part in page.split("<input") if 'name="charge"' in part]
    assert len(ticked) == len(checked) == 3
    assert [" checked>" in part for part in checked] == [False, True, False]


def test_the_charges_of_another_reader_are_not_paid(
    till: Client, anna: Reader, bartek: Reader, debts: list[Charge]
) -> None:
    other = make_charge(bartek, "5.00")
    response = take(till, anna, other, amount="5.00")
    assert "Only 0.00 USD is owed" in said(response)
    assert received() == []
    assert owed(other) == Decimal("5.00")


def test_the_same_form_sent_twice_takes_once(
    till: Client, anna: Reader, debts: list[Charge]
) -> None:
    filled = {**form(till, anna, "cash"), "amount": "4.00"}
    till.post(account_url(anna), filled)
    response = till.post(account_url(anna), filled)
    [payment] = received()
    assert payment.paid_amount == Decimal("4.00")
    assert "sent before: 4.00 USD was taken then, and nothing now" in said(response)
    assert receipt_url(payment) in said(response)
    assert accounts.debt(anna) == Decimal("6.00")


def test_a_form_for_everything_sent_twice_is_not_told_to_give_the_change_back(
    till: Client, anna: Reader, debts: list[Charge]
) -> None:
    filled = form(till, anna, "cash")
    till.post(account_url(anna), filled)
    told = said(till.post(account_url(anna), filled))
    assert "sent before: 10.00 USD was taken then" in told
    assert "change" not in told


def test_the_key_of_one_reader_takes_from_another_all_the_same(
    till: Client, anna: Reader, bartek: Reader, debts: list[Charge]
) -> None:
    make_charge(bartek, "1.00")
    key = form(till, anna, "cash")["key"]
    take(till, anna, key=key)
    take(till, bartek, key=key)
    assert [str(payment.paid_amount) for payment in received()] == ["10.00", "1.00"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("amount", ["4.00", "10.00"])
def test_two_posts_at_once_take_once(amount: str) -> None:
    anna, cashier = (
        make_reader("Anna"),
        make_staff(permissions=("billing.take_cash", "billing.view_charge")),
    )
    for owing in ("5.00", "5.00"):
        make_charge(anna, owing)
    filled = {**form(signed_in(cashier), anna, "cash"), "amount": amount}
    clients = [signed_in(cashier), signed_in(cashier)]
    start = Barrier(2)

    def send(client: Client) -> str:
        start.wait(timeout=30)
        try:
            return said(client.post(account_url(anna), filled))
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        told = sorted(pool.map(send, clients), key=lambda text: "sent before" in text)
    assert f"{amount} USD taken." in told[0]
    assert f"sent before: {amount} USD was taken then" in told[1]
    [payment] = received()
    assert payment.paid_amount == Decimal(amount)


def test_the_account_itself_knows_what_was_taken_by_a_form(
    anna: Reader, maria: Reader, debts: list[Charge]
) -> None:
    part = {debts[0].pk: Decimal("1.00")}
    payments.take_cash(anna, part, by=maria, transaction_id="form 1")
    with pytest.raises(payments.PaymentRefusedError, match="Nothing was taken"):
        payments.take_cash(anna, part, by=maria, transaction_id="form 1")
    payments.take_cash(anna, part, by=maria, transaction_id="form 2")
    assert owed(debts[0]) == Decimal("3.00")


def test_a_charge_that_was_waived_meanwhile_is_not_taken_for(
    till: Client, anna: Reader, debts: list[Charge]
) -> None:
    filled = form(till, anna, "cash")
    charges.waive(debts[0], Decimal("5.00"), by=make_staff(), reason="Ill")
    response = till.post(account_url(anna), filled)
    assert "Only 5.00 USD is owed; 10.00 USD is too much" in said(response)
    assert received() == []


def test_cash_closes_the_session_for_the_same_first(
    till: Client, anna: Reader, debts: list[Charge], stripe_server: ScriptedStripe
) -> None:
    session = in_session(debts[0])
    take(till, anna, debts[0], amount="5.00")
    assert again(session).status == PaymentStatus.EXPIRED
    assert stripe_server.sessions[session_of(session)]["status"] == "expired"
    assert left(debts) == ["0.00", "3.00", "2.00"]


def test_what_was_just_paid_online_is_not_taken_again_in_cash(
    till: Client, anna: Reader, debts: list[Charge], stripe_server: ScriptedStripe
) -> None:
    session = in_session(debts[0])
    stripe_server.pay(session_of(session))
    response = take(till, anna, debts[0], amount="5.00")
    assert "just paid 5.00 USD online" in said(response)
    assert [payment.provider for payment in received()] == ["STRIPE"]


def test_who_may_not_take_cash_sees_no_form_and_is_refused(
    anna: Reader, debts: list[Charge], till: Client
) -> None:
    filled = form(till, anna, "cash")
    auditor = signed_in(make_member("Auditor"))
    page = auditor.get(account_url(anna))
    assert page.status_code == 200
    assert "cash" not in page.context["acts"]
    assert 'name="charge"' not in page.content.decode()
    assert auditor.post(account_url(anna), filled).status_code == 403
    assert received() == []


def test_cash_needs_the_forms_own_token(anna: Reader, debts: list[Charge], cashier: Reader) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cashier)
    filled = form(signed_in(cashier), anna, "cash")
    assert strict.post(account_url(anna), filled).status_code == 403
    assert received() == []


def test_a_sum_is_spread_over_chosen_charges_only(anna: Reader, debts: list[Charge]) -> None:
    chosen = [debts[0].pk, debts[2].pk]
    assert payments.spread(anna, Decimal("6.00"), among=chosen) == {
        debts[0].pk: Decimal("5.00"),
        debts[2].pk: Decimal("1.00"),
    }
    with pytest.raises(payments.PaymentRefusedError, match=r"Only 7\.00 USD is owed"):
        payments.spread(anna, Decimal("8.00"), among=chosen)
