"""Money at the same moment: success page, webhook, job, cashiers, and processes that are killed.

`CARREL_RACE_ROUNDS=100` is the full proof of the first test; without it there are 20 rounds.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings

from alerts.events import EventKind
from alerts.models import Event
from billing import accounts, charges, ledger, payments, reconcile, refunds
from billing.models import (
    Allocation,
    AllocationState,
    Charge,
    Payment,
    PaymentEvent,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from circulation import fines
from circulation.models import Reader
from config import integrity
from tests import race
from tests.factories import lend_until, make_charge, make_reader, march, pay_cash, set_policy
from tests.paying import again, in_session, owed, session_of
from tests.scripted_paypal import ScriptedPayPal
from tests.scripted_stripe import ScriptedStripe

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = int(os.environ.get("CARREL_RACE_ROUNDS", "20"))
KILLS_OF_EACH_KIND = 5
COMPLETED = "checkout.session.completed"


@pytest.fixture(autouse=True)
def rules(transactional_db: None) -> Iterator[None]:
    """The rules of the case files; afterwards everything must agree, whoever won."""
    set_policy()
    yield
    assert {result.check.name: result.listed for result in integrity.run() if result.count} == {}


@pytest.fixture
def fine(transactional_db: None) -> Charge:
    return make_charge(make_reader())


@pytest.fixture
def session(fine: Charge, stripe_server: ScriptedStripe) -> Payment:
    return in_session(fine)


@pytest.fixture
def cashier(transactional_db: None) -> int:
    return make_reader().pk


def run_at(stripe: ScriptedStripe, acts: Iterable[tuple[Any, ...]], **options: Any) -> list[str]:
    return race.run(acts, environment=stripe.environment(), **options)


def counted(answers: Iterable[str]) -> Counter[str]:
    """Count by the first two words, which tell a refusal by what it is about."""
    return Counter(" ".join(answer.split()[:2]) for answer in answers)


def errors(answers: Iterable[str]) -> list[str]:
    """Return what is neither done nor refused with a sentence."""
    return [answer for answer in answers if "Error" in answer.split(":")[0]]


class TestSettling:
    def turns(self, stripe: ScriptedStripe) -> list[dict[str, str]]:
        """Payments that were all paid at Stripe, made a second apart, with what will be told."""
        made = []
        began = timezone.now() - timedelta(hours=2)
        for number in range(ROUNDS):
            payment = in_session(make_charge(make_reader()))
            stripe.pay(session_of(payment))
            made_at = began + timedelta(seconds=number)
            Payment.objects.filter(pk=payment.pk).update(created_at=made_at)
            body, headers = stripe.event(COMPLETED, session_of(payment))
            made.append(
                {
                    "session": session_of(payment),
                    "event": body.decode(),
                    "signature": headers["Stripe-Signature"],
                    # Late enough for this payment, and too early for the next.
                    "reconcile_at": str(
                        made_at + reconcile.SETTLED_BY_ITSELF + timedelta(seconds=0.5)
                    ),
                }
            )
        return made

    def test_success_page_webhook_and_job_at_the_same_moment_settle_once(
        self, stripe_server: ScriptedStripe
    ) -> None:
        turns = self.turns(stripe_server)
        doors = ("success", "webhook", "webhook", "reconcile")
        answers = run_at(
            stripe_server,
            [("settle_in_turn", door, *turns) for door in doors],
            timeout=60 + 3 * ROUNDS,
        )
        good = f"{ROUNDS} x 200"
        assert answers == [good, good, good, f"{ROUNDS} x 0 failed"]
        for payment in Payment.objects.all():
            assert payment.status == PaymentStatus.PAID
            settled = payment.history.filter(paid_at__isnull=False).values("paid_at").distinct()
            assert settled.count() == 1
        assert Payment.objects.count() == ROUNDS
        told = Event.objects.exclude(kind=EventKind.CHARGE_OPENED).values_list("kind", flat=True)
        assert Counter(told) == {EventKind.PAYMENT_COMPLETED: ROUNDS}
        events = PaymentEvent.objects.values_list("deliveries", "outcome")
        assert Counter(events) == {(2, "Paid"): ROUNDS}
        assert not Charge.objects.open().exists()

    def test_two_sessions_paid_for_one_debt_are_one_paid_and_one_to_review(
        self, fine: Charge, session: Payment, stripe_server: ScriptedStripe, cashier: int
    ) -> None:
        charges.waive(fine, Decimal("1.00"), by=Reader.objects.get(pk=cashier), reason="Ill")
        second = in_session(fine)
        for payment in (session, second):
            stripe_server.pay(session_of(payment))
        acts = [("settle", payment.pk) for payment in (session, second)] * 3
        assert errors(run_at(stripe_server, acts)) == []
        assert sorted(
            Payment.objects.filter(paid_amount__gt=0).values_list("status", flat=True)
        ) == [
            PaymentStatus.PAID,
            PaymentStatus.REVIEW,
        ]
        assert owed(fine) == 0


class TestOneDebtManyWays:
    def test_many_tabs_open_one_session(self, fine: Charge, stripe_server: ScriptedStripe) -> None:
        answers = run_at(stripe_server, [("open_session", fine.reader_id, fine.pk)] * 6)
        [made] = stripe_server.sessions
        assert set(answers) == {f"session {made}"}

    def test_tabs_for_different_selections_leave_one_session_for_each_charge(
        self, stripe_server: ScriptedStripe
    ) -> None:
        reader = make_reader()
        first, second = make_charge(reader), make_charge(reader)
        selections = [(first.pk,), (second.pk,), (first.pk, second.pk)]
        acts = [("open_session", reader.pk, *chosen) for chosen in selections] * 3
        assert errors(run_at(stripe_server, acts)) == []
        opened = [kept for kept in stripe_server.sessions.values() if kept["status"] == "open"]
        known = Payment.objects.in_session().filter(session_id__in=[one["id"] for one in opened])
        assert known.count() == len(opened)

    def test_cashiers_take_cash_for_it_once(self, fine: Charge, cashier: int) -> None:
        answers = counted(race.run([("take_cash", fine.pk, "5.00", cashier)] * 6))
        assert answers["taken"] == 1
        assert sum(answers.values()) - 1 == sum(
            times for answer, times in answers.items() if answer.startswith("refused:")
        )
        assert Payment.objects.filter(provider="CASH").count() == 1

    def test_cashiers_take_no_more_than_is_owed(self, fine: Charge, cashier: int) -> None:
        answers = counted(race.run([("take_cash", fine.pk, "2.00", cashier)] * 6))
        assert answers["taken"] == 2
        assert owed(fine) == Decimal("1.00")

    def test_cash_and_an_online_payment_are_never_both_counted(
        self, stripe_server: ScriptedStripe, cashier: int
    ) -> None:
        made = [make_charge(make_reader()) for _ in range(6)]
        online = [in_session(charge) for charge in made]
        for payment in online:
            stripe_server.pay(session_of(payment))
        acts = [("settle", payment.pk) for payment in online]
        acts += [("take_cash", charge.pk, "5.00", cashier) for charge in made]
        answers = run_at(stripe_server, acts)
        assert errors(answers) == []
        assert counted(answers)["taken"] == 0  # Stripe says that it was paid
        assert Payment.objects.filter(status=PaymentStatus.PAID).count() == 6
        assert not Charge.objects.open().exists()

    def test_a_waiver_and_a_payment_leave_nothing_lost(
        self, stripe_server: ScriptedStripe, cashier: int
    ) -> None:
        made = [make_charge(make_reader()) for _ in range(6)]
        online = [in_session(charge) for charge in made]
        for payment in online:
            stripe_server.pay(session_of(payment))
        acts = [("settle", payment.pk) for payment in online]
        acts += [("waive", charge.pk, cashier, "5.00") for charge in made]
        answers = run_at(stripe_server, acts)
        assert errors(answers) == []
        reconcile.run(at=timezone.now() + timedelta(hours=1))
        ended = Counter(again(payment).status for payment in online)
        assert ended[PaymentStatus.PAID] + counted(answers)["waived"] == 6
        assert ended[PaymentStatus.REVIEW] == counted(answers)["waived"]


class TestGivingBack:
    def test_cashiers_give_back_no_more_than_was_paid(
        self, session: Payment, stripe_server: ScriptedStripe, cashier: int
    ) -> None:
        stripe_server.pay(session_of(session))
        payments.settle(session)
        answers = counted(run_at(stripe_server, [("refund", session.pk, "2.00", cashier)] * 6))
        assert answers["refunded"] == 2
        assert again(session).refunded_amount == Decimal("4.00")
        acts = [("send_refund", made.pk) for made in Refund.objects.all()] * 3
        assert counted(run_at(stripe_server, acts)) == {"Done": 6}
        assert [sent["amount"] for sent in stripe_server.refunds.values()] == [200, 200]

    def test_cash_is_given_back_once(self, fine: Charge, cashier: int) -> None:
        payment = pay_cash(fine, "5.00", by=Reader.objects.get(pk=cashier))
        answers = counted(race.run([("refund", payment.pk, "5.00", cashier)] * 6))
        assert answers["refunded"] == 1
        assert again(payment).status == PaymentStatus.REFUNDED

    def test_credit_is_applied_or_refunded_and_never_both(self, fine: Charge, cashier: int) -> None:
        by = Reader.objects.get(pk=cashier)
        payment = pay_cash(fine, "5.00", by=by)
        charges.void(fine, by=by, reason="Wrong reader")
        others = [make_charge(fine.reader, "3.00") for _ in range(3)]
        acts: list[tuple[Any, ...]] = [
            ("apply_credit", each.pk, "3.00", cashier) for each in others
        ]
        answers = race.run([*acts, ("refund", payment.pk, "5.00", cashier)])
        assert errors(answers) == []
        assert accounts.credit(fine.reader) >= 0
        paid = Allocation.objects.filter(charge__in=others, state=AllocationState.PAID)
        kept = sum((part.amount - part.refunded for part in paid), Decimal(0))
        assert kept + again(payment).refunded_amount <= Decimal("5.00")


class TestKilledBetweenAnswerAndCommit:
    """SIGKILL; then the reconcile job finishes, nothing is lost and nothing charged twice."""

    def kill(self, act: str, rows: list[int], environment: dict[str, str]) -> None:
        answers = race.run([(act, row) for row in rows], environment=environment)
        assert answers == ["killed"] * KILLS_OF_EACH_KIND

    def finish(self) -> None:
        for hours in (1, 2):
            reconcile.run(at=timezone.now() + timedelta(hours=hours))

    def test_opening_a_session(self, stripe_server: ScriptedStripe) -> None:
        made = [make_charge(make_reader()) for _ in range(KILLS_OF_EACH_KIND)]
        frozen = [
            ledger.freeze(charge.reader_id, [charge.pk], provider="STRIPE").pk for charge in made
        ]
        self.kill("killed_before_the_session_is_written", frozen, stripe_server.environment())
        assert len(stripe_server.sessions) == KILLS_OF_EACH_KIND
        assert not Payment.objects.exclude(session_id=None).exists()
        self.finish()
        assert len(stripe_server.sessions) == KILLS_OF_EACH_KIND
        known = Payment.objects.filter(pk__in=frozen).values_list("session_id", flat=True)
        assert set(known) == set(stripe_server.sessions)

    @pytest.mark.parametrize(
        "act",
        ["killed_before_the_payment_is_written", "killed_before_the_payment_is_committed"],
    )
    def test_capturing_an_order(
        self, paypal_server: ScriptedPayPal, settings: Settings, act: str
    ) -> None:
        orders = [in_session(make_charge(make_reader())) for _ in range(KILLS_OF_EACH_KIND)]
        for order in orders:
            paypal_server.approve(session_of(order))
        self.kill(act, [order.pk for order in orders], paypal_server.environment())
        assert len(paypal_server.captures) == KILLS_OF_EACH_KIND
        assert {again(order).status for order in orders} == {PaymentStatus.PENDING}
        self.finish()
        assert set(paypal_server.captures.values()) == {1}
        assert {again(order).status for order in orders} == {PaymentStatus.PAID}
        assert Event.objects.filter(kind=EventKind.PAYMENT_COMPLETED).count() == len(orders)

    def test_sending_a_refund(self, stripe_server: ScriptedStripe, cashier: int) -> None:
        by, sent = Reader.objects.get(pk=cashier), []
        for _ in range(KILLS_OF_EACH_KIND):
            payment = in_session(make_charge(make_reader()))
            stripe_server.pay(session_of(payment))
            paid = payments.settle(payment)
            sent.append(refunds.refund(paid, Decimal("2.00"), by=by, reason="Twice").pk)
        self.kill("killed_before_the_refund_is_written", sent, stripe_server.environment())
        assert len(stripe_server.refunds) == KILLS_OF_EACH_KIND
        assert set(Refund.objects.values_list("status", flat=True)) == {RefundStatus.PENDING}
        self.finish()
        assert len(stripe_server.refunds) == KILLS_OF_EACH_KIND
        assert set(Refund.objects.values_list("status", flat=True)) == {RefundStatus.DONE}


def test_all_acts_on_the_same_readers_never_lock_each_other_up(
    stripe_server: ScriptedStripe, cashier: int
) -> None:
    """Everything that touches money crosses over the same rows; a deadlock would be an error."""
    by = Reader.objects.get(pk=cashier)
    acts: list[tuple[Any, ...]] = [("reconcile_all",), ("reconcile_all",), ("accrue", "2026-03-30")]
    for _ in range(3):
        reader = make_reader()
        loan = lend_until(march(2), reader)
        fines.accrue(on=march(12))
        growing = loan.charges.get()
        first, second, third = (make_charge(reader) for _ in range(3))
        credited = pay_cash(make_charge(reader, "2.00"), "2.00", by=by)
        charges.void(credited.allocations.get().charge, by=by, reason="Wrong reader")
        session = in_session(first, second)
        stripe_server.pay(session_of(session))
        acts += [
            ("settle", session.pk),
            ("open_session", reader.pk, growing.pk, third.pk),
            ("take_cash", third.pk, "1.00", cashier),
            ("waive", first.pk, cashier, "0.50"),
            ("void", second.pk, cashier),
            ("apply_credit", third.pk, "1.00", cashier),
            ("refund", credited.pk, "1.00", cashier),
            ("check_in", loan.copy_id, "2026-03-30"),
        ]
    answers = run_at(stripe_server, acts)
    assert errors(answers) == []
    reconcile.run(at=timezone.now() + timedelta(hours=1))
    assert not Payment.objects.filter(must_close=True).exists()
