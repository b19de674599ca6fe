"""The pages of the back-office that are no model's, and whom each lets in: lines of the role table.

A page that is missing here fails `tests/test_role_table.py`, which opens every address.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from billing.till.account import ACTS as TILL_ACTS
from billing.till.receipt import MAY_LOOK as MAY_SEE_RECEIPTS
from circulation import reader_page
from circulation.desk_requests import CHECK_IN, CHECK_OUT, DESK_PERMISSIONS, RENEW
from circulation.printing import cards, labels, letters, slips
from circulation.reports import index as reports
from config import unfold
from config.audit_page import PERMISSION as MAY_SEE_HISTORY

Opens = Callable[[HttpRequest], bool]


@dataclass(frozen=True)
class OwnPage:
    """A page with its addresses; `acts` are what can be done there, title -> who may."""

    title: Any
    opens: Opens
    addresses: tuple[str, ...]
    acts: dict[Any, Opens] = field(default_factory=dict)
    is_file: bool = False
    """Whether it is only what another page hands out, and has no line of its own."""


def any_of(*permissions: str) -> Opens:
    return lambda request: any(request.user.has_perm(each) for each in permissions)


def all_of(*permissions: str) -> Opens:
    return lambda request: request.user.has_perms(permissions)


def _tabs() -> Iterable[OwnPage]:
    """The tabs of the reader's page. Details is the form of the model and has its own line."""
    acts: dict[str, dict[Any, Opens]] = {
        "loans": {_("renew"): all_of(RENEW)},
        "holds": {_("place a hold"): all_of("circulation.add_hold")},
        "account": {act.button: all_of(act.permission) for act in TILL_ACTS.values()},
    }
    for tab in reader_page.TABS:
        if tab.code != "details":
            title = f"{_('Reader')}: {tab.title}"
            yield OwnPage(title, _opens_tab(tab), (tab.url_name,), acts.get(tab.code, {}))


def _opens_tab(tab: reader_page.Tab) -> Opens:
    return lambda request: tab.is_open_to(request.user)


def _reports() -> Iterable[OwnPage]:
    yield OwnPage(_("Reports and printing"), reports.may_look, ("reports",))
    for report in reports.REPORTS:
        name = f"report-{report.code}"
        yield OwnPage(report.title, report.may_look, (name,), {_("export"): report.may_export})
        yield OwnPage(report.title, report.may_export, (f"{name}-csv",), is_file=True)


def pages() -> list[OwnPage]:
    return [
        *OWN_PAGES,
        *_tabs(),
        *_reports(),
    ]


OWN_PAGES = (
    OwnPage(
        _("Desk"),
        any_of(*DESK_PERMISSIONS),
        ("desk",),
        {
            _("lend"): all_of(CHECK_OUT),
            _("take back"): all_of(CHECK_IN),
            _("renew"): all_of(RENEW),
            _("override a block"): all_of("circulation.override_block"),
            _("lend for use today"): all_of("circulation.lend_for_today"),
            _("add a copy"): all_of("catalog.add_copy"),
        },
    ),
    OwnPage(_("Receipt"), any_of(*MAY_SEE_RECEIPTS), ("billing-receipt", "billing-receipts")),
    OwnPage(
        _("Day's takings"),
        any_of("billing.view_payment"),
        ("billing-day",),
        {_("export"): all_of("billing.export_payment")},
    ),
    OwnPage(
        _("Day's takings"),
        all_of("billing.view_payment", "billing.export_payment"),
        ("billing-day-csv",),
        is_file=True,
    ),
    OwnPage(_("Barcode labels"), labels.may_print, ("print-labels",)),
    OwnPage(_("Reader cards"), any_of(cards.MAY_PRINT), ("print-cards",)),
    OwnPage(_("Hold slips"), any_of(slips.MAY_PRINT), ("print-slips",)),
    OwnPage(_("Letters to overdue readers"), all_of(*letters.PERMISSIONS), ("print-letters",)),
    OwnPage(
        _("Which rule applies"),
        any_of("circulation.view_loanpolicy"),
        ("admin:circulation_which_rule",),
    ),
    OwnPage(
        _("Jobs"),
        unfold.may_see_jobs,
        ("admin:config_jobs",),
        {_("run now"): all_of("config.run_job")},
    ),
    OwnPage(_("Set-up"), unfold.may_see_set_up, ("set-up",)),
    OwnPage(_("History"), any_of(MAY_SEE_HISTORY), ("history",)),
)
POSTED = frozenset(
    {
        *(f"desk_{act}" for act in ("scan", "lend", "renew", "undo", "reader", "books")),
        *("desk_add_copy", "admin:config_run_job", "admin:circulation_reader_renew"),
        "admin:logout",
    }
)
"""Addresses that do something and show nothing: a GET is refused whoever asks."""
FOR_STAFF = frozenset(
    {
        "palette",
        *(f"admin:{name}" for name in ("index", "login", "search", "app_list", "jsi18n")),
        *(f"admin:{name}" for name in ("autocomplete", "view_on_site", "password_change")),
        "admin:password_change_done",
    }
)
"""Open to all who may sign in; each shows only what its reader may see."""
LEADING_ON = {
    "admin:circulation_reader_page": tuple(tab.url_name for tab in reader_page.TABS),
}
"""Addresses that lead to the first of others that is open."""
