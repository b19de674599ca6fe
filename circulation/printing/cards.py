"""Readers' cards, with the name and the card's number as a barcode."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from alerts.backoffice.pages import list_url
from alerts.backoffice.prints import chosen
from alerts.backoffice.reports import refuse_unless
from circulation.models import Reader
from circulation.printing import barcodes, placing
from circulation.printing.names import listed
from circulation.printing.sheets import CARDS, Sheet

MAY_PRINT = "circulation.change_reader"
COOKIE = "carrel_cards"
MARGIN = 5
"""Millimetres on either side of a card's barcode."""
HEIGHT = 13.0
"""Of the bars, in millimetres."""


class CardsForm(placing.PlacingForm):
    sheets = CARDS


@dataclass(frozen=True)
class Card:
    reader: Reader
    bars: SafeString


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    refuse_unless(request.user.has_perm(MAY_PRINT))
    form = placing.asked(request, CardsForm, cookie=COOKIE)
    readers = Reader.objects.filter(pk__in=chosen(request, "reader"))
    sheet = form.chosen_sheet if form.is_valid() else None
    cards, problems = _cards(list(readers.order_by("last_name", "first_name", "pk")), sheet)
    return placing.respond(
        request,
        form,
        cards,
        piece="card",
        cookie=COOKIE,
        problems=problems,
        context={
            "title": _("Reader cards"),
            "library": settings.LIBRARY_NAME,
            "back_url": list_url(Reader),
            "empty": _("Choose readers in their list, then “Print cards”."),
        },
    )


def _cards(readers: Sequence[Reader], sheet: Sheet | None) -> tuple[list[Card], list[str]]:
    """Return the cards, and why some readers have none."""
    cards: list[Card] = []
    without: list[Reader] = []
    too_long: list[Reader] = []
    if sheet is None:
        return [], []
    for reader in readers:
        if not reader.card_number:
            without.append(reader)
            continue
        try:
            bars = barcodes.fitted(reader.card_number, width=sheet.width - 2 * MARGIN)
        except barcodes.TooLongError:
            too_long.append(reader)
        else:
            cards.append(Card(reader, bars.svg(height=HEIGHT)))
    problems = []
    if without:
        text = _("No card without a number. Give one on their pages to: %(names)s")
        problems.append(text % {"names": listed(without)})
    if too_long:
        text = _("The card numbers of these readers are too long for a card: %(names)s")
        problems.append(text % {"names": listed(too_long)})
    return cards, problems
