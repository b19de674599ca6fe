"""What a backend is: it sends one message to one address, and knows nothing else.

A backend of one's own is one class and its dotted path in ALERT_BACKENDS.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django import forms

if TYPE_CHECKING:
    from django.utils.functional import _StrOrPromise

    from circulation.models import Reader

Pace = tuple[str, timedelta]

LONGEST_WAIT = timedelta(days=1)
"""However long a far end asks us to stay away, it is asked again then."""


class DeliveryError(Exception):
    """It was not delivered; the message is for staff, without secrets and addresses."""


class TryLaterError(DeliveryError):
    """It may work later: no answer, or one that says so. `after` is what the far end asked for."""

    def __init__(self, message: str, *, after: timedelta | None = None) -> None:
        self.after = after
        super().__init__(message)


class BusyError(TryLaterError):
    """The far end takes no more for a time: the whole channel waits, and no attempt is counted."""


class UndeliverableError(DeliveryError):
    """This message will never be taken, or not for this recipient."""


class ChannelGoneError(DeliveryError):
    """The far end is no more, or has shut us out: the channel is switched off."""


@dataclass(frozen=True)
class Message:
    """A text for somebody. `id` stays the same however often it is sent.

    `metadata` has what programs read (loan_id, book_title, due_date), `unsubscribe_url` where the
    reader declines the kind, or "".
    """

    id: UUID
    kind: str
    notification_type: str
    subject: str
    text: str
    html: str
    created_at: datetime
    recipient_id: int | None = None
    recipient_email: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    unsubscribe_url: str = ""


@dataclass(frozen=True)
class Receipt:
    """What the far end answered, and what of the channel's settings it has changed."""

    answer: str
    changed: Mapping[str, str] = field(default_factory=dict)


class Backend(ABC):
    """One kind of far end. `send` raises DeliveryErrors and nothing else."""

    name: str
    """As kept in `Channel.backend`: at most 20 characters."""
    label: "_StrOrPromise"
    form_class: type[forms.Form] = forms.Form
    """The settings of a channel; a field with `is_secret = True` is stored encrypted."""
    joins: bool = True
    """Whether events of one kind that fall together go as one message; programs want each alone."""

    def missing(self) -> list[str]:
        """Return the environment variables without which it cannot be used."""
        return []

    def address(self, config: Mapping[str, Any], recipient: "Reader | None") -> str:
        """Return where a message for the recipient goes, "" if it cannot reach them."""
        return "channel"

    def pace(self, config: Mapping[str, Any]) -> Sequence[Pace]:
        """Return what the far end counts messages by, each with the least time between two."""
        return ()

    @abstractmethod
    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        """Send, within 30 seconds in all. `config` has the channel's settings, secrets in clear."""
