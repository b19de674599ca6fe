"""The tabs of the reader's page, each a view of its own; the last, Details, is the admin's form.

They are mounted by `circulation.admin.readers`, the account by `config.urls`.
"""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from alerts import preferences
from alerts.backoffice.closed import may_view
from alerts.backoffice.pages import (
    staff,
)
from alerts.models import Delivery
from billing.models import Charge
from billing.till import account as till
from circulation import personal_data, reader_page, reader_renewals, reader_tables
from circulation.models import LoanPolicy, Override
from circulation.reader_renewals import RENEW

Shown = Mapping[str, Any]
Tab = Callable[[HttpRequest, Any], Shown]


def first_tab(request: HttpRequest, pk: int) -> HttpResponse:
    """Lead to the first tab that the user may open."""
    for tab in reader_page.TABS:
        if tab.is_open_to(request.user):
            return HttpResponseRedirect(reverse(tab.url_name, args=[pk]))
    raise PermissionDenied(_("Your account may not do this. Ask an administrator."))


def _tab(view: Tab) -> Callable[..., HttpResponse]:
    """Make a tab of a function that returns what stands below the head, for whom it is open to."""
    tab = reader_page.BY_CODE[view.__name__]

    @require_safe
    @wraps(view)
    def shown(request: HttpRequest, pk: int) -> HttpResponse:
        if not tab.is_open_to(request.user):
            raise PermissionDenied(_("Your account may not do this. Ask an administrator."))
        reader = _reader(pk)
        context = {
            **admin.site.each_context(request),
            "title": f"{reader}: {tab.title}",
            **reader_page.frame(request, reader, active=tab.code),
            **view(request, reader),
        }
        return TemplateResponse(request, "circulation/reader_page.html", context)

    return shown


def _reader(pk: int) -> Any:
    reader = reader_page.found(pk, on=timezone.localdate())
    if reader is None:
        raise Http404(_("There is no such reader."))
    return reader


@_tab
def loans(request: HttpRequest, reader: Any) -> Shown:
    may_renew = request.user.has_perm(RENEW) and reader.out > 0
    now = reader_tables.loans_now(
        reader,
        on=timezone.localdate(),
        shows_fines=may_view(request, Charge),
        may_renew=may_renew,
    )
    url = reverse("admin:circulation_reader_renew", args=[reader.pk]) if may_renew else ""
    return {"tables": [now], "renew_url": url, "renew_form": reader_tables.RENEW_FORM}


@_tab
def past(request: HttpRequest, reader: Any) -> Shown:
    return {"tables": [reader_tables.past_loans(reader, on=timezone.localdate())]}


@_tab
def holds(request: HttpRequest, reader: Any) -> Shown:
    may_place = request.user.has_perm("circulation.add_hold")
    place_url = f"{reverse('admin:circulation_hold_add')}?reader={reader.pk}"
    return {
        "tables": [reader_tables.holds_now(reader), reader_tables.past_holds(reader)],
        "place_url": place_url if may_place else "",
    }


@_tab
def notices(request: HttpRequest, reader: Any) -> Shown:
    accepted = set(preferences.accepted_kinds(reader))
    return {
        "tables": [reader_tables.notices(reader, links=may_view(request, Delivery))],
        "shows_notices": personal_data.may_see(request),
        "address": reader.notice_email,
        "declined": [kind.label for kind in preferences.optional_kinds() if kind not in accepted],
    }


@_tab
def blocks(request: HttpRequest, reader: Any) -> Shown:
    says_why = personal_data.may_see(request)
    changes = reader_tables.block_changes(reader)
    tables = [
        reader_tables.limits(reader, links=may_view(request, LoanPolicy)),
        reader_tables.blocks_table(changes, says_why=says_why),
    ]
    if may_view(request, Override):
        tables.append(reader_tables.overrides(reader))
    may_change = request.user.has_perm("circulation.change_reader")
    details_url = reverse("admin:circulation_reader_change", args=[reader.pk])
    return {"tables": tables, "block_url": f"{details_url}#id_is_blocked" if may_change else ""}


@require_POST
def renew(request: HttpRequest, pk: int) -> HttpResponse:
    """Renew the ticked loans of the reader, each by the rules and for itself."""
    if not (request.user.has_perm(RENEW) and reader_page.BY_CODE["loans"].is_open_to(request.user)):
        raise PermissionDenied(_("Your account may not do this. Ask an administrator."))
    reader_renewals.renew(request, _reader(pk), by=staff(request))
    return HttpResponseRedirect(reverse("admin:circulation_reader_loans", args=[pk]))


def account(request: HttpRequest, pk: int) -> HttpResponse:
    """Show the account, which the till keeps, as a tab."""
    reader = _reader(pk)
    context = reader_page.frame(request, reader, active="account")
    frame = {**context, "head_template": "circulation/reader_head.html"}
    return till.page(request, reader, frame=frame)


def urls() -> list[URLPattern]:
    """Return the addresses of the tabs, below that of the list of readers."""
    pages = {
        "page": ("", first_tab),
        "loans": ("loans/", loans),
        "past": ("past/", past),
        "holds": ("holds/", holds),
        "notices": ("notices/", notices),
        "blocks": ("blocks/", blocks),
        "renew": ("renew/", renew),
    }
    return [
        path(f"<int:pk>/{route}", admin.site.admin_view(view), name=f"circulation_reader_{name}")
        for name, (route, view) in pages.items()
    ]
