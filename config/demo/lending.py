"""A year at the demo's desk: loans of every kind, told as stories and played in order of time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from random import Random

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from tqdm import tqdm

from alerts import outbox
from billing import charges, payments
from billing.models import Charge
from catalog.models import Copy
from circulation import desk, fines, holds
from circulation.models import Loan, Reader
from circulation.refusals import Overriding
from config.demo.people import READERS, card
from config.demo.stock import POPULAR, barcode

OLDEST, NEWEST = 360, 80  # days ago: the loans that make the lists look lived in
# The seventh reader is blocked; the rules look at who he is today.
BORROWERS = [number for number in range(1, len(READERS) + 1) if number != 7]


@dataclass(frozen=True)
class Story:
    """One loan. Everything is in days before today; a `due` below zero is still to come."""

    reader: str
    copy: str
    lent: int
    due: int | None = None
    back: int | None = None
    renewed: int | None = None
    lost: int | None = None
    waived: Decimal | None = None
    paid: Decimal | None = None
    """Paid in cash when the copy came back or was reported lost: at most so much."""
    override: str = ""


@dataclass(frozen=True)
class Wait:
    """One hold: who waits, for the book of which copy, since how many days."""

    reader: str
    copy: str
    placed: int


STORIES = (
    # Out, and in good time.
    Story(card(11), barcode(158), lent=6),
    Story(card(14), barcode(161), lent=3),
    Story(card(15), barcode(996), lent=4),
    Story(card(16), barcode(174), lent=2),
    Story(card(17), barcode(205), lent=1),
    Story(card(18), barcode(219), lent=0),
    Story(card(20), barcode(2680), lent=12),
    Story(card(9), barcode(11), lent=5),
    Story(card(9), barcode(16), lent=5),
    Story(card(13), barcode(55), lent=2),
    Story(card(22), barcode(4300), lent=18, renewed=5),
    # Recordings, for which a fee is charged, and a film, which is lent for a week.
    Story(card(15), barcode(6534), lent=9),
    Story(card(25), barcode(6620), lent=20, back=11),
    Story(card(28), barcode(5212), lent=2),
    # As many as one may have.
    *(Story(card(2), barcode(record), lent=7) for record in (36, 164, 244, 1661, 2852)),
    # Every copy of one book, for which others wait.
    Story(card(23), barcode(345, 1), lent=13),
    Story(card(24), barcode(345, 2), lent=12),
    Story(card(25), barcode(345, 3), lent=10),
    # Due soon, and due today.
    Story(card(26), barcode(514), lent=12, due=-2),
    Story(card(27), barcode(521), lent=12, due=-2),
    Story(card(28), barcode(4580), lent=12, due=-2),
    Story(card(29), barcode(730), lent=13, due=-1),
    Story(card(30), barcode(768), lent=14, due=0),
    Story(card(31), barcode(1184), lent=14, due=0),
    # Late: a few days, a few weeks, a long time.
    Story(card(33), barcode(1232), lent=15, due=1),
    Story(card(34), barcode(1260), lent=17, due=3),
    Story(card(3), barcode(1342), lent=19, due=5),
    Story(card(35), barcode(1399), lent=21, due=7),
    Story(card(32), barcode(12), lent=32, due=11),
    Story(card(4), barcode(2701), lent=34, due=20),
    Story(card(36), barcode(1400), lent=39, due=25),
    Story(card(5), barcode(2600), lent=59, due=45),
    Story(card(38), barcode(1727), lent=76, due=62),
    # Lost: not found yet, and found again after it was paid for.
    Story(card(8), barcode(2554), lent=50, due=36, lost=20),
    Story(card(19), barcode(2500), lent=70, due=56, lost=40, paid=Decimal("30.00"), back=15),
    # Back late, with a fine; of one of them a part was waived, of one a part paid.
    Story(card(39), barcode(2641), lent=40, due=26, back=22),
    Story(card(40), barcode(2814), lent=45, due=31, back=21, waived=Decimal("2.00")),
    Story(card(21), barcode(120), lent=44, due=23, back=10, paid=Decimal("1.50")),
    Story(card(37), barcode(5200), lent=60, due=32, back=25),
    # Back, and put on the hold shelf for the next reader.
    Story(card(12), barcode(84), lent=14, back=2),
    Story(card(29), barcode(43), lent=20, back=7),
    Story(card(33), barcode(6130), lent=25, back=12),
    Story(card(31), barcode(6130), lent=10),
    # Lent in spite of what was owed, because a librarian said so.
    Story(card(4), barcode(2542), lent=3, override="Exam next week; promised to return the rest"),
)
WAITS = (
    Wait(card(1), barcode(345), placed=9),
    Wait(card(10), barcode(345), placed=5),
    Wait(card(16), barcode(345), placed=2),
    Wait(card(10), barcode(84), placed=6),
    Wait(card(20), barcode(43), placed=12),
    Wait(card(31), barcode(6130), placed=15),
    Wait(card(15), barcode(1342), placed=3),
    # A free copy stands on the shelf: these are on the pull list.
    Wait(card(17), barcode(98), placed=1),
    Wait(card(18), barcode(135), placed=1),
    Wait(card(22), barcode(2591), placed=0),
)


Step = tuple[int, Callable[[], object]]
"""Days before today, and what happens then."""


class Desk:
    """Plays stories and waits, each step on its day, with the demo's staff behind the desk."""

    def __init__(self, *, today: date, assistant: Reader, librarian: Reader) -> None:
        self.today = today
        self.assistant = assistant
        self.librarian = librarian
        self.readers = Reader.objects.in_bulk(
            [card(number) for number in range(1, len(READERS) + 1)], field_name="card_number"
        )
        self.loans: dict[Story, Loan] = {}

    def steps_of(self, story: Story) -> Iterator[Step]:
        yield story.lent, lambda: self._lend(story)
        if story.renewed is not None:
            renewed = self._day(story.renewed)
            yield (
                story.renewed,
                lambda: desk.renew(self.loans[story], on=renewed, by=self.assistant),
            )
        if story.lost is not None:
            yield story.lost, lambda: self._lose(story)
        if story.back is not None:
            yield story.back, lambda: self._take_back(story)

    def steps_of_wait(self, wait: Wait) -> Iterator[Step]:
        yield wait.placed, lambda: self._place(wait)

    def _day(self, days_ago: int) -> date:
        return self.today - timedelta(days=days_ago)

    def _lend(self, story: Story) -> None:
        reader, copy = self.readers[story.reader], Copy.objects.get(barcode=story.copy)
        on = self._day(story.lent)
        due = None if story.due is None else self._day(story.due)
        override = None
        if story.override:
            override = Overriding(frozenset({"unpaid_charges"}), story.override)
        done = desk.check_out(
            reader,
            copy,
            on=on,
            due=due,
            override=override,
            by=self.librarian if override else self.assistant,
        )
        self.loans[story] = done.loan

    def _take_back(self, story: Story) -> None:
        day = self._day(story.back or 0)
        done = desk.check_in(self.loans[story].copy, on=day, today=day, by=self.assistant)
        if story.waived and done.fine:
            amount = min(story.waived, done.fine.amount)
            charges.waive(done.fine, amount, by=self.librarian, reason="Ill in hospital")
        if story.paid and done.fine:
            self._take_cash(story.paid, done.fine, on=day)

    def _lose(self, story: Story) -> None:
        day = self._day(story.lost or 0)
        price = desk.mark_lost(self.loans[story], on=day, by=self.assistant)
        if story.paid and price:
            self._take_cash(story.paid, price, on=day)

    def _take_cash(self, most: Decimal, charge: Charge, *, on: date) -> None:
        amount = min(most, charge.amount)
        at = datetime.combine(on, time(15), timezone.get_current_timezone())
        payments.take_cash(charge.reader, {charge.pk: amount}, by=self.assistant, at=at)

    def _place(self, wait: Wait) -> None:
        at = datetime.combine(self._day(wait.placed), time(11), timezone.get_current_timezone())
        book = Copy.objects.select_related("book").get(barcode=wait.copy).book
        holds.place(self.readers[wait.reader], book, at=min(at, timezone.now()), by=self.assistant)


def past_stories() -> Iterator[Story]:
    """Return some hundred loans of the past year: returned, now and then late."""
    dice = Random("carrel")  # noqa: S311
    for record in POPULAR:
        day = OLDEST - dice.randrange(60)
        while day > NEWEST:
            kept = dice.randrange(16, 20) if dice.random() < 0.04 else dice.randrange(3, 14)
            yield Story(
                card(dice.choice(BORROWERS)),
                barcode(record, 2),
                lent=day,
                back=day - kept,
                paid=Decimal("10.00"),
            )
            day -= kept + dice.randrange(3, 75)


@transaction.atomic
def play(*, today: date, assistant: Reader, librarian: Reader) -> None:
    """Play all of it up to today, with a progress bar. All or nothing, and nobody is told of it."""
    staffed = Desk(today=today, assistant=assistant, librarian=librarian)
    steps: list[Step] = []
    for story in (*past_stories(), *STORIES):
        steps.extend(staffed.steps_of(story))
    for wait in WAITS:
        steps.extend(staffed.steps_of_wait(wait))
    in_order = sorted(steps, key=lambda step: -step[0])
    for _days_ago, step in tqdm(in_order, desc=_("Lending"), unit="", disable=None):
        step()
    holds.expire(on=today)
    fines.accrue(on=today)
    outbox.let_rest()
