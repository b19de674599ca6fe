"""How the admin looks, and what its sidebar offers, in a librarian's words."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy
from django.utils.module_loading import import_string
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

FAVICON = "config/carrel.svg"
PALETTE = "config/palette.js"
TODAY = "admin:index"
WHICH_RULE = "admin:circulation_which_rule"
JOBS = "admin:config_jobs"
SET_UP = "set-up"
REPORTS = "circulation.reports.index.may_look"
PAGES = (TODAY, WHICH_RULE, JOBS)
"""Pages of their own, below which there are others."""
OVERDUE = "state=overdue"
TO_PULL = "state=pull"
TO_REVIEW = "state=review"
FAILED_LATELY = "lately=failed"
SHORTCUTS = (OVERDUE, TO_PULL, TO_REVIEW, FAILED_LATELY)


def _may(*permissions: str) -> Callable[[HttpRequest], bool]:
    """Return a test for users with any of the permissions."""

    def test(request: HttpRequest) -> bool:
        return any(request.user.has_perm(permission) for permission in permissions)

    return test


may_see_jobs = _may("config.view_jobrun", "config.run_job")
may_see_set_up = _may("circulation.view_loanpolicy")


def _superuser(request: HttpRequest) -> bool:
    return request.user.is_superuser


def _anybody(_request: HttpRequest) -> bool:
    return True


def _asks(path: str) -> Callable[[HttpRequest], bool]:
    """Return a test that is written beside the page: settings are read before any page is."""
    return lambda request: bool(import_string(path)(request))


def _is_at(url_name: str, query: str) -> Callable[[HttpRequest], bool]:
    """Return a test for the item that is marked: the one shown, not those it begins like."""

    def test(request: HttpRequest) -> bool:
        here = request.META.get("QUERY_STRING", "")
        if query or here in SHORTCUTS:
            return request.path == reverse(url_name) and here == query
        match = request.resolver_match
        if url_name == TODAY or (match is not None and match.view_name in PAGES):
            return match is not None and url_name == match.view_name
        return request.path.startswith(reverse(url_name))

    return test


def _item(
    title: Any, icon: str, url_name: str, test: Callable[[HttpRequest], bool], query: str = ""
) -> dict[str, Any]:
    link = reverse_lazy(url_name)
    return {
        "title": title,
        "icon": icon,
        "link": format_lazy("{}?{}", link, query) if query else link,
        "permission": test,
        "active": _is_at(url_name, query),
    }


def _list(title: Any, icon: str, model: str, query: str = "") -> dict[str, Any]:
    """Return an item for the list of a model, as `catalog.book`, maybe filtered."""
    app, name = model.split(".")
    changelist = f"admin:{app}_{name}_changelist"
    return _item(title, icon, changelist, _may(f"{app}.view_{name}"), query)


SIDEBAR: list[dict[str, Any]] = [
    {
        "items": [
            _item(_("Today"), "today", TODAY, _anybody),
            _item(
                _("Desk"),
                "barcode_reader",
                "desk",
                _may("circulation.check_out", "circulation.check_in"),
            ),
            _list(_("Loans"), "swap_horiz", "circulation.loan"),
            _list(_("Overdue"), "assignment_late", "circulation.loan", OVERDUE),
            _list(_("Holds"), "bookmark", "circulation.hold"),
            {
                **_list(_("To pull"), "shelves", "circulation.hold", TO_PULL),
                "badge": "config.waiting.to_pull_badge",
            },
            _list(_("Readers"), "group", "circulation.reader"),
            _item(_("Reports and printing"), "print", "reports", _asks(REPORTS)),
        ]
    },
    {
        "title": _("Catalogue"),
        "items": [
            _list(_("Books"), "menu_book", "catalog.book"),
            _list(_("Copies"), "barcode", "catalog.copy"),
            _list(_("Imports"), "upload_file", "catalog.importrun"),
        ],
    },
    {
        "title": _("Money"),
        "items": [
            _item(
                _("Day's takings"),
                "point_of_sale",
                "billing-day",
                _may("billing.view_payment"),
            ),
            _list(_("Payments"), "payments", "billing.payment"),
            {
                **_list(_("To review"), "fact_check", "billing.payment", TO_REVIEW),
                "badge": "config.waiting.to_review_badge",
            },
            _list(_("Refunds"), "currency_exchange", "billing.refund"),
            _list(_("Charges"), "receipt_long", "billing.charge"),
            _list(_("Waived and corrected"), "money_off", "billing.adjustment"),
            _list(_("Providers' events"), "webhook", "billing.paymentevent"),
        ],
    },
    {
        "title": _("Alerts"),
        "collapsible": True,
        "badge": "config.waiting.failed_badge",
        "items": [
            _item(
                _("Channels"),
                "campaign",
                "admin:alerts_channel_changelist",
                _may("alerts.view_channel", "alerts.add_channel"),
            ),
            _list(_("Deliveries"), "outbox", "alerts.delivery"),
            _list(_("Given up lately"), "sms_failed", "alerts.delivery", FAILED_LATELY),
            _list(_("Events"), "notifications", "alerts.event"),
        ],
    },
    {
        "title": _("Jobs"),
        "collapsible": True,
        "badge": "config.waiting.late_jobs_badge",
        "items": [
            _item(_("Jobs"), "manufacturing", JOBS, may_see_jobs),
            _item(_("Schedules"), "schedule", "admin:django_q_schedule_changelist", _superuser),
            _list(_("Waiting"), "pending_actions", "django_q.ormq"),
            _list(_("Failed"), "error", "django_q.failure"),
            _list(_("Runs"), "history", "config.jobrun"),
        ],
    },
    {
        "title": _("Settings"),
        "collapsible": True,
        "items": [
            _item(_("Set-up"), "checklist", SET_UP, may_see_set_up),
            _list(_("Loan policies"), "rule", "circulation.loanpolicy"),
            _item(
                _("Which rule applies"),
                "quiz",
                WHICH_RULE,
                _may("circulation.view_loanpolicy"),
            ),
            _list(_("Reader categories"), "groups", "circulation.readercategory"),
            _list(_("Item types"), "category", "catalog.itemtype"),
            _list(_("Closed days"), "event_busy", "circulation.closedday"),
            _list(_("Weekly closing days"), "calendar_view_week", "circulation.closedweekday"),
            _list(_("Overrides"), "front_hand", "circulation.override"),
            _item(_("History"), "manage_search", "history", _may("alerts.view_officeact")),
            _list(_("Roles"), "admin_panel_settings", "auth.group"),
            _list(_("Integration keys"), "key", "circulation.integrationkey"),
            _list(_("External sign-ins"), "passkey", "circulation.externalidentity"),
        ],
    },
]

SETTINGS: dict[str, Any] = {
    "SITE_TITLE": "Carrel",
    "SITE_HEADER": "Carrel",
    "SITE_SUBHEADER": _("Library back-office"),
    "SITE_SYMBOL": "local_library",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda _request: static(FAVICON)}
    ],
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "DASHBOARD_CALLBACK": "config.dashboard.today",
    "STYLES": [lambda _request: static("config/office.css")],
    "SCRIPTS": [
        lambda _request: static(PALETTE),
        lambda _request: static("config/names.js"),
    ],
    "SIDEBAR": {"show_search": True, "command_search": True, "navigation": SIDEBAR},
}
