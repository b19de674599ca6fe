"""What a new library has to do first, what of it is done, and what Carrel still lacks to do it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from alerts import setup
from alerts.models import Channel
from billing import gateways
from billing.admin.notice import notices
from catalog.models import Copy
from circulation.models import ClosedDay, ClosedWeekday, Loan, LoanPolicy, Reader
from config.models import JobRun
from config.waiting import counted, first

SETS_UP = "circulation.change_loanpolicy"


@dataclass(frozen=True)
class Step:
    """One thing to do: done when `rows` has any, or where `is_set` is true of the site's settings.

    Without one that is `optional` a library works, too.
    """

    title: str | Promise
    why: str | Promise
    url_name: str
    link: str | Promise
    rows: Callable[[], QuerySet[Any]] | None = None
    is_set: Callable[[], bool] = bool
    lacks: Callable[[], Sequence[str]] = tuple
    optional: bool = False


@dataclass(frozen=True)
class Standing:
    """A step, whether it is done, and what has to be done outside the back-office before."""

    step: Step
    is_done: bool
    lacks: Sequence[str] = ()

    @property
    def url(self) -> str:
        return reverse(self.step.url_name)


@dataclass(frozen=True)
class Checklist:
    standings: Sequence[Standing]

    @property
    def done(self) -> int:
        return sum(each.is_done for each in self.standings)

    @property
    def is_finished(self) -> bool:
        return all(each.is_done or each.step.optional for each in self.standings)


def _own_rules() -> QuerySet[Any]:
    """Return what staff have saved: the rule for everybody and everything came with Carrel."""
    saved: QuerySet[Any] = LoanPolicy.history.all()
    return saved.exclude(history_type="+", category=None, item_type=None)


def _closed_days() -> QuerySet[Any]:
    days: QuerySet[Any] = ClosedDay.history.order_by().values("pk")
    return days.union(ClosedWeekday.history.order_by().values("pk"), all=True)


def _mail_lacks() -> Sequence[str]:
    """Return why nothing can be sent, where no channel in use could send anything."""
    channels = list(Channel.objects.filter(is_active=True))
    if not channels:
        return [_("No channel is in use: add one, or switch one on.")]
    missing = [setup.what_is_missing(channel) for channel in channels]
    return missing if all(missing) else ()


STEPS = (
    Step(
        gettext_lazy("Set the loan rules"),
        gettext_lazy(
            "For how long, how many at once, what lateness costs. The rule that came with Carrel "
            "applies until you save your own."
        ),
        "admin:circulation_loanpolicy_changelist",
        gettext_lazy("Loan policies"),
        rows=_own_rules,
    ),
    Step(
        gettext_lazy("Say when you are closed"),
        gettext_lazy(
            "Nothing is due on a closed day, and none is fined: weekly ones first, then holidays."
        ),
        "admin:circulation_closedweekday_changelist",
        gettext_lazy("Weekly closing days"),
        rows=_closed_days,
    ),
    Step(
        gettext_lazy("Bring in the first books"),
        gettext_lazy("Import a CSV file or a workbook, or add a book by hand and give it copies."),
        "admin:catalog_book_changelist",
        gettext_lazy("Books"),
        rows=Copy.objects.all,
    ),
    Step(
        gettext_lazy("Bring in the first readers"),
        gettext_lazy("Import them with their cards, or add them one by one."),
        "admin:circulation_reader_changelist",
        gettext_lazy("Readers"),
        rows=lambda: Reader.objects.filter(is_staff=False),
    ),
    Step(
        gettext_lazy("Start a worker"),
        gettext_lazy(
            "It sends the messages and runs the nightly jobs: python manage.py run_worker, kept "
            "running by whoever looks after the machine."
        ),
        "admin:config_jobs",
        gettext_lazy("Jobs"),
        rows=JobRun.objects.all,
    ),
    Step(
        gettext_lazy("Let messages go out"),
        gettext_lazy("Open a channel and send yourself a test message: done when one has arrived."),
        "admin:alerts_channel_changelist",
        gettext_lazy("Channels"),
        rows=lambda: Channel.objects.filter(is_active=True, last_ok_at__isnull=False),
        lacks=_mail_lacks,
    ),
    Step(
        gettext_lazy("Lend the first copy"),
        gettext_lazy("At the Desk: scan a reader's card, then the copy."),
        "desk",
        gettext_lazy("Desk"),
        rows=Loan.objects.all,
    ),
    Step(
        gettext_lazy("Let readers pay online"),
        gettext_lazy("Cash is taken at the desk anyhow; Stripe or PayPal need keys of their own."),
        "admin:billing_payment_changelist",
        gettext_lazy("Payments"),
        is_set=lambda: gateways.online() is not None,
        lacks=notices,
        optional=True,
    ),
)


def sets_up(request: HttpRequest) -> bool:
    return request.user.has_perm(SETS_UP)


def questions() -> dict[str, QuerySet[Any]]:
    """Return what is counted to know which steps are done: one row is enough."""
    return {
        _key(number): first(step.rows(), most=1)
        for number, step in enumerate(STEPS)
        if step.rows is not None
    }


def standings(answers: Mapping[str, int] | None = None) -> Checklist:
    """Return how all steps stand by the counted questions, and what is lacking of those not done.

    They are asked here where they are not answered already.
    """
    answers = counted(questions()) if answers is None else answers
    found = []
    for number, step in enumerate(STEPS):
        is_done = bool(answers.get(_key(number), 0)) or step.is_set()
        found.append(Standing(step, is_done, () if is_done else step.lacks()))
    return Checklist(found)


def _key(number: int) -> str:
    return f"step {number}"
