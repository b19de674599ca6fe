"""The Desk's scans, one after the other: a card, a barcode lent, the same one taken back."""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from django.test import Client
from django.urls import reverse

from catalog.models import Copy, CopyStatus
from circulation.models import Reader

READERS = 50


def acts(client: Client) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each act with its name; every call scans another card or copy."""
    url = reverse("desk_scan")
    readers = Reader.objects.filter(card_number__gte="C1000", is_active=True, is_blocked=False)
    staff_last = readers.filter(expiry_date=None, pk__gt=READERS).order_by("pk")
    people = cycle(staff_last.values_list("pk", "card_number")[:READERS])
    free = Copy.objects.filter(status=CopyStatus.AVAILABLE, book__holds=None).order_by("pk")
    barcodes = list(free.values_list("barcode", flat=True)[: 2 * READERS])
    to_lend, to_return = cycle(barcodes), cycle(barcodes)

    def scan(mode: str, code: str, reader: Any = "") -> None:
        sent = {"code": code, "mode": mode, "reader": reader}
        answer = client.post(url, sent)
        assert answer.status_code == 200, answer.content
        assert answer.json().get("tone") not in ("refused", "problem"), answer.content

    def lend() -> None:
        scan("lend", next(to_lend), next(people)[0])

    def lend_and_return() -> None:
        lend()
        scan("return", next(to_return))

    yield "a card", lambda: scan("lend", next(people)[1])
    yield "part of a name", lambda: scan("lend", "Nowak")
    yield "a check-out and its return", lend_and_return
