"""Every address of the admin, opened as every role: what opens is what the table of roles says."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib import admin
from django.http import HttpResponse
from django.template.response import SimpleTemplateResponse
from django.test import Client
from django.urls import URLPattern, get_resolver, resolve
from django.utils import timezone
from django_q.models import Failure, OrmQ, Schedule, Success

from alerts.models import Channel, ChannelAudience, Delivery, Event
from billing.models import Payment
from catalog.models import ImportRun
from circulation import integration_keys
from circulation.identities import ExternalIdentity
from circulation.models import Reader
from config import own_pages, role_table, unfold
from config.models import JobRun
from config.roles import ROLES
from tests.factories import make_member, make_reader, make_staff
from tests.office import as_superuser, page, signed_in
from tests.test_admin_pages import make_one_of_each

pytestmark = pytest.mark.django_db

README = Path(__file__).parent.parent / "README.md"
NOTHING_THERE = re.compile(r"(_(upload|upload_progress|upload_errors|errors)|-receipts)$")
"""Pages of what these tests have none of."""


def make_the_rest() -> None:
    """A row of each kind that the pages of books, loans and money do not need."""
    now, by = timezone.now(), make_staff("Root", is_superuser=True)
    JobRun.objects.create(name="expire_holds", finished_at=now)
    Schedule.objects.create(name="expire_holds", func="x")
    OrmQ.objects.create(key="x", payload="x", lock=now)
    for task, success in ((Failure, False), (Success, True)):
        fields = {"id": str(success), "name": "x", "started": now, "stopped": now}
        task.objects.create(func="x", success=success, **fields)
    event = Event.objects.create(kind="JOB_FAILED", subject="config.jobrun:1", key="x")
    channel = Channel.objects.create(name="x", backend="email", audience=ChannelAudience.STAFF)
    Delivery.objects.create(event=event, channel=channel, key="x", kind=event.kind)
    ImportRun.objects.create(kind="books", status=ImportRun.Status.DONE, file_name="x")
    integration_keys.make("x", ["catalogue"], by=by, at=now)
    ExternalIdentity.objects.create(reader=by, issuer="x", subject="x", email="x@example.org")


def addresses() -> Iterator[tuple[str, str]]:
    """Yield the name and the address of each page under /admin/, of the newest row of its model."""
    rows = {
        f"admin:{model._meta.app_label}_{model._meta.model_name}_": model
        for model in admin.site._registry
    }
    for route, namespace, pattern in _patterns(get_resolver().url_patterns):
        if not route.startswith("admin/") or pattern.name is None:
            continue  # what has no name leads on to what has, or to nothing
        name = namespace + pattern.name
        others = Payment if name == "billing-receipt" else Reader
        model = next((rows[start] for start in rows if name.startswith(start)), others)
        rows_of = model._default_manager.order_by("-pk")  # type: ignore[attr-defined]
        if model is Reader:
            rows_of = rows_of.filter(is_staff=False)
        if name == "billing-receipt":
            rows_of = rows_of.exclude(provider="")
        row = rows_of.first()
        yield name, "/" + _filled(route, str(row.pk) if row is not None else "1")


def _patterns(found: list[object], before: str = "", namespace: str = "") -> Iterator[tuple]:
    for each in found:
        route = before + str(each.pattern)  # type: ignore[attr-defined]
        if isinstance(each, URLPattern):
            yield route, namespace, each
        else:
            inside = f"{each.namespace}:" if each.namespace else ""  # type: ignore[attr-defined]
            yield from _patterns(each.url_patterns, route, namespace + inside)  # type: ignore[attr-defined]


def _filled(route: str, pk: str) -> str:
    route = route.replace("<slug:name>", "expire_holds").replace("<path:content_type_id>", "1")
    route = re.sub(r"\(\?P<app_label>[^)]*\)", "circulation", route)
    return re.sub(r"<[^>]*>|\(\[\^/\]\+\)", pk, route).replace("^", "").replace("$", "")


@pytest.fixture
def unrendered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may open a page is decided before it is drawn, and drawing is what takes time."""
    monkeypatch.setattr(SimpleTemplateResponse, "rendered_content", "")
    monkeypatch.setattr(admin.site, "each_context", lambda _request: {"available_apps": []})


def opened(client: Client, address: str) -> str:
    """Return how a GET was answered: open, closed, or only for POST."""
    response = client.get(address)
    if response.status_code == 404:
        return "not there"
    if response.status_code in (403, 405):
        return {403: "closed", 405: "only for POST"}[response.status_code]
    ok = response.status_code == 200 or (response.status_code == 302 and _stays(response))
    return "open" if ok else f"{response.status_code}"


def _stays(response: HttpResponse) -> bool:
    return response.headers["Location"].startswith("/admin/")


def expected(role: str, name: str) -> tuple[str, ...]:
    """Return the answers that are right: what is not there for somebody is closed as well."""
    if name.endswith("_simple_history"):
        return ("not there",)
    if name in own_pages.POSTED:
        return ("only for POST",)
    if not role_table.may_open(role, name):
        return ("closed", "not there")
    if name.endswith("_process_import"):
        return ("only for POST",)
    return ("open", "not there") if NOTHING_THERE.search(name) else ("open",)


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_each_role_opens_of_all_addresses_those_of_the_table(role: str, unrendered: None) -> None:
    make_one_of_each()
    make_the_rest()
    client = signed_in(make_member(role))
    found = {
        name: (address, opened(client, address), expected(role, name))
        for name, address in addresses()
        if name not in ("admin:view_on_site", "admin:autocomplete")  # their query decides
    }
    assert len(found) > 200
    assert {name: what for name, what in found.items() if what[1] not in what[2]} == {}


@pytest.mark.slow
@pytest.mark.parametrize("role", ROLES)
def test_no_role_posts_to_what_is_closed_to_it(role: str, unrendered: None) -> None:
    """By the address alone, with no button in sight: refused, and nothing has changed."""
    make_one_of_each()
    make_the_rest()
    client = signed_in(make_member(role))
    before = contents()
    answers = {
        name: client.post(address, {"_form_submitted": "on", "confirmed": "yes"}).status_code
        for name, address in addresses()
        if "closed" in expected(role, name)
    }
    assert len(answers) > 60
    assert {name: code for name, code in answers.items() if code not in (403, 404, 405)} == {}
    assert contents() == before


def contents() -> dict[str, int]:
    """Return how many rows each table has that the library writes."""
    kept = ("alerts", "billing", "catalog", "circulation", "config", "auth", "django_q")
    models = [model for model in apps.get_models() if model._meta.app_label in kept]
    return {model._meta.label: model._default_manager.count() for model in models}


@pytest.mark.parametrize("role", ROLES)
def test_the_sidebar_offers_a_role_exactly_what_it_may_open(role: str) -> None:
    request = role_table.request_of(role)
    wrong = {
        str(item["title"]): str(item["link"])
        for group in unfold.SIDEBAR
        for item in group["items"]
        if _offers(item, request) != role_table.may_open(role, _name_of(str(item["link"])))
    }
    assert {title: link for title, link in wrong.items() if "django_q" not in link} == {}


def _offers(item: dict, request: object) -> bool:
    test = item.get("permission")
    return test is None or bool(test(request))


def _name_of(link: str) -> str:
    return resolve(link.partition("?")[0]).view_name


def test_what_only_acts_answers_a_get_with_405(unrendered: None) -> None:
    client = as_superuser()
    found = {name: address for name, address in addresses() if name in own_pages.POSTED}
    assert found.keys() == own_pages.POSTED
    assert {name for name, url in found.items() if client.get(url).status_code != 405} == set()


def test_nobody_outside_the_staff_opens_anything(unrendered: None) -> None:
    make_one_of_each()
    make_the_rest()
    reader = signed_in(make_reader("Reader"))
    open_to_all = {"admin:login", "admin:logout", "admin:jsi18n"}
    for name, address in addresses():
        if name in open_to_all or name in own_pages.POSTED:
            continue
        assert reader.get(address).status_code in (302, 403, 404), name


class TestPersonalData:
    """Emails, phones and notes are for those who write, call, or look after the cards."""

    SECRETS = ("zofia@private.example", "+48 600 700 800", "Lost three books in a lake")

    @pytest.fixture
    def zofia(self) -> Reader:
        email, phone, note = self.SECRETS
        reader = make_reader("Zofia", email=email, is_blocked=True, block_reason=note)
        reader.phone = phone
        reader.save()
        return reader

    def pages(self, role: str, zofia: Reader) -> str:
        client = signed_in(make_member(role))
        urls = (page(zofia, "change"), page(zofia, "history"), page(Reader, "changelist"))
        return "".join(client.get(url).text for url in urls)

    @pytest.mark.parametrize("role", ["Librarian", "Assistant"])
    def test_is_seen_by_those_who_need_it(self, role: str, zofia: Reader) -> None:
        text = self.pages(role, zofia)
        assert [secret for secret in self.SECRETS if secret not in text] == []

    @pytest.mark.parametrize("role", ["Cashier", "Auditor"])
    def test_is_not_seen_by_others_but_that_it_changed(self, role: str, zofia: Reader) -> None:
        text = self.pages(role, zofia)
        assert "Zofia Nowak" in text
        assert "•••" in text
        assert [secret for secret in self.SECRETS if secret in text] == []
        assert "600 700" not in text

    def test_is_not_on_the_pages_of_sign_ins_either(self, zofia: Reader) -> None:
        email = self.SECRETS[0]
        identity = ExternalIdentity.objects.create(
            reader=zofia, issuer="https://id.example", subject="77", email=email
        )
        client = signed_in(make_member("Auditor"))
        for url in (page(ExternalIdentity, "changelist"), page(identity, "change")):
            text = client.get(url).text
            assert "77" in text
            assert email not in text
        assert email in as_superuser().get(page(identity, "change")).text

    @pytest.mark.parametrize(("role", "found"), [("Assistant", 1), ("Cashier", 0), ("Auditor", 0)])
    def test_cannot_be_guessed_by_searching(self, role: str, found: int, zofia: Reader) -> None:
        client = signed_in(make_member(role))
        response = client.get(page(Reader, "changelist"), {"q": "zofia@private"})
        assert len(response.context["cl"].result_list) == found


def test_a_page_that_nobody_listed_is_named() -> None:
    with pytest.raises(LookupError, match="brand-new"):
        role_table.may_open("Librarian", "brand-new")
