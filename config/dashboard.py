"""Today, the first page of the back-office: what waits, how lending goes, what a new library lacks.

Each part is for those who may see what it tells; each number leads to the list behind it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from alerts import wording
from alerts.backoffice.pages import list_url
from alerts.backoffice.paging import COUNTED_AT_MOST
from billing import accounts
from billing.models import Charge
from config import dashboard_charts, first_day, health, most_lent, waiting
from config.unfold import may_see_jobs

LATELY = "lent lately"
Text = str | Promise


@dataclass(frozen=True)
class Figure:
    """A number with its name and the list behind it; `tone` colours it where it is not nothing."""

    label: Text
    number: str
    url: str
    note: Text = ""
    tone: str = ""


@dataclass(frozen=True)
class Section:
    title: Text
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Label:
    """What a count of `waiting.WORK` is called, and what is said of it."""

    name: str
    text: Text
    note: Text
    tone: str = ""


LENDING = (
    Label("due", gettext_lazy("Due today"), gettext_lazy("expected back by the end of the day")),
    Label("late-1", gettext_lazy("1 to 7 days late"), gettext_lazy("a reminder may do"), "warning"),
    Label("late-8", gettext_lazy("8 to 30 days late"), gettext_lazy("write or call"), "warning"),
    Label(
        "late-31",
        gettext_lazy("More than 30 days late"),
        gettext_lazy("decide: call, or mark lost"),
        "danger",
    ),
)
HOLDS = (
    Label(
        "pull",
        gettext_lazy("To pull from the shelves"),
        gettext_lazy("fetch the copy and scan it as a return at the Desk"),
        "warning",
    ),
    Label("ready", gettext_lazy("Waiting for pickup"), gettext_lazy("on the hold shelf")),
    Label(
        "forgotten",
        gettext_lazy("Not picked up in time"),
        gettext_lazy("in the last 7 days: clear them off the hold shelf"),
        "warning",
    ),
)
REVIEW = Label(
    "review",
    gettext_lazy("Payments to review"),
    gettext_lazy("accept them or give them back"),
    "danger",
)
FAILED = Label(
    "failed",
    gettext_lazy("Messages given up"),
    gettext_lazy("in the last 7 days: look why, and send them again"),
    "danger",
)


def today(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return what the page shows to this user: Unfold calls it for the first page."""
    now = timezone.now()
    steps = first_day.questions() if first_day.sets_up(request) else None
    lent = {LATELY: waiting.first(most_lent.lately(now), most_lent.MANY)}
    also = (steps or {}) | (lent if most_lent.may_see(request) else {})
    counts = waiting.counts(request, waiting.WORK, also=also)
    checklist = first_day.standings(counts) if steps else None
    sees_jobs = may_see_jobs(request)
    problems = health.problems(at=now) if sees_jobs else []
    sections = list(_sections(request, counts, problems if sees_jobs else None))
    return context | {
        "title": _("Today"),
        "day": timezone.localdate(now),
        "problems": problems,
        "jobs_url": reverse("admin:config_jobs"),
        "checklist": checklist if checklist and not checklist.is_finished else None,
        "sections": sections,
        "charts": dashboard_charts.charts(request, at=now),
        "most_lent": most_lent.ranking(at=now, is_much=counts[LATELY] >= most_lent.MANY)
        if LATELY in counts
        else None,
        "has_nothing": not sections and checklist is None,
    }


def _sections(
    request: HttpRequest, counts: dict[str, int], problems: Sequence[str] | None
) -> Iterator[Section]:
    for title, labels in ((_("Loans"), LENDING), (_("Hold shelf"), HOLDS)):
        if figures := [_counted(label, counts) for label in labels if label.name in counts]:
            yield Section(title, figures)
    if request.user.has_perms(waiting.MONEY):
        yield Section(_("Money"), [_outstanding(), _counted(REVIEW, counts)])
    figures = [_counted(FAILED, counts)] if FAILED.name in counts else []
    if problems is not None:
        figures.append(_jobs(problems))
    if figures:
        yield Section(_("Alerts and jobs"), figures)


def _counted(label: Label, counts: dict[str, int]) -> Figure:
    number = counts[label.name]
    return Figure(
        label=label.text,
        number=count_text(number),
        url=waiting.WORK[label.name].url,
        note=label.note if number else _("nothing to do"),
        tone=label.tone if number else "none",
    )


def count_text(number: int) -> str:
    """Write a count as its list does, which stops counting, too."""
    text = _grouped(number)
    return f"{text}+" if number >= COUNTED_AT_MOST else text


def _grouped(number: int) -> str:
    return formats.number_format(number, force_grouping=True)


def _outstanding() -> Figure:
    number, total = accounts.outstanding()
    note = ngettext("in %(number)s charge", "in %(number)s charges", number)
    return Figure(
        label=_("Still owed by readers"),
        number=wording.money(total),
        url=list_url(Charge, owed="open"),
        note=note % {"number": _grouped(number)} if number else _("nobody owes anything"),
        tone="" if number else "none",
    )


def _jobs(problems: Sequence[str]) -> Figure:
    return Figure(
        label=_("Jobs that need attention"),
        number=str(len(problems)),
        url=reverse("admin:config_jobs"),
        note=_("see above") if problems else _("all of them run"),
        tone="danger" if problems else "none",
    )
