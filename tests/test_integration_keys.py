"""Integration keys: shown once, stored as a digest, good for their scopes, useless once revoked."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core import serializers
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models import QuerySet
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import AccessToken
from simple_history.models import HistoricalRecords

from catalog.models import Book
from circulation import integration_keys
from circulation.integration_keys import SCOPES, AlreadyRevokedError, NameTakenError
from circulation.models import IntegrationKey, Reader
from tests.factories import make_member, make_reader, make_staff
from tests.issuer import Issuer
from tests.office import act_on, act_on_page, as_superuser, page, said, signed_in

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Loans(APIView):
    """GET is for who may see loans, POST for readers, PUT for who may check out."""

    access = {
        "GET": ("circulation.view_loan",),
        "POST": ("reader",),
        "PUT": ("circulation.check_out",),
        "PATCH": ("anyone",),
    }

    def get(self, request: Request) -> Response:
        return Response({"by": str(request.user)})

    post = put = get

    def patch(self, request: Request) -> Response:
        return Response({"book": Book.objects.create(title="Fiasco", author="Lem").pk})


def call(key: str, method: str = "get", *, scheme: str = "Bearer") -> Any:
    asked = getattr(APIRequestFactory(), method)("/", HTTP_AUTHORIZATION=f"{scheme} {key}")
    HistoricalRecords.context.request = asked
    try:
        return Loans.as_view()(asked).render()
    finally:
        del HistoricalRecords.context.request


def make(name: str = "Website", *scopes: str, **options: Any) -> tuple[IntegrationKey, str]:
    options.setdefault("by", make_staff("Root", is_superuser=True))
    options.setdefault("at", NOW)
    return integration_keys.make(name, scopes or ("loans",), **options)


def new_key_form(**changes: Any) -> dict[str, Any]:
    return {"name": "Website", "scopes": ["loans", "notices"], **changes}


def shown_key(text: str) -> str:
    return str(re.findall(r"carrel_[\w-]{43}", text)[0])


class TestCalling:
    def test_a_key_opens_what_its_scopes_say_and_no_more(self) -> None:
        _key, text = make()
        assert call(text).data == {"by": "Website"}
        for method in ("post", "put"):
            assert call(text, method).status_code == 403
        assert call(text, scheme="bearer").status_code == 200

    @pytest.mark.parametrize("scope", SCOPES)
    def test_a_scope_holds_permissions_that_exist(self, scope: str) -> None:
        for permission in SCOPES[scope].allows:
            app, codename = permission.split(".")
            assert Permission.objects.filter(
                content_type__app_label=app, codename=codename
            ).exists(), permission

    def test_no_scope_deletes_lends_or_touches_people_and_money(self) -> None:
        held = set().union(*(scope.allows for scope in SCOPES.values()))
        assert not [each for each in held if "delete" in each or "reader" in each]
        assert {each for each in held if each.startswith("billing")} == {"billing.view_payment"}
        assert "circulation.check_out" not in held

    def test_a_caller_is_no_reader_and_no_superuser(self) -> None:
        _key, text = make("Website", "loans", "payments")
        caller = integration_keys.recognise(text, at=NOW)
        assert not isinstance(caller, Reader)
        assert (caller.pk, caller.is_authenticated, caller.is_superuser) == (None, True, False)
        assert caller.has_perms(["circulation.view_loan", "billing.view_payment"])
        assert not caller.has_perms(["circulation.view_loan", "catalog.view_book"])
        assert not caller.has_perm("")

    def test_a_scope_that_is_no_more_opens_nothing(self) -> None:
        key, text = make()
        IntegrationKey.objects.filter(pk=key.pk).update(scopes=["loans-of-old"])
        assert call(text).status_code == 403

    @pytest.mark.parametrize(
        "text", ["carrel_", "carrel_x", "carrel_" + "A" * 43, "carrel_é", "carrel_" + "x" * 9000]
    )
    def test_an_unknown_key_is_refused_even_where_anybody_may_come_in(self, text: str) -> None:
        make()
        for method in ("get", "patch"):
            answer = call(text, method)
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")

    def test_a_part_or_the_digest_of_a_key_is_no_key(self) -> None:
        key, text = make()
        for wrong in (key.prefix, text[:-1], text + "A", f"carrel_{key.digest}", key.digest):
            assert call(wrong).status_code == 401

    def test_a_revoked_key_is_refused_at_once(self) -> None:
        key, text = make()
        root = make_staff("Root", is_superuser=True)
        assert call(text).status_code == 200
        integration_keys.revoke(key, by=root, at=NOW)
        assert "revoked" in call(text).data["detail"]
        with pytest.raises(AlreadyRevokedError):
            integration_keys.revoke(key, by=root, at=NOW)

    def test_a_key_expires_to_the_second(self) -> None:
        _key, text = make(expires_at=NOW)
        with time_machine.travel(NOW - timedelta(seconds=1), tick=False) as clock:
            assert call(text).status_code == 200
            clock.shift(1)
            assert "expired" in call(text).data["detail"]

    def test_other_tokens_are_left_to_others(self, issuer: Issuer) -> None:
        anna = make_reader(email="anna@example.org")
        for token in (str(AccessToken.for_user(anna)), issuer.token()):
            assert call(token, "post").data == {"by": str(anna)}
        assert call("nonsense").status_code == 401


DOORS = {
    ("GET", "/api/users/me/"): set(),
    ("GET", "/api/borrowings/"): {"loans", "notices"},
    ("POST", "/api/borrowings/"): set(),
    ("GET", "/api/loans/overdue"): {"loans", "notices"},
    ("GET", "/api/holds/"): {"loans"},
    ("POST", "/api/holds/"): set(),
    ("GET", "/api/payments/"): {"payments"},
    ("POST", "/api/books/"): {"catalogue"},
    ("GET", "/api/books/"): set(SCOPES),
}


@pytest.mark.parametrize("scope", SCOPES)
def test_each_scope_opens_its_doors_alone(scope: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make(scope, scope)[1]}")
    opened = {
        door for door in DOORS if client.generic(*door, "{}", "application/json").status_code != 403
    }
    assert opened == {door for door, scopes in DOORS.items() if scope in scopes}


def test_a_key_for_the_catalogue_adds_a_book_with_copies() -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {make('Shop', 'catalogue')[1]}")
    answer = client.post("/api/books/", {"title": "Fiasco", "author": "Lem", "inventory": 2})
    assert answer.status_code == 201, answer.data
    book = Book.objects.get()
    assert book.copies.count() == 2
    made = book.history.get()
    assert (made.history_user, made.history_change_reason) == (None, "API: Shop")


class TestNotingUse:
    def test_a_call_costs_one_query_and_once_a_minute_another(self) -> None:
        key, text = make()
        with time_machine.travel(NOW, tick=False) as clock:
            assert self.queries(text) == ["SELECT", "UPDATE"]
            clock.shift(59)
            assert self.queries(text) == ["SELECT"]
            key.refresh_from_db()
            assert key.last_used_at == NOW
            clock.shift(1)
            assert self.queries(text) == ["SELECT", "UPDATE"]
            key.refresh_from_db()
            assert key.last_used_at == NOW + timedelta(minutes=1)

    def test_a_busy_database_keeps_no_caller_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _key, text = make()

        def busy(*_args: Any, **_fields: Any) -> int:
            raise OperationalError("database is locked")

        monkeypatch.setattr(QuerySet, "update", busy)
        assert call(text).status_code == 200

    @staticmethod
    def queries(text: str) -> list[str]:
        with CaptureQueriesContext(connection) as asked:
            assert call(text).status_code == 200
        return [
            query["sql"].split()[0]
            for query in asked
            if "SAVEPOINT" not in query["sql"] and "carrel_cache" not in query["sql"]
        ]


class TestHistories:
    def test_what_a_key_changes_has_its_name_and_no_person(self) -> None:
        _key, text = make("Website of the town", "catalogue")
        made = Book.history.get(id=call(text, "patch").data["book"])
        assert made.history_user is None
        assert made.history_change_reason == "API: Website of the town"

    def test_a_long_name_fits(self) -> None:
        _key, text = make("W" * 100)
        assert call(text, "patch").status_code == 200

    def test_what_people_change_has_the_person(self) -> None:
        anna = make_reader()
        made = Book.history.get(id=call(str(AccessToken.for_user(anna)), "patch").data["book"])
        assert (made.history_user, made.history_change_reason) == (anna, None)

    def test_a_history_never_has_the_key_or_its_digest(self) -> None:
        key, text = make()
        integration_keys.revoke(key, by=key.made_by, at=NOW)
        kept = serializers.serialize("json", IntegrationKey.history.all())
        assert kept.count('"history_type"') == 2
        assert text not in kept
        assert key.digest not in kept


class TestTheDatabase:
    def test_a_key_in_force_has_its_name_alone(self) -> None:
        key, _text = make("Website")
        with pytest.raises(NameTakenError, match="Website"):
            make("Website")
        integration_keys.revoke(key, by=key.made_by, at=NOW)
        make("Website")

    def test_nobody_revokes_anonymously(self) -> None:
        make()
        with pytest.raises(DatabaseError), transaction.atomic():
            IntegrationKey.objects.update(revoked_at=NOW)

    def test_no_two_keys_are_alike(self) -> None:
        texts = {make(f"Key {number}")[1] for number in range(20)}
        assert len(texts) == 20
        assert all(re.fullmatch(r"carrel_[\w-]{43}", text) for text in texts)


class TestTheAdmin:
    def test_a_key_is_shown_once_and_kept_nowhere(self) -> None:
        client = as_superuser()
        answer = client.post(page(IntegrationKey, "add"), new_key_form())
        text, key = shown_key(answer.text), IntegrationKey.objects.get()

        assert call(text).data == {"by": "Website"}
        assert "no-store" in answer.headers["Cache-Control"]
        assert (key.scopes, key.prefix) == (["notices", "loans"], text[:15])
        for name in ("change", "history"):
            assert text not in client.get(page(key, name)).text
        assert text not in client.get(page(IntegrationKey, "changelist")).text
        assert text not in str(dict(client.session))
        assert text not in str(answer.cookies)
        assert text not in "".join(str(entry.change_message) for entry in LogEntry.objects.all())
        assert text not in str(list(IntegrationKey.objects.values()))
        assert LogEntry.objects.get().object_repr == "Website"
        assert key.history.get().history_user == key.made_by

    def test_sending_the_form_twice_makes_one_key(self) -> None:
        client = as_superuser()
        client.post(page(IntegrationKey, "add"), new_key_form())
        again = client.post(page(IntegrationKey, "add"), new_key_form())
        assert "is called “Website” already" in again.text
        assert "carrel_" not in again.text
        assert IntegrationKey.objects.count() == 1

    @pytest.mark.parametrize(
        ("changes", "complaint"),
        [
            ({"name": ""}, "required"),
            ({"name": "x" * 101}, "at most 100"),
            ({"name": "x\x00"}, "Null characters"),
            ({"scopes": []}, "Choose at least one"),
            ({"scopes": ["everything"]}, "not one of the available choices"),
            ({"last_day": "2020-01-01"}, "today or a later day"),
            ({"last_day": "9999-12-31"}, "today or a later day"),
            ({"last_day": "never"}, "valid date"),
        ],
    )
    def test_a_bad_form_makes_no_key(self, changes: dict[str, Any], complaint: str) -> None:
        answer = as_superuser().post(page(IntegrationKey, "add"), new_key_form(**changes))
        assert answer.status_code == 200
        assert complaint in answer.text
        assert not IntegrationKey.objects.exists()

    def test_the_last_day_counts_to_its_end_where_the_library_is(self, settings: Settings) -> None:
        settings.TIME_ZONE = "Europe/Warsaw"
        with time_machine.travel(NOW, tick=False):
            form = new_key_form(last_day="2026-03-02")
            as_superuser().post(page(IntegrationKey, "add"), form)
        assert IntegrationKey.objects.get().expires_at == datetime(2026, 3, 2, 23, tzinfo=UTC)

    def test_revoking_asks_first_and_says_who_did_it(self) -> None:
        key, text = make()
        client = as_superuser()
        assert "cannot be taken back" in client.get(page(key, "revoke")).text
        act_on(client, "revoke", key, confirmed=False)
        assert call(text).status_code == 200

        act_on_page(client, "revoke", key)

        assert call(text).status_code == 401
        key.refresh_from_db()
        assert str(key.revoked_by) == "Root Nowak"
        assert key.history.first().history_user == key.revoked_by
        assert "revoked already" in said(act_on(client, "revoke", key))
        assert page(key, "revoke") not in client.get(page(key, "change")).text

    def test_nothing_of_a_key_is_changed_and_no_key_is_deleted(self) -> None:
        key, _text = make()
        client = as_superuser()
        form = {"name": "Other", "scopes": '["catalogue"]'}
        assert client.post(page(key, "change"), form).status_code == 403
        assert client.post(page(key, "delete"), {"post": "yes"}).status_code == 403
        act_on(client, "delete_selected", key)
        key.refresh_from_db()
        assert (key.name, key.scopes) == ("Website", ["loans"])

    @pytest.mark.parametrize("role", ["Librarian", "Assistant", "Cashier", "Auditor"])
    def test_no_role_makes_or_revokes_keys_and_the_auditor_sees_them(self, role: str) -> None:
        key, text = make()
        client = signed_in(make_member(role))
        assert client.post(page(IntegrationKey, "add"), new_key_form()).status_code == 403
        assert client.get(page(IntegrationKey, "add")).status_code == 403
        assert act_on_page(client, "revoke", key).status_code == 403
        act_on(client, "revoke", key)
        assert call(text).status_code == 200
        seen = client.get(page(IntegrationKey, "changelist")).status_code
        assert seen == (200 if role == "Auditor" else 403)

    def test_nobody_makes_a_key_that_may_do_more_than_its_maker(self) -> None:
        maker = make_staff(permissions=("circulation.add_integrationkey", "circulation.view_loan"))
        client = signed_in(maker)
        text = client.get(page(IntegrationKey, "add")).text
        assert "copies there are" not in text
        answer = client.post(page(IntegrationKey, "add"), new_key_form(scopes=["catalogue"]))
        assert "not one of the available choices" in answer.text
        assert not IntegrationKey.objects.exists()

    def test_the_list_says_how_each_key_stands_in_few_queries(self) -> None:
        root = make_staff("Root", is_superuser=True)
        used, text = make("Used", by=root)
        make("Unused", by=root)
        make("Old", by=root, expires_at=NOW)
        gone, _text = make("Gone", by=root)
        integration_keys.revoke(gone, by=root, at=NOW)
        integration_keys.recognise(text, at=NOW)
        client = as_superuser()
        rows = client.get(page(IntegrationKey, "changelist"))
        for state in ("in use", "not used yet", "expired", "revoked"):
            assert state in rows.text
        assert "See all loans and holds." in rows.text
        with CaptureQueriesContext(connection) as asked:
            client.get(page(IntegrationKey, "changelist"))
        assert len(asked) <= 10
        with CaptureQueriesContext(connection) as asked:
            assert used.prefix in client.get(page(used, "change")).text
        assert len(asked) <= 12


class TestExternalSignInsInTheAdmin:
    def test_superusers_take_a_link_off_and_nobody_makes_or_changes_one(
        self, issuer: Issuer
    ) -> None:
        anna = make_reader(email="anna@example.org")
        call(issuer.token(), "post")
        identity = anna.external_identities.get()
        auditor: Client = signed_in(make_member("Auditor"))
        assert "anna-there" in auditor.get(page(type(identity), "changelist")).text
        assert auditor.post(page(identity, "delete"), {"confirmed": "yes"}).status_code == 403
        client = as_superuser()
        assert client.get(page(type(identity), "add")).status_code == 403
        assert client.post(page(identity, "change"), {"subject": "x"}).status_code == 403

        client.post(page(identity, "delete"), {"confirmed": "yes"})

        assert not anna.external_identities.exists()
        assert type(identity).history.filter(history_type="-").exists()
