"""The description of the API: complete, valid, and readable without any other host."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings as site
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from playwright.sync_api import ConsoleMessage, Page, Request, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from config.api import ROUTES
from config.rest.access import ANYONE

pytestmark = pytest.mark.django_db

PAGES = ("/api/schema/swagger-ui/", "/api/schema/redoc/")
PAYMENT_PAGES = {
    "/api/payments/success/",
    "/api/payments/cancel/",
    "/api/payments/webhook/{provider}/",
}
MISSION = """
    users/ users/token/ users/token/refresh/ users/token/verify/ users/me/ users/me/books/
    books/ books/{id}/ borrowings/ borrowings/{id}/ borrowings/{id}/return/ borrowings/{id}/renew/
    holds/ holds/{id}/ payments/ payments/{id}/ payments/success/ payments/cancel/
    payments/webhook/{provider}/ loans/overdue loans/notification-required loans/{id}
"""
PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    made: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return made


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method.upper(), operation


def described() -> Iterator[tuple[str, str, Any]]:
    """Yield the path, the method and the view of each operation that the schema should hold."""
    for route, view, _name in ROUTES:
        path = "/api/" + re.sub(r"<(\w+:)?(\w+)>", r"{\2}", route).replace("{pk}", "{id}")
        if route.split("/")[0] != "schema" and route != "users/register":
            for method in view.access:
                yield path + ("" if route.startswith("loans") else "/"), method, view


def test_it_is_valid_and_gives_no_warning(tmp_path: Path) -> None:
    file = tmp_path / "schema.yml"
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", str(file))
    assert yaml.safe_load(file.read_text())["info"]["title"] == "Carrel"


def test_it_describes_every_method_of_every_address_once(schema: dict[str, Any]) -> None:
    found = {(path, method) for path, method, _op in operations(schema)}
    expected = {(path, method) for path, method, _view in described()}
    assert {pair for pair in found if pair[0] not in PAYMENT_PAGES} == expected


def test_it_spells_the_addresses_as_the_mission_does(schema: dict[str, Any]) -> None:
    assert {f"/api/{path}" for path in MISSION.split()} <= set(schema["paths"])
    assert not [path for path in schema["paths"] if path.startswith("/api/library")]


def test_every_operation_has_a_readable_name_of_its_own(schema: dict[str, Any]) -> None:
    names = [operation["operationId"] for _path, _method, operation in operations(schema)]
    assert len(set(names)) == len(names)
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*", name)] == []


def test_every_operation_is_described_and_filed(schema: dict[str, Any]) -> None:
    known = {tag["name"] for tag in schema["tags"]}
    for path, method, operation in operations(schema):
        assert operation.get("description"), (path, method)
        assert set(operation["tags"]) <= known, (path, method)


@pytest.mark.parametrize(("path", "method", "view"), list(described()))
def test_an_operation_says_how_to_sign_in_and_what_can_go_wrong(
    schema: dict[str, Any], path: str, method: str, view: Any
) -> None:
    operation = schema["paths"][path][method.lower()]
    statuses = set(operation["responses"])
    is_open = ANYONE in view.access[method]
    asks = bool(tuple(view.authentication_classes))
    bearer = [{"bearer": []}]
    expected = ([*bearer, {}] if is_open else bearer) if asks else None
    assert operation.get("security") == expected
    assert ("401" in statuses) >= asks
    assert ("403" in statuses) >= (not is_open)
    assert ("404" in statuses) >= ("{" in path)
    assert ({"400", "413", "415"} <= statuses) == ("requestBody" in operation)
    assert any(status < "300" for status in statuses)


def test_every_problem_has_the_one_shape(schema: dict[str, Any]) -> None:
    for path, method, operation in operations(schema):
        for status, response in operation["responses"].items():
            if status >= "400" and path not in PAYMENT_PAGES:
                assert response["content"] == PROBLEM, (path, method, status)
                assert response["description"]


def test_books_say_how_to_ask_whether_they_changed(schema: dict[str, Any]) -> None:
    read, write = (schema["paths"]["/api/books/{id}/"][method] for method in ("get", "patch"))
    asked = {parameter["name"] for parameter in read["parameters"] + write["parameters"]}
    assert asked == {"id", "If-None-Match", "If-Match"}
    assert "304" in read["responses"]
    assert "412" in write["responses"]
    assert "ETag" in read["responses"]["200"]["headers"]


def test_every_choice_has_a_name_that_a_person_gave(schema: dict[str, Any]) -> None:
    chosen = {name for name, made in schema["components"]["schemas"].items() if "enum" in made}
    assert {"CopyStatus", "Cover", "HoldStatus", "PaymentStatus", "ChargeKind"} <= chosen
    assert [name for name in chosen if "Enum" in name or re.search(r"\d", name)] == []


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("", "*/*", "application/json"),
        ("", "", "application/json"),
        ("", "text/html", "application/json"),
        ("", "application/json,*/*", "application/json"),
        ("", "application/vnd.oai.openapi+json", "application/vnd.oai.openapi+json"),
        ("", "application/yaml", "application/yaml"),
        ("", "application/vnd.oai.openapi", "application/vnd.oai.openapi"),
        ("?format=yaml", "*/*", "application/yaml"),
        ("?format=json", "application/yaml", "application/json"),
    ],
)
def test_it_is_served_as_json_and_as_yaml(
    client: Client, query: str, accept: str, kind: str
) -> None:
    answer = client.get(f"/api/schema/{query}", HTTP_ACCEPT=accept)
    assert (answer.status_code, answer.headers["Content-Type"].split(";")[0]) == (200, kind)
    assert "/api/books/" in yaml.safe_load(answer.content)["paths"]


def test_an_unknown_format_is_a_problem(client: Client) -> None:
    answer = client.get("/api/schema/?format=csv", HTTP_ACCEPT="application/yaml")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "not_found"


@pytest.mark.parametrize("address", ["/api/schema/", "/api/schema", *PAGES])
def test_a_setting_closes_it(client: Client, settings: Settings, address: str) -> None:
    assert client.get(address).status_code == 200
    settings.API_SCHEMA_PUBLIC = False
    answer = client.get(address)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("address", PAGES)
def test_a_page_to_read_it_names_no_other_host(client: Client, address: str) -> None:
    page = client.get(address).content.decode()
    assert re.findall(r"""(?:src|href|url)=["']?(?:https?:)?//[^"'> ]+""", page) == []
    assert "/static/drf_spectacular_sidecar/" in page


def test_swagger_has_the_schema_validated_by_nobody_else() -> None:
    assert site.SPECTACULAR_SETTINGS["SWAGGER_UI_SETTINGS"]["validatorUrl"] is None


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("address", PAGES)
def test_a_browser_shows_it_without_a_word_to_another_host(
    page: Page, live_server: LiveServer, address: str
) -> None:
    asked: list[str] = []
    wrong: list[str] = []

    def ask(request: Request) -> None:
        asked.append(request.url)

    def say(message: ConsoleMessage) -> None:
        if message.type == "error":
            wrong.append(message.text)

    def break_down(error: Exception) -> None:
        wrong.append(str(error))

    page.on("request", ask)
    page.on("console", say)
    page.on("pageerror", break_down)
    page.goto(f"{live_server.url}{address}", wait_until="networkidle")
    expect(page.get_by_text("Carrel").first).to_be_visible()
    expect(page.get_by_text(re.compile("borrowings")).first).to_be_visible()
    own = (f"{live_server.url}/", "data:", "blob:")
    assert [url for url in asked if not url.startswith(own)] == []
    assert wrong == []
