"""The Desk: the page on which a librarian lends and takes back, and the acts that it posts.

One field takes cards, barcodes and names alike, for cards and barcodes share one namespace.
"""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from catalog import inventory
from catalog.models import Book, Copy
from catalog.search import BARCODE, search
from circulation import desk, desk_readers, desk_refusals, desk_rows, undo
from circulation.desk_requests import (
    CHECK_IN,
    CHECK_OUT,
    DESK_PERMISSIONS,
    RENEW,
    BadInputError,
    answer,
    chosen_date,
    desk_act,
    number,
    reader_at_desk,
    require_any,
    staff,
)
from circulation.models import DeskAct, Loan, Reader
from circulation.refusals import Overriding, RefusedError

LEND, RETURN = "lend", "return"
LET_GO_SECONDS = 60
WARNING_SECONDS = 15
MOST_ROWS = 50
MOST_BOOKS = 9
ACTS_SHOWN = 10


def page(request: HttpRequest) -> HttpResponse:
    """Show the Desk, with the reader at it whom `?reader=` names: the reader's page leads here."""
    require_any(request, *DESK_PERMISSIONS)
    served = request.GET.get("reader", "")
    context = {
        **admin.site.each_context(request),
        "title": _("Desk"),
        "mode": LEND if request.user.has_perm(CHECK_OUT) else RETURN,
        "rows": [desk_rows.earlier(act) for act in _own_acts(staff(request), most=ACTS_SHOWN)],
        "let_go_seconds": LET_GO_SECONDS,
        "warning_seconds": WARNING_SECONDS,
        "most_rows": MOST_ROWS,
        "served": served if served.isascii() and served.isdigit() and len(served) < 19 else "",
    }
    return TemplateResponse(request, "circulation/desk.html", context)


@desk_act
def scan(request: HttpRequest) -> JsonResponse:
    """A card, a barcode or part of a name, in the mode that the page was in."""
    text = request.POST.get("code", "").strip()
    mode = request.POST.get("mode", "")
    if not text or "\x00" in text or mode not in (LEND, RETURN):
        raise BadInputError(_("Nothing was scanned."))
    if (copy := _copy(text)) is not None:
        return _take_back(request, copy) if mode == RETURN else _lend_scanned(request, copy)
    if (reader := desk_readers.by_card(text)) is not None:
        return answer(reader=reader, say=str(reader))
    return _look_up_name(request, text, mode)


def _copy(code: str) -> Copy | None:
    return Copy.objects.select_related("book").filter(barcode=code).first()


def _look_up_name(request: HttpRequest, text: str, mode: str) -> JsonResponse:
    found = desk_readers.by_name(text)[: desk_readers.MOST_PICKS + 1]
    readers = list(found)
    if len(readers) == 1:
        return answer(reader=readers[0], say=str(readers[0]))
    if readers:
        return _picks("desk_reader_picks.html", readers, text)
    is_code = BARCODE.fullmatch(text) is not None
    by = staff(request)
    return answer(desk_refusals.unknown(text, by=by, may_be_card=mode == LEND, may_be_code=is_code))


def _picks(template: str, found: list[Reader] | list[Book], text: str) -> JsonResponse:
    """A short list to choose from; the last one found only tells that there are more."""
    shown = found[: desk_readers.MOST_PICKS]
    context = {"found": shown, "has_more": len(found) > len(shown), "text": text}
    say = _("Choose one: %(names)s.") % {"names": "; ".join(str(one) for one in shown)}
    return JsonResponse({"picks": render_to_string(f"circulation/{template}", context), "say": say})


def _lend_scanned(request: HttpRequest, copy: Copy) -> JsonResponse:
    require_any(request, CHECK_OUT)
    reader = reader_at_desk(request)
    if reader is None:
        return answer(desk_refusals.card_first(copy))
    return _lend(request, reader, copy, None)


def _lend(
    request: HttpRequest, reader: Reader, copy: Copy, override: Overriding | None
) -> JsonResponse:
    due = chosen_date(request, "due")
    by = staff(request)
    try:
        done = desk.check_out(reader, copy, due=due, by=by, override=override)
    except RefusedError as refusal:
        row = desk_refusals.lending_refused(refusal, reader, copy, by=by, due=due)
        return answer(row, reader=reader)
    return answer(desk_rows.lent(done), reader=reader)


@desk_act
def lend(request: HttpRequest) -> JsonResponse:
    """Lend although something stands against it: the blocks that were seen, and a reason."""
    require_any(request, CHECK_OUT)
    reader = reader_at_desk(request)
    copy = Copy.objects.select_related("book").filter(pk=number(request, "copy")).first()
    if reader is None or copy is None:
        raise BadInputError(_("This copy or this reader is no longer there. Scan again."))
    return _lend(request, reader, copy, _override(request))


def _override(request: HttpRequest) -> Overriding | None:
    """Return what the page asks to set aside. Raises BadInputError for a reason that is a scan."""
    codes = request.POST.get("codes", "")
    if not codes:
        return None
    reason = request.POST.get("reason", "").strip()
    if inventory.is_taken(reason):
        raise BadInputError(
            _("“%(text)s” is a barcode or a card, not a reason. Nothing was done.")
            % {"text": reason}
        )
    return Overriding(frozenset(codes.split(",")), reason)


def _take_back(request: HttpRequest, copy: Copy) -> JsonResponse:
    require_any(request, CHECK_IN)
    dropped = chosen_date(request, "dropped")
    try:
        done = desk.check_in(copy, on=dropped, by=staff(request))
    except RefusedError as refusal:
        return answer(desk_refusals.return_refused(refusal, copy), reader=reader_at_desk(request))
    row = desk_rows.taken_back(done, on=dropped or timezone.localdate())
    return answer(row, reader=reader_at_desk(request))


@desk_act
def renew(request: HttpRequest) -> JsonResponse:
    """Renew a loan on an explicit offer, never on a scan alone."""
    require_any(request, RENEW)
    loan = (
        Loan.objects.select_related("copy__book", "reader__category")
        .filter(pk=number(request, "loan"))
        .first()
    )
    if loan is None:
        raise BadInputError(_("This loan is no longer there. Scan again."))
    due = chosen_date(request, "due")
    by = staff(request)
    try:
        done = desk.renew(loan, due=due, by=by, override=_override(request))
    except RefusedError as refusal:
        row = desk_refusals.renewal_refused(refusal, loan, by=by, due=due)
        return answer(row, reader=loan.reader)
    return answer(desk_rows.renewed(done), reader=loan.reader)


@desk_act
def undo_last(request: HttpRequest) -> JsonResponse:
    """Undo the act that the page names, or else the last one of this member of staff today."""
    by = staff(request)
    act = _act_to_undo(by, number(request, "act"))
    if act is None:
        message = _("You have done nothing today that can be undone.")
        return answer(desk_refusals.problem(message, headline=_("Nothing to undo")))
    require_any(request, undo.PERMISSIONS[DeskAct.Kind(act.kind)])
    today = timezone.localdate()
    owed_before = desk_readers.owed(act.loan.reader, on=today)
    try:
        undo.undo(act, by=by)
    except RefusedError as refusal:
        row = desk_refusals.problem(
            str(refusal), headline=_("Not undone"), code=act.loan.copy.barcode
        )
        return answer(row, reader=reader_at_desk(request))
    owed_now = desk_readers.owed(act.loan.reader, on=today)
    row = desk_rows.undone(act, owed_before=owed_before, owed_now=owed_now)
    return answer(row, reader=reader_at_desk(request), undone=act.pk)


def _act_to_undo(by: Reader, pk: int) -> DeskAct | None:
    if pk:
        return _acts_of(by).filter(pk=pk).first()
    return next(iter(_own_acts(by, most=1)), None)


def _own_acts(by: Reader, *, most: int) -> list[DeskAct]:
    """Return the last acts of this member of staff that were done today and not undone."""
    recent = _acts_of(by).order_by("-pk")[: 5 * most]
    today = timezone.localdate()
    return [act for act in recent if act.date == today and act.undone_at is None][:most]


def _acts_of(by: Reader) -> QuerySet[DeskAct]:
    return DeskAct.objects.filter(by=by).select_related("loan__copy__book", "loan__reader")


@desk_act
def show_reader(request: HttpRequest) -> JsonResponse:
    """The reader picked from a list of names."""
    reader = reader_at_desk(request)
    if reader is None:
        raise BadInputError(_("This reader is no longer there. Scan again."))
    return answer(reader=reader, say=str(reader))


@desk_act
def find_books(request: HttpRequest) -> JsonResponse:
    """The books among which staff choose the one that a new copy is of."""
    require_any(request, "catalog.add_copy")
    text = request.POST.get("text", "").strip()
    found = list(search(text)[: MOST_BOOKS + 1]) if text else []
    return _picks("desk_book_picks.html", found, text)


@desk_act
def add_copy(request: HttpRequest) -> JsonResponse:
    """Add the copy whose barcode was unknown; the page then scans it again."""
    require_any(request, "catalog.add_copy")
    book = Book.objects.filter(pk=number(request, "book")).first()
    barcode = request.POST.get("barcode", "").strip()
    if book is None:
        raise BadInputError(_("This book is no longer there. Search again."))
    try:
        copy = inventory.add_copy(book, barcode, by=staff(request))
    except inventory.InventoryRefusedError as refusal:
        return answer(desk_refusals.problem(str(refusal), code=barcode))
    return answer(desk_rows.added(copy), again=copy.barcode)
