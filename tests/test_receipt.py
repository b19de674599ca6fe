"""The receipt: what was paid, when, by whom and for what; and where there is none."""

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.test import Client
from pytest_django import Settings

from billing import charges, payments, refunds
from billing.models import ChargeKind, Payment
from circulation.models import Reader
from tests.factories import make_charge, make_member, make_staff, pay_cash
from tests.office import as_superuser, signed_in
from tests.paying import in_session, session_of, waiting
from tests.scripted_stripe import ScriptedStripe
from tests.till import receipt_url

pytestmark = pytest.mark.django_db


@pytest.fixture
def cashier() -> Reader:
    return make_member("Cashier")


@pytest.fixture
def till(cashier: Reader) -> Client:
    return signed_in(cashier)


def text_of(client: Client, payment: Payment, *, status: int = 200) -> str:
    response = client.get(receipt_url(payment))
    assert response.status_code == status
    body = re.sub(r"<[^>]*>", " ", response.content.decode().partition("<body")[2])
    return re.sub(r"\s+", " ", body)


def test_it_says_what_was_paid_for_what_by_whom_and_to_whom(
    till: Client, cashier: Reader, anna: Reader, settings: Settings
) -> None:
    settings.LIBRARY_NAME = "Town Library"
    late = make_charge(anna, "5.00", description="10 open days × 0.50")
    lost = make_charge(anna, "20.00", kind=ChargeKind.LOST, description="Map of Kraków")
    payment = payments.take_cash(
        anna,
        {late.pk: Decimal("5.00"), lost.pk: Decimal("7.50")},
        by=cashier,
        at=datetime(2026, 3, 2, 11, 5, tzinfo=UTC),
    )
    text = text_of(till, payment)
    assert f"Town Library Receipt no. {payment.pk} Mon 2 Mar 2026, 11:05 UTC" in text
    assert f"Anna Nowak ({anna.card_number})" in text
    assert "Paid by Cash Taken by Cashier Nowak" in text
    assert "For USD Fine 10 open days × 0.50 5.00 Lost copy Map of Kraków 7.50" in text
    assert "Paid 12.50" in text
    assert "Still owed on" in text
    assert "12.50 USD" in text


def test_the_time_is_the_library_s_own(till: Client, anna: Reader, settings: Settings) -> None:
    settings.TIME_ZONE = "Europe/Warsaw"
    charge = make_charge(anna)
    payment = payments.take_cash(
        anna,
        {charge.pk: charge.amount},
        by=make_staff(),
        at=datetime(2026, 7, 1, 22, 30, tzinfo=UTC),
    )
    assert "Thu 2 Jul 2026, 00:30 CEST" in text_of(till, payment)


def test_a_settled_account_owes_nothing(till: Client, anna: Reader) -> None:
    payment = pay_cash(make_charge(anna), "5.00", by=make_staff())
    assert "Nothing is owed on" in text_of(till, payment)


def test_what_was_given_back_is_on_it(till: Client, anna: Reader) -> None:
    payment = pay_cash(make_charge(anna), "5.00", by=make_staff())
    refunds.refund(payment, Decimal("2.00"), by=make_staff(), reason="Change was short")
    text = text_of(till, payment)
    assert "Given back on" in text
    assert "−2.00 Paid after refunds 3.00" in text
    refunds.refund(payment, Decimal("3.00"), by=make_staff(), reason="Wrong reader")
    assert "Paid after refunds 0.00" in text_of(till, payment)


def test_what_was_more_than_owed_is_on_it(till: Client, anna: Reader) -> None:
    charge = make_charge(anna)
    payment = pay_cash(charge, "5.00", by=make_staff())
    charges.void(charge, by=None, reason="Wrong reader")
    assert "For USD More than was owed 5.00 Paid 5.00" in text_of(till, payment)


def test_an_online_payment_has_one_too(
    till: Client, anna: Reader, stripe_server: ScriptedStripe
) -> None:
    payment = in_session(make_charge(anna))
    assert "there is no receipt" in text_of(till, payment, status=404)
    stripe_server.pay(session_of(payment))
    payments.settle(payment)
    text = text_of(till, payment)
    assert "Paid by Stripe" in text
    assert "Taken by" not in text


def test_what_was_not_received_has_none(till: Client, anna: Reader) -> None:
    charge = make_charge(anna)
    draft = waiting(charge)
    assert "Nothing was received" in text_of(till, draft, status=404)
    charges.waive(charge, Decimal("5.00"), by=make_staff(), reason="Ill")
    assert "Nothing was received" in text_of(till, draft, status=404)


def test_what_has_to_be_reviewed_has_none_yet(
    till: Client, anna: Reader, stripe_server: ScriptedStripe
) -> None:
    charge = make_charge(anna)
    payment = in_session(charge)
    stripe_server.pay(session_of(payment))
    charges.waive(charge, Decimal("5.00"), by=make_staff(), reason="Ill")
    payments.settle(payment)
    assert "has to be reviewed first" in text_of(till, payment, status=404)


def test_a_payment_that_is_none_is_not_found_in_words(till: Client) -> None:
    for number in ("0", "999999", "9" * 30):
        response = till.get(f"/admin/money/receipt/{number}/")
        assert response.status_code == 404
        assert "There is no payment no." in response.content.decode()


def test_who_may_not_see_payments_gets_none(anna: Reader) -> None:
    payment = pay_cash(make_charge(anna), "5.00", by=make_staff())
    other = signed_in(make_staff(permissions=("billing.view_charge",)))
    assert other.get(receipt_url(payment)).status_code == 403
    assert Client().get(receipt_url(payment)).status_code == 302


def test_what_people_typed_is_printed_as_text(anna: Reader) -> None:
    evil = "<script>alert(1)</script>"
    payment = pay_cash(make_charge(anna, description=evil), "5.00", by=make_staff(evil))
    assert evil not in as_superuser().get(receipt_url(payment)).content.decode()
