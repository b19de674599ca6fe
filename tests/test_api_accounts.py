"""One's own record over the API: what it shows, what may be changed, and what one has on loan."""

import json
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from alerts import preferences
from alerts.events import EventKind
from billing import charges
from billing.models import ChargeKind
from catalog.models import AuthorFollow
from circulation.models import Loan, Reader, ReaderCategory
from tests.api import client_for, wrong_fields
from tests.factories import lend, make_book, make_copy, make_reader, make_staff, take_back

pytestmark = pytest.mark.django_db

ME = "/api/users/me/"
OPTIONAL = [kind.value for kind in preferences.optional_kinds()]


def change(reader: Reader, **data: Any) -> Any:
    return client_for(reader).patch(ME, data)


def names(reader: Reader) -> list[str]:
    return list(AuthorFollow.objects.filter(reader=reader).values_list("author", flat=True))


@pytest.mark.parametrize("path", ["users/me", "users/me/", "users/me/books", "users/me/books/"])
def test_who_is_not_signed_in_has_no_record(path: str) -> None:
    answer = client_for().get(f"/api/{path}")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_my_record_is_mine(anna: Reader, bartek: Reader) -> None:
    anna.expiry_date = date(2027, 1, 31)
    anna.save()
    shown = client_for(anna).get(ME).json()
    assert shown == {
        "id": anna.pk,
        "email": anna.email,
        "first_name": "Anna",
        "last_name": "Nowak",
        "phone": "",
        "language": "",
        "card_number": anna.card_number,
        "expiry_date": "2027-01-31",
        "notices": dict.fromkeys(OPTIONAL, True),
        "followed_authors": [],
    }
    assert client_for(anna).get(f"{ME}?user_id={bartek.pk}").json()["id"] == anna.pk


def test_a_record_without_card_and_email_is_shown_too() -> None:
    reader = make_reader(email=None, card_number=None)
    shown = client_for(reader).get(ME).json()
    assert (shown["email"], shown["card_number"], shown["expiry_date"]) == (None, None, None)


@pytest.mark.parametrize("method", ["patch", "put"])
def test_i_change_my_name_phone_and_language(method: str, anna: Reader) -> None:
    mine = {"first_name": "Ania", "last_name": "Kowal", "phone": "+48 22 1", "language": "pl"}
    answer = getattr(client_for(anna), method)(ME, mine)
    assert answer.status_code == 200
    assert mine.items() <= answer.json().items()
    changed = Reader.objects.get(pk=anna.pk)
    assert changed.search_name == "kowal ania"
    record = changed.history.first()
    assert record.history_user_id == anna.pk
    assert record.history_change_reason == "Changed by the reader online."


def test_what_is_not_sent_stays(anna: Reader) -> None:
    change(anna, phone="1", notices={OPTIONAL[0]: False}, followed_authors=["Lem"])
    before = client_for(anna).get(ME).json()
    for method in ("patch", "put"):
        answer = getattr(client_for(anna), method)(ME, {"first_name": "Ania"})
        assert answer.json() == {**before, "first_name": "Ania"}


def test_nothing_changed_leaves_no_trace(anna: Reader) -> None:
    shown = client_for(anna).get(ME).json()
    assert client_for(anna).put(ME, shown).json() == shown
    assert Reader.objects.get(pk=anna.pk).history.count() == 1


FORBIDDEN: dict[str, Any] = {
    "id": 10**6,
    "pk": 10**6,
    "is_staff": True,
    "is_superuser": True,
    "is_active": False,
    "is_email_verified": False,
    "is_blocked": False,
    "block_reason": "",
    "groups": [1],
    "user_permissions": [1],
    "balance": "-50.00",
    "credit": "50.00",
    "category": None,
    "card_number": "R0",
    "expiry_date": "2099-12-31",
    "contact_email": "x@example.org",
    "declined_notices": ["LOAN_OVERDUE"],
    "last_login": None,
    "password": "Another 1970!",
    "loans": [],
    "charges": [],
    "search_name": "x",
    "history": [],
}


@pytest.mark.parametrize("method", ["patch", "put"])
@pytest.mark.parametrize("field", [*FORBIDDEN, "all"])
def test_what_only_the_library_decides_stays_as_it_is(method: str, field: str) -> None:
    child = ReaderCategory.objects.create(name="Child")
    reader = make_reader(category=child, is_blocked=True, block_reason="Ask her to come")
    charge = charges.assess(reader, ChargeKind.FINE, Decimal("5.00"), description="Late")
    before = Reader.objects.filter(pk=reader.pk).values().get()
    sent = FORBIDDEN if field == "all" else {field: FORBIDDEN[field]}
    answer = getattr(client_for(reader), method)(ME, sent)
    assert answer.status_code == 200
    assert Reader.objects.filter(pk=reader.pk).values().get() == before
    assert not reader.groups.exists()
    assert not reader.user_permissions.exists()
    assert charge is not None
    assert charges.balance(reader) == Decimal("5.00")


def test_my_email_is_changed_at_the_desk(anna: Reader) -> None:
    answer = change(anna, email="other@example.org")
    assert wrong_fields(answer) == {"email"}
    assert "ask the library" in answer.json()["detail"]
    assert change(anna, email=str(anna.email).upper()).status_code == 200


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("first_name", "x" * 151),
        ("first_name", None),
        ("first_name", ["x"]),
        ("last_name", "a\0b"),
        ("phone", "call me"),
        ("phone", "1" * 41),
        ("language", "../../etc/passwd"),
        ("language", "x" * 11),
        ("language", 7),
        ("notices", []),
        ("notices", {"LOAN_OVERDUE": False}),
        ("notices", {"NONSENSE": True}),
        ("notices", {"": True}),
        ("notices", None),
        ("notices", "x"),
        ("followed_authors", "Lem"),
        ("followed_authors", None),
        ("followed_authors", {"a": 1}),
    ],
)
def test_bad_input_is_refused_by_field_and_changes_nothing(
    field: str, value: Any, anna: Reader
) -> None:
    answer = change(anna, **{field: value, "phone" if field != "phone" else "language": "1"})
    assert field in wrong_fields(answer)
    assert Reader.objects.get(pk=anna.pk).history.count() == 1


@pytest.mark.parametrize(
    ("field", "value", "wrong"),
    [
        ("notices", {"LOAN_CREATED": "maybe"}, "notices.LOAN_CREATED"),
        ("followed_authors", [""], "followed_authors.0"),
        ("followed_authors", ["Lem", "x" * 201], "followed_authors.1"),
        ("followed_authors", ["Lem", None], "followed_authors.1"),
        ("followed_authors", ["Lem", ["x"]], "followed_authors.1"),
        ("followed_authors", ["Lem", "a\0b"], "followed_authors.1"),
    ],
)
def test_bad_input_within_a_field_is_refused_by_its_place(
    field: str, value: Any, wrong: str, anna: Reader
) -> None:
    assert wrong_fields(change(anna, **{field: value})) == {wrong}


@pytest.mark.parametrize("body", ["[]", "[{}]", '"x"', "null", "7", "{", '{"phone": NaN}'])
@pytest.mark.parametrize("method", ["patch", "put"])
def test_a_body_that_is_no_object_is_refused(method: str, body: str, anna: Reader) -> None:
    call = getattr(client_for(anna), method)
    assert call(ME, body, content_type="application/json").status_code == 400


@pytest.mark.parametrize("method", ["post", "delete"])
def test_my_record_is_neither_made_nor_deleted_here(method: str, anna: Reader) -> None:
    assert getattr(client_for(anna), method)(ME).status_code == 405


class TestNotices:
    def test_i_decline_some_and_take_them_up_again(self, anna: Reader) -> None:
        answer = change(anna, notices={"LOAN_CREATED": False, "NEW_BOOK": False})
        refused = {kind for kind, is_wanted in answer.json()["notices"].items() if not is_wanted}
        assert refused == {"LOAN_CREATED", "NEW_BOOK"}
        anna.refresh_from_db()
        assert preferences.declines(anna, EventKind.NEW_BOOK)
        assert not preferences.declines(anna, EventKind.LOAN_RETURNED)
        change(anna, notices={"NEW_BOOK": True})
        anna.refresh_from_db()
        assert anna.declined_notices == ["LOAN_CREATED"]

    def test_what_a_link_declined_meanwhile_stays_declined(self, anna: Reader) -> None:
        client = client_for(anna)
        preferences.decline(anna, EventKind.LOAN_DUE_SOON)
        client.patch(ME, {"notices": {"NEW_BOOK": False}})
        anna.refresh_from_db()
        assert set(anna.declined_notices) == {"LOAN_DUE_SOON", "NEW_BOOK"}


class TestFollowedAuthors:
    def test_the_list_that_i_send_is_what_i_follow(self, anna: Reader, bartek: Reader) -> None:
        change(bartek, followed_authors=["Mrożek"])
        answer = change(anna, followed_authors=["Lem, Stanisław", "Tokarczuk", "  Olga   T. "])
        assert answer.json()["followed_authors"] == ["Lem, Stanisław", "Olga T.", "Tokarczuk"]
        change(anna, followed_authors=["Tokarczuk"])
        assert names(anna) == ["Tokarczuk"]
        change(anna, followed_authors=[])
        assert names(anna) == []
        assert names(bartek) == ["Mrożek"]

    def test_who_stays_on_the_list_is_followed_since_then(self, anna: Reader) -> None:
        change(anna, followed_authors=["Lem"])
        since = timezone.now() - timedelta(days=30)
        AuthorFollow.objects.update(created_at=since)
        change(anna, followed_authors=["LEM", "Tokarczuk"])
        assert AuthorFollow.objects.get(folded="lem").created_at == since

    def test_the_same_name_twice_is_followed_once(self, anna: Reader) -> None:
        answer = change(anna, followed_authors=["Łem", "lem", " LEM "])
        assert answer.status_code == 200
        assert len(names(anna)) == 1

    def test_a_name_needs_letters(self, anna: Reader) -> None:
        assert wrong_fields(change(anna, followed_authors=["Lem", "!!!"])) == {"followed_authors"}
        assert names(anna) == []

    def test_a_hundred_are_enough(self, anna: Reader) -> None:
        many = [f"Author {number}" for number in range(101)]
        assert wrong_fields(change(anna, followed_authors=many)) == {"followed_authors"}
        assert change(anna, followed_authors=many[:100]).status_code == 200
        assert len(names(anna)) == 100


class TestMyBooks:
    def books(self, reader: Reader, query: str = "") -> Any:
        return client_for(reader).get(f"/api/users/me/books{query}")

    def test_what_i_have_on_loan_is_listed_by_when_it_is_due(
        self, anna: Reader, bartek: Reader
    ) -> None:
        today = timezone.localdate()
        late = lend(anna, make_copy(make_book("Solaris")), on=today - timedelta(days=30))
        new = lend(anna, make_copy(make_book("Eden")), on=today)
        back = make_copy(make_book("Fiasko"))
        lend(anna, back, on=today)
        take_back(back, on=today)
        lend(bartek, make_copy(), on=today)
        answer = self.books(anna)
        assert [row["borrowing_id"] for row in answer.json()["results"]] == [late.pk, new.pk]
        assert answer.json()["results"][0] == {
            "borrowing_id": late.pk,
            "book": {
                "id": late.copy.book_id,
                "title": "Solaris",
                "author": "Lem, Stanisław",
            },
            "borrow_date": late.borrow_date.isoformat(),
            "expected_return_date": late.expected_return_date.isoformat(),
            "is_overdue": True,
        }
        assert answer.json()["results"][1]["is_overdue"] is False
        assert answer.json()["count"] == 2

    def test_a_loan_is_good_through_its_due_day(self, anna: Reader) -> None:
        lend(anna, make_copy())
        Loan.objects.update(expected_return_date=timezone.localdate())
        assert self.books(anna).json()["results"][0]["is_overdue"] is False

    def test_the_list_comes_in_pages(self, anna: Reader) -> None:
        for _copy in range(3):
            lend(anna, make_copy())
        first = self.books(anna, "?page_size=2").json()
        rest = client_for(anna).get(first["next"]).json()
        seen = [row["borrowing_id"] for row in first["results"] + rest["results"]]
        assert seen == sorted(Loan.objects.values_list("pk", flat=True))
        assert (rest["next"], first["count"]) == (None, 3)

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("?page=0", 400),
            ("?page=-1", 400),
            ("?page=x", 400),
            ("?page=%00", 400),
            ("?page_size=-5", 400),
            ("?page=2", 404),
            ("?page=999999999999999999999", 400),
            ("?page_size=9999", 200),
            ("?user_id=1", 200),
        ],
    )
    def test_odd_pages_are_refused(self, query: str, status: int, anna: Reader) -> None:
        assert self.books(anna, query).status_code == status

    def test_more_books_ask_no_more_queries(self, anna: Reader) -> None:
        client = client_for(anna)

        def asked(count: int) -> int:
            for _copy in range(count):
                lend(anna, make_copy())
            with CaptureQueriesContext(connection) as queries:
                assert client.get("/api/users/me/books").status_code == 200
            return len(queries)

        assert asked(1) == asked(3) == 2

    def test_staff_see_what_they_have_themselves(self, anna: Reader) -> None:
        lend(anna, make_copy())
        maria = make_staff("Maria", permissions=("circulation.view_loan",))
        assert self.books(maria).json()["count"] == 0


def test_my_record_costs_the_same_however_many_authors_i_follow(anna: Reader) -> None:
    client = client_for(anna)

    def asked(call: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            assert call().status_code == 200
        return len(queries)

    few = asked(lambda: client.get(ME))
    change(anna, followed_authors=[f"Author {number}" for number in range(50)])
    assert asked(lambda: client.get(ME)) == few == 2
    assert asked(lambda: client.patch(ME, {"phone": json.dumps(1)})) <= 8
