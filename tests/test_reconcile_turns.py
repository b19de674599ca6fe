"""The reconcile job takes turns: what always fails keeps nothing else waiting."""

import time
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from pytest_django import Settings

from billing import charges, payments, reconcile, refunds
from billing.gateways.base import UnreachableError
from billing.models import (
    Charge,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from circulation.models import Reader
from tests.factories import make_charge, make_reader
from tests.paying import again, in_session, session_of
from tests.scripted_paypal import ScriptedPayPal
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna)


def later(minutes: float = 10) -> datetime:
    return timezone.now() + timedelta(minutes=minutes)


def run(minutes: float = 10, **options: float) -> reconcile.Tally:
    return reconcile.run(at=later(minutes), **options)


def status(payment: Payment) -> str:
    return again(payment).status


@pytest.mark.slow
class TestThePoisonous:
    """What always fails keeps nothing else waiting."""

    def sessions(self, number: int) -> list[Payment]:
        return [in_session(make_charge(make_reader())) for _ in range(number)]

    def test_sessions_that_the_provider_does_not_know_let_others_pass(
        self, stripe_server: ScriptedStripe
    ) -> None:
        made = self.sessions(8)
        for payment in made[:7]:
            del stripe_server.sessions[session_of(payment)]
        stripe_server.pay(session_of(made[7]))
        tally = run()
        assert (tally.done, tally.failed) == (1, 7)
        assert status(made[7]) == PaymentStatus.PAID
        assert "No such checkout.session" in again(made[0]).last_error

    def test_sessions_that_are_never_answered_go_to_the_end_of_the_line(
        self, stripe_server: ScriptedStripe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = self.sessions(8)
        broken = {payment.pk for payment in made[:6]}
        settle = payments.settle

        def never(payment: Payment) -> Payment:
            if payment.pk in broken:
                raise UnreachableError("HTTP 500")
            return settle(payment)

        monkeypatch.setattr(payments, "settle", never)
        stripe_server.pay(session_of(made[7]))
        run()
        assert status(made[7]) == PaymentStatus.PENDING  # five in a row: it seemed to be away
        run(20)
        assert status(made[7]) == PaymentStatus.PAID

    def test_a_provider_that_is_away_does_not_stop_another(
        self,
        stripe_server: ScriptedStripe,
        paypal_server: ScriptedPayPal,
        settings: Settings,
    ) -> None:
        self.sessions(6)
        settings.PAYMENT_PROVIDER = "PAYPAL"
        [order] = self.sessions(1)
        paypal_server.approve(session_of(order))
        stripe_server.down()
        tally = run()
        assert status(order) == PaymentStatus.PAID
        assert tally.failed == reconcile.MOST_TROUBLES

    def test_an_error_that_nobody_thought_of_is_logged_and_passed(
        self,
        stripe_server: ScriptedStripe,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        bad, good = self.sessions(2)
        stripe_server.pay(session_of(good))
        settle = payments.settle

        def explode(payment: Payment) -> Payment:
            if payment == bad:
                raise ZeroDivisionError
            return settle(payment)

        monkeypatch.setattr(payments, "settle", explode)
        run()
        assert status(good) == PaymentStatus.PAID
        assert again(bad).last_error == "ZeroDivisionError"
        assert "ZeroDivisionError" in caplog.text

    def test_refunds_that_are_never_answered_take_turns_with_others(
        self, maria: Reader, stripe_server: ScriptedStripe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = []
        for payment in self.sessions(8):
            stripe_server.pay(session_of(payment))
            paid = payments.settle(payment)
            made.append(refunds.refund(paid, Decimal("1.00"), by=maria, reason="Twice"))
        send = refunds.send

        def never(refund: Refund) -> Refund:
            if refund != made[7]:
                raise UnreachableError("HTTP 500")
            return send(refund)

        monkeypatch.setattr(refunds, "send", never)
        for times in range(40):
            run(10 * (times + 1))
        assert again(made[7]).status == RefundStatus.DONE

    def test_much_of_one_kind_leaves_time_for_the_others(
        self, maria: Reader, stripe_server: ScriptedStripe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = self.sessions(8)
        stripe_server.pay(session_of(made[0]))
        paid = payments.settle(made[0])
        refund = refunds.refund(paid, Decimal("1.00"), by=maria, reason="Twice")
        settle = payments.settle

        def slowly(payment: Payment) -> Payment:
            time.sleep(0.2)
            return settle(payment)

        monkeypatch.setattr(payments, "settle", slowly)
        run(seconds=1.0)
        assert again(refund).status == RefundStatus.DONE

    def test_what_ended_a_month_ago_and_cannot_be_closed_is_let_be(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        in_session(fine)
        charges.waive(fine, Decimal("5.00"), by=maria, reason="Ill")
        stripe_server.sessions.clear()
        assert run().failed == 1
        assert run(32 * 24 * 60) == reconcile.Tally()

    def test_one_that_cannot_be_looked_at_is_given_up_when_its_time_is_over(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        payment = in_session(fine)
        stripe_server.sessions.clear()
        run()
        assert status(payment) == PaymentStatus.PENDING
        ended = timezone.now() - timedelta(hours=1)
        Payment.objects.filter(pk=payment.pk).update(session_expires_at=ended)
        run(20)
        assert status(payment) == PaymentStatus.EXPIRED
