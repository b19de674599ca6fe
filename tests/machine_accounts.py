"""The state machines' money: cash, sessions at a bank, refunds, credit, and what must add up."""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from billing import accounts, charges, credit, drafts, ledger, payments, reconcile, refunds
from billing.gateways.base import RefundSeen, State, UnreachableError
from billing.models import (
    Adjustment,
    Allocation,
    AllocationState,
    Charge,
    ChargeKind,
    Payment,
    PaymentStatus,
    Refund,
    RefundStatus,
)
from billing.settlements import OPEN, RECEIVED
from config import integrity
from tests.bank import vault
from tests.machine import Chance
from tests.paying import work_off_the_queue

SETTLED = (PaymentStatus.PAID, PaymentStatus.REFUNDED)
ZERO = Decimal(0)
GATEWAYS = ["billing.gateways.cash.Cash", "tests.bank.Bank"]

few = st.integers(0, 20)
cents = st.integers(1, 700)

something_is_owed = precondition(lambda _self: Charge.objects.open().exists())
something_was_paid = precondition(
    lambda _self: Payment.objects.filter(status__in=RECEIVED, paid_amount__gt=0).exists()
)
somebody_has_credit = precondition(
    lambda _self: (
        Payment.objects.filter(status__in=SETTLED).with_credit().filter(credit__gt=0).exists()
    )
)
something_is_in_doubt = precondition(
    lambda _self: Payment.objects.filter(status=PaymentStatus.REVIEW).exists()
)
the_bank_was_asked = precondition(lambda _self: bool(vault.sessions))
workers_are_needed = precondition(lambda _self: OrmQ.objects.exists())


class Accounts(Chance):
    """What is done with money every day, and what must add up whatever is done."""

    refusals = (
        charges.AdjustmentRefusedError,
        drafts.NothingOwedError,
        ledger.OvertakenError,
        payments.PaymentRefusedError,
        refunds.RefundRefusedError,
    )
    kept = (Charge, Adjustment, Payment, Allocation, Refund)

    def open_the_accounts(self) -> None:
        self.open_the_doors()
        vault.empty()
        OrmQ.objects.all().delete()
        self.cash_box = ZERO

    def ask(self, name: str, does: Callable[[], object]) -> None:
        """Do what may end at the bank: a refusal can come after something was settled."""
        type(self).tried[name] += 1
        try:
            done = does()
        except (*self.refusals, UnreachableError):
            return
        type(self).acted[name] += done is not None

    @something_is_owed
    @rule(charge=few, cents=cents)
    def waive(self, charge: int, cents: int) -> None:
        found, by = self.pick(Charge.objects.open(), charge), self.librarian
        amount = Decimal(cents) / 100
        self.act("waive", lambda: charges.waive(found, amount, by=by, reason="By chance"))

    @something_is_owed
    @rule(charge=few, cents=cents, is_whole=st.booleans())
    def take_cash(self, charge: int, cents: int, is_whole: bool) -> None:
        found = self.pick(Charge.objects.open(), charge)
        amount = accounts.owed(found) if is_whole else Decimal(cents) / 100

        def take() -> Payment:
            paid = payments.take_cash(found.reader, {found.pk: amount}, by=self.librarian)
            self.cash_box += amount
            return paid

        self.ask("take_cash", take)

    @something_is_owed
    @rule(charge=few, surplus=st.sampled_from([0, 0, 1]))
    def pay_online(self, charge: int, surplus: int) -> None:
        """A reader follows the link, pays, and comes back."""
        who = self.pick(Charge.objects.open(), charge).reader
        owing = Charge.objects.open().filter(reader=who).values_list("pk", flat=True)

        def pay() -> Payment:
            payment = payments.open_for(who.pk, owing)
            assert payment.session_id is not None
            kept = vault.sessions[payment.session_id]
            kept.state, kept.surplus = State.PAID, Decimal(surplus)
            return payments.settle(payment)

        self.ask("pay_online", pay)

    @something_was_paid
    @rule(payment=few, cents=cents, is_whole=st.booleans(), waives=st.booleans())
    def refund(self, payment: int, cents: int, is_whole: bool, waives: bool) -> None:
        found = self.pick(Payment.objects.filter(status__in=RECEIVED, paid_amount__gt=0), payment)
        if found is None:
            return
        left = found.paid_amount - found.refunded_amount
        amount = left if is_whole else Decimal(cents) / 100

        def give_back() -> Refund:
            made = refunds.refund(
                found, amount, by=self.librarian, reason="By chance", waives=waives
            )
            self.cash_box -= amount if found.provider == payments.CASH else ZERO
            return made

        self.act("refund", give_back)

    @invariant()
    def every_charge_adds_up(self) -> None:
        off, paid = defaultdict(Decimal), defaultdict(Decimal)
        for taken in Adjustment.objects.all():
            off[taken.charge_id] += taken.amount
        for part in Allocation.objects.filter(state=AllocationState.PAID):
            paid[part.charge_id] += part.amount - part.refunded
        with_owed: Any = Charge.objects.with_owed()
        for charge in with_owed:
            left = charge.amount - off[charge.pk] - paid[charge.pk]
            assert left == charge.owed >= 0
            assert paid[charge.pk] >= 0

    @invariant()
    def no_money_is_made_or_lost(self) -> None:
        """What came in less what went back has paid for charges, or is credit, or is in doubt."""
        for who in self.readers:
            charged = sum((charge.amount for charge in who.charges.all()), ZERO)
            off = sum((a.amount for a in Adjustment.objects.filter(charge__reader=who)), ZERO)
            received = sum(
                (
                    p.paid_amount - p.refunded_amount
                    for p in who.payments.filter(status__in=SETTLED)
                ),
                ZERO,
            )
            assert accounts.balance(who) == charged - off - received
            assert accounts.credit(who) >= 0
            assert accounts.debt(who) >= 0

    @invariant()
    def the_cash_box_agrees(self) -> None:
        cash = Payment.objects.filter(provider=payments.CASH)
        assert self.cash_box == sum((p.paid_amount - p.refunded_amount for p in cash), ZERO)

    @invariant()
    def the_bank_agrees(self) -> None:
        for payment in Payment.objects.filter(provider="BANK", status__in=RECEIVED):
            kept = vault.sessions[payment.session_id]
            assert kept.state is State.PAID
            assert kept.order.reference == payment.reference
            assert kept.amount == payment.paid_amount
            sent = payment.refunds.exclude(provider_id=None).exclude(status=RefundStatus.FAILED)
            known = {each.id: each.amount for each in kept.refunds.values()}
            for refund in sent:
                assert known[refund.provider_id] == refund.amount
            assert payment.refunded_amount <= payment.paid_amount

    @invariant()
    def nothing_is_asked_for_twice(self) -> None:
        sessions: Counter[int] = Counter()
        for payment in Payment.objects.filter(status__in=OPEN).exclude(provider=""):
            sessions.update(payment.allocations.values_list("charge", flat=True))
        assert not any(times > 1 for times in sessions.values())


class Till(Accounts):
    """Money alone, and all that can happen to it: a bank's moods, refunds, credit, the jobs."""

    checks = tuple(
        check for check in integrity.CHECKS if check.find.__module__.startswith("billing")
    )

    @initialize()
    def open_the_till(self) -> None:
        self.open_the_accounts()

    @rule(reader=few, cents=cents)
    def charge_somebody(self, reader: int, cents: int) -> None:
        who = self.readers[reader % 4]

        @transaction.atomic
        def assess() -> Charge | None:
            accounts.lock(who.pk)
            return charges.assess(
                who, ChargeKind.LOST, Decimal(cents) / 100, description="A map", by=self.librarian
            )

        self.act("charge_somebody", assess)

    @something_was_paid
    @rule(charge=few)
    def void(self, charge: int) -> None:
        found = self.pick(Charge.objects.filter(loan=None), charge)
        if found is not None:
            by = self.librarian
            self.act("void", lambda: charges.void(found, by=by, reason="By chance"))

    @something_is_owed
    @rule(charge=few, is_whole=st.booleans(), cents=cents)
    def take_cash_for_many(self, charge: int, is_whole: bool, cents: int) -> None:
        who = self.pick(Charge.objects.open(), charge).reader
        amount = accounts.debt(who) if is_whole else Decimal(cents) / 100

        def take() -> Payment:
            amounts = payments.spread(who, amount)
            paid = payments.take_cash(who, amounts, by=self.librarian)
            self.cash_box += amount
            return paid

        self.ask("take_cash_for_many", take)

    @something_is_owed
    @rule(charge=few, first=few, is_all=st.booleans())
    def open_a_session(self, charge: int, first: int, is_all: bool) -> None:
        who = self.pick(Charge.objects.open(), charge).reader
        owing = list(Charge.objects.open().filter(reader=who).order_by("pk"))
        chosen = owing if is_all else owing[first % len(owing) :][:2]

        def open_it() -> Payment:
            payment = payments.open_for(who.pk, [charge.pk for charge in chosen])
            assert payment.money_to_pay == sum(map(accounts.owed, chosen), ZERO)
            return payment

        self.ask("open_a_session", open_it)

    @the_bank_was_asked
    @rule(session=few, becomes=st.sampled_from([State.PAID, State.PROCESSING, State.EXPIRED]))
    def something_happens_at_the_bank(self, session: int, becomes: State) -> None:
        running = [
            kept for kept in vault.sessions.values() if kept.state in {State.OPEN, State.PROCESSING}
        ]
        if not running:
            return
        kept = running[session % len(running)]
        if kept.state is State.PROCESSING:
            becomes = State.PAID if becomes is State.PAID else State.FAILED
        kept.state = becomes
        type(self).acted[f"bank: {becomes}"] += 1

    @the_bank_was_asked
    @rule(payment=few)
    def settle(self, payment: int) -> None:
        found = self.pick(Payment.objects.exclude(session_id=None), payment)
        if found is not None:
            self.ask("settle", lambda: payments.settle(found))

    @the_bank_was_asked
    @rule(session=few, cents=cents)
    def refund_at_the_bank(self, session: int, cents: int) -> None:
        """Staff of the library give money back on the bank's own pages."""
        paid = [kept for kept in vault.sessions.values() if kept.state is State.PAID]
        amount = Decimal(cents) / 100
        if not paid or (kept := paid[session % len(paid)]).left < amount:
            return
        seen = RefundSeen(vault.number("R"), amount, State.PAID)
        kept.refunds[seen.id] = seen
        type(self).acted["refund_at_the_bank"] += 1

    @the_bank_was_asked
    @rule(session=few, fails=st.booleans())
    def slow_refunds_end(self, session: int, fails: bool) -> None:
        for kept in vault.sessions.values():
            for key, seen in kept.refunds.items():
                if seen.state is State.PROCESSING:
                    kept.refunds[key] = replace(seen, state=State.FAILED if fails else State.PAID)

    @somebody_has_credit
    @rule(charge=few, cents=cents, is_whole=st.booleans())
    def apply_credit(self, charge: int, cents: int, is_whole: bool) -> None:
        owing = Charge.objects.open().filter(
            reader__in=[who for who in self.readers if accounts.credit(who)]
        )
        found = self.pick(owing, charge)
        if found is None:
            return
        most = min(accounts.owed(found), accounts.credit(found.reader))

        def apply() -> bool:
            amount = most if is_whole else Decimal(cents) / 100
            credit.spend(found, amount, by=self.librarian)
            return True

        self.act("apply_credit", apply)

    @something_is_in_doubt
    @rule(payment=few)
    def accept(self, payment: int) -> None:
        found = self.pick(Payment.objects.filter(status=PaymentStatus.REVIEW), payment)
        if found is not None:
            self.act("accept", lambda: ledger.accept(found, by=self.librarian))

    @the_bank_was_asked
    @rule(
        is_away=st.booleans(),
        loses=st.booleans(),
        refuses=st.booleans(),
        slowly=st.booleans(),
    )
    def the_bank_has_a_mood(self, is_away: bool, loses: bool, refuses: bool, slowly: bool) -> None:
        vault.is_away, vault.loses_answers = is_away and loses, loses and not is_away
        vault.refuses_refunds, vault.refunds_slowly = refuses and slowly, slowly

    @workers_are_needed
    @rule()
    def workers_run(self) -> None:
        vault_was_away = vault.is_away or vault.loses_answers
        self.ask("workers_run", work_off_the_queue)
        assert vault_was_away or not OrmQ.objects.exists()

    @the_bank_was_asked
    @rule()
    def reconcile(self) -> None:
        """With the bank back, everything is finished that can be."""
        vault.is_away = vault.loses_answers = False
        for hours in (1, 2):
            reconcile.run(at=timezone.now() + timedelta(hours=hours))
        for payment in Payment.objects.exclude(session_id=None):
            kept = vault.sessions[payment.session_id]
            assert (kept.state is State.PAID) == (payment.status in RECEIVED)
            if payment.must_close:
                assert kept.state is State.PROCESSING
        assert len(vault.sessions) == Payment.objects.exclude(session_id=None).count()
        assert not Refund.objects.filter(status=RefundStatus.PENDING, provider_id=None).exists()
        type(self).acted["reconcile"] += 1
