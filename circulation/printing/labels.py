"""Barcode labels of copies, on sheets that can be bought."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from alerts.backoffice.pages import list_url
from alerts.backoffice.prints import chosen, prints
from alerts.backoffice.reports import refuse_unless
from catalog.models import Copy, CopyStatus
from circulation.printing import barcodes, placing
from circulation.printing.names import listed
from circulation.printing.sheets import LABELS, Sheet

MAY_PRINT = "catalog.change_copy|circulation.check_in"
"""Any of them: who looks after copies, or handles them."""
COOKIE = "carrel_labels"
MOST = 1000
PADDING = 1.5
"""Millimetres on either side of a label: no printer puts a sheet exactly."""


def action(parameter: str) -> Any:
    """Return what prints the labels of rows chosen in a list: each a `copy`, `book` or `run`."""
    return prints(
        gettext_lazy("Print labels"),
        permission=MAY_PRINT,
        url_name="print-labels",
        parameter=parameter,
        name="print_labels",
    )


class LabelsForm(placing.PlacingForm):
    sheets = LABELS
    start = forms.CharField(
        label=gettext_lazy("From barcode"),
        max_length=64,
        required=False,
        help_text=gettext_lazy("For many copies at once, such as a whole delivery."),
    )
    end = forms.CharField(label=gettext_lazy("To barcode"), max_length=64, required=False)
    next = forms.CharField(max_length=64, required=False, widget=forms.HiddenInput)

    def clean(self) -> None:
        super().clean()
        start, end = self.cleaned_data.get("start"), self.cleaned_data.get("end")
        if bool(start) != bool(end):
            missing = "end" if start else "start"
            self.add_error(missing, _("Fill in both ends of the range, or none."))
        elif start and end and start > end:
            self.add_error("end", _("This range ends before it begins."))


@dataclass(frozen=True)
class Label:
    copy: Copy
    bars: SafeString


def may_print(request: HttpRequest) -> bool:
    return any(request.user.has_perm(each) for each in MAY_PRINT.split("|"))


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    refuse_unless(may_print(request))
    form = placing.asked(request, LabelsForm, cookie=COOKIE)
    copies, beyond = _copies(request, form)
    in_use = [copy for copy in copies if copy.status != CopyStatus.WITHDRAWN]
    labels, problems = _labels(in_use, form.chosen_sheet if form.is_valid() else None)
    if len(in_use) < len(copies):
        text = _("Withdrawn copies get no label; left out: %(number)d.")
        problems.append(text % {"number": len(copies) - len(in_use)})
    if beyond:
        problems.append(_("Only %(most)d labels are here; more follow.") % {"most": MOST})
    return placing.respond(
        request,
        form,
        labels,
        piece="label",
        cookie=COOKIE,
        problems=problems,
        context={
            "title": _("Barcode labels"),
            "library": settings.LIBRARY_NAME,
            "back_url": list_url(Copy),
            "next_url": _next_url(request, beyond),
            "empty": _("Choose copies in their list, or a range of barcodes here."),
        },
    )


def _copies(request: HttpRequest, form: placing.PlacingForm) -> tuple[list[Copy], list[Copy]]:
    """Return the copies to make labels for, in the order of their barcodes, and the next one."""
    wanted = Q(pk__in=chosen(request, "copy")) | Q(book__in=chosen(request, "book"))
    wanted |= Q(import_run__in=chosen(request, "run"))
    if form.is_valid() and form.cleaned_data.get("start"):
        wanted |= Q(barcode__range=(form.cleaned_data["start"], form.cleaned_data["end"]))
    found: QuerySet[Copy] = Copy.objects.filter(wanted).select_related("book")
    if form.is_valid() and form.cleaned_data.get("next"):
        found = found.filter(barcode__gte=form.cleaned_data["next"])
    copies = list(found.order_by("barcode")[: MOST + 1])
    return copies[:MOST], copies[MOST:]


def _next_url(request: HttpRequest, beyond: Sequence[Copy]) -> str:
    """Return the way to the labels after these, which begin a new sheet."""
    if not beyond:
        return ""
    query = request.GET.copy()
    query["next"], query["first"] = beyond[0].barcode, "1"
    return f"?{query.urlencode()}"


def _labels(copies: Sequence[Copy], sheet: Sheet | None) -> tuple[list[Label], list[str]]:
    """Return the labels that fit on the sheet, and what is said of the others."""
    labels: list[Label] = []
    too_long: list[str] = []
    if sheet is None:
        return [], []
    for copy in copies:
        try:
            bars = barcodes.fitted(copy.barcode, width=sheet.width - 2 * PADDING)
        except barcodes.TooLongError:
            too_long.append(copy.barcode)
        else:
            labels.append(Label(copy, bars.svg(height=_height(sheet))))
    if not too_long:
        return labels, []
    text = ngettext(
        "%(number)d barcode is too long for these labels: %(codes)s. Choose a wider sheet.",
        "%(number)d barcodes are too long for these labels: %(codes)s. Choose a wider sheet.",
        len(too_long),
    )
    return labels, [text % {"number": len(too_long), "codes": listed(too_long)}]


def _height(sheet: Sheet) -> float:
    """Return how high the bars are: two fifths of a label, and no more than a scanner needs."""
    return round(min(sheet.height * 0.4, 14), 1)
