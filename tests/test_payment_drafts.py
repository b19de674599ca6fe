"""What is owed waits in a payment from the moment it is charged, and gets its session by a job."""

from decimal import Decimal

import pytest
from django_q import tasks as django_q
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from alerts.events import EventKind
from alerts.models import Event
from billing import charges, drafts, ledger, payments, queue, tasks
from billing.models import Charge, ChargeKind, Payment, PaymentStatus
from circulation import desk, fines
from circulation.models import Reader
from tests.factories import (
    MONDAY,
    lend,
    lend_until,
    make_book,
    make_charge,
    make_copy,
    make_reader,
    march,
    pay_cash,
    take_back,
)
from tests.paying import again, in_session, parts, queued, waiting, work_off_the_queue
from tests.scripted_stripe import ScriptedStripe

pytestmark = pytest.mark.usefixtures("rule", "books_balance")


def lend_for_a_fee(reader: Reader) -> Charge:
    """Fourteen days at 0.10."""
    loan = lend(reader, make_copy(make_book(daily_fee="0.10")), on=MONDAY)
    return loan.charges.get()


class TestFromTheMomentOfCheckOut:
    def test_a_payment_without_a_provider_asks_for_the_fee(self, anna: Reader) -> None:
        fee = lend_for_a_fee(anna)
        payment = Payment.objects.get()
        assert (payment.status, payment.provider) == (PaymentStatus.PENDING, "")
        assert (payment.money_to_pay, payment.currency) == (Decimal("1.40"), "USD")
        assert (payment.reader, payment.type, payment.borrowing) == (anna, "PAYMENT", fee.loan)
        assert payment.created_at is not None
        assert parts(payment) == {fee.pk: Decimal("1.40")}

    def test_a_book_without_a_fee_asks_for_nothing(self, anna: Reader) -> None:
        lend(anna, make_copy())
        assert not Payment.objects.exists()

    def test_without_a_provider_no_session_is_asked_for(
        self, anna: Reader, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            lend_for_a_fee(anna)
        assert queued() == []
        assert not Payment.objects.get().must_open


class TestADraftFollowsItsCharge:
    def test_a_fine_grows_and_its_payment_with_it(self) -> None:
        loan = lend_until(march(2))
        for day, asked in ((5, "1.50"), (6, "2.00")):
            fines.accrue(on=march(day))
            payment = Payment.objects.get()
            assert payment.money_to_pay == Decimal(asked)
            assert parts(payment) == {loan.charges.get().pk: Decimal(asked)}
        assert (payment.type, payment.borrowing) == ("FINE", loan)

    def test_a_part_that_is_waived_is_not_asked_for(self, anna: Reader, maria: Reader) -> None:
        charge = make_charge(anna)
        charges.waive(charge, Decimal("1.50"), by=maria, reason="Ill")
        assert waiting(charge).money_to_pay == Decimal("3.50")

    def test_a_part_that_is_paid_is_not_asked_for(self, anna: Reader, maria: Reader) -> None:
        charge = make_charge(anna)
        pay_cash(charge, "1.50", by=maria)
        assert waiting(charge).money_to_pay == Decimal("3.50")

    def test_an_amount_of_zero_is_settled_here_without_a_session(
        self, anna: Reader, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        charge = make_charge(anna)
        charges.waive(charge, Decimal("5.00"), by=maria, reason="Ill")
        payment = Payment.objects.get()
        assert (payment.status, payment.paid_amount) == (PaymentStatus.PAID, 0)
        assert payment.paid_at is not None
        assert stripe_server.calls == []

    def test_a_charge_that_is_taken_back_leaves_nothing_to_pay(self, anna: Reader) -> None:
        charge = make_charge(anna)
        charges.void(charge, by=None, reason="Wrong reader")
        assert Payment.objects.get().status == PaymentStatus.EXPIRED

    def test_what_was_settled_before_anyone_was_told_of_it_is_not_announced(
        self, anna: Reader, maria: Reader
    ) -> None:
        paid, waived, taken_back, left = (make_charge(anna) for _ in range(4))
        pay_cash(paid, "5.00", by=maria)
        charges.waive(waived, Decimal("5.00"), by=maria, reason="Ill")
        charges.void(taken_back, by=maria, reason="Wrong reader")
        charges.waive(left, Decimal("2.00"), by=maria, reason="Ill")
        told = Event.objects.filter(kind=EventKind.CHARGE_OPENED, cancelled_at=None)
        assert [event.subject for event in told] == [f"billing.charge:{left.pk}"]

    def test_a_fine_that_falls_to_nothing_and_grows_again_is_asked_for_again(self) -> None:
        loan = lend_until(march(2))
        fines.accrue(on=march(12))
        take_back(loan.copy, on=march(12), dated=march(2))
        assert Payment.objects.get().money_to_pay == 0
        loan.refresh_from_db()
        charges.assess_fine(loan, Decimal(2), description="Late", on=march(12), is_final=True)
        assert waiting(loan.charges.get()).money_to_pay == Decimal("2.00")

    def test_lost_copies_are_of_a_type_of_their_own(self, anna: Reader) -> None:
        loan = lend(anna, make_copy(price="25.00"))
        desk.mark_lost(loan, on=march(3))
        payment = Payment.objects.get()
        assert (payment.type, payment.borrowing, payment.money_to_pay) == ("LOST", loan, 25)


class TestTypeAndBorrowingOfSeveralCharges:
    def test_both_are_those_of_the_charges_where_they_agree(
        self, anna: Reader, stripe_server: ScriptedStripe
    ) -> None:
        first, second = lend_for_a_fee(anna), lend_for_a_fee(anna)
        payment = in_session(first, second)
        assert (payment.type, payment.borrowing) == ("PAYMENT", None)

    def test_fee_and_fine_of_one_loan_are_of_that_loan(
        self, anna: Reader, stripe_server: ScriptedStripe
    ) -> None:
        fee = lend_for_a_fee(anna)
        fine = make_charge(anna, loan=fee.loan)
        payment = in_session(fee, fine)
        assert (payment.type, payment.borrowing) == ("", fee.loan)


class TestTheSessionOfANewCharge:
    @pytest.fixture(autouse=True)
    def stripe(self, stripe_server: ScriptedStripe) -> None:
        """Readers can pay online."""

    def test_a_lending_fee_gets_one_right_after_the_commit(
        self, anna: Reader, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            fee = lend_for_a_fee(anna)
        draft = Payment.objects.get()
        assert queued() == [("open_session", (draft.pk,))]
        assert work_off_the_queue() == [f"Payment {draft.pk} is open."]
        payment = waiting(fee)
        assert payment == draft
        assert payment.provider == "STRIPE"
        assert payment.session_url
        assert not payment.must_open

    def test_a_growing_fine_gets_none_and_a_final_one_does(
        self, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        loan = lend_until(march(2))
        with django_capture_on_commit_callbacks(execute=True):
            fines.accrue(on=march(12))
        assert queued() == []
        with django_capture_on_commit_callbacks(execute=True):
            take_back(loan.copy, on=march(12))
        work_off_the_queue()
        payment = waiting(loan.charges.get())
        assert (payment.money_to_pay, payment.provider) == (Decimal("4.50"), "STRIPE")

    def test_a_final_fine_below_the_open_session_gets_one_for_what_it_is(
        self, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        loan = lend_until(march(2))
        fines.accrue(on=march(12))
        old = in_session(loan.charges.get())
        with django_capture_on_commit_callbacks(execute=True):
            take_back(loan.copy, on=march(12), dated=march(6))
        work_off_the_queue()
        new = waiting(loan.charges.get())
        assert (old.money_to_pay, new.money_to_pay) == (Decimal("4.50"), Decimal("2.00"))
        assert new.session_url
        assert again(old).status == PaymentStatus.EXPIRED

    def test_a_sum_under_the_minimum_waits_for_others(
        self, anna: Reader, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            make_charge(anna, "0.49")
        assert queued() == []
        assert Payment.objects.get().is_draft

    def test_it_is_not_opened_for_what_was_paid_meanwhile(
        self,
        anna: Reader,
        maria: Reader,
        stripe_server: ScriptedStripe,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            charge = make_charge(anna)
        pay_cash(charge, "5.00", by=maria)
        assert work_off_the_queue() == ["Nothing to open."]
        assert stripe_server.calls == []

    def test_nor_where_that_happens_while_it_is_being_opened(
        self, anna: Reader, maria: Reader, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        charge = make_charge(anna)
        freeze = ledger.freeze

        def pay_first(*args: object, **options: object) -> Payment:
            pay_cash(charge, "5.00", by=maria)
            return freeze(*args, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(ledger, "freeze", pay_first)
        assert tasks.open_session(waiting(charge).pk) == "Nothing to open."

    def test_what_is_refused_is_not_asked_for_again_and_again(
        self,
        anna: Reader,
        stripe_server: ScriptedStripe,
        django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    ) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            charge = make_charge(anna)
        stripe_server.fail_next(400)
        assert work_off_the_queue() == [
            "The payment provider does not take this payment. Please pay at the desk."
        ]
        assert Payment.objects.filter(status=PaymentStatus.FAILED).count() == 1
        assert waiting(charge).is_draft
        assert not Payment.objects.filter(must_open=True, status=PaymentStatus.PENDING).exists()

    def test_the_provider_is_told_no_title_and_no_name(
        self, anna: Reader, stripe_server: ScriptedStripe
    ) -> None:
        in_session(lend_for_a_fee(anna))
        assert "Library account" in stripe_server.text
        for private in ("Solaris", "Lem", "Anna", "Nowak", anna.email, anna.card_number):
            assert private not in stripe_server.text


def test_a_dead_broker_does_not_break_the_check_out(
    anna: Reader,
    stripe_server: ScriptedStripe,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    def refuse(*_args: object) -> None:
        raise ConnectionError("No broker")

    assert queue.async_task is django_q.async_task
    monkeypatch.setattr(queue, "async_task", refuse)
    with django_capture_on_commit_callbacks(execute=True):
        fee = lend_for_a_fee(anna)
    assert waiting(fee).must_open  # which the reconcile job sees
    assert "left to the reconcile job" in caplog.text


class TestWhichProvider:
    def test_without_one_the_library_takes_payments_at_the_desk(self, anna: Reader) -> None:
        charge = make_charge(anna)
        with pytest.raises(payments.PaymentRefusedError, match="at the desk only"):
            in_session(charge)
        assert waiting(charge).is_draft

    def test_it_is_the_one_that_the_settings_name(
        self,
        anna: Reader,
        stripe_server: ScriptedStripe,
        paypal_server: object,
        settings: Settings,
    ) -> None:
        settings.PAYMENT_PROVIDER = "PAYPAL"
        assert in_session(make_charge(anna)).provider == "PAYPAL"

    def test_one_that_is_named_without_its_keys_is_none(
        self, anna: Reader, stripe_server: ScriptedStripe, settings: Settings
    ) -> None:
        settings.PAYMENT_PROVIDER = "PAYPAL"
        with pytest.raises(payments.PaymentRefusedError, match="at the desk only"):
            in_session(make_charge(anna))

    def test_a_session_of_another_stays_what_it_is(
        self,
        anna: Reader,
        stripe_server: ScriptedStripe,
        paypal_server: object,
        settings: Settings,
    ) -> None:
        charge = make_charge(anna)
        first = in_session(charge)
        settings.PAYMENT_PROVIDER = "PAYPAL"
        assert in_session(charge) == first
        assert len(stripe_server.sessions) == 1


class TestCharges:
    """That came without a payment, as by an import that was killed."""

    @pytest.fixture
    def bare(self, anna: Reader) -> Charge:
        return Charge.objects.create(reader=anna, kind=ChargeKind.FINE, amount="3.30")

    def test_are_covered_many_at_once(self, bare: Charge, bartek: Reader, maria: Reader) -> None:
        other = Charge.objects.create(reader=bartek, kind=ChargeKind.LOST, amount="20.00")
        settled = make_charge(bartek)
        pay_cash(settled, "5.00", by=maria)
        assert drafts.cover([bare.pk, other.pk, settled.pk]) == 2
        assert drafts.cover([bare.pk, other.pk, settled.pk]) == 0
        assert (waiting(bare).money_to_pay, waiting(bare).type) == (Decimal("3.30"), "FINE")
        assert (waiting(other).reader, waiting(other).type) == (bartek, "LOST")

    def test_are_paid_all_the_same(
        self, bare: Charge, maria: Reader, stripe_server: ScriptedStripe
    ) -> None:
        pay_cash(bare, "1.30", by=maria)
        assert in_session(bare).money_to_pay == Decimal("2.00")

    def test_of_one_reader_only_are_in_a_session(
        self, bare: Charge, stripe_server: ScriptedStripe
    ) -> None:
        foreign = make_charge(make_reader())
        payment = payments.open_for(bare.reader_id, [bare.pk, foreign.pk])
        assert parts(payment) == {bare.pk: Decimal("3.30")}
        with pytest.raises(drafts.NothingOwedError):
            payments.open_for(bare.reader_id, [foreign.pk])
