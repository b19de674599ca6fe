"""Sessions when what is owed changes, and when the provider is away, gone, or forgets."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from billing import charges, gateways, payments
from billing.drafts import NothingOwedError
from billing.models import Charge, Payment, PaymentStatus
from circulation.models import Reader
from tests.factories import make_charge, pay_cash
from tests.paying import (
    again,
    in_session,
    owed,
    parts,
    session_of,
    waiting,
    work_off_the_queue,
)
from tests.scripted_paypal import ScriptedPayPal
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")

CREATE = ("POST", "/v1/checkout/sessions")


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna)


def time_is_over(payment: Payment) -> None:
    ended = timezone.now() - timedelta(seconds=1)
    Payment.objects.filter(pk=payment.pk).update(session_expires_at=ended, checked_at=None)


class TestWhatIsTakenOff:
    """A session that asks for more than is owed now is given up, and a job closes it."""

    @pytest.fixture(autouse=True)
    def commits(self, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks) -> None:
        self.committing = django_capture_on_commit_callbacks

    def test_gives_the_session_up_and_the_rest_waits(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        old = in_session(fine)
        with self.committing(execute=True):
            charges.waive(fine, Decimal("2.00"), by=maria, reason="Ill")
        assert again(old).must_close
        assert waiting(fine).money_to_pay == Decimal("3.00")
        assert stripe_server.sessions[session_of(old)]["status"] == "open"
        assert work_off_the_queue() == ["Expired"]
        assert stripe_server.sessions[session_of(old)]["status"] == "expired"
        assert not again(old).must_close

    def test_in_full_leaves_nothing_to_pay(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        in_session(fine)
        with self.committing(execute=True):
            charges.waive(fine, Decimal("5.00"), by=maria, reason="Ill")
        work_off_the_queue()
        assert not Payment.objects.in_session().exists()
        with pytest.raises(NothingOwedError):
            in_session(fine)

    def test_of_one_of_two_charges_leaves_the_other_to_pay(
        self, anna: Reader, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        other = make_charge(anna, "3.00")
        joint = in_session(fine, other)
        with self.committing(execute=True):
            charges.waive(fine, Decimal("5.00"), by=maria, reason="Ill")
        assert again(joint).status == PaymentStatus.EXPIRED
        assert parts(waiting(other)) == {other.pk: Decimal("3.00")}

    def test_is_closed_once_however_often_the_job_runs(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        in_session(fine)
        for _ in range(2):
            with self.committing(execute=True):
                charges.waive(fine, Decimal("1.00"), by=maria, reason="Ill")
        assert work_off_the_queue() == ["Expired"]

    def test_from_one_whose_making_was_never_answered_makes_and_closes_it(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.answer_after_accepting_then_drop()
        with pytest.raises(payments.ProviderAwayError):
            in_session(fine)
        with self.committing(execute=True):
            charges.waive(fine, Decimal("1.00"), by=maria, reason="Ill")
        assert work_off_the_queue() == ["Expired"]
        [session] = stripe_server.sessions.values()
        assert session["status"] == "expired"

    def test_from_one_that_was_never_made_is_done_with(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.fail_next(500)
        with pytest.raises(payments.ProviderAwayError):
            in_session(fine)
        with self.committing(execute=True):
            charges.waive(fine, Decimal("1.00"), by=maria, reason="Ill")
        stripe_server.fail_next(400)
        work_off_the_queue()
        assert not Payment.objects.filter(must_close=True).exists()


class TestTheProviderIsAway:
    def test_the_debt_waits_and_the_message_says_try_again(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.down()
        with pytest.raises(payments.ProviderAwayError, match="Try again in a few minutes"):
            in_session(fine)
        assert owed(fine) == Decimal("5.00")
        stripe_server.up()
        assert in_session(fine).session_url

    def test_an_open_session_is_shown_without_asking(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        stripe_server.down()
        assert in_session(fine) == first

    def test_another_selection_has_to_wait(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        other = make_charge(anna, "3.00")
        first = in_session(fine)
        stripe_server.down()
        with pytest.raises(payments.ProviderAwayError):
            in_session(fine, other)
        assert again(first).status == PaymentStatus.PENDING


class TestTheProviderIsGone:
    """Taken out of the settings, or set up for another account, with sessions open."""

    def test_a_session_of_one_that_is_not_listed_is_replaced(
        self,
        fine: Charge,
        stripe_server: ScriptedStripe,
        paypal_server: ScriptedPayPal,
        settings: Settings,
    ) -> None:
        old = in_session(fine)
        settings.PAYMENT_GATEWAYS = ["billing.gateways.paypal.PayPal"]
        new = in_session(fine)
        assert (again(old).status, again(old).must_close) == (PaymentStatus.EXPIRED, True)
        assert new.provider == "PAYPAL"

    def test_cash_is_taken_for_it(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe, settings: Settings
    ) -> None:
        in_session(fine)
        settings.PAYMENT_GATEWAYS = ["billing.gateways.cash.Cash"]
        pay_cash(fine, "5.00", by=maria)
        assert owed(fine) == 0

    def test_a_session_that_the_account_does_not_know_is_replaced(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        old = in_session(fine)
        stripe_server.sessions.clear()
        new = in_session(fine)
        assert new != old
        assert session_of(new) in stripe_server.sessions

    def test_another_selection_does_not_wait_for_it(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        in_session(fine)
        stripe_server.sessions.clear()
        other = make_charge(anna, "3.00")
        assert in_session(fine, other).money_to_pay == Decimal("8.00")

    def test_without_its_keys_a_new_session_is_refused_politely(
        self, fine: Charge, stripe_server: ScriptedStripe, settings: Settings
    ) -> None:
        settings.STRIPE_SECRET_KEY = "sk_test_revoked"
        with pytest.raises(payments.PaymentRefusedError, match="Please pay at the desk"):
            in_session(fine)
        assert waiting(fine).is_draft

    def test_nothing_can_be_asked_of_what_is_not_listed(self) -> None:
        with pytest.raises(gateways.UnknownGatewayError, match="does not list BITCOIN"):
            gateways.called("BITCOIN")


class TestTheTimeIsOver:
    """By the clock that the provider gave, whatever it says of the session itself."""

    def test_a_session_is_closed_and_the_debt_waits(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        time_is_over(first)
        payments.settle(again(first))
        assert again(first).status == PaymentStatus.EXPIRED
        assert stripe_server.sessions[session_of(first)]["status"] == "expired"
        assert waiting(fine).money_to_pay == Decimal("5.00")

    def test_the_pay_link_leads_to_a_fresh_order(
        self, fine: Charge, paypal_server: ScriptedPayPal
    ) -> None:
        first = in_session(fine)
        time_is_over(first)
        second = in_session(fine)
        assert second != first
        assert session_of(second) != session_of(first)

    def test_an_order_that_was_approved_in_time_is_captured_all_the_same(
        self, fine: Charge, paypal_server: ScriptedPayPal
    ) -> None:
        first = in_session(fine)
        paypal_server.approve(session_of(first))
        time_is_over(first)
        assert payments.settle(again(first)).status == PaymentStatus.PAID

    def test_one_that_the_provider_forgot_is_given_up(
        self, fine: Charge, stripe_server: ScriptedStripe
    ) -> None:
        first = in_session(fine)
        stripe_server.sessions.clear()
        time_is_over(first)
        with pytest.raises(payments.RejectedError):
            payments.settle(again(first))
        assert again(first).status == PaymentStatus.EXPIRED
        assert waiting(fine).is_draft
