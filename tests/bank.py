"""A provider in this process, for the state machine: it keeps what was asked, and can be away."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import NoReturn

from billing.gateways.base import (
    BadSignatureError,
    Gateway,
    Order,
    ProviderEvent,
    RefundSeen,
    RejectedError,
    Session,
    Snapshot,
    State,
    UnreachableError,
)


@dataclass
class Kept:
    """A session as the bank keeps it; what was paid for it stays with the bank's `refunds`."""

    id: str
    order: Order
    state: State = State.OPEN
    surplus: Decimal = Decimal(0)
    """What the reader paid beyond what was asked for, as no bank should let him."""
    refunds: dict[str, RefundSeen] = field(default_factory=dict)

    @property
    def amount(self) -> Decimal:
        return self.order.amount + self.surplus

    @property
    def left(self) -> Decimal:
        given = (each.amount for each in self.refunds.values() if each.state != State.FAILED)
        return self.amount - sum(given, Decimal(0))


class Vault:
    """All that the bank knows, and how it behaves at the moment."""

    def __init__(self) -> None:
        self.empty()

    def empty(self) -> None:
        self.sessions: dict[str, Kept] = {}
        self.by_key: dict[str, str] = {}
        self.is_away = self.loses_answers = self.refuses_refunds = self.refunds_slowly = False
        self._numbers = count(1)

    def number(self, kind: str) -> str:
        return f"{kind}{next(self._numbers)}"

    def answer(self) -> None:
        """Stands where the bank would answer, after it did what was asked."""
        if self.loses_answers:
            raise UnreachableError("The answer was lost.")


vault = Vault()


class Bank(Gateway):
    name = "BANK"
    label = "Bank"

    def missing(self) -> list[str]:
        return []

    def smallest(self, currency: str) -> Decimal:
        return Decimal("0.50")

    def open(self, order: Order) -> Session:
        self._reach()
        if order.key not in vault.by_key:
            number = vault.number("S")
            vault.by_key[order.key], vault.sessions[number] = number, Kept(number, order)
        kept = vault.sessions[vault.by_key[order.key]]
        assert kept.order == order, "one key for two requests"
        vault.answer()
        return Session(kept.id, f"https://bank.example/{kept.id}", None)

    def look_up(self, session_id: str, *, key: str) -> Snapshot:
        self._reach()
        kept = vault.sessions[session_id]
        is_paid = kept.state is State.PAID
        return Snapshot(
            state=kept.state,
            reference=kept.order.reference,
            amount=kept.amount,
            currency=kept.order.currency,
            transaction_id=kept.id if is_paid else "",
            refunds=list(kept.refunds.values()),
        )

    def close(self, session_id: str, *, key: str) -> Snapshot:
        self._reach()
        kept = vault.sessions[session_id]
        if kept.state is State.OPEN:
            kept.state = State.EXPIRED
        vault.answer()
        return self.look_up(session_id, key=key)

    def refund(
        self, transaction_id: str, amount: Decimal, currency: str, *, key: str, reference: str
    ) -> RefundSeen:
        self._reach()
        kept = vault.sessions[transaction_id]
        if key not in kept.refunds:
            if vault.refuses_refunds or amount > kept.left:
                raise RejectedError("It cannot be refunded.")
            state = State.PROCESSING if vault.refunds_slowly else State.PAID
            number = vault.number("R")
            kept.refunds[key] = RefundSeen(number, amount, state, reference)
        vault.answer()
        return kept.refunds[key]

    def read_event(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        self._refuse()

    def _reach(self) -> None:
        if vault.is_away:
            raise UnreachableError("The bank is away.")

    def _refuse(self) -> NoReturn:
        raise BadSignatureError("This bank sends no webhooks.")
