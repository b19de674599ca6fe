"""Notices that another program sends: which are to be sent, their words, and that they were.

The reader is told by Carrel or by the other program, not by both. What Carrel has sent, or is about
to send, is not asked of the other; what the other has sent keeps Carrel's own notice back.
"""

from datetime import date
from decimal import Decimal

from django.db import transaction
from django.db.models import CharField, Exists, OuterRef, QuerySet, TextField, Value
from django.db.models.functions import Cast, Concat
from django.utils import timezone
from django.utils.translation import gettext as _

from alerts import outbox, texts
from alerts.backends.base import Message
from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus, Event
from alerts.wording import day
from circulation import notices
from circulation.models import Loan, LoanQuerySet, Reader
from circulation.refusals import Block, RefusedError

OVERDUE, DUE_SOON = EventKind.LOAN_OVERDUE, EventKind.LOAN_DUE_SOON
SENT_OR_WAITING = (DeliveryStatus.QUEUED, DeliveryStatus.SENT)


class MarkRefusedError(RefusedError):
    """Nothing was marked: the loan is over, or is not late."""


def kind_for(loan: Loan, *, on: date) -> EventKind:
    """Return what there is to tell of an open loan: that it is late, or else that it is due."""
    return OVERDUE if loan.is_overdue(on=on) else DUE_SOON


def required(kind: EventKind, *, on: date) -> LoanQuerySet:
    """Return the loans of which the reader is to be told, and was not, the earliest due first."""
    loans = Loan.objects.open()
    if kind == OVERDUE:
        loans = loans.overdue(on=on).filter(notification_sent=False)
    else:
        loans = loans.filter(notices.is_due_soon(on=on)).exclude(reader__in=_decliners(kind))
    loans = loans.exclude(Exists(_told_by_us(kind)))
    if _has_channel(kind):
        loans = loans.exclude(Exists(_recorded(kind).filter(fanned_out_at=None)))
    return loans.order_by("expected_return_date", "pk")


def is_told(loan: Loan, kind: EventKind) -> bool:
    """Tell whether the reader knows of the present due date, from us or from another program."""
    if is_marked(loan, kind):
        return True
    sent = _told_by_us(kind, subject=Value(outbox.subject_of(loan)))
    return kind == DUE_SOON and sent.filter(status=DeliveryStatus.SENT).exists()


def is_marked(loan: Loan, kind: EventKind) -> bool:
    if kind == OVERDUE:
        return loan.notification_sent
    return loan.told_due_date == loan.expected_return_date


@transaction.atomic
def mark(loan: Loan, kind: EventKind, *, is_told: bool, on: date, by: Reader | None = None) -> Loan:
    """Note that another program has told the reader, or that it has not after all.

    It is so for the present due date only; a second time changes nothing. Raises MarkRefusedError.
    """
    loans = Loan.objects.select_for_update(no_key=True, of=("self",))
    loan = loans.select_related("reader", "copy__book").get(pk=loan.pk)
    if not loan.is_open:
        message = _("This loan is over: there is nothing to tell the reader.")
        raise MarkRefusedError([Block("loan_not_open", message)])
    if kind == OVERDUE and not loan.is_overdue(on=on):
        message = _("This loan is not late: it is due on %(due)s.")
        text = message % {"due": day(loan.expected_return_date)}
        raise MarkRefusedError([Block("loan_not_overdue", text)])
    if is_marked(loan, kind) == is_told:
        return loan
    if kind == OVERDUE:
        loan.notification_sent = is_told
    else:
        loan.told_due_date = loan.expected_return_date if is_told else None
    loan._history_user = by
    loan.save(update_fields=["notification_sent", "told_due_date"])
    if is_told:
        notices.told_elsewhere(loan, [kind])
    return loan


def suggested(loan: Loan, kind: EventKind, *, on: date, fine: Decimal) -> Message:
    """Return what Carrel would write to the reader, in his or her language."""
    if kind == OVERDUE:
        occurrence = notices.overdue(loan, on=on, fine=fine)
    else:
        occurrence = notices.due_soon(loan)
    event = occurrence.event()
    event.created_at = timezone.now()
    channel = Channel(audience=ChannelAudience.READERS)
    return texts.message_for(
        [Delivery(event=event, kind=kind, channel=channel, recipient=loan.reader)]
    )


def _recorded(kind: EventKind) -> QuerySet[Event]:
    return Event.objects.filter(subject=_subject(), kind=kind, cancelled_at=None)


def _told_by_us(kind: EventKind, *, subject: Value | Concat | None = None) -> QuerySet[Delivery]:
    """Return our notices of a present due date: those of an earlier one have been cancelled."""
    return Delivery.objects.filter(
        event__subject=subject or _subject(),
        event__kind=kind,
        event__cancelled_at=None,
        channel__audience=ChannelAudience.READERS,
        status__in=SENT_OR_WAITING,
    )


def _subject() -> Concat:
    return Concat(Value(f"{Loan._meta.label_lower}:"), Cast(OuterRef("pk"), CharField()))


def _has_channel(kind: EventKind) -> bool:
    """Tell whether what was recorded and waits for a worker will be sent to readers."""
    used = Channel.objects.filter(is_active=True, audience=ChannelAudience.READERS)
    return any(kind in kinds for kinds in used.values_list("kinds", flat=True))


def _decliners(kind: EventKind) -> QuerySet[Reader, int]:
    """Return the readers who do not want such notices; JSON is searched as text on SQLite."""
    declined = Cast("declined_notices", TextField())
    readers = Reader.objects.annotate(declined=declined).filter(declined__contains=f'"{kind}"')
    return readers.values_list("pk", flat=True)
