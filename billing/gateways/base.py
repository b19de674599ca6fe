"""What a gateway is: opens, looks up, closes and refunds one payment at one provider.

A gateway only knows how to talk to its provider. It never reads or writes the database: it is
called outside any transaction, and what it saw is written down by `billing.payments`.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

from django.core.checks import CheckMessage

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

TIMEOUT_SECONDS = 10


class GatewayError(Exception):
    """The provider did not do what it was asked; the message is for staff, without secrets."""


class UnreachableError(GatewayError):
    """No answer, or one that says try again: the same call with the same key may follow."""


class RejectedError(GatewayError):
    """The provider said no for good: asking again in the same way is of no use."""


class BadSignatureError(Exception):
    """A webhook that does not come from the provider, or came too late to be believed."""


class State(StrEnum):
    """How a session stands at the provider."""

    OPEN = "open"
    PROCESSING = "processing"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Order:
    """What a provider is asked to collect. Names no book and no person.

    `reference` is the payment's number, sent as metadata and expected back; `key` is the
    idempotency key, stored before the call, so that asking twice makes one session.
    """

    reference: str
    key: str
    amount: Decimal
    currency: str
    description: str
    success_url: str
    cancel_url: str


@dataclass(frozen=True)
class Session:
    """Where the reader pays, and until when."""

    id: str
    url: str
    expires_at: datetime | None


@dataclass(frozen=True)
class RefundSeen:
    """A refund as the provider knows it; `reference` is our refund's number, "" if made there."""

    id: str
    amount: Decimal
    state: State
    """PAID once the money was sent back, PROCESSING before, FAILED where it came to nothing."""
    reference: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A session as the provider knows it at one moment.

    `reference` is the payment's number from the metadata, "" where the session has none.
    `transaction_id` names the money itself, for refunds.
    """

    state: State
    reference: str
    amount: Decimal | None = None
    currency: str = ""
    transaction_id: str = ""
    refunds: Sequence[RefundSeen] = ()


@dataclass(frozen=True)
class ProviderEvent:
    """A webhook whose signature was checked: a hint which session or transaction to look at."""

    id: str
    kind: str
    session_id: str = ""
    transaction_id: str = ""
    reference: str = ""


class Gateway(ABC):
    """One provider. Every call may raise UnreachableError or RejectedError, and nothing else."""

    name: str
    """As kept in `Payment.provider`: upper case, at most 20 characters."""
    label: "_StrOrPromise"
    is_online: bool = True

    @abstractmethod
    def missing(self) -> list[str]:
        """Return the environment variables that are not set; with none missing it can be used."""

    @property
    def is_configured(self) -> bool:
        return not self.missing()

    def smallest(self, currency: str) -> Decimal:
        """Return the smallest sum that the provider takes."""
        return Decimal("0.01")

    @abstractmethod
    def open(self, order: Order) -> Session:
        """Make a session, or return the one made for the same key before."""

    @abstractmethod
    def look_up(self, session_id: str, *, key: str) -> Snapshot:
        """Return how the session stands; one that the reader has approved is captured first.

        `key` is the payment's: what is captured is captured once.
        """

    @abstractmethod
    def close(self, session_id: str, *, key: str) -> Snapshot:
        """Expire the session if it is open. What is paid already stays so, and is returned."""

    @abstractmethod
    def refund(
        self, transaction_id: str, amount: Decimal, currency: str, *, key: str, reference: str
    ) -> RefundSeen:
        """Send money back once for each `key`; `reference` is kept as metadata."""

    @abstractmethod
    def read_event(self, body: bytes, headers: Mapping[str, str]) -> ProviderEvent:
        """Check a webhook's signature and return what it is about.

        Raises BadSignatureError, and UnreachableError where the provider itself has to be asked.
        """

    @property
    def can_check_events(self) -> bool:
        """Whether webhooks can be trusted: without the secret they are not processed."""
        return True

    def check(self, *, debug: bool) -> list[CheckMessage]:
        """Return what is wrong with the settings, each with what to do."""
        return []
