"""What has become of a loan: as a label, and as a filter of the list."""

from datetime import date, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import DropdownFilter

from alerts.backoffice.pages import badge
from circulation.models import Loan


def status_badge(loan: Loan, *, on: date) -> str:
    """Return what has become of a loan, as a coloured label."""
    if loan.undone_at is not None:
        return badge(_("undone"))
    if loan.actual_return_date is not None:
        return _returned_badge(loan)
    if loan.lost_date is not None:
        return badge(_("lost"), "danger")
    late = (on - loan.expected_return_date).days
    if late <= 0:
        return badge(_("due today") if late == 0 else _("open"), "info")
    text = ngettext("overdue by %(days)d day", "overdue by %(days)d days", late)
    return badge(text % {"days": late}, "danger")


def _returned_badge(loan: Loan) -> str:
    is_late = loan.actual_return_date > loan.expected_return_date  # type: ignore[operator]
    return badge(_("returned late"), "warning") if is_late else badge(_("returned"), "success")


OPEN = Q(actual_return_date__isnull=True, lost_date__isnull=True)
LATE = {"late-1": (1, 7), "late-8": (8, 30), "late-31": (31, None)}
"""For how many days, by the state that the filter calls it."""
OPEN_STATES = ("open", "overdue", "today", *LATE)


class LoanStateFilter(DropdownFilter):
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("open", _("Open")),
            ("overdue", _("Overdue")),
            ("late-1", _("Overdue by 1 to 7 days")),
            ("late-8", _("Overdue by 8 to 30 days")),
            ("late-31", _("Overdue by more than 30 days")),
            ("today", _("Due today")),
            ("lost", _("Lost, not found")),
            ("late", _("Returned late")),
            ("returned", _("Returned")),
            ("undone", _("Undone")),
        ]

    def queryset(self, request: HttpRequest, loans: QuerySet[Loan]) -> QuerySet[Loan]:
        today = timezone.localdate()
        if (few := _few(self.value(), on=today)) is not None:
            return loans.filter(pk__in=few.values("pk"))
        chosen = _many(self.value(), on=today)
        return loans if chosen is None else loans.filter(chosen)


def _many(state: str | None, *, on: date) -> Q | None:
    came_back = Q(actual_return_date__isnull=False, undone_at__isnull=True)
    return {
        "open": OPEN,
        "overdue": OPEN & Q(expected_return_date__lt=on),
        "late-31": OPEN & Q(expected_return_date__lte=on - timedelta(days=LATE["late-31"][0])),
        # What is undone is over; to say so lets the index of lost loans answer.
        "lost": Q(lost_date__isnull=False, undone_at__isnull=True, actual_return_date=None),
        "late": came_back & Q(actual_return_date__gt=F("expected_return_date")),
        "returned": came_back,
        "undone": Q(undone_at__isnull=False),
    }.get(state or "")


def _few(state: str | None, *, on: date) -> QuerySet[Loan] | None:
    """Return the open loans due on some days, or None where a state is none of such few.

    They are found by the day and then put in order; of the many, the newest are found by the index
    that has them in order.
    """
    match state:
        case "today":
            return Loan.objects.due(on=on)
        case "late-1" | "late-8":
            return Loan.objects.late_by(*LATE[state], on=on)
    return None
