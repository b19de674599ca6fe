"""Slips for holds: one to find a book on the shelves, one to put into it on the hold shelf."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from alerts.backoffice.pages import list_url
from alerts.backoffice.prints import chosen
from alerts.backoffice.reports import refuse_unless
from catalog.models import Copy, CopyStatus
from circulation import holds
from circulation.models import Hold, HoldStatus
from circulation.printing import barcodes
from circulation.printing.names import for_the_shelf

MAY_PRINT = "circulation.change_hold"
MOST = 200
COPIES_NAMED = 5
WIDTH, HEIGHT = 58.0, 10.0
"""Of a slip's barcode, in millimetres."""


@dataclass(frozen=True)
class Slip:
    hold: Hold
    whose: str
    card: str
    """Its last figures."""
    copies: list[str]
    """The barcodes of the free copies, one of which is to be pulled."""
    bars: SafeString | None = None

    @property
    def is_ready(self) -> bool:
        return self.hold.status == HoldStatus.READY


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    refuse_unless(request.user.has_perm(MAY_PRINT))
    found = list(_wanted(request)[: MOST + 1])
    slips = [_slip(hold) for hold in found[:MOST]]
    context = {
        "title": _("Hold slips"),
        "library": settings.LIBRARY_NAME,
        "today": timezone.localdate(),
        "slips": slips,
        "number": len(slips),
        "problems": [_("Only the first %(most)d are here.") % {"most": MOST}]
        if len(found) > MOST
        else [],
        "back_url": list_url(Hold, state="active"),
        "empty": _("None of these holds waits for a copy or to be picked up: there is no slip."),
    }
    return TemplateResponse(request, "circulation/print/slips.html", context)


def _wanted(request: HttpRequest) -> QuerySet[Hold]:
    """Return the chosen holds, or all of a kind: `?all=pull` or `?all=ready`."""
    match request.GET.get("all"):
        case "pull":
            found: QuerySet[Hold] = holds.to_pull()
        case "ready":
            found = Hold.objects.ready()
        case _:
            found = Hold.objects.active().filter(pk__in=chosen(request, "hold"))
    here = Copy.objects.filter(status=CopyStatus.AVAILABLE).order_by("barcode")
    free: Any = Prefetch("book__copies", here, to_attr="free_copies")
    # By the shelves: whoever pulls the books walks along them once.
    order = ("book__call_number", "book__author", "book__title", "placed_at", "pk")
    return found.select_related("book", "reader", "copy").prefetch_related(free).order_by(*order)


def _slip(hold: Any) -> Slip:
    whose, card = for_the_shelf(hold.reader)
    if hold.status != HoldStatus.READY:
        free = [copy.barcode for copy in hold.book.free_copies]
        return Slip(hold, whose, card, free[:COPIES_NAMED])
    try:
        bars = barcodes.fitted(hold.copy.barcode, width=WIDTH).svg(height=HEIGHT)
    except barcodes.TooLongError:
        bars = None  # the number is on the slip, too
    return Slip(hold, whose, card, [], bars)
