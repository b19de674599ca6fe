"""Sending: what is due is claimed and sent, and what came of it is written down.

Rows are the truth, workers only move them. A worker that is killed leaves rows whose lease ends;
they are sent again with the id of the first time.
"""

import logging
import random
import time
import traceback
from datetime import timedelta
from functools import cached_property
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django_q.exceptions import TimeoutException

from alerts import backends, channels, pace, texts
from alerts.backends.base import (
    LONGEST_WAIT,
    Backend,
    BusyError,
    ChannelGoneError,
    DeliveryError,
    Message,
    Receipt,
    TryLaterError,
)
from alerts.claims import Group, claim, release
from alerts.events import EventKind
from alerts.fanout import fan_out
from alerts.models import Channel, ChannelAudience, Delivery, DeliveryStatus
from alerts.preferences import declines

__all__ = ["claim", "fan_out", "send_due"]

log = logging.getLogger(__name__)

LONGEST_SEND = timedelta(seconds=40)
"""A far end is cut off at 30 seconds; where the lease ends sooner, nothing is begun."""
SLOW = 3.0
"""Seconds after which a failed attempt has the whole channel wait: it may not answer at all."""
LONGEST_REST = timedelta(minutes=5)
BUSY = timedelta(seconds=60)

SCHEDULE = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
"""When a failed message is sent again, counted from the attempt before; then it is given up.

The steps of the Standard Webhooks specification, "Retries": some three days in all.
"""
JITTER = 0.2

Outcome = Receipt | str | timedelta
"""What the far end answered, why nothing is sent, or how long to wait before."""


def send_due(*, seconds: float = 200) -> int:
    """Send what is due, until nothing is or the time is up; return how many rows were finished."""
    ends = time.monotonic() + seconds
    done = 0
    while time.monotonic() < ends and (groups := claim(at=timezone.now())):
        done += Batch(groups).send()
    return done


def retry_after(attempts: int) -> timedelta:
    """Return how long a message waits that has failed so often before, and now once more."""
    jitter: float = random.uniform(1, 1 + JITTER)  # noqa: S311
    return SCHEDULE[attempts] * jitter


def why_not(delivery: Delivery) -> str | None:
    """Return why a delivery is not sent to its recipient, whatever the address, or None."""
    recipient = delivery.recipient
    if recipient is None:
        return None
    if not recipient.is_active:
        return _("The account is switched off.")
    if delivery.channel.audience == ChannelAudience.STAFF:
        return None if recipient.is_staff else _("The account is not one of staff any more.")
    if declines(recipient, EventKind(delivery.kind)):
        return _("The reader does not want these notices.")
    return None


class UnwritableError(Exception):
    """Of some of the rows of a message no text can be made."""

    def __init__(self, rows: list[Delivery]) -> None:
        self.rows = rows
        super().__init__()


class Route:
    """A channel with its backend and its settings, opened once for a batch."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.rests = False
        self.answer: Receipt | None = None
        self.problem = ""

    @cached_property
    def backend(self) -> Backend:
        return backends.called(self.channel.backend)

    @cached_property
    def config(self) -> dict[str, Any]:
        return self.channel.settings()

    def tell(self, rows: list[Delivery]) -> Outcome:
        """Send rows as one message. Raises whatever a template or a backend raises."""
        if reason := why_not(rows[0]):
            return reason
        to = self.backend.address(self.config, rows[0].recipient)
        if not to:
            return _("No address is known for this.")
        message = _written(rows)
        wait = pace.slot(self.backend.pace(self.config), at=timezone.now())
        if wait > pace.WORTH_WAITING:
            return wait
        if wait:
            time.sleep(wait.total_seconds())
        return self.backend.send(message, to, self.config)

    def worked(self, receipt: Receipt) -> None:
        self.answer = receipt
        if receipt.changed:
            channels.changed(self.channel, receipt.changed)
            self.config.update(receipt.changed)

    def rest(self, wait: timedelta) -> None:
        self.rests = True
        pace.rest(self.channel, wait)

    def note_health(self) -> None:
        if self.answer:
            channels.worked(self.channel, self.answer)
        if self.problem:
            channels.failed(self.channel, self.problem)


class Batch:
    """Claimed messages, sent one after the other; what one suffers is no matter to the next."""

    def __init__(self, groups: list[Group]) -> None:
        self.groups = groups
        self.routes = {group.channel.pk: Route(group.channel) for group in groups}
        self.left: list[Group] = []

    def send(self) -> int:
        """Return how many rows are finished."""
        try:
            return sum(self._send(group) for group in self.groups)
        finally:
            release(self.left, until=timezone.now())
            for route in self.routes.values():
                route.note_health()

    def _send(self, group: Group) -> int:
        route = self.routes[group.channel.pk]
        if route.rests or group.leased_until - timezone.now() < LONGEST_SEND:
            self.left.append(group)
            return 0
        rows, skipped = group.still_to_tell()
        return skipped + (self._tell(route, group, rows) if rows else 0)

    def _tell(self, route: Route, group: Group, rows: list[Delivery]) -> int:
        began = time.monotonic()
        try:
            outcome = route.tell(rows)
        except (KeyboardInterrupt, TimeoutException):
            raise  # the worker itself is being stopped
        except UnwritableError as problem:
            group.set_apart(problem.rows)
            others = [row for row in rows if row not in problem.rows]
            return sum(self._tell(route, group, part) for part in (others, problem.rows))
        except BaseException as problem:  # a backend may even try to exit
            is_slow = time.monotonic() - began > SLOW
            return self._failed(group, rows, problem, is_slow=is_slow)
        match outcome:
            case Receipt():
                done = group.finish(rows, DeliveryStatus.SENT, outcome.answer, attempts=1)
                route.worked(outcome)
                return done
            case timedelta():
                route.rest(outcome)
                self.left.append(group)
                return 0
        return group.finish(rows, DeliveryStatus.SKIPPED, outcome)

    def _failed(
        self, group: Group, rows: list[Delivery], problem: BaseException, *, is_slow: bool
    ) -> int:
        route, attempts = self.routes[group.channel.pk], rows[0].attempts
        note = _in_words(problem, rows[0])
        match problem:
            case BusyError(after=after):
                self._hold_back(route, after or BUSY)
                self.left.append(group)
                return 0
            case ChannelGoneError():
                route.rests = True
                channels.disable(route.channel, note)
                return group.finish(rows, DeliveryStatus.DEAD, note, attempts=1)
            case DeliveryError() if not isinstance(problem, TryLaterError):
                return _give_up(group, rows, note)
        if attempts >= len(SCHEDULE):
            return _give_up(group, rows, note)
        asked = getattr(problem, "after", None) if isinstance(problem, TryLaterError) else None
        wait = max(retry_after(attempts), min(asked or timedelta(), LONGEST_WAIT))
        group.put_off(rows, until=timezone.now() + wait, note=note)
        route.problem = note
        if is_slow:
            route.rest(min(wait, LONGEST_REST))
        return 0

    def _hold_back(self, route: Route, wait: timedelta) -> None:
        """Leave alone what the far end counts by, such as a bot that several channels share."""
        route.rest(wait)
        pace.hold_back(route.backend.pace(route.config), wait)


def _written(rows: list[Delivery]) -> Message:
    """Raise UnwritableError where it is only some of the rows that raise."""
    try:
        return texts.message_for(rows)
    except Exception:
        wrong = [row for row in rows if not _is_writable(row)]
        if not wrong or len(wrong) == len(rows):
            raise
        raise UnwritableError(wrong) from None


def _is_writable(row: Delivery) -> bool:
    try:
        texts.message_for([row])
    except Exception:
        return False
    return True


@transaction.atomic
def _give_up(group: Group, rows: list[Delivery], note: str) -> int:
    done = group.finish(rows, DeliveryStatus.DEAD, note, attempts=1)
    channels.gave_up(group.channel, note, kind=EventKind(group.deliveries[0].kind))
    return done


def _in_words(problem: BaseException, row: Delivery) -> str:
    """Return what staff read. Only our own errors are known to quote no secret."""
    if isinstance(problem, DeliveryError):
        return str(problem)
    where = "".join(traceback.format_tb(problem.__traceback__))
    log.error("Delivery %s failed: %s\n%s", row.pk, type(problem).__name__, where)
    return _("Carrel failed to send it: %(problem)s.") % {"problem": type(problem).__name__}
