"""Who sees which page of the admin and what each may do there, read from the pages themselves.

`manage.py document roles` writes it for people; a test opens every address as every role by it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from circulation import personal_data
from config import unfold
from config.own_pages import FOR_STAFF, LEADING_ON, OwnPage, pages
from config.roles import ROLES

MORE_ACTS = {
    "circulation.reader": {
        gettext_lazy("see email, phone and notes"): personal_data.SEE,
        gettext_lazy("set a password"): "circulation.change_reader",
    }
}
"""What is allowed on the pages of a model beside its permissions and acts."""
IMPORTING = ("import", "process_import", "upload", "upload_progress", "upload_errors")


class Member:
    """Somebody in one role and nothing else, as the pages see those who are signed in."""

    is_active = is_staff = is_authenticated = True
    is_superuser = is_anonymous = False
    pk = id = None

    def __init__(self, role: str) -> None:
        self.role = role

    def has_perm(self, permission: str, _row: Any = None) -> bool:
        return permission in ROLES[self.role]

    def has_perms(self, permissions: Iterable[str], _row: Any = None) -> bool:
        return all(map(self.has_perm, permissions))

    def has_module_perms(self, app: str) -> bool:
        return any(permission.startswith(f"{app}.") for permission in ROLES[self.role])


def request_of(role: str) -> HttpRequest:
    request = HttpRequest()
    request.user = Member(role)  # type: ignore[assignment]
    request.resolver_match = SimpleNamespace(url_name="")  # type: ignore[assignment]
    return request


def may_open(role: str, name: str) -> bool:
    """Tell whether a role may open an address. Raises LookupError for one that nobody listed."""
    for own in pages():
        if name in own.addresses:
            return own.opens(request_of(role))
    if name in FOR_STAFF:
        return True
    if name in LEADING_ON:
        return any(may_open(role, each) for each in LEADING_ON[name])
    if name == "admin:auth_user_password_change":
        name = "admin:circulation_reader_password"
    for model, its_pages in admin.site._registry.items():
        beginning = f"admin:{model._meta.app_label}_{model._meta.model_name}_"
        if name.startswith(beginning):
            return _may_open_of(its_pages, name.removeprefix(beginning), request_of(role))
    raise LookupError(f"{name} is an address of the admin that config/own_pages.py does not name")


def _may_open_of(pages: Any, page: str, request: HttpRequest) -> bool:
    if page in IMPORTING:
        return bool(pages.has_import_permission(request))
    match page:
        case "changelist" | "change" | "history" | "simple_history" | "errors" | "trial":
            return bool(pages.has_view_or_change_permission(request))
        case "add":
            return bool(pages.has_add_permission(request))
        case "delete":
            return bool(pages.has_delete_permission(request))
        case "export":
            return bool(pages.has_export_permission(request))
        case "password":
            return bool(pages.has_change_permission(request))
    needed = getattr(getattr(pages, page, None), "permission", "")
    if not needed:
        raise LookupError(f"Who may open {page} of {pages} is said nowhere")
    return bool(pages.may(request, needed))


@dataclass(frozen=True, order=True)
class Place:
    """Where the sidebar has a page, and what it calls it."""

    number: int
    section: str
    title: str = ""


@dataclass(frozen=True)
class Line:
    place: Place
    page: str
    acts: dict[str, tuple[str, ...]]
    """What each role may do; nothing where the page is closed to it."""


def lines() -> list[Line]:
    """Return a line for each page that some role sees: first those of the sidebar, in its order."""
    places = _places()
    found = [_own_line(own, places) for own in pages() if not own.is_file]
    found += [_model_line(model, places) for model in admin.site._registry]
    seen = (line for line in found if any(line.acts.values()))
    return sorted(seen, key=lambda line: (line.place, line.page))


def _places() -> dict[str, Place]:
    """Return address -> where the sidebar has it."""
    places: dict[str, Place] = {}
    for group in unfold.SIDEBAR:
        for item in group["items"]:
            address = str(item["link"]).partition("?")[0]
            section = str(group.get("title") or _("Daily work"))
            places.setdefault(address, Place(len(places), section, str(item["title"])))
    return places


def _own_line(own: OwnPage, places: dict[str, Place]) -> Line:
    acts: dict[str, tuple[str, ...]] = {}
    for role in ROLES:
        request = request_of(role)
        done = (str(title) for title, may in own.acts.items() if may(request))
        acts[role] = (_("see"), *done) if own.opens(request) else ()
    place = _place(own.addresses[0], places)
    return Line(place, str(own.title), acts)


def _model_line(model: Any, places: dict[str, Place]) -> Line:
    meta, its_pages = model._meta, admin.site._registry[model]
    place = _place(f"admin:{meta.app_label}_{meta.model_name}_changelist", places)
    acts = {role: tuple(_acts_of(its_pages, request_of(role))) for role in ROLES}
    return Line(place, place.title or capfirst(str(meta.verbose_name_plural)), acts)


def _place(name: str, places: dict[str, Place]) -> Place:
    elsewhere = Place(len(places), _("Opened from other pages"))
    try:
        return places.get(reverse(name), elsewhere)
    except NoReverseMatch:  # of a row
        return elsewhere


def _acts_of(pages: Any, request: HttpRequest) -> Iterator[str]:
    if not pages.has_view_or_change_permission(request):
        return
    yield _("see")
    standard = (
        (_("add"), pages.has_add_permission),
        (_("change"), pages.has_change_permission),
        (_("delete"), pages.has_delete_permission),
        (_("import"), getattr(pages, "has_import_permission", _never)),
        (_("export"), getattr(pages, "has_export_permission", _never)),
    )
    yield from (word for word, may in standard if may(request))
    for name in dict.fromkeys((*(pages.actions or ()), *(pages.actions_detail or ()))):
        act = getattr(pages, name, None)
        needed = getattr(act, "permission", "")
        if name != "delete_chosen" and needed and pages.may(request, needed):
            yield str(act.short_description)  # type: ignore[union-attr]
    more = MORE_ACTS.get(pages.model._meta.label_lower, {})
    yield from (str(title) for title, needed in more.items() if request.user.has_perm(needed))


def _never(_request: HttpRequest) -> bool:
    return False
