"""Overdue readers with what they have and how to reach them, to be worked through one by one."""

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.db.models import Count, F, Q, QuerySet, Sum, Window
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.widgets import UnfoldAdminSelectWidget

from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    Table,
    day,
    list_url,
    money,
)
from alerts.backoffice.reports import Answer, Report
from alerts.spreadsheets import CHUNK
from billing import accounts
from billing.models import Charge
from circulation import personal_data, reader_page
from circulation.models import Loan, Reader

READERS_ON_A_PAGE = 25
LAST_PAGE = 9999
ITEMS_OF_A_READER = 5
LOANS_OF_A_READER, MORE = 4, 10
"""How many loans are looked at for each reader, and how many times more where that is too few."""
NO_EMAIL = Q(reader__contact_email="") & (Q(reader__email=None) | Q(reader__email=""))
REACHED = {
    "phone": ~Q(reader__phone=""),
    "email": ~NO_EMAIL,
    "none": NO_EMAIL & Q(reader__phone=""),
    "phone_only": NO_EMAIL & ~Q(reader__phone=""),
}


class OverdueForm(forms.Form):
    late = forms.TypedChoiceField(
        label=gettext_lazy("Late"),
        coerce=int,
        choices=(
            (1, gettext_lazy("at all")),
            (8, gettext_lazy("more than a week")),
            (31, gettext_lazy("more than 30 days")),
            (91, gettext_lazy("more than 90 days")),
        ),
        widget=UnfoldAdminSelectWidget,
    )
    reach = forms.ChoiceField(
        label=gettext_lazy("To be reached"),
        choices=(
            ("all", gettext_lazy("in any way")),
            ("phone", gettext_lazy("by phone")),
            ("email", gettext_lazy("by email")),
            ("phone_only", gettext_lazy("by phone only: no email")),
            ("none", gettext_lazy("by letter only: no phone, no email")),
        ),
        widget=UnfoldAdminSelectWidget,
    )
    page = forms.IntegerField(
        min_value=1, max_value=LAST_PAGE, widget=forms.HiddenInput, label=gettext_lazy("Page")
    )

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(data)
        # What is chosen anew begins on the first page.
        self.fields["page"].widget.attrs["disabled"] = True


class OverdueReaders(Report):
    code = "overdue"
    title = gettext_lazy("Overdue readers")
    about = gettext_lazy(
        "Who has kept what too long, how to reach them and what they owe: to call, write to or "
        "print letters for."
    )
    icon = "assignment_late"
    permissions = ("circulation.view_loan", "circulation.view_reader", personal_data.SEE)
    csv_permissions = ("circulation.export_reader",)
    form_class = OverdueForm
    template = "circulation/reports/overdue.html"

    def usual(self, today: datetime.date) -> dict[str, Any]:
        return {"late": 1, "reach": "all", "page": 1}

    def answer(self, request: HttpRequest, asked: dict[str, Any]) -> Answer:
        today, page = timezone.localdate(), asked["page"]
        start = (page - 1) * READERS_ON_A_PAGE
        places = _readers(asked, on=today, most=start + READERS_ON_A_PAGE + 1)[start:]
        shown = places[:READERS_ON_A_PAGE]
        rows = _rows(request, shown, on=today)
        query = request.GET.copy()
        links = {}
        if page > 1:
            query["page"] = str(page - 1)
            links["before_url"] = f"?{query.urlencode()}"
        if len(places) > len(shown) and page < LAST_PAGE:
            query["page"] = str(page + 1)
            links["after_url"] = f"?{query.urlencode()}"
        table = Table(_("The longest overdue first"), _headers(request), rows, _nobody(page))
        return Answer([table], context={**links, "has_readers": bool(rows)})

    def headers(self, request: HttpRequest) -> Sequence[str]:
        return [
            _("Card"),
            _("Last name"),
            _("First name"),
            _("Phone"),
            _("Email"),
            _("Language"),
            _("Items overdue"),
            _("Barcode"),
            _("Title"),
            _("Author"),
            _("Lent"),
            _("Due"),
            _("Days late"),
            *([_("Reader owes")] if may_view(request, Charge) else []),
        ]

    def records(self, request: HttpRequest, asked: dict[str, Any]) -> Iterable[Sequence[Any]]:
        return _records(asked, on=timezone.localdate(), with_money=may_view(request, Charge))


def _overdue(asked: dict[str, Any], *, on: datetime.date) -> QuerySet[Loan]:
    """Return the loans that are as late as was asked for, of readers to be reached so."""
    return Loan.objects.late_by(asked["late"], on=on).filter(REACHED.get(asked["reach"], Q()))


def _readers(asked: dict[str, Any], *, on: datetime.date, most: int) -> list[int]:
    """Return the first readers in the order of the report: the longest overdue first.

    They are looked for among the oldest loans, by whole days: who has one of those comes before
    everybody else, so that the other loans need not be looked at.
    """
    overdue = _overdue(asked, on=on)
    days = overdue.order_by("expected_return_date").values_list("expected_return_date", flat=True)
    looked_at = LOANS_OF_A_READER * most
    while last := days[looked_at : looked_at + 1].first():
        found = _by_oldest(overdue.filter(expected_return_date__lte=last), most)
        if len(found) == most:
            return found
        looked_at *= MORE
    return _by_oldest(overdue, most)


def _by_oldest(loans: QuerySet[Loan], most: int) -> list[int]:
    """Group them here: a database that is to group by readers takes an index that is no help."""
    oldest: dict[int, datetime.date] = {}
    by_day = loans.order_by("expected_return_date")
    for due, reader in by_day.values_list("expected_return_date", "reader"):
        oldest.setdefault(reader, due)
    return sorted(oldest, key=lambda reader: (oldest[reader], reader))[:most]


def _headers(request: HttpRequest) -> list[str]:
    headers = [_("Letter"), _("Reader"), _("To be reached"), _("Items overdue")]
    return [*headers, _("Owes")] if may_view(request, Charge) else headers


def _nobody(page: int) -> str:
    if page > 1:
        return _("There is nobody on this page. Go back to the first one.")
    return _("Nobody is as late as this, or to be reached so. All is well, or choose another.")


def _rows(request: HttpRequest, numbers: Sequence[int], *, on: datetime.date) -> list[list[Any]]:
    readers = Reader.objects.in_bulk(numbers)
    loans: dict[int, list[Loan]] = defaultdict(list)
    overdue = Loan.objects.overdue(on=on).filter(reader__in=numbers)
    for loan in overdue.select_related("copy__book").order_by("expected_return_date", "pk"):
        loans[loan.reader_id].append(loan)
    owed = _owed(numbers) if may_view(request, Charge) else None
    return [
        [
            _tick(readers[number]),
            _person(readers[number]),
            _contacts(readers[number]),
            _items(loans[number], on=on),
            *([] if owed is None else [money(owed.get(number, accounts.ZERO))]),
        ]
        for number in numbers
    ]


def _owed(readers: Sequence[int] | QuerySet[Any, Any]) -> dict[int, Decimal]:
    sums = accounts.OWED.filter(reader__in=readers).order_by().values_list("reader")
    return {reader: round(owed, 2) for reader, owed in sums.annotate(sum=Sum("owed"))}


def _tick(reader: Reader) -> str:
    return format_html(
        '<input class="report-tick" type="checkbox" name="reader" value="{}" form="letters" '
        'aria-label="{}" checked>',
        reader.pk,
        _("Letter for %(reader)s") % {"reader": reader},
    )


def _person(reader: Reader) -> str:
    return format_html(
        '<div><a class="text-link" href="{}">{}</a><br>{}</div>',
        reader_page.reader_url(reader.pk),
        reader,
        reader.card_number or "",
    )


def _contacts(reader: Reader) -> str:
    return render_to_string("circulation/reports/contacts.html", {"reader": reader})


def _items(loans: Sequence[Loan], *, on: datetime.date) -> str:
    context = {
        "loans": [_item(loan, on=on) for loan in loans[:ITEMS_OF_A_READER]],
        "more": len(loans) - ITEMS_OF_A_READER,
        "url": list_url(Loan, state="overdue", reader__id__exact=loans[0].reader_id)
        if loans
        else "",
    }
    return render_to_string("circulation/reports/items.html", context)


def _item(loan: Loan, *, on: datetime.date) -> dict[str, Any]:
    days = (on - loan.expected_return_date).days
    late = ngettext("%(days)d day late", "%(days)d days late", days) % {"days": days}
    return {"loan": loan, "due": day(loan.expected_return_date), "late": late}


def _records(
    asked: dict[str, Any], *, on: datetime.date, with_money: bool
) -> Iterator[tuple[Any, ...]]:
    """Yield a record for each overdue item, those of one reader together."""
    found: Any = Loan.objects.overdue(on=on)
    if asked["late"] > 1 or asked["reach"] != "all":
        found = found.filter(reader__in=_overdue(asked, on=on).values("reader"))
    owed = _owed(found.order_by().values("reader")) if with_money else {}
    found = found.annotate(items=Window(Count("pk"), partition_by=F("reader")))
    ordered = found.select_related("reader", "copy__book").order_by(
        "reader__last_name", "reader__first_name", "reader", "expected_return_date", "pk"
    )
    for loan in ordered.iterator(chunk_size=CHUNK):
        reader, book = loan.reader, loan.copy.book
        yield (
            reader.card_number or "",
            reader.last_name,
            reader.first_name,
            reader.phone,
            reader.notice_email,
            reader.language,
            loan.items,
            loan.copy.barcode,
            book.title,
            book.author,
            loan.borrow_date,
            loan.expected_return_date,
            (on - loan.expected_return_date).days,
            *((owed.get(loan.reader_id, accounts.ZERO),) if with_money else ()),
        )
