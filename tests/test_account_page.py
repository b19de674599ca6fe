"""The reader's account page: what it shows to whom, and what can be done on it besides cash."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client, TestCase
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from billing import accounts, charges, links, payments, refunds
from billing.models import Adjustment, Charge, Payment, PaymentStatus, Refund, RefundStatus
from billing.till import statement
from circulation import desk, fines
from circulation.models import Reader
from tests.factories import (
    lend_until,
    make_charge,
    make_member,
    make_reader,
    make_staff,
    march,
    pay_cash,
    take_back,
)
from tests.office import page, said, signed_in
from tests.paying import again, in_session, owed, queued, session_of, work_off_the_queue
from tests.scripted_stripe import ScriptedStripe
from tests.till import account_url, do, form, take

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("books_balance")]

ACTS = {
    "cash": "billing.take_cash",
    "credit": "billing.take_cash",
    "refund": "billing.refund_payment",
    "waive": "billing.waive_charge",
    "link": "billing.take_cash",
    "ask": "billing.reconcile_payment",
}


@pytest.fixture
def boss() -> Reader:
    return make_reader("Boss", is_staff=True, is_superuser=True)


@pytest.fixture
def office(boss: Reader) -> Client:
    return signed_in(boss)


@pytest.fixture
def debt(anna: Reader) -> Charge:
    return make_charge(anna, "5.00", description="7 open days × 0.50; Sunday not counted")


def give_credit(reader: Reader, amount: str) -> Payment:
    """Let a reader pay for what was then taken back."""
    charge = make_charge(reader, amount)
    payment = pay_cash(charge, amount, by=make_staff())
    charges.void(charge, by=None, reason="Wrong reader")
    return payment


@contextmanager
def number_of_queries() -> Iterator[list[int]]:
    counted: list[int] = []
    with CaptureQueriesContext(connection) as captured:
        yield counted
    counted.append(len(captured))


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


def test_what_is_owed_is_shown_with_how_it_is_computed(
    office: Client, anna: Reader, debt: Charge
) -> None:
    pay_cash(debt, "1.00", by=make_staff())
    charges.waive(debt, Decimal("0.50"), by=make_staff(), reason="Was ill")
    give_credit(anna, "2.00")
    shown = office.get(account_url(anna))
    text = text_of(shown)
    assert "7 open days × 0.50; Sunday not counted" in text
    assert "5.00 1.00 0.50 3.50" in text
    assert "Owed 3.50 USD Credit 2.00 USD Balance 1.50 USD" in text
    assert "Was ill" in text


@pytest.mark.usefixtures("rule")
def test_a_growing_fine_says_so_and_for_which_due_date(office: Client, anna: Reader) -> None:
    lend_until(march(16), anna)
    fines.accrue(on=march(23))
    text = text_of(office.get(account_url(anna)))
    assert "due 16 Mar 2026" in text
    assert "grows; computed up to 23 Mar 2026" in text


@pytest.mark.usefixtures("rule")
def test_a_final_fine_does_not_grow(office: Client, anna: Reader) -> None:
    loan = lend_until(march(16), anna)
    take_back(loan.copy, on=march(23))
    text = text_of(office.get(account_url(anna)))
    assert "due 16 Mar 2026" in text
    assert "grows" not in text


def test_a_settled_account_has_nothing_to_do(office: Client, anna: Reader) -> None:
    shown = office.get(account_url(anna))
    assert "Nothing is owed." in text_of(shown)
    assert shown.context["acts"] == {}


def test_an_account_of_nobody_is_not_found(office: Client) -> None:
    for number in ("0", "999999", "9" * 30):
        assert office.get(f"/admin/money/account/{number}/").status_code == 404


def test_who_may_see_neither_charges_nor_payments_does_not_see_the_page(anna: Reader) -> None:
    nobody = signed_in(make_staff(permissions=("circulation.view_reader",)))
    assert nobody.get(account_url(anna)).status_code == 403
    outside = Client().get(account_url(anna))
    assert "/admin/login/" in outside.headers["Location"]
    assert "/admin/login/" in signed_in(anna).get(account_url(anna)).headers["Location"]


@pytest.mark.parametrize("permission", ["billing.view_charge", "billing.view_payment"])
def test_either_permission_opens_the_page_and_payments_need_theirs(
    anna: Reader, debt: Charge, permission: str
) -> None:
    pay_cash(debt, "1.00", by=make_staff())
    shown = signed_in(make_staff(permissions=(permission,))).get(account_url(anna))
    assert ("Payments" in [table.title for table in shown.context["tables"]]) == (
        permission == "billing.view_payment"
    )
    assert shown.context["acts"] == {}


def test_the_page_takes_as_many_queries_for_twelve_rows_as_for_three(
    office: Client, anna: Reader, boss: Reader
) -> None:
    def fill(number: int) -> None:
        for _each in range(number):
            charge = make_charge(anna, "3.00")
            payment = pay_cash(charge, "1.00", by=boss)
            charges.waive(charge, Decimal("0.50"), by=boss, reason="Ill")
            refunds.refund(payment, Decimal("0.50"), by=boss, reason="Wrong change")
            give_credit(anna, "1.00")

    fill(3)
    office.get(account_url(anna))
    with number_of_queries() as few:
        office.get(account_url(anna))
    fill(9)
    with number_of_queries() as many:
        office.get(account_url(anna))
    assert few == many
    assert many[0] <= 12


def test_each_list_is_bounded_and_leads_to_the_whole(
    office: Client, anna: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement, "MOST_ROWS", 10)
    for _each in range(13):
        make_charge(anna, "1.00")
    shown = office.get(account_url(anna))
    assert len(shown.context["charges"].rows) == 10
    assert "the 10 oldest charges" in text_of(shown)
    more = shown.context["charges"].more_url
    assert f"reader__id__exact={anna.pk}" in more
    assert office.get(more).status_code == 200
    assert "Owed 13.00 USD" in text_of(shown)
    take(office, anna)
    assert accounts.debt(anna) == Decimal("3.00")


def test_the_whole_list_of_payments_is_a_click_away(
    office: Client, anna: Reader, debt: Charge
) -> None:
    pay_cash(debt, "1.00", by=make_staff())
    tables = {table.title: table for table in office.get(account_url(anna)).context["tables"]}
    assert office.get(tables["Payments"].more_url).status_code == 200


@pytest.mark.parametrize("act", ACTS)
def test_an_act_needs_its_permission(
    anna: Reader, debt: Charge, act: str, stripe_server: ScriptedStripe
) -> None:
    give_credit(anna, "1.00")
    in_session(debt)
    other = {permission for permission in ACTS.values() if permission != ACTS[act]}
    staff = signed_in(make_staff(permissions=("billing.view_payment", *other)))
    allowed = signed_in(make_staff(permissions=("billing.view_payment", ACTS[act])))
    assert act in allowed.get(account_url(anna)).context["acts"]
    shown = staff.get(account_url(anna))
    assert act not in shown.context["acts"]
    assert f'name="act" value="{act}"' not in shown.content.decode()
    filled = form(allowed, anna, act)
    assert staff.post(account_url(anna), {**filled, "reason": "Ill"}).status_code == 403
    assert owed(debt) == Decimal("5.00")


@pytest.mark.parametrize("act", ["", "nonsense", "\x00", "cash "])
def test_an_act_that_is_none_does_nothing(office: Client, anna: Reader, act: str) -> None:
    response = office.post(account_url(anna), {"act": act})
    assert response.status_code == 302
    assert "Nothing was done" in said(response)


@pytest.mark.parametrize("act", ACTS)
def test_an_empty_form_is_answered_in_words(
    office: Client, anna: Reader, debt: Charge, act: str
) -> None:
    response = office.post(account_url(anna), {"act": act})
    assert response.status_code == 200
    assert said(response)
    assert owed(debt) == Decimal("5.00")


def test_only_posts_do_anything(office: Client, anna: Reader, debt: Charge) -> None:
    filled = {**form(office, anna, "waive"), "reason": "Ill"}
    assert office.get(account_url(anna), filled).status_code == 200
    assert office.put(account_url(anna), filled).status_code == 405
    assert owed(debt) == Decimal("5.00")


def test_a_charge_is_waived_with_a_reason(
    office: Client, boss: Reader, anna: Reader, debt: Charge
) -> None:
    other = make_charge(anna, "2.00")
    response = do(office, anna, "waive", charge=debt.pk, amount="1.50", reason="Was ill")
    assert "1.50 USD waived." in said(response)
    waived = Adjustment.objects.get()
    assert (waived.charge, waived.by, waived.reason) == (debt, boss, "Was ill")
    assert (owed(debt), owed(other)) == (Decimal("3.50"), Decimal("2.00"))


def test_without_an_amount_all_of_it_is_waived(office: Client, anna: Reader, debt: Charge) -> None:
    make_charge(anna, "2.00")
    response = do(office, anna, "waive", charge="all", reason="Moved away")
    assert "7.00 USD waived." in said(response)
    assert accounts.debt(anna) == 0


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"reason": ""}, "Reason: This field is required"),
        ({"reason": " \t"}, "Reason: This field is required"),
        ({"reason": "x" * 301}, "at most 300 characters"),
        ({"reason": "a\x00b"}, "Null characters"),
        ({"amount": "5.01"}, "Only 5.00 USD is owed on what was chosen; 5.01 USD is too much"),
        ({"amount": "0"}, "greater than or equal to 0.01"),
        ({"amount": "x"}, "Enter a number"),
        ({"charge": "999999"}, "Nothing is owed on this any more"),
        ({"charge": "\x00"}, "Nothing is owed on this any more"),
        ({"seen": "0/0"}, "The account has changed in the meantime"),
    ],
)
def test_a_waiver_that_makes_no_sense_is_refused_in_words(
    office: Client, anna: Reader, debt: Charge, answers: dict[str, Any], told: str
) -> None:
    response = do(office, anna, "waive", **{"reason": "Ill", **answers})
    assert response.status_code == 200
    assert told in said(response)
    assert not Adjustment.objects.exists()


def test_a_waiver_sent_twice_is_made_once(office: Client, anna: Reader, debt: Charge) -> None:
    filled = {**form(office, anna, "waive"), "amount": "1.00", "reason": "Ill"}
    office.post(account_url(anna), filled)
    response = office.post(account_url(anna), filled)
    assert "The account has changed in the meantime" in said(response)
    assert owed(debt) == Decimal("4.00")


def test_after_a_refusal_the_form_is_good_for_what_is_shown_now(
    office: Client, anna: Reader, debt: Charge
) -> None:
    filled = {**form(office, anna, "waive"), "amount": "1.00", "reason": "Ill"}
    pay_cash(debt, "2.00", by=make_staff())
    refused = office.post(account_url(anna), filled)
    shown = refused.context["acts"]["waive"]
    office.post(account_url(anna), {**filled, "seen": shown["seen"].value()})
    assert owed(debt) == Decimal("2.00")


def test_credit_pays_the_oldest_charge_first(office: Client, anna: Reader, debt: Charge) -> None:
    younger = make_charge(anna, "2.00")
    give_credit(anna, "6.00")
    assert form(office, anna, "credit")["amount"] == Decimal("6.00")
    response = do(office, anna, "credit")
    assert "6.00 USD of credit used." in said(response)
    assert (owed(debt), owed(younger)) == (Decimal("0.00"), Decimal("1.00"))
    assert accounts.credit(anna) == 0


def test_credit_pays_the_charge_that_was_chosen(office: Client, anna: Reader, debt: Charge) -> None:
    younger = make_charge(anna, "2.00")
    give_credit(anna, "6.00")
    do(office, anna, "credit", charge=younger.pk, amount="1.50")
    assert (owed(debt), owed(younger)) == (Decimal("5.00"), Decimal("0.50"))
    assert accounts.credit(anna) == Decimal("4.50")


@pytest.mark.parametrize(
    ("amount", "told"),
    [("3.01", "only 3.00 USD of credit"), ("0", "greater than"), ("x", "Enter a number")],
)
def test_no_more_credit_is_used_than_there_is(
    office: Client, anna: Reader, debt: Charge, amount: str, told: str
) -> None:
    give_credit(anna, "3.00")
    assert told in said(do(office, anna, "credit", amount=amount))
    assert accounts.credit(anna) == Decimal("3.00")


def test_credit_paid_in_cash_is_given_back_in_cash(
    office: Client, boss: Reader, anna: Reader
) -> None:
    payment = give_credit(anna, "4.00")
    response = do(office, anna, "refund", amount="1.50", reason="Asked for it")
    assert "Give the reader 1.50 USD in cash." in said(response)
    made = Refund.objects.get()
    assert (made.payment, made.amount, made.by) == (payment, Decimal("1.50"), boss)
    assert made.status == RefundStatus.DONE
    assert accounts.credit(anna) == Decimal("2.50")


def test_without_an_amount_all_the_credit_is_given_back(office: Client, anna: Reader) -> None:
    payment = give_credit(anna, "4.00")
    do(office, anna, "refund", reason="Asked for it")
    assert again(payment).status == PaymentStatus.REFUNDED
    assert accounts.balance(anna) == 0


def test_credit_that_came_through_a_provider_goes_back_through_it(
    office: Client, anna: Reader, debt: Charge, stripe_server: ScriptedStripe
) -> None:
    payment = in_session(debt)
    stripe_server.pay(session_of(payment))
    payments.settle(payment)
    charges.void(debt, by=None, reason="Wrong reader")
    response = do(office, anna, "refund", reason="Wrong reader")
    assert "5.00 USD goes back through Stripe." in said(response)
    assert Refund.objects.get().status == RefundStatus.PENDING


def test_only_credit_is_given_back_here_not_what_paid_for_something(
    office: Client, anna: Reader, debt: Charge
) -> None:
    charge = make_charge(anna, "4.00")
    pay_cash(charge, "4.00", by=make_staff())
    charges.void(charge, by=None, reason="Wrong reader")
    do(office, anna, "credit", charge=debt.pk, amount="3.00")
    told = said(do(office, anna, "refund", amount="2.00", reason="Asked for it"))
    assert "Only 1.00 USD of this payment is credit" in told
    assert not Refund.objects.exists()


def test_a_refund_sent_twice_is_made_once(office: Client, anna: Reader) -> None:
    give_credit(anna, "4.00")
    filled = {**form(office, anna, "refund"), "amount": "1.00", "reason": "Asked for it"}
    office.post(account_url(anna), filled)
    office.post(account_url(anna), filled)
    assert Refund.objects.count() == 1


def test_the_pay_link_is_shown_while_something_can_be_paid_online(
    office: Client, anna: Reader, debt: Charge, stripe_server: ScriptedStripe
) -> None:
    link = links.for_account(anna.pk)
    assert link in office.get(account_url(anna)).content.decode()
    charges.waive(debt, Decimal("5.00"), by=make_staff(), reason="Ill")
    assert link not in office.get(account_url(anna)).content.decode()


def test_without_a_provider_there_is_no_pay_link(
    office: Client, anna: Reader, debt: Charge
) -> None:
    assert links.for_account(anna.pk) not in office.get(account_url(anna)).content.decode()
    told = said(office.post(account_url(anna), {"act": "link"}))
    assert "takes payments at the desk only" in told


@pytest.mark.usefixtures("stripe_server", "debt")
def test_the_pay_link_is_mailed_by_a_worker_after_the_commit(
    office: Client, anna: Reader, settings: Settings, mailoutbox: list[Any]
) -> None:
    settings.MAIL_IS_SET_UP = True
    with TestCase.captureOnCommitCallbacks() as after_commit:
        response = do(office, anna, "link")
    assert f"The link goes to {anna.email}." in said(response)
    assert (queued(), mailoutbox) == ([], [])
    for callback in after_commit:
        callback()
    assert queued() == [("send_pay_link", (anna.pk,))]
    assert mailoutbox == []
    work_off_the_queue()
    assert links.for_account(anna.pk) in mailoutbox[0].body


def test_without_a_mail_server_the_link_is_there_to_be_copied(
    office: Client, anna: Reader, debt: Charge, stripe_server: ScriptedStripe
) -> None:
    told = said(do(office, anna, "link"))
    assert "no mail server (EMAIL_URL)" in told
    assert links.for_account(anna.pk) in told


def test_a_reader_without_an_address_gets_the_link_by_hand(
    office: Client, stripe_server: ScriptedStripe, settings: Settings
) -> None:
    settings.MAIL_IS_SET_UP = True
    child = make_reader("Dora", email=None)
    make_charge(child)
    told = said(do(office, child, "link"))
    assert "Dora Nowak has no email address" in told
    assert links.for_account(child.pk) in told


def test_the_provider_is_asked_at_once(
    office: Client, anna: Reader, debt: Charge, stripe_server: ScriptedStripe
) -> None:
    payment = in_session(debt)
    stripe_server.pay(session_of(payment))
    response = do(office, anna, "ask")
    assert f"Asked about 1 of 1 payments: {payment.pk} Paid." in said(response)
    assert again(payment).status == PaymentStatus.PAID
    assert "ask" not in office.get(account_url(anna)).context["acts"]


def test_a_provider_that_is_away_is_told_in_words(
    office: Client, anna: Reader, debt: Charge, stripe_server: ScriptedStripe, settings: Settings
) -> None:
    in_session(debt)
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"
    told = said(do(office, anna, "ask"))
    assert "Stripe" in told
    assert "try again in a few minutes" in told


def test_a_provider_that_is_no_longer_listed_does_not_break_the_page(
    office: Client, anna: Reader, debt: Charge, stripe_server: ScriptedStripe, settings: Settings
) -> None:
    payment = in_session(debt)
    settings.PAYMENT_GATEWAYS = ["billing.gateways.cash.Cash"]
    assert "PAYMENT_GATEWAYS does not list Stripe any more" in said(do(office, anna, "ask"))
    take(office, anna)
    assert owed(debt) == 0
    assert again(payment).status == PaymentStatus.EXPIRED


def test_what_people_typed_is_shown_as_text(office: Client, boss: Reader) -> None:
    evil = "<script>alert(1)</script>"
    reader = make_reader(evil)
    charge = make_charge(reader, "5.00", description=evil)
    charges.waive(charge, Decimal("1.00"), by=boss, reason=evil)
    assert evil not in office.get(account_url(reader)).content.decode()


def test_the_readers_page_shows_what_is_owed_and_leads_to_the_account(
    office: Client, anna: Reader, debt: Charge
) -> None:
    shown = office.get(page(anna, "change"))
    assert "Account 5.00 USD" in text_of(shown)
    assert f'href="{account_url(anna)}"' in shown.content.decode()


def test_the_desk_leads_to_the_account_of_the_reader_at_it(anna: Reader, debt: Charge) -> None:
    librarian = signed_in(make_member("Librarian"))
    panel = librarian.post("/admin/desk/scan/", {"code": anna.card_number, "mode": "lend"})
    assert f'href="{account_url(anna)}"' in panel.json()["reader"]["panel"]


def test_a_lost_copy_is_paid_here(office: Client, anna: Reader, rule: object) -> None:
    loan = lend_until(march(16), anna)
    loan.copy.price = Decimal("20.00")
    loan.copy.save()
    desk.mark_lost(loan, on=march(16))
    take(office, anna)
    assert accounts.debt(anna) == 0
