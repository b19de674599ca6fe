"""The kinds of things that people are told about: to whom, and whether a reader may decline."""

from dataclasses import dataclass
from enum import Flag, auto

from django.db import models
from django.utils.translation import gettext_lazy as _


class EventKind(models.TextChoices):
    LOAN_CREATED = "LOAN_CREATED", _("Book lent")
    LOAN_RETURNED = "LOAN_RETURNED", _("Book returned")
    LOAN_RENEWED = "LOAN_RENEWED", _("Loan renewed")
    LOAN_DUE_SOON = "LOAN_DUE_SOON", _("Loan due soon")
    LOAN_OVERDUE = "LOAN_OVERDUE", _("Loan overdue")
    HOLD_READY = "HOLD_READY", _("Hold ready to pick up")
    HOLD_EXPIRING = "HOLD_EXPIRING", _("Hold about to expire")
    HOLD_EXPIRED = "HOLD_EXPIRED", _("Hold expired")
    CHARGE_OPENED = "CHARGE_OPENED", _("New charge")
    PAYMENT_COMPLETED = "PAYMENT_COMPLETED", _("Payment completed")
    PAYMENT_NEEDS_REVIEW = "PAYMENT_NEEDS_REVIEW", _("Payment needs review")
    NEW_BOOK = "NEW_BOOK", _("New book by a followed author")
    IMPORT_FINISHED = "IMPORT_FINISHED", _("Import finished")
    JOB_FAILED = "JOB_FAILED", _("Job failed")
    CHANNEL_DISABLED = "CHANNEL_DISABLED", _("Channel switched off")
    DELIVERY_FAILED = "DELIVERY_FAILED", _("Messages could not be delivered")


class Audience(Flag):
    """Who is told."""

    READER = auto()
    STAFF = auto()


BOTH = Audience.READER | Audience.STAFF


@dataclass(frozen=True)
class About:
    """What is so for all events of a kind.

    `notification_type` is the word that the outgoing webhook has for it. A reader may decline the
    optional kinds. A state may end and be so again, as a loan is due; an act is done once.
    """

    audience: Audience
    notification_type: str
    is_optional: bool = True
    is_state: bool = False


KINDS: dict[EventKind, About] = {
    EventKind.LOAN_CREATED: About(BOTH, "confirmation"),
    EventKind.LOAN_RETURNED: About(BOTH, "confirmation"),
    EventKind.LOAN_RENEWED: About(BOTH, "confirmation"),
    EventKind.LOAN_DUE_SOON: About(Audience.READER, "due_soon", is_state=True),
    EventKind.LOAN_OVERDUE: About(BOTH, "overdue", is_optional=False, is_state=True),
    EventKind.HOLD_READY: About(Audience.READER, "hold_ready", is_optional=False, is_state=True),
    EventKind.HOLD_EXPIRING: About(Audience.READER, "hold_expiring", is_state=True),
    EventKind.HOLD_EXPIRED: About(Audience.READER, "hold_expired"),
    EventKind.CHARGE_OPENED: About(Audience.READER, "charge", is_state=True),
    EventKind.PAYMENT_COMPLETED: About(BOTH, "payment", is_optional=False),
    EventKind.PAYMENT_NEEDS_REVIEW: About(Audience.STAFF, "payment_review"),
    EventKind.NEW_BOOK: About(Audience.READER, "new_book"),
    EventKind.IMPORT_FINISHED: About(Audience.STAFF, "import"),
    EventKind.JOB_FAILED: About(Audience.STAFF, "job_failed"),
    EventKind.CHANNEL_DISABLED: About(Audience.STAFF, "channel_disabled"),
    EventKind.DELIVERY_FAILED: About(Audience.STAFF, "delivery_failed"),
}


def for_audience(audience: Audience) -> list[EventKind]:
    """Return the kinds of which this audience is told."""
    return [kind for kind, about in KINDS.items() if audience in about.audience]
