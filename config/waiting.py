"""What waits for staff, counted in one statement: for the sidebar's badges and for Today."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django_q.models import Schedule

from alerts.backoffice.pages import list_url
from alerts.backoffice.paging import COUNTED_AT_MOST
from alerts.models import Delivery
from billing.models import Payment, PaymentStatus
from circulation import holds
from circulation.admin.loan_states import LATE
from circulation.models import Hold, Loan
from config import runs
from config.health import GRACE_OF_MINUTES

MOST_IN_BADGE = 99
LENDING = ("circulation.view_loan", "circulation.view_hold")
MONEY = ("billing.view_payment", "billing.view_charge")
PULLS = ("circulation.view_hold", "circulation.check_in")
REVIEWS = ("billing.view_payment", "billing.review_payment")
SENDS_AGAIN = ("alerts.view_delivery", "alerts.replay_delivery")
RUNS_JOBS = ("config.view_jobrun", "config.run_job")


@dataclass(frozen=True)
class Work:
    """Rows that wait for somebody at a moment, and the list that shows these and no others."""

    model: type[Model]
    filters: Mapping[str, str]
    rows: Callable[[datetime], QuerySet[Any]]
    permissions: tuple[str, ...]

    @property
    def url(self) -> str:
        if self.model is Schedule:
            return reverse("admin:config_jobs")
        return list_url(self.model, **self.filters)


def _late(state: str) -> Work:
    def rows(at: datetime) -> QuerySet[Loan]:
        return Loan.objects.late_by(*LATE[state], on=timezone.localdate(at))

    return Work(Loan, {"state": state}, rows, LENDING)


WORK = {
    "due": Work(
        Loan,
        {"state": "today"},
        lambda at: Loan.objects.due(on=timezone.localdate(at)),
        LENDING,
    ),
    **{state: _late(state) for state in LATE},
    "pull": Work(Hold, {"state": "pull"}, lambda _at: holds.to_pull(), LENDING),
    "ready": Work(Hold, {"state": "ready"}, lambda _at: Hold.objects.ready(), LENDING),
    "forgotten": Work(
        Hold,
        {"state": "forgotten"},
        lambda at: Hold.objects.not_picked_up(on=timezone.localdate(at)),
        LENDING,
    ),
    "review": Work(
        Payment,
        {"state": "review"},
        lambda _at: Payment.objects.filter(status=PaymentStatus.REVIEW),
        MONEY,
    ),
    "failed": Work(
        Delivery,
        {"lately": "failed"},
        lambda at: Delivery.objects.failed_lately(at=at),
        ("alerts.view_delivery",),
    ),
    "late jobs": Work(
        Schedule,
        {},
        lambda at: Schedule.objects.filter(func=runs.RUN, next_run__lt=at - GRACE_OF_MINUTES),
        ("config.view_jobrun",),
    ),
}
BADGES = {"pull": PULLS, "review": REVIEWS, "failed": SENDS_AGAIN, "late jobs": RUNS_JOBS}
"""What the sidebar counts, for those who can do something about it."""


def counts(
    request: HttpRequest,
    names: Iterable[str],
    *,
    also: Mapping[str, QuerySet[Any]] | None = None,
    most: int = COUNTED_AT_MOST,
) -> dict[str, int]:
    """Return how many rows wait of what the user may see, each counted no further than `most`.

    A page asks once: what it has counted for itself, and `also` for other ends, its sidebar takes
    over.
    """
    known: dict[str, int] = request.__dict__.setdefault("_waiting", {})
    now = timezone.now()
    wanted = {
        name: first(WORK[name].rows(now), most)
        for name in names
        if name not in known and request.user.has_perms(WORK[name].permissions)
    }
    known.update(counted({**wanted, **(also or {})}))
    return known


def first(rows: QuerySet[Any], most: int = COUNTED_AT_MOST) -> QuerySet[Any]:
    """Return what is enough of the rows to count them no further than this."""
    return rows.order_by().values("pk")[:most]


def counted(sets: Mapping[str, QuerySet[Any]]) -> dict[str, int]:
    """Count the rows of each in a single statement, for each costs a round trip otherwise."""
    if not sets:
        return {}
    selects: list[str] = []
    parameters: list[Any] = []
    for rows in sets.values():
        sql, values = rows.query.sql_with_params()
        selects.append(f"(SELECT COUNT(*) FROM ({sql}) AS counted)")  # noqa: S608 - the ORM's own
        parameters += values
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(selects)}", parameters)
        return dict(zip(sets, cursor.fetchone(), strict=True))


def to_pull_badge(request: HttpRequest) -> str:
    return _badge(request, "pull")


def to_review_badge(request: HttpRequest) -> str:
    return _badge(request, "review")


def failed_badge(request: HttpRequest) -> str:
    return _badge(request, "failed")


def late_jobs_badge(request: HttpRequest) -> str:
    return _badge(request, "late jobs")


def _badge(request: HttpRequest, name: str) -> str:
    """Return what a badge says: nothing where nothing waits for this user."""
    shown = [each for each, needed in BADGES.items() if request.user.has_perms(needed)]
    if name not in shown:
        return ""
    number = counts(request, shown, most=MOST_IN_BADGE + 1).get(name, 0)
    return f"{MOST_IN_BADGE}+" if number > MOST_IN_BADGE else str(number or "")
