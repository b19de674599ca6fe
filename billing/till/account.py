"""The reader's account page: what is owed and why, what was paid, and what can be done about it."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from alerts.backoffice.pages import staff
from alerts.wording import money
from billing.till.acts import (
    REFUSALS,
    Act,
    AskProvider,
    GiveBack,
    MailLink,
    UseCredit,
    Waive,
)
from billing.till.cash import TakeCash, TakenBeforeError, with_receipt
from billing.till.statement import Account, charges_table, history_tables

MAY_LOOK = ("billing.view_payment", "billing.view_charge")
ACTS: dict[str, type[Act]] = {
    act.code: act for act in (TakeCash, UseCredit, GiveBack, Waive, MailLink, AskProvider)
}


Frame = Mapping[str, Any]


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, reader: Any, *, frame: Frame) -> HttpResponse:
    """Show a reader's account, or do what was posted.

    `frame` is what whoever mounts the page adds to its context, with the `head_template` that draws
    it: the account is one tab of the reader's page, of which the till knows nothing.
    """
    if not any(request.user.has_perm(permission) for permission in MAY_LOOK):
        raise PermissionDenied(_("Your account may not do this. Ask an administrator."))
    account = Account(reader)
    if request.method == "POST":
        return _acted(request, account, frame=frame)
    return _shown(request, account, frame=frame)


def _acted(request: HttpRequest, account: Account, *, frame: Frame) -> HttpResponse:
    """Do what was posted; what is refused is shown with what was filled in."""
    chosen = ACTS.get(request.POST.get("act", ""))
    if chosen is None:
        messages.error(request, _("This cannot be done here. Nothing was done."))
        return _back(account)
    if not request.user.has_perm(chosen.permission):
        raise PermissionDenied(_("Your account may not do this. Ask an administrator."))
    act = chosen(account, request.POST)
    if act.is_valid():
        try:
            messages.success(request, act.do(by=staff(request)))
            return _back(account)
        except TakenBeforeError as before:
            messages.warning(request, with_receipt([str(before)], before.payment))
            return _back(account)
        except REFUSALS as refused:
            messages.error(request, str(refused))
    for name, problems in act.errors.items():
        label = act.fields[name].label if name in act.fields else None
        for problem in problems:
            messages.error(request, f"{label}: {problem}" if label else str(problem))
    now = Account(account.reader)
    again = request.POST.copy()
    again["seen"] = now.state
    return _shown(request, now, frame=frame, tried=chosen(now, again))


def _back(account: Account) -> HttpResponse:
    return HttpResponseRedirect(reverse("billing-account", args=[account.reader.pk]))


def _shown(
    request: HttpRequest, account: Account, *, frame: Frame, tried: Act | None = None
) -> HttpResponse:
    acts = {
        code: tried if isinstance(tried, act) else act(account)
        for code, act in ACTS.items()
        if request.user.has_perm(act.permission)
    }
    fitting = {code: act for code, act in acts.items() if act.is_fitting}
    reader = account.reader
    context = {
        **admin.site.each_context(request),
        **frame,
        "title": _("Account of %(reader)s") % {"reader": reader},
        "account": account,
        "owed": money(account.owed),
        "credit": money(account.credit),
        "balance": money(account.balance),
        "acts": fitting,
        "charges": charges_table(
            account,
            ticked=tried.ticked if isinstance(tried, TakeCash) else None,
            may_tick=TakeCash.code in fitting,
        ),
        "tables": history_tables(request, account),
        "currency": settings.CURRENCY,
    }
    return TemplateResponse(request, "billing/account.html", context)
