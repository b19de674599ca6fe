"""Renewing loans from the reader's page: those that are ticked, each told of in a sentence."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _

from alerts.wording import day, money
from circulation import desk
from circulation.models import Loan, Reader
from circulation.reader_tables import MOST_ROWS
from circulation.refusals import OVERRIDE_PERMISSION, RefusedError

RENEW = "circulation.renew"
LONGEST_NUMBER = 18


class RenewedMeanwhileError(Exception):
    """The loan was renewed by somebody else, or by the same button, since it was shown."""


def renew(request: HttpRequest, reader: Reader, *, by: Reader) -> None:
    """Renew the loans that the page posts as `number:renewals`, and say what came of each."""
    ticked = _ticked(request)
    if not ticked:
        messages.warning(request, _("Nothing was renewed: tick the loans to renew."))
        return
    loans = Loan.objects.open().filter(reader=reader, pk__in=ticked)
    found = list(loans.select_related("copy__book", "reader__category").order_by("pk"))
    if len(found) < len(ticked):
        messages.warning(
            request, _("Some of what was ticked is not on loan any more. Nothing was done with it.")
        )
    for loan in found:
        title = loan.copy.book.title
        try:
            messages.success(request, f"{title}: {_renewed(loan, seen=ticked[loan.pk], by=by)}")
        except RenewedMeanwhileError:
            text = _("It was renewed in the meantime, and is not renewed once more.")
            messages.warning(request, f"{title}: {text}")
        except RefusedError as refused:
            messages.error(request, f"{title}: {_why_not(refused, by=by)}")


def _ticked(request: HttpRequest) -> dict[int, int]:
    """Return how often each of the ticked loans had been renewed when it was shown."""
    pairs = (text.partition(":") for text in request.POST.getlist("loan")[:MOST_ROWS])
    return {
        int(number): int(renewals)
        for number, _colon, renewals in pairs
        if all(_is_number(text) for text in (number, renewals))
    }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER


@transaction.atomic
def _renewed(loan: Loan, *, seen: int, by: Reader) -> str:
    done = desk.renew(loan, by=by)
    if done.loan.renewals != seen + 1:
        raise RenewedMeanwhileError
    told = _("Renewed until %(due)s.") % {"due": day(done.loan.expected_return_date)}
    if done.fee is None:
        return told
    fee = _("Lending fee %(sum)s: %(why)s.")
    return f"{told} {fee % {'sum': money(done.fee.amount), 'why': done.fee.description}}"


def _why_not(refused: RefusedError, *, by: Reader) -> str:
    told = _("Not renewed. %(reasons)s") % {"reasons": refused}
    if refused.is_overridable and by.has_perm(OVERRIDE_PERMISSION):
        return f"{told} {_('Scan it at the desk to override this, with a reason.')}"
    return told
