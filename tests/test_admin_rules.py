"""The rules in the admin: what their forms refuse, what stays, and which one applies and why."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from catalog.models import ItemType
from circulation.models import ClosedWeekday, LoanPolicy, ReaderCategory
from tests.factories import make_copy, make_member, make_reader
from tests.office import act_on, page, said, signed_in

pytestmark = pytest.mark.django_db
TERMS = {
    "loan_days": "14",
    "max_loans": "5",
    "max_holds": "3",
    "max_renewals": "2",
    "grace_days": "0",
    "lost_fee": "20",
    "hold_shelf_days": "7",
    "debt_limit": "5",
}


@pytest.fixture
def client() -> Client:
    return signed_in(make_member("Librarian"))


@pytest.fixture
def child() -> ReaderCategory:
    return ReaderCategory.objects.create(name="Child")


@pytest.fixture
def dvd() -> ItemType:
    return ItemType.objects.create(name="DVD")


def default_policy() -> LoanPolicy:
    return LoanPolicy.objects.get(category=None, item_type=None)


@pytest.mark.parametrize("rates", [{}, {"fine_factor": "1", "fine_per_day": "1"}])
def test_a_policy_has_exactly_one_kind_of_fine(
    client: Client, child: ReaderCategory, rates: dict[str, str]
) -> None:
    response = client.post(page(LoanPolicy, "add"), {**TERMS, "category": child.pk, **rates})
    assert "Fill in the fine either as a factor" in response.text
    assert LoanPolicy.objects.count() == 1


def test_there_is_one_policy_for_a_category_and_an_item_type(
    client: Client, child: ReaderCategory
) -> None:
    data = {**TERMS, "category": child.pk, "fine_per_day": "0.1"}
    client.post(page(LoanPolicy, "add"), data)
    assert "There is a policy for this" in client.post(page(LoanPolicy, "add"), data).text
    assert LoanPolicy.objects.count() == 2


def test_the_policy_for_everybody_and_everything_stays(
    client: Client, child: ReaderCategory
) -> None:
    rule = default_policy()
    assert client.post(page(rule, "delete"), {"confirmed": "yes"}).status_code == 403
    assert "must stay: change it instead" in said(act_on(client, "delete_chosen", rule))
    data = {**TERMS, "category": child.pk, "fine_per_day": "0.1"}
    assert client.post(page(rule, "change"), data).status_code == 302
    assert str(default_policy().fine_per_day) == "0.1000"


def test_one_weekday_stays_open(client: Client) -> None:
    for weekday in range(7):
        response = client.post(page(ClosedWeekday, "add"), {"weekday": weekday})
    assert "At least one day of the week must stay open" in response.text
    assert ClosedWeekday.objects.count() == 6


def test_what_is_in_use_is_not_deleted(
    client: Client, child: ReaderCategory, dvd: ItemType
) -> None:
    make_reader(category=child)
    make_copy(item_type=dvd)
    used: Any
    for used, text in ((child, "the category of 1 readers"), (dvd, "the type of 1 copies")):
        assert text in said(client.post(page(used, "delete"), {"confirmed": "yes"}))
    other = ItemType.objects.create(name="CD")
    LoanPolicy.objects.create(item_type=other, fine_per_day=1)
    assert "There are loan policies" in said(act_on(client, "delete_chosen", other))
    assert ItemType.objects.count() == 2


def test_which_rule_applies_is_told_in_order_with_an_example(
    client: Client, child: ReaderCategory, dvd: ItemType
) -> None:
    LoanPolicy.objects.create(item_type=dvd, fine_per_day="0.20", loan_days=3)
    LoanPolicy.objects.create(category=child, fine_per_day="0.10", loan_days=21, fine_cap=1)
    url = reverse("admin:circulation_which_rule")
    asked: dict[str, Any] = {"category": child.pk, "item_type": dvd.pk, "days_late": "30"}
    fitting, example = client.get(url, asked).context["tables"]
    assert [row[2].split(",")[0] for row in fitting.rows] == [
        "made for this reader category",
        "made for this item type",
        "made for everybody and everything; applies where nothing else does",
    ]
    assert "applies" in fitting.rows[0][0]
    due, fine = example.rows
    assert due[2] == "21 days"
    assert fine[1] == "1.00"
    assert "30 open days × 0.10; limited to 1.00" in fine[2]


def test_which_rule_applies_is_asked_for_a_reader_and_a_copy(
    client: Client, child: ReaderCategory, dvd: ItemType
) -> None:
    LoanPolicy.objects.create(category=child, item_type=dvd, fine_factor=2, loan_days=1)
    reader, copy = make_reader(category=child), make_copy(item_type=dvd)
    copy.book.daily_fee = "0.30"
    copy.book.save()
    asked: dict[str, Any] = {"reader": reader.pk, "copy": copy.pk, "days_late": "10"}
    fitting, example = client.get(reverse("admin:circulation_which_rule"), asked).context["tables"]
    assert "this reader category and this item type" in fitting.rows[0][2]
    assert "10 open days × 0.60" in example.rows[1][2]


def test_which_rule_survives_odd_questions_and_a_library_that_never_opens(client: Client) -> None:
    url = reverse("admin:circulation_which_rule")
    for asked in ({"category": "x"}, {"copy": "9" * 40}, {"days_late": "-1"}, {"reader": "0"}):
        assert client.get(url, asked).status_code == 200
    ClosedWeekday.objects.bulk_create(ClosedWeekday(weekday=day) for day in range(7))
    assert "closed on every day" in client.get(url, {"days_late": "1"}).text
    assert signed_in(make_member("Cashier")).get(url).status_code == 403
