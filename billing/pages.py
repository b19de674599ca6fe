"""The doors of paying that need no sign-in: the pay link, the return from a provider, webhooks."""

import logging
from datetime import timedelta
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from alerts.wording import money
from billing import accounts, gateways, links, payment_states, payments, webhooks
from billing.drafts import NothingOwedError
from billing.gateways.base import BadSignatureError, Gateway, GatewayError
from billing.models import Charge, Payment
from billing.payments import PaymentRefusedError, ProviderAwayError, TooSmallError
from billing.reader_page import Page, Tone, for_anybody, show

log = logging.getLogger(__name__)

RETRY_SECONDS = 120
ASKED_JUST_NOW = timedelta(seconds=3)
"""For so long a provider is not asked about a payment again, however often its page is opened."""
LONGEST_SESSION_ID = 255


@for_anybody
def pay(request: HttpRequest, token: str) -> HttpResponse:
    """Send the reader on to the open session for what is owed, or to a fresh one."""
    try:
        chosen = links.selection(token)
    except links.BadLinkError:
        return show(request, _unknown_link())
    if request.method == "HEAD":  # a preview or a virus scanner, not somebody who pays
        return HttpResponse()
    if not chosen.charge_ids:
        return show(request, _nothing_to_pay())
    try:
        payment = payments.open_for(chosen.reader_id, chosen.charge_ids)
    except NothingOwedError:
        return show(request, _nothing_to_pay())
    except TooSmallError as too_small:
        return show(request, _too_small(chosen, too_small))
    except ProviderAwayError as away:
        return show(request, _provider_away(away))
    except PaymentRefusedError as refused:
        return show(request, _refused(refused))
    return HttpResponseRedirect(payment.session_url)


@for_anybody
def success(request: HttpRequest) -> HttpResponse:
    """Where a provider sends the reader after paying: it is a hint to settle, and no proof."""
    payment = _payment_in_session(request)
    if payment is None:
        text = _("If you have paid, it appears on your account within a few minutes.")
        return show(request, Page("unknown_payment", _("Your payment"), text))
    answered = False
    if payment_states.is_undecided(payment) and _may_ask(payment):
        try:
            payment = payments.settle(payment)
            answered = True
        except GatewayError as trouble:
            log.warning("Payment %s was not confirmed on return: %s", payment.pk, trouble)
    tries = request.GET.get("tries", "")
    return show(request, payment_states.page(payment, answered=answered, tries=tries))


@for_anybody
def cancel(request: HttpRequest) -> HttpResponse:
    """Where a provider sends a reader who turned back. The session stays as the provider has it."""
    payment = _payment_in_session(request)
    if payment is not None and payment.paid_amount is not None:
        return HttpResponseRedirect(payment_states.address(payment))
    title = _("Payment paused")
    text = _(
        "Nothing is charged for leaving the payment page. You can go on later with the same link."
    )
    if payment is None:
        return show(request, Page("paused", title, text))
    link = links.for_payment(payment)
    return show(request, Page("paused", title, text, link=link, link_label=_("Go on paying")))


@csrf_exempt
@require_POST
def webhook(request: HttpRequest, provider: str) -> JsonResponse:
    """Take a provider's event; its signature is its authority."""
    gateway = gateways.all_gateways().get(provider.upper())
    if gateway is None or not gateway.is_online:
        return _told(404, _("No such payment provider."))
    if not (gateway.is_configured and gateway.can_check_events):
        return _told(503, _("Webhooks of this provider are not set up here: nothing was done."))
    try:
        body = request.body
    except RequestDataTooBig:
        return _told(413, _("The event is too large."))
    except UnreadablePostError:
        return _told(400, _("The event did not arrive whole."))
    return _take(gateway, body, request)


def _take(gateway: Gateway, body: bytes, request: HttpRequest) -> JsonResponse:
    try:
        event = webhooks.receive(gateway, body, request.headers)
    except BadSignatureError as bad:
        log.warning("A webhook for %s was refused: %s", gateway.name, bad)
        return _told(400, _("The signature is not right, or too old."))
    except GatewayError as trouble:
        log.warning("A webhook of %s is to be delivered again: %s", gateway.name, trouble)
    except Exception:
        log.exception("A webhook of %s could not be handled", gateway.name)
    else:
        return JsonResponse({"received": event.event_id})
    return _told(500, _("It could not be handled now. Please deliver it again."))


def _told(status: int, detail: str) -> JsonResponse:
    return JsonResponse({"detail": detail}, status=status)


def _payment_in_session(request: HttpRequest) -> Payment | None:
    """Return the payment that a provider's redirect is about. PayPal calls the session `token`."""
    session_id = request.GET.get("session_id") or request.GET.get("token") or ""
    if len(session_id) > LONGEST_SESSION_ID or not session_id.isprintable() or not session_id:
        return None
    # By provider too, as its index is: anybody may ask, and as often as they like.
    return Payment.objects.filter(
        provider__in=gateways.all_gateways(), session_id=session_id
    ).first()


def _may_ask(payment: Payment) -> bool:
    """Claim the next question to the provider, so that reloading a page does not hammer it."""
    at = timezone.now()
    is_due = Q(checked_at=None) | Q(checked_at__lt=at - ASKED_JUST_NOW)
    return bool(Payment.objects.filter(is_due, pk=payment.pk).update(checked_at=at))


def _unknown_link() -> Page:
    text = _("This link is not complete. Copy it whole, or ask the library for a new one.")
    return Page("unknown_link", _("Unknown link"), text, Tone.BAD, status=404)


def _nothing_to_pay() -> Page:
    text = _("Nothing is open here at the moment. Thank you.")
    return Page("nothing_to_pay", _("Nothing to pay"), text, Tone.GOOD)


def _provider_away(away: ProviderAwayError) -> Page:
    title = _("Please try again")
    return Page("provider_away", title, str(away), Tone.WAITING, 503, retry_after=RETRY_SECONDS)


def _refused(refused: PaymentRefusedError) -> Page:
    if gateways.online() is None:
        return Page("cash_only", _("Please pay at the desk"), str(refused))
    return Page("not_payable", _("This cannot be paid online now"), str(refused), status=409)


def _too_small(chosen: links.Selection, too_small: TooSmallError) -> Page:
    """Offer to pay everything together, where that is enough."""
    whole = links.whole_account(chosen.reader_id)
    charges: Any = Charge.objects.open().filter(pk__in=whole.charge_ids)
    owed = sum((charge.owed for charge in charges), accounts.ZERO)
    if owed < too_small.smallest:
        text = _("It stays on your account; pay it at the desk, or with a later charge.")
        return Page("too_small", _("Too little to be paid online"), f"{too_small} {text}")
    text = _("It can be paid together with what else is open.")
    return Page(
        "too_small",
        _("Pay it together"),
        f"{too_small} {text}",
        link=links.for_account(chosen.reader_id),
        link_label=_("Pay all that is open: %(sum)s") % {"sum": money(owed)},
    )
