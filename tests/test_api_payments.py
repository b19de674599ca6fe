"""Payments over the API: what is owed from the moment of check-out, and nobody else's."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from billing import charges, ledger
from billing.gateways.base import Session, Snapshot, State
from billing.models import Payment, PaymentStatus
from circulation.models import Reader
from config import roles
from tests.api import client_for, listed, wrong_fields
from tests.factories import (
    lend,
    lend_until,
    make_book,
    make_charge,
    make_copy,
    make_member,
    make_reader,
    make_staff,
    march,
    noon,
    pay_cash,
    take_back,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("rule")]

TODAY = march(2)


@pytest.fixture(autouse=True)
def today() -> Iterator[None]:
    with time_machine.travel(noon(TODAY), tick=False):
        yield


def payments_of(reader: Reader, query: str = "") -> list[int]:
    return listed(reader, f"/api/payments/{query}")


def shown(reader: Reader, payment: Payment) -> dict[str, Any]:
    answer = client_for(reader).get(f"/api/payments/{payment.pk}/")
    assert answer.status_code == 200, answer.content
    row: dict[str, Any] = answer.json()
    return row


def in_session(reader: Reader, number: str = "1") -> Payment:
    """A payment whose session is open at a provider."""
    charge = make_charge(reader, "3.00")
    payment = ledger.freeze(reader.pk, [charge.pk], provider="STRIPE")
    url = f"https://pay.example/{number}"
    return ledger.opened(payment, Session(f"cs_{number}", url, timezone.now()))


def paid(payment: Payment) -> Payment:
    seen = Snapshot(
        State.PAID, payment.reference, amount=payment.money_to_pay, currency=payment.currency
    )
    return ledger.record(payment, seen, at=timezone.now())


def test_what_a_loan_costs_is_there_from_check_out(anna: Reader) -> None:
    loan = lend(anna, make_copy(make_book(daily_fee="0.10")), on=TODAY)
    payment = Payment.objects.get()
    row = shown(anna, payment)
    link, created_at = row.pop("pay_link"), row.pop("created_at")
    charge = loan.charges.get()
    assert row == {
        "id": payment.pk,
        "status": "PENDING",
        "type": "PAYMENT",
        "borrowing": loan.pk,
        "user_id": anna.pk,
        "provider": None,
        "session_id": None,
        "session_url": None,
        "money_to_pay": "1.40",
        "currency": "USD",
        "money_paid": None,
        "money_refunded": "0.00",
        "paid_at": None,
        "allocations": [
            {
                "charge": charge.pk,
                "kind": "PAYMENT",
                "borrowing": loan.pk,
                "description": "14 days × 0.10",
                "amount": "1.40",
                "refunded": "0.00",
                "state": "OPEN",
            }
        ],
    }
    assert created_at
    assert client_for().get(link).status_code in (200, 302, 303)


def test_a_fine_tells_how_it_came_about(anna: Reader) -> None:
    loan = lend_until(march(2), anna)
    take_back(loan.copy, on=march(5))
    [part] = shown(anna, Payment.objects.get())["allocations"]
    assert (part["kind"], part["description"]) == ("FINE", "3 open days × 0.50")


def test_a_session_is_told_while_it_can_be_paid(anna: Reader) -> None:
    payment = in_session(anna)
    row = shown(anna, payment)
    assert (row["session_id"], row["session_url"]) == ("cs_1", "https://pay.example/1")
    assert (row["provider"], row["money_to_pay"]) == ("STRIPE", "3.00")
    paid(payment)
    row = shown(anna, payment)
    assert (row["status"], row["money_paid"], row["session_id"]) == ("PAID", "3.00", "cs_1")
    assert row["session_url"] is row["pay_link"] is None
    assert row["paid_at"] == "2026-03-02T11:00:00Z"


@pytest.mark.parametrize("status", [PaymentStatus.EXPIRED, PaymentStatus.PROCESSING])
def test_nobody_is_sent_to_pay_what_is_over_or_on_its_way(
    status: PaymentStatus, anna: Reader
) -> None:
    payment = in_session(anna)
    Payment.objects.filter(pk=payment.pk).update(status=status)
    row = shown(anna, payment)
    assert row["session_url"] is row["pay_link"] is None


def test_what_was_waived_asks_for_nothing(anna: Reader, maria: Reader) -> None:
    charge = make_charge(anna, "3.00")
    charges.waive(charge, Decimal("3.00"), by=maria, reason="Ill")
    row = shown(anna, Payment.objects.get())
    assert (row["money_to_pay"], row["pay_link"]) == ("0.00", None)


class TestNobodyElses:
    def test_readers_see_their_own_alone(self, anna: Reader, bartek: Reader) -> None:
        own, foreign = in_session(anna, "1"), in_session(bartek, "2")
        assert payments_of(anna) == payments_of(anna, f"?user_id={anna.pk}") == [own.pk]
        answer = client_for(anna).get(f"/api/payments/{foreign.pk}")
        assert answer.status_code == 404
        assert "pay.example" not in answer.content.decode()
        assert client_for(anna).get(f"/api/payments?user_id={bartek.pk}").status_code == 403
        assert payments_of(anna, f"?status=PENDING&user_id={anna.pk}") == [own.pk]

    def test_somebody_elses_borrowing_has_none(self, anna: Reader, bartek: Reader) -> None:
        foreign = lend(bartek, make_copy(make_book(daily_fee="0.10")), on=TODAY)
        assert payments_of(anna, f"?borrowing={foreign.pk}") == []

    def test_without_signing_in_there_is_nothing(self, anna: Reader) -> None:
        payment = in_session(anna)
        for address in ("/api/payments/", f"/api/payments/{payment.pk}/"):
            assert client_for().get(address).status_code == 401

    def test_staff_without_the_permission_see_their_own(self, anna: Reader) -> None:
        payment = in_session(anna)
        guard = make_staff("Gustaw", permissions=("circulation.view_loan",))
        assert payments_of(guard) == []
        assert client_for(guard).get(f"/api/payments/{payment.pk}").status_code == 404

    @pytest.mark.parametrize("role", roles.ROLES)
    def test_every_role_sees_all(self, role: str, anna: Reader, bartek: Reader) -> None:
        payments = [in_session(anna, "1"), in_session(bartek, "2")]
        member = make_member(role)
        assert payments_of(member) == [payment.pk for payment in reversed(payments)]
        assert payments_of(member, f"?user_id={anna.pk}") == [payments[0].pk]
        assert shown(member, payments[1])["user_id"] == bartek.pk


def test_payments_are_only_looked_at(anna: Reader) -> None:
    payment = in_session(anna)
    client = client_for(make_reader(is_staff=True, is_superuser=True))
    for address in ("/api/payments/", f"/api/payments/{payment.pk}/"):
        for method in ("post", "put", "patch", "delete"):
            assert getattr(client, method)(address).status_code == 405
    assert client.head("/api/payments/").status_code == 200


class TestFilters:
    def test_by_status_type_and_borrowing(self, anna: Reader, maria: Reader) -> None:
        loan = lend(anna, make_copy(make_book(daily_fee="0.10")), on=TODAY)
        fee = Payment.objects.get()
        fine = make_charge(anna, "3.00")
        fined = pay_cash(fine, "3.00", by=maria)
        assert payments_of(anna) == [fined.pk, fee.pk]
        assert payments_of(anna, "?status=PAID") == payments_of(anna, "?type=FINE") == [fined.pk]
        assert payments_of(anna, "?status=PENDING&type=PAYMENT") == [fee.pk]
        assert payments_of(anna, f"?borrowing={loan.pk}") == [fee.pk]
        assert payments_of(anna, "?borrowing=999999") == []
        assert payments_of(anna, "?status=&type=&borrowing=&user_id=") == [fined.pk, fee.pk]

    def test_a_borrowing_paid_together_with_others_is_found(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(make_book(daily_fee="0.10")), on=TODAY)
        fee, fine = loan.charges.get(), make_charge(anna, "3.00")
        joint = ledger.freeze(anna.pk, [fee.pk, fine.pk], provider="STRIPE")
        row = shown(anna, joint)
        assert (row["type"], row["borrowing"], row["money_to_pay"]) == (None, None, "4.40")
        assert [part["amount"] for part in row["allocations"]] == ["1.40", "3.00"]
        assert joint.pk in payments_of(anna, f"?borrowing={loan.pk}")

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("?status=paid", "status"),
            ("?type=CASH", "type"),
            ("?borrowing=x", "borrowing"),
            ("?borrowing=-1", "borrowing"),
            ("?user_id=99999999999999999999", "user_id"),
            ("?page=0", "page"),
        ],
    )
    def test_what_makes_no_sense_is_said_by_field(
        self, query: str, field: str, anna: Reader
    ) -> None:
        assert wrong_fields(client_for(anna).get(f"/api/payments{query}")) == {field}

    @pytest.mark.parametrize("number", ["0", "999999", "9" * 30])
    def test_a_number_that_no_payment_has_is_not_found(self, number: str, anna: Reader) -> None:
        assert client_for(anna).get(f"/api/payments/{number}/").status_code == 404


class TestAccount:
    def test_it_says_what_the_desk_says(self, anna: Reader, maria: Reader) -> None:
        lend_until(march(2), anna)
        fine = make_charge(anna, "3.00")
        pay_cash(fine, "1.00", by=maria)
        with time_machine.travel(noon(march(5)), tick=False):
            row = client_for(anna).get("/api/users/me/account/").json()
        link = row.pop("pay_link")
        assert row == {"owed": "3.50", "credit": "0.00", "balance": "3.50", "currency": "USD"}
        assert client_for().get(link).status_code in (200, 302, 303)

    def test_credit_is_told_apart(self, anna: Reader, maria: Reader) -> None:
        charge = make_charge(anna, "3.00")
        pay_cash(charge, "3.00", by=maria)
        charges.void(charge, by=maria, reason="Mistake")
        row = client_for(anna).get("/api/users/me/account").json()
        assert (row["owed"], row["credit"], row["balance"]) == ("0.00", "3.00", "-3.00")
        assert row["pay_link"] is None

    def test_it_needs_an_account(self) -> None:
        assert client_for().get("/api/users/me/account").status_code == 401


def test_a_page_asks_the_database_the_same_however_many_are_on_it(
    anna: Reader, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client = client_for(anna)
    for count in (1, 6):
        while Payment.objects.count() < count:
            make_charge(anna, "1.00")
        with django_assert_num_queries(2):  # the reader, the payments
            assert len(client.get("/api/payments").json()["results"]) == count
    one = Payment.objects.latest("pk")
    with django_assert_num_queries(3):
        client.get(f"/api/payments/{one.pk}")
