"""Letters about what is overdue: one for each reader, on all that was kept too long."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_safe

from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    list_url,
)
from alerts.backoffice.prints import chosen
from alerts.backoffice.reports import refuse_unless
from alerts.wording import money
from billing import accounts
from billing.models import Charge
from circulation import personal_data
from circulation.models import Loan, Reader
from circulation.printing.names import listed

PERMISSIONS = ("circulation.view_loan", "circulation.view_reader", personal_data.SEE)
ITEMS_OF_A_LETTER = 40
"""The letter says how many more there are."""


@dataclass(frozen=True)
class Item:
    loan: Loan
    days_late: int


@dataclass(frozen=True)
class Letter:
    reader: Reader
    items: list[Item]
    more: int
    """How many are overdue beyond those listed."""
    owed: Decimal

    @property
    def owed_text(self) -> str:
        return money(self.owed)


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    refuse_unless(request.user.has_perms(PERMISSIONS))
    today = timezone.localdate()
    letters, in_time = _letters(_readers(request), on=today)
    context = {
        "title": _("Overdue letters"),
        "library": settings.LIBRARY_NAME,
        "letters": letters,
        "today": today,
        "names_sums": may_view(request, Charge),
        "number": len(letters),
        "problems": _without_letter(in_time),
        "back_url": list_url(Loan, state="overdue"),
        "empty": _("Choose overdue loans in their list, or readers in the report on them."),
    }
    return TemplateResponse(request, "circulation/print/letters.html", context)


def _readers(request: HttpRequest) -> list[Reader]:
    """Return the chosen readers, and those of the chosen loans, in the order of their names."""
    numbers = set(chosen(request, "reader"))
    loans = Loan.objects.filter(pk__in=chosen(request, "loan"))
    numbers.update(loans.values_list("reader", flat=True))
    readers = Reader.objects.filter(pk__in=numbers)
    return list(readers.order_by("last_name", "first_name", "pk"))


def _letters(readers: Sequence[Reader], *, on: date) -> tuple[list[Letter], list[Reader]]:
    """Return a letter for each who has something overdue, and the readers who have nothing."""
    items: dict[int, list[Item]] = defaultdict(list)
    overdue = Loan.objects.overdue(on=on).filter(reader__in=readers)
    for loan in overdue.select_related("copy__book").order_by("expected_return_date", "pk"):
        items[loan.reader_id].append(Item(loan, (on - loan.expected_return_date).days))
    sums = accounts.OWED.filter(reader__in=list(items)).order_by().values_list("reader")
    owed = dict(sums.annotate(sum=Sum("owed")))
    letters = [
        Letter(
            reader,
            items[reader.pk][:ITEMS_OF_A_LETTER],
            max(len(items[reader.pk]) - ITEMS_OF_A_LETTER, 0),
            round(owed.get(reader.pk, accounts.ZERO), 2),
        )
        for reader in readers
        if reader.pk in items
    ]
    return letters, [reader for reader in readers if reader.pk not in items]


def _without_letter(readers: Sequence[Reader]) -> list[str]:
    if not readers:
        return []
    text = ngettext(
        "No letter for %(number)d of those chosen, who has nothing overdue: %(names)s",
        "No letter for %(number)d of those chosen, who have nothing overdue: %(names)s",
        len(readers),
    )
    return [text % {"number": len(readers), "names": listed(readers)}]
