"""Money that is not what is owed: in doubt, too much, or for what was settled in another way."""

from decimal import Decimal

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from alerts.events import EventKind
from billing import accounts, charges, gateways, ledger, payments, webhooks
from billing.models import Charge, Payment, PaymentStatus
from circulation import fines
from circulation.models import Reader
from tests.factories import lend_until, make_charge, march, pay_cash
from tests.paying import (
    again,
    in_session,
    owed,
    parts,
    session_of,
    told,
    waiting,
    work_off_the_queue,
)
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("books_balance")

COMPLETED = "checkout.session.completed"
EXPIRED = "checkout.session.expired"
SUCCEEDED = "checkout.session.async_payment_succeeded"
FAILED = "checkout.session.async_payment_failed"


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna)


@pytest.fixture
def session(fine: Charge, stripe_server: ScriptedStripe) -> Payment:
    """A session for the fine of 5.00."""
    return in_session(fine)


def status(payment: Payment) -> str:
    return again(payment).status


def is_paid_once(payment: Payment) -> bool:
    paid = again(payment)
    return (
        paid.status == PaymentStatus.PAID
        and told(EventKind.PAYMENT_COMPLETED, paid) == 1
        and told(EventKind.PAYMENT_NEEDS_REVIEW, paid) == 0
        and all(owed(allocation.charge) == 0 for allocation in paid.allocations.all())
    )


class TestDoubt:
    """Money that is not what was asked for waits for staff, who are told, and is never PAID."""

    def review(self, payment: Payment, stripe: ScriptedStripe) -> Payment:
        if stripe.sessions[session_of(payment)]["status"] == "open":
            stripe.pay(session_of(payment))
        payments.settle(payment)
        payments.settle(again(payment))
        seen = again(payment)
        assert seen.status == PaymentStatus.REVIEW
        assert told(EventKind.PAYMENT_NEEDS_REVIEW, seen) == 1
        assert told(EventKind.PAYMENT_COMPLETED, seen) == 0
        return seen

    @pytest.mark.parametrize("minor", [499, 501, 0, 50_000])
    def test_another_amount(
        self, fine: Charge, session: Payment, stripe_server: ScriptedStripe, minor: int
    ) -> None:
        stripe_server.change(session_of(session), amount_total=minor)
        seen = self.review(session, stripe_server)
        assert seen.paid_amount == Decimal(minor) / 100
        assert seen.review_reason == f"Paid {Decimal(minor) / 100:,.2f} USD, asked for 5.00 USD."
        assert owed(fine) == waiting(fine).money_to_pay == Decimal("5.00")
        assert accounts.credit(fine.reader) == 0

    def test_another_currency(self, session: Payment, stripe_server: ScriptedStripe) -> None:
        stripe_server.change(session_of(session), currency="eur")
        seen = self.review(session, stripe_server)
        assert seen.review_reason == "Paid in EUR, asked for in USD."
        assert (seen.paid_amount, seen.paid_currency) == (Decimal("5.00"), "EUR")

    def test_a_session_that_names_another_payment(
        self, session: Payment, stripe_server: ScriptedStripe, bartek: Reader
    ) -> None:
        other = waiting(make_charge(bartek))
        stripe_server.change(session_of(session), metadata={"payment": str(other.pk)})
        seen = self.review(session, stripe_server)
        assert "belonging to another payment" in seen.review_reason
        assert status(other) == PaymentStatus.PENDING

    def test_a_session_that_is_not_the_one_opened_for_the_payment(
        self, fine: Charge, session: Payment, stripe_server: ScriptedStripe
    ) -> None:
        foreign = {
            "id": "cs_foreign",
            "object": "checkout.session",
            "metadata": {"payment": str(session.pk)},
        }
        event = webhooks.receive(
            gateways.called("STRIPE"), *stripe_server.event(COMPLETED, foreign)
        )
        assert event.outcome == "Its session is not the one that was opened for this payment."
        assert status(session) == PaymentStatus.PENDING
        assert owed(fine) == Decimal("5.00")

    def test_a_debt_that_was_paid_already(
        self,
        fine: Charge,
        session: Payment,
        stripe_server: ScriptedStripe,
        maria: Reader,
    ) -> None:
        stripe_server.down()
        cash = pay_cash(fine, "5.00", by=maria)  # taken, though nobody could close the session
        stripe_server.up()
        seen = self.review(session, stripe_server)
        assert seen.review_reason.startswith("Nothing is owed any more")
        assert status(cash) == PaymentStatus.PAID
        assert accounts.balance(fine.reader) == 0

    def test_a_debt_that_was_waived_in_full(
        self, fine: Charge, session: Payment, stripe_server: ScriptedStripe, maria: Reader
    ) -> None:
        stripe_server.pay(session_of(session))
        charges.waive(fine, Decimal("5.00"), by=maria, reason="Ill")
        assert self.review(session, stripe_server).paid_amount == Decimal("5.00")

    def test_two_tabs_that_paid_one_debt(
        self,
        anna: Reader,
        stripe_server: ScriptedStripe,
        maria: Reader,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        fine = make_charge(anna)
        first = in_session(fine)
        with django_capture_on_commit_callbacks():  # and the job to close it is never done
            charges.waive(fine, Decimal("1.00"), by=maria, reason="Ill")
        second = in_session(fine)
        stripe_server.pay(session_of(first))
        stripe_server.pay(session_of(second))
        payments.settle(again(second))
        assert is_paid_once(second)
        assert self.review(again(first), stripe_server).paid_amount == Decimal("5.00")


class TestPaidForMoreThanIsOwed:
    def test_what_was_waived_in_part_meanwhile_becomes_credit(
        self,
        fine: Charge,
        session: Payment,
        stripe_server: ScriptedStripe,
        maria: Reader,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        stripe_server.pay(session_of(session))
        with django_capture_on_commit_callbacks(execute=True):
            charges.waive(fine, Decimal("2.00"), by=maria, reason="Ill")
        assert work_off_the_queue() == ["Paid"]
        assert parts(again(session)) == {fine.pk: Decimal("3.00")}
        assert (owed(fine), accounts.credit(fine.reader)) == (0, Decimal("2.00"))
        assert told(EventKind.PAYMENT_NEEDS_REVIEW, session) == 1

    def test_a_joint_session_of_which_one_charge_was_waived(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe, maria: Reader
    ) -> None:
        other = make_charge(anna, "3.00")
        joint = in_session(fine, other)
        stripe_server.pay(session_of(joint))
        charges.waive(fine, Decimal("5.00"), by=maria, reason="Ill")
        payments.settle(again(joint))
        assert status(joint) == PaymentStatus.PAID
        assert parts(joint) == {fine.pk: 0, other.pk: Decimal("3.00")}
        assert accounts.balance(anna) == Decimal("-5.00")

    def test_the_session_of_the_rest_is_given_up_when_the_first_is_paid_late(
        self, anna: Reader, fine: Charge, stripe_server: ScriptedStripe, maria: Reader
    ) -> None:
        first = in_session(fine)
        charges.waive(fine, Decimal("1.00"), by=maria, reason="Ill")
        second = in_session(fine)
        stripe_server.pay(session_of(first))
        payments.settle(again(first))
        assert status(first) == PaymentStatus.PAID
        assert (status(second), again(second).must_close) == (PaymentStatus.EXPIRED, True)
        assert accounts.balance(anna) == Decimal("-1.00")

    def test_money_on_its_way_for_what_is_waived_stays_on_its_way(
        self,
        anna: Reader,
        fine: Charge,
        session: Payment,
        stripe_server: ScriptedStripe,
        maria: Reader,
    ) -> None:
        stripe_server.pay_later(session_of(session))
        payments.settle(session)
        charges.waive(fine, Decimal("2.00"), by=maria, reason="Ill")
        assert status(session) == PaymentStatus.PROCESSING
        stripe_server.succeed_later(session_of(session))
        payments.settle(again(session))
        assert status(session) == PaymentStatus.PAID
        assert accounts.balance(anna) == Decimal("-2.00")


def test_the_fine_grows_while_a_session_for_less_is_open(
    rule: object, stripe_server: ScriptedStripe
) -> None:
    loan = lend_until(march(2))
    fines.accrue(on=march(5))
    fine = loan.charges.get()
    payment = in_session(fine)
    fines.accrue(on=march(7))
    assert again(payment).money_to_pay == Decimal("1.50")
    stripe_server.pay(session_of(payment))
    payments.settle(payment)
    assert status(payment) == PaymentStatus.PAID
    assert owed(fine) == waiting(fine).money_to_pay == Decimal("1.00")
    fines.accrue(on=march(9))
    assert owed(fine) == waiting(fine).money_to_pay == Decimal("1.50")


class TestAReviewedPayment:
    @pytest.fixture
    def doubtful(self, session: Payment, stripe_server: ScriptedStripe) -> Payment:
        """7.00 for what cost 5.00."""
        stripe_server.change(session_of(session), amount_total=700)
        stripe_server.pay(session_of(session))
        return payments.settle(session)

    def test_is_accepted_and_the_surplus_is_credit(
        self, anna: Reader, fine: Charge, doubtful: Payment, maria: Reader
    ) -> None:
        ledger.accept(doubtful, by=maria)
        paid = again(doubtful)
        assert (paid.status, paid.review_reason) == (PaymentStatus.PAID, "")
        assert parts(paid) == {fine.pk: Decimal("5.00")}
        assert accounts.balance(anna) == Decimal("-2.00")
        assert told(EventKind.PAYMENT_COMPLETED, paid) == 1
        assert paid.history.filter(history_user=maria, status=PaymentStatus.PAID).exists()

    def test_is_accepted_once(self, doubtful: Payment, maria: Reader) -> None:
        ledger.accept(doubtful, by=maria)
        with pytest.raises(ledger.OvertakenError):
            ledger.accept(doubtful, by=maria)

    def test_counts_as_far_as_it_goes(
        self,
        anna: Reader,
        fine: Charge,
        session: Payment,
        stripe_server: ScriptedStripe,
        maria: Reader,
    ) -> None:
        stripe_server.change(session_of(session), amount_total=300)
        stripe_server.pay(session_of(session))
        ledger.accept(payments.settle(session), by=maria)
        assert (owed(fine), accounts.credit(anna)) == (Decimal("2.00"), 0)
        assert waiting(fine).money_to_pay == Decimal("2.00")

    def test_of_a_debt_that_is_settled_is_credit_in_full(
        self, anna: Reader, fine: Charge, doubtful: Payment, maria: Reader
    ) -> None:
        pay_cash(fine, "5.00", by=maria)
        ledger.accept(doubtful, by=maria)
        assert accounts.balance(anna) == Decimal("-7.00")

    def test_gives_up_the_session_that_was_opened_since(
        self, fine: Charge, doubtful: Payment, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        since = in_session(fine)
        ledger.accept(doubtful, by=maria)
        assert (status(since), again(since).must_close) == (PaymentStatus.EXPIRED, True)

    def test_in_another_currency_is_only_given_back(
        self, session: Payment, stripe_server: ScriptedStripe, maria: Reader
    ) -> None:
        stripe_server.change(session_of(session), currency="eur")
        stripe_server.pay(session_of(session))
        seen = payments.settle(session)
        with pytest.raises(ledger.OvertakenError):
            ledger.accept(seen, by=maria)
        assert status(session) == PaymentStatus.REVIEW
