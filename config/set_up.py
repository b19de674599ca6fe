"""The page of the set-up: each setting, what it is for, how it stands and what is missing."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from alerts import backends
from alerts.backoffice.pages import Table, badge
from billing import gateways
from config import first_day
from config.unfold import may_see_set_up


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    if not may_see_set_up(request):
        raise PermissionDenied(_("Your account may not see the settings. Ask an administrator."))
    found = first_day.standings()
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Set-up"),
        "checklist": found,
        "looks_on": not first_day.sets_up(request),
        "tables": [_providers(), _ways_to_send(), _site()],
    }
    return TemplateResponse(request, "config/set_up.html", context)


def _providers() -> Table:
    chosen = gateways.online()
    rows = [
        (
            str(gateway.label),
            _state(gateway.missing() if gateway.is_online else ()),
            _("readers pay here") if chosen is not None and gateway.name == chosen.name else "–",
            ", ".join(gateway.missing()) or "–",
        )
        for gateway in gateways.all_gateways().values()
    ]
    headers = (_("Provider"), _("State"), _("Used online"), _("To be set in the environment"))
    return Table(_("How readers can pay"), headers, rows, _("PAYMENT_GATEWAYS lists none."))


def _ways_to_send() -> Table:
    rows = [
        (str(backend.label), _state(backend.missing()), ", ".join(backend.missing()) or "–")
        for backend in backends.all_backends().values()
    ]
    headers = (_("By"), _("State"), _("To be set in the environment"))
    return Table(_("How messages can go out"), headers, rows, _("ALERT_BACKENDS lists none."))


def _site() -> Table:
    headers = (_("What"), _("Now"), _("Set in the environment as"))
    return Table(_("The site"), headers, list(_facts()), "")


def _facts() -> Iterator[tuple[str, str, str]]:
    yield _("Name of the library"), settings.LIBRARY_NAME, "LIBRARY_NAME"
    yield _("Address, for links in messages"), settings.SITE_URL, "SITE_URL"
    yield _("Time zone, for days and due dates"), settings.TIME_ZONE, "TIME_ZONE"
    yield _("Language of messages and pages"), settings.LANGUAGE_CODE, "LANGUAGE_CODE"
    yield _("Currency"), settings.CURRENCY, "CURRENCY"
    yield _("Readers register themselves"), _yes(settings.SELF_REGISTRATION), "SELF_REGISTRATION"
    allowed = ", ".join(sorted(settings.READER_SELF_SERVICE)) or _("nothing: staff do it")
    yield _("Readers do themselves, by the API"), allowed, "READER_SELF_SERVICE"


def _state(missing: Any) -> str:
    return badge(_("not set up"), "warning") if missing else badge(_("set up"), "success")


def _yes(value: bool) -> str:
    return _("yes") if value else _("no")
