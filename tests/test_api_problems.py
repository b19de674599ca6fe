"""What holds for every address of the API: who is let in, and how it says what went wrong."""

import re
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import (
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    ValidationError,
)
from django.db import DataError, IntegrityError, OperationalError
from django.http import Http404, HttpResponse
from django.http.request import UnreadablePostError
from django.test import Client
from pytest_django import Settings
from rest_framework import exceptions, serializers
from rest_framework.test import APIClient
from rest_framework.views import APIView
from rest_framework_simplejwt.tokens import AccessToken

from catalog.inventory import InventoryRefusedError
from catalog.models import Book
from circulation.refusals import Block, RefusedError
from config.api import ROUTES
from config.rest import access, problems
from tests.api import client_for
from tests.factories import make_reader, make_staff

pytestmark = pytest.mark.django_db

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
BODIES = ("POST", "PUT", "PATCH")
SCHEMA = ("schema", "schema/swagger-ui", "schema/redoc")
VIEWS = [(route, view) for route, view, _name in ROUTES]
PAIRS = [(route, method) for route, view in VIEWS for method in view.access]
WITH_BODY = [(route, method) for route, method in PAIRS if method in BODIES]


def address(route: str, key: str = "99999") -> str:
    return "/api/" + re.sub(r"<[^>]+>", key, route)


@pytest.fixture
def superuser() -> APIClient:
    return client_for(make_staff(is_superuser=True))


def told(answer: HttpResponse) -> dict[str, Any]:
    """Return the problem that an answer is, after a look at its shape."""
    assert answer.headers["Content-Type"] == "application/problem+json", answer.content[:300]
    problem: dict[str, Any] = answer.json()  # type: ignore[attr-defined]
    assert problem["status"] == answer.status_code
    assert set(problem) - {"errors", "reasons"} == {"type", "title", "status", "code", "detail"}
    assert problem["detail"]
    return problem


@pytest.mark.parametrize(("route", "view"), VIEWS)
def test_every_view_says_for_each_of_its_methods_who_may(route: str, view: type[APIView]) -> None:
    defined = {method for method in METHODS if hasattr(view, method.lower())}
    assert set(view.access) == defined
    assert all(view.access.values())


@pytest.mark.parametrize(("route", "view"), VIEWS)
def test_every_view_asks_the_table(route: str, view: type[APIView]) -> None:
    assert tuple(view.permission_classes) == (access.AccessTable,)


def test_every_address_has_a_name_of_its_own() -> None:
    names = [name for _route, _view, name in ROUTES]
    routes = [route for route, _view, _name in ROUTES]
    assert len(set(names)) == len(names)
    assert len(set(routes)) == len(routes)


@pytest.mark.parametrize(("route", "method"), PAIRS)
def test_who_has_not_signed_in_is_told_how(route: str, method: str) -> None:
    granted = dict(VIEWS)[route].access[method]
    answer = getattr(client_for(), method.lower())(address(route))
    if access.ANYONE in granted:
        assert answer.status_code not in (401, 403, 405)
    else:
        assert (told(answer)["code"], answer.status_code) == ("not_authenticated", 401)
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("route", "method"), PAIRS)
def test_an_address_answers_alike_without_its_slash(
    superuser: APIClient, route: str, method: str
) -> None:
    call = getattr(superuser, method.lower())
    with_slash, without = call(address(route) + "/"), call(address(route))
    assert with_slash.status_code == without.status_code
    assert with_slash.status_code not in (301, 302, 308, 405)
    assert with_slash.headers["Content-Type"] == without.headers["Content-Type"]


@pytest.mark.parametrize(("route", "view"), VIEWS)
def test_other_methods_are_refused_with_those_that_there_are(
    superuser: APIClient, route: str, view: type[APIView]
) -> None:
    for method in {*METHODS, "OPTIONS", "TRACE", "PROPFIND"} - set(view.access):
        for caller in (client_for(), superuser):
            answer = caller.generic(method, address(route))
            assert told(answer)["code"] == "method_not_allowed", method
            assert answer.status_code == 405
            assert set(view.access) <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("route", [route for route, method in PAIRS if method == "GET"])
def test_head_is_as_get(superuser: APIClient, route: str) -> None:
    got, head = superuser.get(address(route)), superuser.head(address(route))
    assert head.status_code == got.status_code
    assert head.content == b""
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


@pytest.mark.parametrize(
    "route", [route for route, method in PAIRS if method == "GET" and route not in SCHEMA]
)
def test_who_asks_for_html_is_given_json(superuser: APIClient, route: str) -> None:
    answer = superuser.get(address(route), HTTP_ACCEPT="text/html,application/xml;q=0.9")
    assert answer.headers["Content-Type"] in ("application/json", "application/problem+json")


@pytest.mark.parametrize(("route", "method"), WITH_BODY)
@pytest.mark.parametrize(
    "body", ["{", "[]", "null", '"x"', "NaN", '{"a": ' * 3000, '{"title": "\\ud800"}', b"\xff\xfe"]
)
def test_a_body_that_is_no_object_is_a_problem(
    superuser: APIClient, route: str, method: str, body: str | bytes
) -> None:
    answer = superuser.generic(method, address(route), body, content_type="application/json")
    assert told(answer)["status"] in (400, 404)


@pytest.mark.parametrize(("route", "method"), WITH_BODY)
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "\x01"]
)
def test_a_body_of_another_kind_is_a_problem(
    superuser: APIClient, route: str, method: str, kind: str
) -> None:
    answer = superuser.generic(method, address(route), "title=Solaris", content_type=kind)
    assert told(answer)["status"] in (415, 404)


@pytest.mark.parametrize(("route", "method"), WITH_BODY)
def test_a_body_that_is_too_large_is_a_problem(
    superuser: APIClient, settings: Settings, route: str, method: str
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    answer = superuser.generic(
        method, address(route), '{"title": "%s"}' % ("x" * 100), content_type="application/json"
    )
    assert told(answer)["status"] in (413, 404)


def test_ten_megabytes_are_too_large(superuser: APIClient) -> None:
    body = '{"title": "%s"}' % ("x" * 10_000_000)
    answer = superuser.post("/api/books/", body, content_type="application/json")
    assert told(answer)["status"] == 413


@pytest.mark.parametrize(("route", "method"), [pair for pair in PAIRS if "<" in pair[0]])
@pytest.mark.parametrize("key", ["0", "9" * 18, "9" * 19, "9" * 40, "-1", "x", "%00", "%ED%A0%80"])
def test_an_unknown_number_is_not_found(
    superuser: APIClient, route: str, method: str, key: str
) -> None:
    answer = getattr(superuser, method.lower())(address(route, key), {})
    assert told(answer)["status"] in (404, 400)


@pytest.mark.parametrize("route", [route for route, method in PAIRS if method == "GET"])
@pytest.mark.parametrize(
    "query",
    [
        "page=-1&page_size=0",
        "%00=%00",
        "page=%ff",
        "&".join(f"a{n}=1" for n in range(1001)),
        "?&=;",
    ],
)
def test_no_query_string_breaks_an_answer(superuser: APIClient, route: str, query: str) -> None:
    answer = superuser.get(f"{address(route)}?{query}")
    assert answer.status_code in (200, 400, 404)
    if answer.status_code != 200:
        told(answer)


@pytest.mark.parametrize(
    "path",
    [
        *("/api/", "/api/nothing", "/api/nothing/", "/api/books/1/2/3", "/api/library/", "/api//"),
        "/api/books/a%0Ab/",  # no route takes a line break
    ],
)
@pytest.mark.parametrize("method", [*METHODS, "HEAD", "OPTIONS"])
def test_an_unknown_address_is_a_problem(client: Client, path: str, method: str) -> None:
    answer = client.generic(method, path, HTTP_ACCEPT="text/html")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    if method != "HEAD":
        told(answer)


@pytest.mark.parametrize("token", ["x", "a.b.c", "", "\xe9", "x" * 10_000])
@pytest.mark.parametrize("route", ["books", "books/<int:pk>"])
def test_a_bad_token_is_refused_even_where_none_is_needed(route: str, token: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    assert told(client.get(address(route)))["status"] == 401


REFUSED = RefusedError([Block("reader_expired", "The card expired.", True), Block("b", "Two.")])


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Http404(), 404, "not_found"),
        (Book.DoesNotExist("Gone between look-up and lock."), 404, "not_found"),
        (exceptions.NotFound("No page."), 404, "not_found"),
        (PermissionDenied(), 403, "permission_denied"),
        (exceptions.PermissionDenied(), 403, "permission_denied"),
        (exceptions.UnsupportedMediaType("x/y"), 415, "unsupported_media_type"),
        (exceptions.ParseError(), 400, "parse_error"),
        (exceptions.Throttled(wait=3.2), 429, "throttled"),
        (exceptions.ValidationError({"title": ["Wrong."]}), 400, "invalid"),
        (ValidationError("Wrong."), 400, "invalid"),
        (ValidationError({"title": [ValidationError("Wrong.", code="odd")]}), 400, "invalid"),
        (REFUSED, 409, "reader_expired"),
        (InventoryRefusedError("No."), 409, "inventory_refused"),
        (IntegrityError("UNIQUE"), 409, "conflict"),
        (DataError("out of range"), 400, "invalid"),
        (OverflowError("too large to convert"), 400, "invalid"),
        (SuspiciousOperation("?"), 400, "bad_request"),
        (RequestDataTooBig("10 MB"), 413, "too_large"),
        (UnreadablePostError("broken off"), 400, "bad_request"),
        (OperationalError("database is locked"), 503, "unavailable"),
    ],
)
def test_each_error_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    answer = problems.answer(error, {"request": SimpleNamespace()})
    assert answer is not None
    assert (answer.status_code, answer.data["status"], answer.data["code"]) == (
        status,
        status,
        code,
    )
    assert answer.data["type"] == "about:blank"
    assert answer.data["detail"]


def data_of(error: Exception) -> dict[str, Any]:
    answer = problems.answer(error, {"request": SimpleNamespace()})
    assert answer is not None
    return answer.data  # type: ignore[no-any-return]


def test_what_nobody_foresaw_is_left_to_the_server() -> None:
    assert problems.answer(KeyError("x"), {"request": SimpleNamespace()}) is None


def test_a_refusal_gives_all_its_reasons() -> None:
    assert data_of(REFUSED)["reasons"] == [
        {"code": "reader_expired", "message": "The card expired.", "is_overridable": True},
        {"code": "b", "message": "Two.", "is_overridable": False},
    ]


@pytest.mark.parametrize(
    ("error", "wait"), [(exceptions.Throttled(wait=3.2), "4"), (OperationalError(), "5")]
)
def test_who_should_wait_is_told_for_how_long(error: Exception, wait: str) -> None:
    answer = problems.answer(error, {"request": SimpleNamespace()})
    assert answer is not None
    assert answer.headers["Retry-After"] == wait


def test_the_codes_of_a_models_own_checks_are_kept() -> None:
    error = ValidationError({"isbn": [ValidationError("%(n)d is taken.", "unique", {"n": 7})]})
    assert data_of(error)["errors"] == [
        {"field": "isbn", "code": "unique", "message": "7 is taken."}
    ]


class Line(serializers.Serializer[Any]):
    amount = serializers.IntegerField(min_value=1)


class Order(serializers.Serializer[Any]):
    name = serializers.CharField()
    lines = Line(many=True)

    def validate(self, given: dict[str, Any]) -> dict[str, Any]:
        raise serializers.ValidationError("Not today.", code="closed")


@pytest.mark.parametrize(
    ("sent", "errors"),
    [
        ({"lines": []}, {"name": "required"}),
        (
            {"name": "", "lines": [{"amount": 1}, {"amount": 0}, {}]},
            {"name": "blank", "lines.1.amount": "min_value", "lines.2.amount": "required"},
        ),
        ({"name": "a", "lines": "x"}, {"lines": "not_a_list"}),
        ({"name": "a", "lines": []}, {"": "closed"}),
        ([], {"": "invalid"}),
    ],
)
def test_nested_errors_are_told_by_their_place(sent: Any, errors: dict[str, str]) -> None:
    order = Order(data=sent)
    with pytest.raises(exceptions.ValidationError) as refused:
        order.is_valid(raise_exception=True)
    found = data_of(refused.value)["errors"]
    assert {wrong["field"]: wrong["code"] for wrong in found} == errors


def test_what_nobody_foresaw_is_a_problem_too_and_the_log_has_its_traceback(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_args: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("catalog.api.books.read", break_down)
    client = Client(raise_request_exception=False)
    problem = told(client.get("/api/books/1/"))
    assert (problem["status"], problem["code"]) == (500, "internal_error")
    assert "a bug" not in str(problem)
    assert "RuntimeError: a bug" in caplog.text


def test_outside_the_api_an_unknown_address_is_a_page(client: Client) -> None:
    answer = client.get("/nowhere/")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_the_word_before_a_token_may_be_in_any_case(word: str) -> None:
    token = AccessToken.for_user(make_reader())
    answer = APIClient().get("/api/users/me/", headers={"Authorization": f"{word} {token}"})
    assert answer.status_code == 200
    refused = APIClient().get("/api/books/", headers={"Authorization": f"{word} x"})
    assert refused.status_code == 401


@pytest.mark.parametrize(
    ("query", "status"),
    [
        *(("page=0", 400), ("page=-1", 400), ("page=x", 400), ("page=2", 404)),
        *(("page_size=101", 200), ("page_size=0", 400), ("ordering=price", 400)),
        (f"page={2**31}", 400),
    ],
)
def test_a_page_that_there_cannot_be_is_refused(query: str, status: int) -> None:
    assert APIClient().get(f"/api/books/?{query}").status_code == status
