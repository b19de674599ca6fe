"""The pages of paying that need no sign-in: the pay link, and where providers send readers back.

They show no personal data: whoever has a link may be anybody.
"""

import logging
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST, require_safe

from alerts.wording import money
from billing import accounts, gateways, links, payments, webhooks
from billing.gateways.base import BadSignatureError, GatewayError
from billing.ledger import NothingOwedError
from billing.models import Charge, Payment, PaymentStatus
from billing.payments import PaymentRefusedError, ProviderAwayError, TooSmallError

log = logging.getLogger(__name__)

RETRY_SECONDS = 120


@never_cache
@require_safe
def pay(request: HttpRequest, token: str) -> HttpResponse:
    """Send the reader on to the open session for what is owed, or to a fresh one."""
    try:
        chosen = links.selection(token)
    except links.BadLinkError:
        text = _("This link is not complete. Copy it whole, or ask the library for a new one.")
        return _page(request, _("Unknown link"), text, status=404)
    if request.method == "HEAD":  # a preview or a virus scanner, not somebody who pays
        return HttpResponse()
    try:
        payment = payments.open_for(chosen.reader_id, chosen.charge_ids)
    except NothingOwedError:
        return _page(request, _("Nothing to pay"), _("This has been settled. Thank you."))
    except TooSmallError as too_small:
        return _too_small(request, chosen, too_small)
    except ProviderAwayError as away:
        response = _page(request, _("Please try again"), str(away), status=503)
        response["Retry-After"] = str(RETRY_SECONDS)
        return response
    except PaymentRefusedError as refused:
        return _page(request, _("Not payable online"), str(refused), status=409)
    return HttpResponseRedirect(payment.session_url)


@never_cache
@require_safe
def success(request: HttpRequest) -> HttpResponse:
    """Where a provider sends the reader after paying: it is a hint to settle, and no proof."""
    payment = _payment_in_session(request)
    if payment is None:
        text = _("If you have paid, it appears on your account within a few minutes.")
        return _page(request, _("Your payment"), text)
    if payment.is_open:
        try:
            payment = payments.settle(payment)
        except GatewayError as trouble:
            log.warning("Payment %s was not confirmed on return: %s", payment.pk, trouble)
    return _state_page(request, payment)


@never_cache
@require_safe
def cancel(request: HttpRequest) -> HttpResponse:
    """Where a provider sends a reader who turned back. The session stays as the provider has it."""
    text = _("Nothing was charged. You can go on paying later with the same link.")
    return _page(request, _("Payment paused"), text)


@csrf_exempt
@require_POST
def webhook(request: HttpRequest, provider: str) -> JsonResponse:
    """Take a provider's event; its signature is its authority."""
    try:
        gateway = gateways.called(provider.upper())
    except gateways.UnknownGatewayError:
        return JsonResponse({"detail": _("No such payment provider.")}, status=404)
    if not (gateway.is_online and gateway.is_configured and gateway.can_check_events):
        text = _("Webhooks of this provider are not set up here: nothing was processed.")
        return JsonResponse({"detail": text}, status=503)
    try:
        event = webhooks.receive(gateway, request.body, request.headers)
    except BadSignatureError as bad:
        log.warning("A webhook for %s was refused: %s", gateway.name, bad)
        text = _("The signature is not right, or too old.")
        return JsonResponse({"detail": text}, status=400)
    except Exception:
        log.exception("A webhook of %s could not be handled", gateway.name)
        text = _("It could not be handled now. Please deliver it again.")
        return JsonResponse({"detail": text}, status=500)
    return JsonResponse({"received": event.event_id})


def _payment_in_session(request: HttpRequest) -> Payment | None:
    """Return the payment that a provider's redirect is about. PayPal calls the session `token`."""
    session_id = request.GET.get("session_id") or request.GET.get("token") or ""
    if not session_id or "\x00" in session_id or len(session_id) > 255:
        return None
    return Payment.objects.select_related("reader").filter(session_id=session_id).first()


def _state_page(request: HttpRequest, payment: Payment) -> HttpResponse:
    amount = money(payment.paid_amount or payment.money_to_pay)
    match payment.status:
        case PaymentStatus.PAID:
            title, text = _("Thank you"), _("Your payment of %(sum)s has arrived.")
        case PaymentStatus.REVIEW:
            title = _("Payment received")
            text = _("Your payment of %(sum)s has arrived. The library will look at it.")
        case PaymentStatus.REFUNDED:
            title, text = _("Payment refunded"), _("Your payment of %(sum)s was given back.")
        case PaymentStatus.EXPIRED | PaymentStatus.FAILED:
            title = _("Not paid")
            text = _("This payment of %(sum)s was not completed. Open your pay link to try again.")
        case _state:
            title = _("Your payment is on its way")
            text = _("We wait for the confirmation of %(sum)s. This page looks again by itself.")
    waits = payment.is_open
    data = {"status": payment.status, "money_to_pay": str(payment.money_to_pay)}
    return _page(request, title, text % {"sum": amount}, data=data, looks_again=waits)


def _too_small(
    request: HttpRequest, chosen: links.Selection, too_small: TooSmallError
) -> HttpResponse:
    """Offer to pay everything together, where that is enough."""
    whole = links.whole_account(chosen.reader_id)
    charges: Any = Charge.objects.open().filter(pk__in=whole.charge_ids)
    owed = sum((charge.owed for charge in charges), accounts.ZERO)
    text = str(too_small)
    if owed < too_small.smallest:
        text += " " + _("It stays on your account; pay it at the desk, or with a later charge.")
        return _page(request, _("Not payable online"), text)
    link = links.for_account(chosen.reader_id)
    label = _("Pay all that is open: %(sum)s") % {"sum": money(owed)}
    return _page(request, _("Pay it together"), text, link=link, link_label=label)


def _page(
    request: HttpRequest,
    title: str,
    text: str,
    *,
    status: int = 200,
    data: dict[str, str] | None = None,
    **context: Any,
) -> HttpResponse:
    """Answer a browser with a page, and an API client that asks for JSON with the same."""
    if request.get_preferred_type(["text/html", "application/json"]) == "application/json":
        answer = {"title": title, "detail": text, **(data or {})}
        if "link" in context:
            answer["pay_link"] = context["link"]
        return JsonResponse(answer, status=status)
    context = {"title": title, "text": text, **context}
    return TemplateResponse(request, "billing/reader_page.html", context, status=status)
