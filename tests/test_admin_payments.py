"""Payments in the admin: what is seen, found and done there, and by whom."""

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Model
from django.utils import timezone
from pytest_django import Settings

from billing import charges, payments, refunds
from billing.models import (
    AllocationState,
    Charge,
    ChargeKind,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from circulation.models import Reader
from tests.factories import WARSAW, make_member, make_reader, make_staff, march
from tests.office import act_on, act_on_page, as_superuser, page, said, signed_in
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.django_db

ACTS = ("ask_provider", "give_back", "accept", "close_session")
REFUND = {"amount": "2.00", "reason": "Paid twice"}


def state(row: Model) -> dict[str, Any]:
    return type(row)._default_manager.values().get(pk=row.pk)


def owe(reader: Reader, amount: str = "5.00", kind: ChargeKind = ChargeKind.FINE) -> Charge:
    charge = charges.assess(reader, kind, Decimal(amount), description="Three days late")
    assert charge is not None
    return charge


def waiting(charge: Charge) -> Payment:
    """Return the payment that waits for a charge."""
    return Payment.objects.get(allocations__charge=charge, allocations__state=AllocationState.OPEN)


def in_session(reader: Reader, amount: str = "5.00") -> Payment:
    """Return the payment of a new charge, with its session at the provider."""
    return payments.open_for(reader.pk, [owe(reader, amount).pk])


def session_of(payment: Payment) -> str:
    assert payment.session_id is not None
    return payment.session_id


def paid_online(reader: Reader, server: ScriptedStripe, amount: str = "5.00") -> Payment:
    payment = in_session(reader, amount)
    server.pay(session_of(payment))
    return payments.settle(payment)


def paid_in_cash(reader: Reader, amount: str = "5.00") -> Payment:
    charge = owe(reader, amount)
    return payments.take_cash(reader, {charge.pk: charge.amount}, by=make_staff())


def to_review(reader: Reader, server: ScriptedStripe) -> Payment:
    """A payment of 7.00 for which nothing is owed any more, because staff waived it meanwhile."""
    payment = in_session(reader, "7.00")
    server.pay(session_of(payment))
    charge = payment.allocations.get().charge
    charges.waive(charge, charge.amount, by=make_staff(), reason="Ill")
    payment = payments.settle(payment)
    assert payment.status == PaymentStatus.REVIEW
    return payment


def listed(client: Any, **query: str) -> list[int]:
    rows = client.get(page(Payment, "changelist"), query).context["cl"].result_list
    return sorted(row.pk for row in rows)


def offered(client: Any, row: Model) -> set[str]:
    actions = client.get(page(row, "change")).context["actions_detail"]
    return {str(action["title"]) for action in actions}


# What is seen


def test_a_payment_says_in_words_what_it_is_for_and_how_it_stands(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = paid_online(anna, stripe_server)
    refunds.refund(payment, Decimal(2), by=make_staff("Ewa"), reason="Paid twice")
    event = {"event_id": "e1", "kind": "checkout.session.completed", "outcome": "Paid"}
    PaymentEvent.objects.create(provider="STRIPE", payment=payment, **event)
    text = as_superuser().get(page(payment, "change")).text
    for word in ("Stripe", "Fine", "partly refunded", "Paid twice", "Ewa", "On its way"):
        assert word in text
    assert "checkout.session.completed" in text
    for code in ("STRIPE", "RELEASED", "REFUNDED", "DONE"):
        assert code not in text, code


def test_a_payment_in_cash_says_who_took_it(anna: Reader) -> None:
    charge = owe(anna)
    boss = make_staff("Krystyna")
    payment = payments.take_cash(anna, {charge.pk: Decimal(5)}, by=boss)
    text = as_superuser().get(page(payment, "change")).text
    assert "Krystyna" in text
    assert "Cash" in text
    assert "What Cash sent" not in text


def test_a_provider_that_is_gone_from_the_settings_keeps_its_name(anna: Reader) -> None:
    payment = paid_in_cash(anna)
    Payment.objects.filter(pk=payment.pk).update(provider="ADYEN", key=uuid.uuid4())
    client = as_superuser()
    for url in (page(Payment, "changelist"), page(payment, "change")):
        assert "Adyen (not set up any more)" in client.get(url).text
    assert listed(client, provider="other") == [payment.pk]
    for act in ("ask_provider", "give_back"):
        response = act_on_page(client, act, payment, **REFUND)
        told = said(response) or response.text
        assert "PAYMENT_GATEWAYS does not list Adyen any more" in told


def test_another_currency_than_the_librarys_is_named(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = in_session(anna)
    stripe_server.pay(session_of(payment))
    stripe_server.change(session_of(payment), currency="eur")
    payment = payments.settle(payment)
    assert "5.00\xa0EUR" in as_superuser().get(page(Payment, "changelist")).text


def test_a_last_problem_is_shown(anna: Reader, stripe_server: ScriptedStripe) -> None:
    payment = in_session(anna)
    Payment.objects.filter(pk=payment.pk).update(last_error="The card network is asleep.")
    client = as_superuser()
    assert "The card network is asleep." in client.get(page(payment, "change")).text
    assert listed(client, state="problem") == [payment.pk]


def test_the_pay_link_is_there_while_something_is_owed_and_can_be_paid_online(
    anna: Reader, stripe_server: ScriptedStripe, settings: Settings
) -> None:
    client, charge = as_superuser(), owe(anna)
    draft = waiting(charge)
    assert "/pay/" in client.get(page(draft, "change")).text
    paid = paid_online(anna, stripe_server)
    assert "/pay/" not in client.get(page(paid, "change")).text
    settings.STRIPE_SECRET_KEY = ""
    assert "/pay/" not in client.get(page(draft, "change")).text


def test_a_charge_shows_its_payments(anna: Reader) -> None:
    payment = paid_in_cash(anna)
    text = as_superuser().get(page(payment.allocations.get().charge, "change")).text
    assert page(payment, "change") in text


# What is found


def test_payments_are_filtered_by_how_they_stand(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    draft, session = waiting(owe(anna)), in_session(anna)
    review, cash = to_review(anna, stripe_server), paid_in_cash(anna)
    client = as_superuser()
    assert listed(client, state="review") == [review.pk]
    assert listed(client, state="session") == [session.pk]
    assert listed(client, state="waiting") == [draft.pk]
    assert listed(client, state="PAID") == [cash.pk]
    assert listed(client, state="FAILED") == []
    assert listed(client, provider="CASH") == [cash.pk]
    assert listed(client, provider="none") == [draft.pk]
    assert listed(client, provider="STRIPE") == [session.pk, review.pk]


def test_payments_of_providers_that_are_gone_are_found_whatever_their_names(anna: Reader) -> None:
    draft, cash, *gone = waiting(owe(anna)), *(paid_in_cash(anna) for _number in range(4))
    for payment, name in zip(gone, ("ADYEN", "KLARNA", "ZLOTY"), strict=True):
        Payment.objects.filter(pk=payment.pk).update(provider=name)
    found = listed(as_superuser(), provider="other")
    assert found == [payment.pk for payment in gone]
    assert not {draft.pk, cash.pk} & set(found)


def test_charges_are_settled_when_nothing_is_owed_whatever_waits_for_them(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    owe(anna)
    in_session(anna)
    paid, waived, on_its_way = paid_in_cash(anna), owe(anna), in_session(anna)
    Payment.objects.filter(pk=on_its_way.pk).update(status=PaymentStatus.PROCESSING)
    late = on_its_way.allocations.get().charge
    for charge in (waived, late):
        charges.waive(charge, Decimal(5), by=make_staff(), reason="Ill")
    assert waiting(late) == on_its_way
    answer: Any = as_superuser().get(page(Charge, "changelist"), {"owed": "settled"})
    settled = {paid.allocations.get().charge, waived, late}
    assert set(answer.context["cl"].result_list) == settled
    assert set(Charge.objects.settled()) == settled


def test_a_session_given_up_and_not_closed_counts_as_open(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = in_session(anna)
    charges.waive(payment.allocations.get().charge, Decimal(5), by=make_staff(), reason="Ill")
    client = as_superuser()
    assert listed(client, state="session") == [payment.pk]
    assert "given up, session not closed" in client.get(page(payment, "change")).text
    assert "Closed." in said(act_on_page(client, "close_session", payment))
    assert listed(client, state="session") == []


def test_payments_are_filtered_by_the_day_they_were_paid_in_the_librarys_time(
    anna: Reader, settings: Settings
) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    payment = paid_in_cash(anna)
    late = datetime(2026, 3, 2, 23, 59, tzinfo=WARSAW)
    Payment.objects.filter(pk=payment.pk).update(paid_at=late)
    client, day, next_day = as_superuser(), str(march(2)), str(march(3))
    assert listed(client, paid_at_from=day, paid_at_to=day) == [payment.pk]
    assert listed(client, paid_at_from=next_day) == []
    assert listed(client, paid_at_to=str(march(1))) == []
    assert listed(client, paid_at_to=next_day) == [payment.pk]


def test_payments_are_filtered_by_what_they_are_for(anna: Reader) -> None:
    fine, fee = owe(anna, "1.00"), owe(anna, "2.00", ChargeKind.PAYMENT)
    both = payments.take_cash(anna, {fine.pk: Decimal(1), fee.pk: Decimal(2)}, by=make_staff())
    client = as_superuser()
    assert listed(client, **{"for": "several"}) == [both.pk]
    assert "several" in client.get(page(Payment, "changelist")).text
    only_fine = paid_in_cash(anna)
    assert only_fine.pk in listed(client, **{"for": "FINE"})


def test_a_payment_is_found_by_reader_number_session_and_transaction(
    stripe_server: ScriptedStripe,
) -> None:
    zofia = make_reader("Zofia", last_name="Wilk", card_number="R77")
    payment = paid_online(zofia, stripe_server)
    paid_in_cash(make_reader("Adam", card_number="R777"))
    terms = ["R77", "zofia wil", str(payment.pk), session_of(payment), payment.transaction_id]
    client = as_superuser()
    for term in terms:
        assert listed(client, q=term) == [payment.pk], term
    assert listed(client, q=session_of(payment)[:-1]) == []


def test_a_refund_is_found_by_reader_payment_and_the_providers_number(
    stripe_server: ScriptedStripe,
) -> None:
    zofia = make_reader("Zofia", last_name="Wilk", card_number="R77")
    payment = paid_online(zofia, stripe_server)
    made = refunds.send(refunds.refund(payment, Decimal(1), by=make_staff(), reason="x"))
    refunds.refund(paid_in_cash(make_reader("Adam")), Decimal(1), by=make_staff(), reason="x")
    client = as_superuser()
    for term in ("R77", "zofia wil", str(payment.pk), str(made.provider_id)):
        found = client.get(page(Refund, "changelist"), {"q": term}).context["cl"].result_list
        assert list(found) == [made], term


def test_staff_are_told_that_readers_can_only_pay_at_the_desk(settings: Settings) -> None:
    client = signed_in(make_member("Cashier"))

    def notice() -> str:
        return client.get(page(Payment, "changelist")).text

    assert "(missing: STRIPE_SECRET_KEY for Stripe; PAYPAL_CLIENT_ID" in notice()
    settings.PAYMENT_PROVIDER = "ADYEN"
    assert "PAYMENT_PROVIDER is ADYEN, which PAYMENT_GATEWAYS does not list" in notice()
    settings.PAYMENT_GATEWAYS = ["billing.gateways.cash.Cash"]
    assert "PAYMENT_GATEWAYS lists none" in notice()


def test_staff_are_told_where_webhooks_cannot_be_checked(
    stripe_server: ScriptedStripe, settings: Settings
) -> None:
    client = as_superuser()
    text = client.get(page(Payment, "changelist")).text
    assert "webhook is not set up" not in text
    assert "at the desk only" not in text
    settings.STRIPE_WEBHOOK_SECRET = []
    assert "its webhook is not set up" in client.get(page(Payment, "changelist")).text


def test_the_sidebar_counts_what_is_to_be_reviewed(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    client = as_superuser()

    def badges() -> list[str]:
        text = client.get("/admin/").text
        return [part.split("<")[0] for part in text.split("text-center text-red-700 ")[1:]]

    assert badges() == []
    to_review(anna, stripe_server)
    assert len(badges()) == 1
    fields = {"reader": anna, "money_to_pay": 1, "currency": "USD", "status": "REVIEW"}
    fields |= {"paid_amount": 1, "paid_at": timezone.now(), "provider": "STRIPE"}
    Payment.objects.bulk_create(Payment(**fields) for _number in range(120))
    assert "99+" in client.get("/admin/").text


# Acts


@pytest.mark.parametrize("act", ACTS)
def test_an_act_on_a_payment_asks_first(
    anna: Reader, stripe_server: ScriptedStripe, act: str
) -> None:
    client = signed_in(make_member("Librarian"))
    for payment in (to_review(anna, stripe_server), in_session(make_reader())):
        before = state(payment)
        assert client.get(page(payment, act)).status_code == 200
        assert client.post(page(payment, act), {}).status_code == 200
        assert state(payment) == before


@pytest.mark.parametrize("role", ["Assistant", "Auditor"])
def test_who_may_not_sees_no_button_and_is_refused(
    anna: Reader, stripe_server: ScriptedStripe, role: str
) -> None:
    client = signed_in(make_member(role))
    payment = to_review(anna, stripe_server)
    before = state(payment)
    assert offered(client, payment) == set()
    assert "Ask the provider now" not in client.get(page(Payment, "changelist")).text
    for act in ACTS:
        assert act_on_page(client, act, payment, **REFUND).status_code == 403
    act_on(client, "ask_provider", payment)
    assert state(payment) == before
    assert not Refund.objects.exists()


@pytest.mark.parametrize(
    ("permission", "button"),
    [
        ("billing.review_payment", "Accept"),
        ("billing.refund_payment", "Refund"),
        ("billing.reconcile_payment", "Ask the provider now"),
    ],
)
def test_each_permission_offers_its_own_button(
    anna: Reader, stripe_server: ScriptedStripe, permission: str, button: str
) -> None:
    payment = to_review(anna, stripe_server)
    member = make_staff(permissions=("billing.view_payment", permission))
    assert offered(signed_in(member), payment) == {button}


def test_only_the_acts_that_fit_are_offered(anna: Reader, stripe_server: ScriptedStripe) -> None:
    client = as_superuser()
    assert offered(client, waiting(owe(anna))) == set()
    assert offered(client, in_session(anna)) == {"Ask the provider now", "Close the session"}
    assert offered(client, to_review(anna, stripe_server)) == {
        "Accept",
        "Refund",
        "Ask the provider now",
    }
    cash = paid_in_cash(anna)
    assert offered(client, cash) == {"Refund"}
    refunds.refund(cash, Decimal(5), by=make_staff(), reason="x")
    assert offered(client, cash) == set()


def test_the_provider_is_asked_now(anna: Reader, stripe_server: ScriptedStripe) -> None:
    payment, client = in_session(anna), signed_in(make_member("Cashier"))
    assert "according to Stripe: To be paid." in said(act_on_page(client, "ask_provider", payment))
    stripe_server.pay(session_of(payment))
    assert "according to Stripe: Paid." in said(act_on_page(client, "ask_provider", payment))
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.PAID


def test_the_provider_is_asked_about_chosen_payments(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    online, cash = in_session(anna), paid_in_cash(anna)
    stripe_server.pay(session_of(online))
    client = signed_in(make_member("Librarian"))
    assert "Yes, do it" in act_on(client, "ask_provider", online, cash, confirmed=False).text
    told = said(act_on(client, "ask_provider", online, cash))
    assert f"Payment {online.pk}, according to Stripe: Paid." in told
    assert "No provider knows of this payment" in told


def test_a_provider_that_is_away_is_no_error_page(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment, client = in_session(anna), signed_in(make_member("Librarian"))
    stripe_server.down()
    before = state(payment)
    for act in ("ask_provider", "close_session"):
        told = said(act_on_page(client, act, payment))
        assert "Stripe cannot be reached. Nothing was lost: try again" in told
    assert state(payment) == before


def test_what_a_provider_refuses_is_shown(anna: Reader, stripe_server: ScriptedStripe) -> None:
    payment = in_session(anna)
    stripe_server.fail_next(404, message="No such session.")
    told = said(act_on_page(as_superuser(), "ask_provider", payment))
    assert "Stripe refused: No such session." in told


def test_a_slow_provider_is_asked_about_no_more_payments(
    anna: Reader, stripe_server: ScriptedStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("billing.admin.asking.LONGEST_ASKING", 0.0)
    chosen = [in_session(anna), in_session(make_reader())]
    asked = len(stripe_server.calls)
    told = said(act_on(as_superuser(), "ask_provider", *chosen))
    assert "Not asked: the provider is slow" in told
    assert len(stripe_server.calls) <= asked + 1


def test_a_provider_whose_key_is_gone_is_not_asked(
    anna: Reader, stripe_server: ScriptedStripe, settings: Settings
) -> None:
    payment, client = paid_online(anna, stripe_server), as_superuser()
    settings.STRIPE_SECRET_KEY = ""
    assert "missing: STRIPE_SECRET_KEY" in said(act_on_page(client, "ask_provider", payment))
    assert "missing: STRIPE_SECRET_KEY" in act_on_page(client, "give_back", payment, **REFUND).text
    assert not Refund.objects.exists()


def test_a_session_is_closed(anna: Reader, stripe_server: ScriptedStripe) -> None:
    payment, client = in_session(anna), signed_in(make_member("Librarian"))
    assert "Closed." in said(act_on_page(client, "close_session", payment))
    assert stripe_server.sessions[session_of(payment)]["status"] == "expired"
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.EXPIRED
    assert payment.history.first().history_user.first_name == "Librarian"
    assert "no open session" in said(act_on_page(client, "close_session", payment))


def test_a_session_that_was_paid_meanwhile_is_settled_and_not_closed(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = in_session(anna)
    stripe_server.pay(session_of(payment))
    told = said(act_on_page(as_superuser(), "close_session", payment))
    assert "Not closed. According to Stripe the payment is: Paid." in told


def test_what_was_paid_in_doubt_is_accepted_and_becomes_credit(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment, client = to_review(anna, stripe_server), signed_in(make_member("Cashier"))
    told = said(act_on_page(client, "accept", payment))
    assert "Accepted. 7.00\xa0USD of it is the reader's credit now." in told
    assert charges.balance(anna) == Decimal(-7)
    assert "not to be reviewed any more" in said(act_on_page(client, "accept", payment))


def test_what_came_in_another_currency_is_not_accepted(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = in_session(anna)
    stripe_server.pay(session_of(payment))
    stripe_server.change(session_of(payment), currency="eur")
    payment = payments.settle(payment)
    assert "give it back instead" in said(act_on_page(as_superuser(), "accept", payment))
    refunds.refund(payment, Decimal(1), by=make_staff(), reason="x")
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.REVIEW


# Giving back


def test_cash_is_given_back_at_once_and_the_desk_is_told_to(anna: Reader) -> None:
    payment, client = paid_in_cash(anna), signed_in(make_member("Cashier"))
    form = client.get(page(payment, "give_back")).context["form"]
    assert form.fields["amount"].initial == Decimal(5)
    assert "hand it over at the desk" in form.fields["amount"].help_text
    told = said(act_on_page(client, "give_back", payment, **REFUND))
    assert "Give 2.00\xa0USD back to Anna Nowak now." in told
    made = Refund.objects.get()
    assert (made.status, made.reason) == (RefundStatus.DONE, "Paid twice")
    assert charges.balance(anna) == Decimal(2)


def test_money_from_a_provider_is_sent_back_by_a_job(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment, client = paid_online(anna, stripe_server), signed_in(make_member("Cashier"))
    told = said(act_on_page(client, "give_back", payment, **REFUND))
    assert "Stripe is asked to send 2.00\xa0USD back; it is under way." in told
    assert Refund.objects.get().status == RefundStatus.PENDING


def test_what_was_paid_for_can_be_waived_with_the_refund(anna: Reader) -> None:
    payment, client = paid_in_cash(anna), signed_in(make_member("Librarian"))
    act_on_page(client, "give_back", payment, **REFUND, waives="yes")
    assert charges.balance(anna) == 0


def test_who_may_not_waive_does_not_waive_by_a_refund(anna: Reader) -> None:
    payment, client = paid_in_cash(anna), signed_in(make_member("Cashier"))
    assert "waives" not in client.get(page(payment, "give_back")).context["form"].fields
    act_on_page(client, "give_back", payment, **REFUND, waives="yes")
    assert charges.balance(anna) == Decimal(2)


def test_credit_given_back_has_nothing_to_waive(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = to_review(anna, stripe_server)
    form = as_superuser().get(page(payment, "give_back")).context["form"]
    assert set(form.fields) == {"_form_submitted", "amount", "reason"}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"amount": "5.01"}, "Only 5.00 USD of this payment is left"),
        ({"amount": "0"}, "above zero"),
        ({"amount": "-1"}, "above zero"),
        ({"reason": " "}, "required"),
        ({"amount": "x"}, "Enter a number"),
    ],
)
def test_a_refund_is_refused_in_the_dialog(
    anna: Reader, answers: dict[str, str], told: str
) -> None:
    payment = paid_in_cash(anna)
    response = act_on_page(as_superuser(), "give_back", payment, **{**REFUND, **answers})
    assert told in response.text
    assert not Refund.objects.exists()


def test_nothing_that_was_not_received_is_given_back(anna: Reader) -> None:
    response = act_on_page(as_superuser(), "give_back", waiting(owe(anna)), **REFUND)
    assert "Nothing is left of this payment to give back." in response.text


def test_a_refund_is_sent_now(anna: Reader, stripe_server: ScriptedStripe) -> None:
    payment, client = paid_online(anna, stripe_server), signed_in(make_member("Cashier"))
    made = refunds.refund(payment, Decimal(2), by=make_staff(), reason="x")
    assert offered(client, made) == {"Send now"}
    assert "According to Stripe: Done." in said(act_on_page(client, "send_now", made))
    assert "not on its way any more" in said(act_on_page(client, "send_now", made))
    assert len(stripe_server.refunds) == 1
    assert offered(client, made) == set()


def test_a_refund_that_the_provider_has_begun_is_asked_about_and_not_sent_again(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = paid_online(anna, stripe_server)
    stripe_server.refund_status = "pending"
    made = refunds.send(refunds.refund(payment, Decimal(2), by=make_staff(), reason="x"))
    client = as_superuser()
    assert "According to Stripe: On its way." in said(act_on_page(client, "send_now", made))
    stripe_server.finish_refund(str(made.provider_id), "failed")
    assert "According to Stripe: Failed." in said(act_on_page(client, "send_now", made))
    assert len(stripe_server.refunds) == 1


def test_a_failed_refund_is_made_again_once(anna: Reader, stripe_server: ScriptedStripe) -> None:
    payment, client = paid_online(anna, stripe_server), signed_in(make_member("Cashier"))
    made = refunds.refund(payment, Decimal(2), by=make_staff(), reason="Paid twice")
    stripe_server.refund_status = "failed"
    made = refunds.send(made)
    made.refresh_from_db()
    assert offered(client, made) == {"Make again"}
    assert "send 2.00\xa0USD back" in said(act_on_page(client, "make_again", made))
    again = Refund.objects.exclude(pk=made.pk).get()
    assert (again.amount, again.reason) == (made.amount, "Paid twice")
    told = said(act_on_page(client, "make_again", made))
    assert f"made again already: refund {again.pk}" in told
    assert Refund.objects.count() == 2
    assert "has not failed" in said(act_on_page(client, "make_again", again))


def test_an_event_that_was_not_handled_is_handled_again(
    anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = in_session(anna)
    stripe_server.pay(session_of(payment))
    fields = {"kind": "checkout.session.completed", "session_id": session_of(payment)}
    event = PaymentEvent.objects.create(provider="STRIPE", event_id="e1", **fields)
    client = signed_in(make_member("Cashier"))
    changes = client.get(page(PaymentEvent, "changelist"), {"state": "waiting"}).context["cl"]
    assert list(changes.result_list) == [event]
    assert "Handled: Paid." in said(act_on(client, "handle_again", event))
    assert "handled already" in said(act_on_page(client, "handle_again", event))
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.PAID


@pytest.mark.parametrize("role", ["Assistant", "Auditor"])
def test_refunds_and_events_are_acted_on_by_those_who_may(
    anna: Reader, stripe_server: ScriptedStripe, role: str
) -> None:
    payment = paid_online(anna, stripe_server)
    made = refunds.refund(payment, Decimal(2), by=make_staff(), reason="x")
    event = PaymentEvent.objects.create(provider="STRIPE", event_id="e1", kind="x")
    client = signed_in(make_member(role))
    for act, row in (("send_now", made), ("make_again", made), ("handle_again", event)):
        assert act_on_page(client, act, row).status_code == 403
    made.refresh_from_db()
    assert made.status == RefundStatus.PENDING


# The record of it


def test_a_payments_history_is_in_words(anna: Reader, stripe_server: ScriptedStripe) -> None:
    payment = paid_online(anna, stripe_server)
    made = refunds.refund(payment, Decimal(5), by=make_member("Cashier"), reason="x")
    refunds.send(made)
    client = signed_in(make_member("Auditor"))
    text = " ".join(client.get(page(payment, "history")).text.split())
    for word in ("To be paid → Paid", "Paid → Refunded", "the system", "Cashier"):
        assert word in text
    assert "On its way → Done" in client.get(page(made, "history")).text
    covered = payment.allocations.get()
    assert "Refunded:</strong> 0.00 → 5.00" in client.get(page(covered, "history")).text


@pytest.mark.parametrize("name", ["change", "delete"])
def test_no_crafted_post_changes_what_the_ledger_owns(anna: Reader, name: str) -> None:
    payment = paid_in_cash(anna)
    made = refunds.refund(payment, Decimal(1), by=make_staff(), reason="x")
    event = PaymentEvent.objects.create(provider="STRIPE", event_id="e1", kind="x")
    client = as_superuser()
    for row in (payment, made, event, payment.allocations.get()):
        before = state(row)
        data = {"status": "PENDING", "amount": "0", "paid_amount": "0", "confirmed": "yes"}
        assert client.post(page(row, name), data).status_code == 403, row
        act_on(client, "delete_selected", row)
        assert state(row) == before
        assert client.post(page(type(row), "add"), data).status_code == 403


def test_a_payments_page_with_many_charges_and_refunds_asks_no_more_queries(
    anna: Reader, stripe_server: ScriptedStripe, django_assert_max_num_queries: Any
) -> None:
    def many(count: int) -> Payment:
        owing = [owe(anna, "1.00").pk for _number in range(count)]
        payment = payments.open_for(anna.pk, owing)
        stripe_server.pay(session_of(payment))
        payment = payments.settle(payment)
        for number in range(count):
            refunds.refund(payment, Decimal("0.10"), by=make_staff(), reason="x")
            event = {"event_id": f"e{payment.pk} {number}", "kind": "x", "payment": payment}
            PaymentEvent.objects.create(provider="STRIPE", **event)
        return payment

    client, small, large = as_superuser(), many(1), many(20)
    client.get(page(small, "change"))
    for payment in (small, large):
        with django_assert_max_num_queries(9):
            client.get(page(payment, "change"))


def test_charges_of_before_are_not_in_the_way(anna: Reader) -> None:
    """A charge that was imported has no payment until the reconcile job has run."""
    charge = Charge.objects.create(reader=anna, kind="FINE", amount=1)
    text = as_superuser().get(page(charge, "change")).text
    assert "No payment was made for this charge yet." in text


def test_an_old_payment_is_dated_by_when_it_was_paid(anna: Reader) -> None:
    payment = paid_in_cash(anna)
    Payment.objects.filter(pk=payment.pk).update(paid_at=timezone.now() - timedelta(days=4000))
    year = (timezone.now() - timedelta(days=4000)).year
    assert str(year) in as_superuser().get(page(Payment, "changelist")).text


def test_the_list_as_it_is_filtered_is_exported(anna: Reader) -> None:
    paid = paid_in_cash(anna, "4.00")
    owe(anna, "1.00")
    client, url = as_superuser(), page(Payment, "export")
    assert client.get(url).status_code == 200
    response: Any = client.post(f"{url}?status__exact=PAID", {"format": "csv"})
    header, *lines = b"".join(response.streaming_content).decode("utf-8-sig").splitlines()
    assert header.startswith("payment,card_number,status")
    assert [line.split(",")[0] for line in lines] == [str(paid.pk)]
