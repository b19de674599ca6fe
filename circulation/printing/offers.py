"""What can be printed without choosing rows of a list first, for the page of reports."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from circulation.printing import cards, labels, slips


@dataclass(frozen=True)
class Offer:
    title: str
    about: str
    icon: str
    url: str


def offers(request: HttpRequest) -> list[Offer]:
    """Return what this user may print."""
    return list(_offers(request))


def _offers(request: HttpRequest) -> Iterator[Offer]:
    if request.user.has_perm(slips.MAY_PRINT):
        url: Any = reverse("print-slips")
        yield Offer(
            _("Slips to pull"),
            _("The books on the shelves that readers wait for, in the order of the call numbers."),
            "shelves",
            f"{url}?all=pull",
        )
        yield Offer(
            _("Slips for the hold shelf"),
            _("For every book that waits to be picked up: whose it is and until when."),
            "bookmark",
            f"{url}?all=ready",
        )
    if labels.may_print(request):
        yield Offer(
            _("Barcode labels"),
            _("For a range of barcodes, or copies chosen in their list. Has a test page."),
            "barcode",
            reverse("print-labels"),
        )
    if request.user.has_perm(cards.MAY_PRINT):
        yield Offer(
            _("Reader cards"),
            _("Choose the sheet and try the printer with a test page; then choose readers."),
            "badge",
            reverse("print-cards"),
        )
