"""Cash at the desk: taken in part or whole, whatever waits online, and never for the same twice."""

from decimal import Decimal

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks

from alerts.events import EventKind
from alerts.models import Event
from billing import accounts, payments
from billing.models import Charge, Payment, PaymentStatus
from circulation.models import Reader
from tests.factories import make_charge, make_reader, pay_cash
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


@pytest.fixture
def fine(anna: Reader) -> Charge:
    return make_charge(anna)


def take(reader: Reader, amount: str, by: Reader) -> Payment:
    return payments.take_cash(reader, payments.spread(reader, Decimal(amount)), by=by)


class TestCash:
    def test_is_paid_with_who_took_it(self, fine: Charge, maria: Reader) -> None:
        draft = waiting(fine)
        payment = again(pay_cash(fine, "5.00", by=maria))
        assert payment == draft
        assert (payment.status, payment.provider) == (PaymentStatus.PAID, "CASH")
        assert (payment.taken_by, payment.paid_amount) == (maria, Decimal("5.00"))
        assert payment.paid_at is not None
        assert owed(fine) == 0
        assert told(EventKind.PAYMENT_COMPLETED, payment) == 1
        assert payment.history.first().history_user == maria

    def test_in_part_leaves_the_rest(self, fine: Charge, maria: Reader) -> None:
        for _ in range(2):
            payment = pay_cash(fine, "1.70", by=maria)
            assert again(payment).status == PaymentStatus.PAID
        assert owed(fine) == waiting(fine).money_to_pay == Decimal("1.60")
        pay_cash(fine, "1.60", by=maria)
        assert owed(fine) == 0
        assert Event.objects.filter(kind=EventKind.PAYMENT_COMPLETED).count() == 3

    def test_goes_to_the_oldest_charges_first(self, anna: Reader, maria: Reader) -> None:
        first, second, third = (make_charge(anna, amount) for amount in ("0.80", "3.00", "2.00"))
        payment = take(anna, "2.10", maria)
        assert parts(payment) == {first.pk: Decimal("0.80"), second.pk: Decimal("1.30")}
        assert (owed(first), owed(second), owed(third)) == (0, Decimal("1.70"), Decimal("2.00"))
        assert again(payment).money_to_pay == again(payment).paid_amount == Decimal("2.10")

    def test_is_told_to_the_cent(self, anna: Reader, maria: Reader) -> None:
        for amount in ("0.10", "0.20", "0.30"):
            make_charge(anna, amount)
        paid = [
            take(anna, "0.50", maria),
            pay_cash(Charge.objects.open().get(), "0.1000", by=maria),
        ]
        told_of = Event.objects.filter(kind=EventKind.PAYMENT_COMPLETED).order_by("pk")
        assert [event.data["amount"] for event in told_of] == ["0.50", "0.10"]
        assert [again(payment).paid_amount for payment in paid] == [
            Decimal("0.50"),
            Decimal("0.10"),
        ]
        assert accounts.balance(anna) == 0

    def test_of_all_that_is_owed_settles_every_charge(self, anna: Reader, maria: Reader) -> None:
        made = [make_charge(anna, amount) for amount in ("0.80", "3.00")]
        take(anna, "3.80", maria)
        assert [owed(charge) for charge in made] == [0, 0]
        assert not Payment.objects.filter(status=PaymentStatus.PENDING).exists()

    @pytest.mark.parametrize(
        ("amount", "told"),
        [
            ("5.01", "Only 5.00 USD is owed on it; 5.01 USD is too much"),
            ("1E+30", "is too much"),
            ("0.001", "whole cents"),
            ("-1.00", "above zero"),
            ("NaN", "above zero"),
            ("Infinity", "above zero"),
            ("0.00", "above zero"),
        ],
    )
    def test_is_refused_for_what_is_no_sum_or_too_much(
        self, fine: Charge, maria: Reader, amount: str, told: str
    ) -> None:
        with pytest.raises(payments.PaymentRefusedError, match=told):
            pay_cash(fine, amount, by=maria)
        assert owed(fine) == Decimal("5.00")

    def test_beyond_all_that_is_owed_is_change(self, fine: Charge, maria: Reader) -> None:
        with pytest.raises(payments.PaymentRefusedError, match="Give the change back"):
            take(fine.reader, "5.01", maria)

    def test_is_not_taken_for_what_another_owes(self, fine: Charge, maria: Reader) -> None:
        with pytest.raises(payments.PaymentRefusedError, match=r"Only 0\.00 USD"):
            payments.take_cash(make_reader(), {fine.pk: Decimal("1.00")}, by=maria)

    def test_is_not_taken_twice(self, fine: Charge, maria: Reader) -> None:
        pay_cash(fine, "5.00", by=maria)
        with pytest.raises(payments.PaymentRefusedError):
            pay_cash(fine, "5.00", by=maria)


class TestWhileASessionIsOpen:
    def test_it_is_closed_first(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        session = in_session(fine)
        pay_cash(fine, "2.00", by=maria)
        assert stripe_server.sessions[session_of(session)]["status"] == "expired"
        assert again(session).status == PaymentStatus.EXPIRED
        assert waiting(fine).money_to_pay == Decimal("3.00")

    def test_for_one_of_its_two_charges_the_other_waits_alone(
        self, anna: Reader, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        other = make_charge(anna, "3.00")
        in_session(fine, other)
        pay_cash(fine, "5.00", by=maria)
        assert parts(waiting(other)) == {other.pk: Decimal("3.00")}
        assert waiting(other).is_draft

    def test_for_other_charges_it_stays(
        self, anna: Reader, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        session = in_session(fine)
        pay_cash(make_charge(anna, "3.00"), "3.00", by=maria)
        assert again(session).status == PaymentStatus.PENDING
        assert stripe_server.sessions[session_of(session)]["status"] == "open"

    def test_what_was_just_paid_there_is_not_taken_again(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        session = in_session(fine)
        stripe_server.pay(session_of(session))
        with pytest.raises(payments.PaymentRefusedError, match=r"just paid 5\.00 USD online"):
            pay_cash(fine, "5.00", by=maria)
        assert again(session).status == PaymentStatus.PAID
        assert accounts.balance(fine.reader) == 0

    def test_doubtful_money_that_has_just_come_is_looked_at_first(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        session = in_session(fine)
        stripe_server.change(session_of(session), amount_total=499)
        stripe_server.pay(session_of(session))
        with pytest.raises(payments.PaymentRefusedError, match=r"just paid 4\.99 USD online"):
            pay_cash(fine, "5.00", by=maria)
        assert again(session).status == PaymentStatus.REVIEW

    @pytest.mark.parametrize("is_known", [True, False])
    def test_what_is_on_its_way_is_not_taken_again(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe, is_known: bool
    ) -> None:
        session = in_session(fine)
        stripe_server.pay_later(session_of(session))
        if is_known:
            payments.settle(session)
        with pytest.raises(payments.PaymentRefusedError, match=r"5\.00 USD is on its way"):
            pay_cash(fine, "5.00", by=maria)

    def test_nor_while_nobody_can_be_asked_about_it(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        session = in_session(fine)
        stripe_server.pay_later(session_of(session))
        payments.settle(session)
        stripe_server.down()
        with pytest.raises(payments.PaymentRefusedError, match=r"5\.00 USD is on its way"):
            pay_cash(fine, "5.00", by=maria)


class TestWhileTheProviderIsAway:
    def test_it_is_taken_and_the_session_is_closed_later(
        self,
        fine: Charge,
        maria: Reader,
        stripe_server: ScriptedStripe,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        session = in_session(fine)
        stripe_server.down()
        with django_capture_on_commit_callbacks(execute=True):
            pay_cash(fine, "5.00", by=maria)
        assert owed(fine) == 0
        assert again(session).must_close
        stripe_server.up()
        assert work_off_the_queue() == ["Expired"]
        assert stripe_server.sessions[session_of(session)]["status"] == "expired"

    def test_and_if_it_was_paid_meanwhile_staff_look_at_it(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        session = in_session(fine)
        stripe_server.down()
        pay_cash(fine, "5.00", by=maria)
        stripe_server.up()
        stripe_server.pay(session_of(session))
        payments.close(again(session))
        assert again(session).status == PaymentStatus.REVIEW
        assert told(EventKind.PAYMENT_NEEDS_REVIEW, session) == 1

    def test_of_a_part_what_was_paid_meanwhile_pays_the_rest(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        session = in_session(fine)
        stripe_server.down()
        pay_cash(fine, "2.00", by=maria)
        stripe_server.up()
        stripe_server.pay(session_of(session))
        payments.close(again(session))
        assert again(session).status == PaymentStatus.PAID
        assert parts(session) == {fine.pk: Decimal("3.00")}
        assert accounts.balance(fine.reader) == Decimal("-2.00")
        assert told(EventKind.PAYMENT_NEEDS_REVIEW, session) == 1

    def test_also_for_a_session_of_which_nobody_knows_whether_it_was_made(
        self, fine: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        stripe_server.answer_after_accepting_then_drop(2)
        with pytest.raises(payments.ProviderAwayError):
            in_session(fine)
        pay_cash(fine, "5.00", by=maria)
        given_up = Payment.objects.get(must_close=True)
        assert payments.close(given_up).status == PaymentStatus.EXPIRED
        [session] = stripe_server.sessions.values()
        assert session["status"] == "expired"
