"""How the admin looks, and what its sidebar offers, in a librarian's words."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

FAVICON = "config/carrel.svg"
WHICH_RULE = "admin:circulation_which_rule"
JOBS = "admin:config_jobs"
PAGES = (WHICH_RULE, JOBS)
"""Pages of their own below the list of a model."""
OVERDUE = "state=overdue"
TO_PULL = "state=pull"
TO_REVIEW = "state=review"
SHORTCUTS = (OVERDUE, TO_PULL, TO_REVIEW)


def _may(*permissions: str) -> Callable[[HttpRequest], bool]:
    """Return a test for users with any of the permissions."""

    def test(request: HttpRequest) -> bool:
        return any(request.user.has_perm(permission) for permission in permissions)

    return test


may_see_jobs = _may("config.view_jobrun", "config.run_job")


def _superuser(request: HttpRequest) -> bool:
    return request.user.is_superuser


def _is_at(url_name: str, query: str) -> Callable[[HttpRequest], bool]:
    """Return a test for the item that is marked: the one shown, not those it begins like."""

    def test(request: HttpRequest) -> bool:
        here = request.META.get("QUERY_STRING", "")
        if query or here in SHORTCUTS:
            return request.path == reverse(url_name) and here == query
        match = request.resolver_match
        if match is not None and match.view_name in PAGES:
            return url_name == match.view_name
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


SIDEBAR = [
    {
        "items": [
            _item(
                _("Desk"),
                "barcode_reader",
                "desk",
                _may("circulation.check_out", "circulation.check_in"),
            ),
            _list(_("Loans"), "swap_horiz", "circulation.loan"),
            _list(_("Overdue"), "assignment_late", "circulation.loan", OVERDUE),
            _list(_("Holds"), "bookmark", "circulation.hold"),
            _list(_("To pull"), "shelves", "circulation.hold", TO_PULL),
            _list(_("Readers"), "group", "circulation.reader"),
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
                "badge": "billing.admin.payments.to_review",
            },
            _list(_("Refunds"), "currency_exchange", "billing.refund"),
            _list(_("Charges"), "receipt_long", "billing.charge"),
            _list(_("Waived and corrected"), "money_off", "billing.adjustment"),
            _list(_("Providers' events"), "webhook", "billing.paymentevent"),
        ],
    },
    {
        "title": _("Rules"),
        "collapsible": True,
        "items": [
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
        ],
    },
    {
        "title": _("Alerts"),
        "collapsible": True,
        "items": [
            _item(
                _("Channels"),
                "campaign",
                "admin:alerts_channel_changelist",
                _may("alerts.view_channel", "alerts.add_channel"),
            ),
            _list(_("Deliveries"), "outbox", "alerts.delivery"),
            _list(_("Events"), "notifications", "alerts.event"),
        ],
    },
    {
        "title": _("Jobs"),
        "collapsible": True,
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
    "SIDEBAR": {"show_search": False, "navigation": SIDEBAR},
}
