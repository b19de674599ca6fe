"""What a visitor of the demo needs to know: logins, and cards and barcodes to try."""

from collections.abc import Iterable

from django.utils import timezone
from django.utils.translation import gettext as _

from billing import charges
from catalog.models import Copy, CopyStatus
from circulation.models import Hold, Loan, Reader
from config.demo import people


def text() -> str:
    logins = [
        (people.email_of(role), people.PASSWORD, role or _("Superuser"))
        for role, _first, _last in people.STAFF
    ]
    return "\n".join(
        [
            "",
            *_table((_("Sign in as"), _("Password"), _("Role")), logins),
            "",
            *_table((_("At the desk"), _("Card or barcode"), _("What it is")), _to_try()),
            "",
        ]
    )


def _to_try() -> Iterable[tuple[str, str, str]]:
    """Return things as they are now: a demo that is used changes."""
    today = timezone.localdate()
    for number in (1, 2, 4, 6, 7, 9):
        reader = Reader.objects.get(card_number=people.card(number))
        yield str(reader), reader.card_number or "", _about(reader)
    for copy in Copy.objects.filter(status=CopyStatus.AVAILABLE).order_by("pk")[:2]:
        yield _title(copy), copy.barcode, _("free")
    late = Loan.objects.overdue(on=today).order_by("-expected_return_date")
    for loan in late.select_related("copy__book")[1:3]:
        days = (today - loan.expected_return_date).days
        yield _title(loan.copy), loan.copy.barcode, _("%(days)d days late") % {"days": days}
    for hold in Hold.objects.ready().select_related("copy__book", "reader")[:1]:
        if hold.copy:
            what = _("on the hold shelf for %(card)s") % {"card": hold.reader.card_number}
            yield _title(hold.copy), hold.copy.barcode, what


def _about(reader: Reader) -> str:
    today = timezone.localdate()
    facts = [
        _("%(count)d on loan") % {"count": Loan.objects.open().filter(reader=reader).count()},
        _("owes %(sum)s") % {"sum": charges.balance(reader)},
    ]
    if reader.is_expired(on=today):
        facts.append(_("card expired"))
    if reader.is_blocked:
        facts.append(_("blocked"))
    if reader.category:
        facts.append(reader.category.name)
    return ", ".join(facts)


def _title(copy: Copy) -> str:
    return copy.book.title.split("\n")[0][:36]


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return [padded[0], "-" * len(padded[0]), *padded[1:]]
