"""Sessions at a provider: one for what is owed, and another when that is not the same any more."""

from decimal import Decimal

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from pytest_django import Settings

from billing import payments
from billing.drafts import NothingOwedError
from billing.models import Charge, Payment, PaymentStatus
from circulation import fines
from circulation.models import Reader
from tests.factories import lend_until, make_charge, make_reader, march, pay_cash
from tests.paying import (
    again,
    in_session,
    owed,
    parts,
    session_of,
    waiting,
)
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")

CREATE = ("POST", "/v1/checkout/sessions")


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna)


class TestOne:
    def test_is_made_of_the_payment_that_waited(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        draft = waiting(fine)
        payment = in_session(fine)
        assert payment == draft
        [session] = stripe_server.sessions.values()
        assert (payment.session_id, payment.session_url) == (session["id"], session["url"])
        assert (session["amount_total"], session["currency"]) == (500, "usd")
        assert session["metadata"] == {"payment": str(payment.pk)}
        assert payment.session_expires_at is not None

    def test_is_returned_again_to_who_pays_again(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        assert in_session(fine) == first
        assert len(stripe_server.sessions) == 1

    def test_follows_one_that_expired_and_the_debt_never_vanishes(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        stripe_server.expire(session_of(first))
        payments.settle(first)
        assert again(first).status == PaymentStatus.EXPIRED
        draft = waiting(fine)
        assert draft.is_draft
        assert draft.money_to_pay == owed(fine) == Decimal("5.00")
        second = in_session(fine)
        assert second == draft
        assert session_of(second) != session_of(first)

    def test_that_expired_unnoticed_is_replaced_by_the_pay_link(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        stripe_server.expire(session_of(first))
        second = in_session(fine)
        assert second != first
        assert second.session_url

    def test_that_was_paid_unnoticed_is_settled_by_the_pay_link(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        stripe_server.pay(session_of(first))
        with pytest.raises(NothingOwedError):
            in_session(fine)
        assert again(first).status == PaymentStatus.PAID

    def test_is_not_asked_about_at_every_click(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        in_session(fine)
        in_session(fine)
        asked = len(stripe_server.calls)
        in_session(fine)
        assert len(stripe_server.calls) == asked

    def test_on_its_way_is_not_paid_a_second_time(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        stripe_server.pay_later(session_of(first))
        with pytest.raises(payments.PaymentRefusedError, match=r"5\.00 USD is on its way already"):
            in_session(fine)
        assert again(first).status == PaymentStatus.PROCESSING
        assert len(stripe_server.sessions) == 1


class TestTheKey:
    """Stored before the provider is called: whoever tries again asks for the same session."""

    def test_an_answer_that_was_lost_leaves_one_session(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.answer_after_accepting_then_drop()
        with pytest.raises(payments.ProviderAwayError):
            in_session(fine)
        kept = Payment.objects.get()
        assert kept.key is not None
        assert kept.session_id is None
        assert "cannot be reached" in kept.last_error
        payment = in_session(fine)
        assert [call.key for call in stripe_server.sent(*CREATE)] == [str(kept.key)] * 2
        assert len(stripe_server.sessions) == 1
        assert (payment.session_id, payment.last_error) == (*stripe_server.sessions, "")

    def test_is_for_the_same_request_whatever_language_it_is_tried_in(
        self,
        fine: Charge,
        stripe_server: ScriptedStripe,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(payments, "_", lambda text: f"{text} ({translation.get_language()})")
        stripe_server.answer_after_accepting_then_drop()
        with translation.override("pl"), pytest.raises(payments.ProviderAwayError):
            in_session(fine)
        in_session(fine)
        assert len(stripe_server.sessions) == 1

    def test_is_another_for_another_session(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        stripe_server.expire(session_of(first))
        in_session(fine)
        first_key, second_key = (call.key for call in stripe_server.sent(*CREATE))
        assert first_key != second_key


class TestAnotherSelection:
    def test_of_several_charges_is_one_session(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        other = make_charge(anna, "3.00")
        drafts = [waiting(fine), waiting(other)]
        payment = in_session(fine, other)
        assert payment.money_to_pay == Decimal("8.00")
        assert parts(payment) == {fine.pk: Decimal("5.00"), other.pk: Decimal("3.00")}
        assert [again(draft).status for draft in drafts] == [PaymentStatus.EXPIRED] * 2
        assert len(stripe_server.sessions) == 1

    def test_closes_the_sessions_of_its_charges_first(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        other = make_charge(anna, "3.00")
        alone = in_session(fine)
        in_session(fine, other)
        assert stripe_server.sessions[session_of(alone)]["status"] == "expired"
        assert again(alone).status == PaymentStatus.EXPIRED

    def test_of_a_part_closes_the_session_of_all(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        other = make_charge(anna, "3.00")
        joint = in_session(fine, other)
        alone = in_session(other)
        assert alone.money_to_pay == Decimal("3.00")
        assert again(joint).status == PaymentStatus.EXPIRED
        assert waiting(fine).is_draft

    def test_settles_what_cannot_be_closed_as_it_was_paid(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        other = make_charge(anna, "3.00")
        alone = in_session(fine)
        stripe_server.pay(session_of(alone))
        rest = in_session(fine, other)
        assert again(alone).status == PaymentStatus.PAID
        assert parts(rest) == {other.pk: Decimal("3.00")}

    def test_waits_for_what_is_on_its_way(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        other = make_charge(anna, "3.00")
        alone = in_session(fine)
        stripe_server.pay_later(session_of(alone))
        with pytest.raises(payments.PaymentRefusedError, match="on its way already"):
            in_session(fine, other)
        assert waiting(other).is_draft

    def test_of_the_present_sum_follows_when_a_fine_has_grown(
        self, rule: object, stripe_server: ScriptedStripe
    ) -> None:
        loan = lend_until(march(2))
        fines.accrue(on=march(5))
        growing = loan.charges.get()
        small = in_session(growing)
        fines.accrue(on=march(6))
        assert waiting(growing) == small
        grown = in_session(growing)
        assert (small.money_to_pay, grown.money_to_pay) == (Decimal("1.50"), Decimal("2.00"))
        assert stripe_server.sessions[session_of(small)]["status"] == "expired"

    def test_is_refused_below_the_minimum_and_taken_with_others(
        self, anna: Reader, stripe_server: ScriptedStripe
    ) -> None:
        small, other = make_charge(anna, "0.30"), make_charge(anna, "0.20")
        with pytest.raises(payments.TooSmallError, match=r"0\.30 USD is too little.* 0\.50 USD"):
            in_session(small)
        assert waiting(small).is_draft
        assert in_session(small, other).money_to_pay == Decimal("0.50")

    def test_is_found_without_asking_for_each_charge(
        self, anna: Reader, stripe_server: ScriptedStripe
    ) -> None:
        made = [make_charge(anna) for _ in range(3)]
        payment = in_session(*made)

        def queries() -> int:
            with CaptureQueriesContext(connection) as captured:
                in_session(*made)
            return len(captured)

        in_session(*made)
        few = queries()
        made += [make_charge(anna) for _ in range(10)]
        assert in_session(*made) != payment
        in_session(*made)
        assert queries() == few


class TestYen:
    @pytest.fixture(autouse=True)
    def yen(self, settings: Settings) -> None:
        settings.CURRENCY = "JPY"

    def test_500_stay_500(self, anna: Reader, stripe_server: ScriptedStripe) -> None:
        payment = in_session(make_charge(anna, "500.00"))
        [session] = stripe_server.sessions.values()
        assert (session["amount_total"], session["currency"]) == (500, "jpy")
        stripe_server.pay(session_of(payment))
        payments.settle(payment)
        assert again(payment).paid_amount == Decimal("500.00")
        assert again(payment).status == PaymentStatus.PAID

    def test_fractions_are_paid_at_the_desk(
        self, anna: Reader, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        charge = make_charge(anna, "500.50")
        with pytest.raises(payments.PaymentRefusedError, match="pay at the desk"):
            in_session(charge)
        assert stripe_server.sessions == {}
        pay_cash(charge, "500.50", by=maria)
        assert owed(charge) == 0


@pytest.mark.parametrize(
    ("amount", "minor"), [("19.99", 1999), ("1.15", 115), ("0.57", 57), ("1234567.89", 123456789)]
)
def test_a_sum_reaches_the_provider_to_the_cent(
    stripe_server: ScriptedStripe, amount: str, minor: int, db: None
) -> None:
    payment = in_session(make_charge(make_reader(), amount))
    [session] = stripe_server.sessions.values()
    assert session["amount_total"] == minor
    stripe_server.pay(session_of(payment))
    payments.settle(payment)
    assert again(payment).status == PaymentStatus.PAID
    assert str(again(payment).paid_amount) == amount
