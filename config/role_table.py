"""Who sees which page of the admin and what each may do there, read from the pages themselves.

`manage.py document roles` writes it for people; a test opens every address as every role by it.
"""

from collections.abc import Collection, Iterable, Iterator
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
    """Somebody with these rights and no others, as the pages see those who are signed in."""

    is_active = is_staff = is_authenticated = True
    is_superuser = is_anonymous = False
    pk = id = None

    def __init__(self, rights: Collection[str]) -> None:
        self.rights = rights

    def has_perm(self, permission: str, _row: Any = None) -> bool:
        return permission in self.rights

    def has_perms(self, permissions: Iterable[str], _row: Any = None) -> bool:
        return all(map(self.has_perm, permissions))

    def has_module_perms(self, app: str) -> bool:
        return any(permission.startswith(f"{app}.") for permission in self.rights)


def request_of(role: str) -> HttpRequest:
    return request_with(ROLES[role])


def request_with(rights: Collection[str]) -> HttpRequest:
    request = HttpRequest()
    request.user = Member(rights)  # type: ignore[assignment]
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


Seen = tuple[Place, str, tuple[str, ...]]


@dataclass(frozen=True)
class Line:
    place: Place
    page: str
    acts: dict[str, tuple[str, ...]]
    """What each role may do; nothing where the page is closed to it."""


def lines() -> list[Line]:
    """Return a line for each page that some role sees: first those of the sidebar, in its order."""
    seen = {role: opened(request_of(role)) for role in ROLES}
    known = sorted(set().union(*seen.values()))
    return [
        Line(place, page, {role: seen[role].get((place, page), ()) for role in ROLES})
        for place, page in known
    ]


def opened(request: HttpRequest) -> dict[tuple[Place, str], tuple[str, ...]]:
    """Return the pages that a person may see, with what he or she may do there."""
    places = _places()
    found = [_own(own, places, request) for own in pages() if not own.is_file]
    found += [_of_model(model, places, request) for model in admin.site._registry]
    return {(place, page): acts for place, page, acts in sorted(found) if acts}


def _places() -> dict[str, Place]:
    """Return address -> where the sidebar has it."""
    places: dict[str, Place] = {}
    for group in unfold.SIDEBAR:
        for item in group["items"]:
            address = str(item["link"]).partition("?")[0]
            section = str(group.get("title") or _("Daily work"))
            places.setdefault(address, Place(len(places), section, str(item["title"])))
    return places


def _own(own: OwnPage, places: dict[str, Place], request: HttpRequest) -> Seen:
    done = (str(title) for title, may in own.acts.items() if may(request))
    acts = (_("see"), *done) if own.opens(request) else ()
    return _place(own.addresses[0], places), str(own.title), acts


def _of_model(model: Any, places: dict[str, Place], request: HttpRequest) -> Seen:
    meta, its_pages = model._meta, admin.site._registry[model]
    place = _place(f"admin:{meta.app_label}_{meta.model_name}_changelist", places)
    page = place.title or capfirst(str(meta.verbose_name_plural))
    return place, page, tuple(_acts_of(its_pages, request))


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
