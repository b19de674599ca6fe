"""What the desk shows where nothing was done: all reasons against, and what to do about it."""

from datetime import date
from typing import Any

from django.contrib.auth.models import Group
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from alerts.wording import day
from catalog.models import Copy
from circulation.desk_rows import Offer, Row, of_loan
from circulation.models import Hold, Loan, Reader
from circulation.refusals import OVERRIDE_PERMISSION, RefusedError


def lending_refused(
    refusal: RefusedError, reader: Reader, copy: Copy, *, by: Reader, due: date | None
) -> Row:
    codes = {block.code for block in refusal.blocks}
    if "already_borrowed" in codes:
        return _already_borrowed(refusal, reader, copy, by=by)
    fields = {"reader": reader.pk, "copy": copy.pk, "due": due.isoformat() if due else ""}
    offers, lines = _overriding(refusal, by=by, url=reverse("desk_lend"), fields=fields)
    if "copy_on_loan" in codes:
        lines = [*whereabouts(copy), *lines]
    return Row(
        tone="bad",
        headline=_("Not lent"),
        title=copy.book.title,
        code=copy.barcode,
        reasons=[block.message for block in refusal.blocks],
        lines=lines,
        offers=offers,
    )


def _already_borrowed(refusal: RefusedError, reader: Reader, copy: Copy, *, by: Reader) -> Row:
    """Offer to renew what the reader has already. The scan alone renews nothing."""
    loan = Loan.objects.open().filter(copy=copy, reader=reader).first()
    offers = []
    if loan is not None and by.has_perm("circulation.renew"):
        offers = [Offer(_("Renew it"), url=reverse("desk_renew"), fields={"loan": loan.pk})]
    return Row(
        tone="note",
        headline=_("This reader has it already"),
        title=copy.book.title,
        code=copy.barcode,
        big=day(loan.expected_return_date) if loan else "",
        big_label=_("Due") if loan else "",
        reasons=[b.message for b in refusal.blocks if b.code != "already_borrowed"],
        lines=[] if offers else [_("Renewing it is not among your permissions.")],
        offers=offers,
    )


def renewal_refused(refusal: RefusedError, loan: Loan, *, by: Reader, due: date | None) -> Row:
    fields = {"loan": loan.pk, "due": due.isoformat() if due else ""}
    offers, lines = _overriding(refusal, by=by, url=reverse("desk_renew"), fields=fields)
    return of_loan(
        loan,
        tone="bad",
        headline=_("Not renewed"),
        reasons=[block.message for block in refusal.blocks],
        lines=lines,
        offers=offers,
    )


def _overriding(
    refusal: RefusedError, *, by: Reader, url: str, fields: dict[str, Any]
) -> tuple[list[Offer], list[str]]:
    """Return the offer to override exactly the blocks that are shown, or the words who may."""
    if not refusal.is_overridable:
        return [], []
    if not by.has_perm(OVERRIDE_PERMISSION):
        return [], [_who_may_override()]
    codes = ",".join(block.code for block in refusal.blocks)
    offer = Offer(_("Override, with a reason"), url, {**fields, "codes": codes}, ask="reason")
    return [offer], []


def _who_may_override() -> str:
    codename = OVERRIDE_PERMISSION.partition(".")[2]
    groups = Group.objects.filter(permissions__codename=codename).order_by("name")
    names = ", ".join(groups.values_list("name", flat=True))
    if not names:
        return _("You may not override this. Ask an administrator.")
    return _("You may not override this. These may: %(roles)s.") % {"roles": names}


def return_refused(refusal: RefusedError, copy: Copy) -> Row:
    return Row(
        tone="bad",
        headline=_("Not taken back"),
        title=copy.book.title,
        code=copy.barcode,
        reasons=[block.message for block in refusal.blocks],
    )


def card_first(copy: Copy) -> Row:
    """A copy was scanned in lend mode while no reader stands at the desk."""
    return Row(
        tone="note",
        headline=_("Scan a card first"),
        title=copy.book.title,
        code=copy.barcode,
        lines=whereabouts(copy),
    )


def whereabouts(copy: Copy) -> list[str]:
    """Say who has the copy, or where it is."""
    loan = Loan.objects.unreturned().select_related("reader").filter(copy=copy).first()
    if loan is not None and loan.lost_date:
        text = _("Lost by %(reader)s on %(date)s.")
        return [text % {"reader": loan.reader, "date": day(loan.lost_date)}]
    if loan is not None:
        text = _("On loan to %(reader)s, due %(date)s.")
        return [text % {"reader": loan.reader, "date": day(loan.expected_return_date)}]
    hold = Hold.objects.ready().select_related("reader").filter(copy=copy).first()
    if hold is not None:
        text = _("On the hold shelf for %(reader)s until %(date)s.")
        return [text % {"reader": hold.reader, "date": day(hold.pickup_until)}]
    return [_("Status: %(status)s.") % {"status": copy.get_status_display()}]


def unknown(text: str, *, by: Reader, may_be_card: bool, may_be_code: bool) -> Row:
    """Nothing has this number or name: offer to add the copy, or the reader."""
    offers = []
    if may_be_code and by.has_perm("catalog.add_copy"):
        fields = {"barcode": text}
        offers.append(Offer(_("Add a copy with it"), reverse("desk_add_copy"), fields, ask="book"))
    if may_be_card and by.has_perm("circulation.add_reader"):
        initial = urlencode({"card_number": text}) if may_be_code else ""
        href = f"{reverse('admin:circulation_reader_add')}?{initial}".rstrip("?")
        offers.append(Offer(_("Add a reader"), href=href))
    return Row(
        tone="bad",
        headline=_("Unknown"),
        code=text,
        lines=[
            _("No copy and no card has this number, and no reader this name.")
            if may_be_code
            else _("No reader is called that.")
        ],
        offers=offers,
    )


def problem(message: str, *, headline: str = "", code: str = "") -> Row:
    return Row("bad", headline or _("Not done"), code=code, reasons=[message])
