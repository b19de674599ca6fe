"""The sidebar: all pages in it, one marked, and badges where work waits for who is signed in."""

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db.models import Model
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import resolve, reverse
from django.utils import timezone
from django_q.models import Schedule

from billing.models import Payment
from catalog.models import ItemType
from circulation.models import ClosedDay, ClosedWeekday, Hold, LoanPolicy, Reader, ReaderCategory
from config import jobs, waiting
from config.unfold import SIDEBAR
from tests.counting import queries_of
from tests.factories import make_book, make_copy, make_member, make_reader
from tests.office import as_superuser, page, signed_in

pytestmark = pytest.mark.django_db

ITEMS = [item for group in SIDEBAR for item in group["items"]]
BADGE = "text-center text-red-700 "


def request_for(url: str, user: Reader | None = None) -> HttpRequest:
    request = RequestFactory().get(url)
    request.resolver_match = resolve(url.split("?", maxsplit=1)[0])
    request.user = user or make_reader("Root", is_staff=True, is_superuser=True)
    return request


def make_waiting() -> None:
    """One of each kind of work that the sidebar counts, but for failed deliveries."""
    Hold.objects.create(
        book=make_copy(make_book()).book, reader=make_reader(), placed_at=timezone.now()
    )
    Payment.objects.create(
        reader=make_reader(), status="REVIEW", provider="CASH", currency="USD", money_to_pay=1,
        paid_amount=1, paid_at=timezone.now(),
    )  # fmt: skip
    jobs.sync()
    late = timezone.now() - timezone.timedelta(hours=1)
    Schedule.objects.filter(name="deliver_alerts").update(next_run=late)


def badges(client: Client) -> list[str]:
    text = client.get("/admin/").text
    return [part.split("<")[0].split(">")[1] for part in text.split(BADGE)[1:]]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: str(item["title"]))
def test_on_its_page_an_item_is_marked_and_no_other(item: dict[str, Any]) -> None:
    request = request_for(str(item["link"]))
    assert [str(each["title"]) for each in ITEMS if each["active"](request)] == [str(item["title"])]


def test_the_page_of_a_row_marks_its_list() -> None:
    request = request_for(page(make_book(), "change"))
    assert [str(each["title"]) for each in ITEMS if each["active"](request)] == ["Books"]


def test_every_list_is_in_the_sidebar() -> None:
    linked = {str(item["link"]).split("?")[0] for item in ITEMS}
    lists = {page(model, "changelist") for model in admin.site._registry}
    # What went well in the queue is not kept, and tokens are looked at by nobody.
    missing = {url.split("/")[3] for url in lists - linked}
    assert missing <= {"success", "outstandingtoken", "blacklistedtoken", "allocation"}


def test_badges_count_what_waits() -> None:
    assert badges(as_superuser()) == []
    make_waiting()
    assert badges(as_superuser()) == ["1", "1", "1"]


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        ("Librarian", {"pull", "review", "late jobs"}),
        ("Assistant", {"pull"}),
        ("Cashier", {"review"}),
        ("Auditor", set()),
    ],
)
def test_a_badge_is_for_who_can_do_the_work(role: str, shown: set[str]) -> None:
    make_waiting()
    request = request_for("/admin/", make_member(role))
    badge = {
        "pull": waiting.to_pull_badge(request),
        "review": waiting.to_review_badge(request),
        "failed": waiting.failed_badge(request),
        "late jobs": waiting.late_jobs_badge(request),
    }
    assert {name for name, text in badge.items() if text == "1"} == shown


def test_all_badges_together_ask_once() -> None:
    make_waiting()
    request = request_for("/admin/", make_reader("Root", is_staff=True, is_superuser=True))
    every = (waiting.to_pull_badge, waiting.to_review_badge, waiting.failed_badge)
    assert queries_of(lambda: [badge(request) for badge in every]) == 1


def test_every_page_offers_the_palette() -> None:
    text = signed_in(make_member("Assistant")).get(reverse("desk")).text
    assert "Find anything" in text
    assert "config/palette.js" in text


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (LoanPolicy, "beats the one for everybody"),
        (ClosedDay, "no loan falls due"),
        (ClosedWeekday, "Holidays stand under"),
        (ReaderCategory, "on terms of their own"),
        (ItemType, "on terms of their own"),
        (Group, "for other rights add a role of your own"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_setting_says_what_it_is_for(model: type[Model], words: str) -> None:
    assert words in as_superuser().get(page(model, "changelist")).text
