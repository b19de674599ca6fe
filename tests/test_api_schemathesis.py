"""The API against its own description: Schemathesis sends what it allows and what it does not."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.conf import settings as site
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import ProjectConfig, ProjectsConfig, SchemathesisConfig
from schemathesis.core.failures import as_reported_failure
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi.checks import positive_data_acceptance

from config.wsgi import application
from tests.api_world import ANONYMOUS, READER, SUPERUSER, World, make_world, undone

pytestmark = [pytest.mark.slow, pytest.mark.django_db]
# What a schema says of a body is not all that has to be true of it: these may be refused by 400.
BEYOND_A_SCHEMA = {
    "POST /api/users/": "a password may be weak",
    "PUT /api/users/me/": "the email has to be one's own, a kind of notice one that there is",
    "PATCH /api/users/me/": "as for PUT",
    "POST /api/users/me/password/": "the present password has to be right",
    "POST /api/users/password-reset/confirm/": "the link has to be one of ours",
    "POST /api/users/token/": "email and username have to be the same, where both are sent",
    "POST /api/users/token/refresh/": "only spaces are no token",
    "POST /api/users/token/verify/": "only spaces are no token",
    "POST /api/borrowings/": "either a book or a barcode, and one that there is",
    "POST /api/holds/": "the book has to be there",
    "POST /api/books/": "an ISBN has a check digit",
    "PUT /api/books/{id}/": "an ISBN has a check digit",
    "PATCH /api/books/{id}/": "an ISBN has a check digit",
    "PATCH /api/loans/{id}": "spectacular describes no PATCH with a field that is required",
}
# Without its keys a provider's webhook answers 503, so that the provider delivers again.
SAYS_503 = "POST /api/payments/webhook/{provider}/"
TAGS = [tag["name"] for tag in site.SPECTACULAR_SETTINGS["TAGS"]]
SETTINGS = settings(
    max_examples=10,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture(autouse=True)
def connection_is_kept() -> Iterator[None]:
    """Leave the transaction of the test open after a request, as Django's own test client does."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


def excluded(case: Any) -> list[Any]:
    label = case.operation.label
    if label == SAYS_503:
        return [not_a_server_error]
    return [positive_data_acceptance] if label in BEYOND_A_SCHEMA else []


def description(headers: dict[str, str]) -> Any:
    sent = ProjectsConfig(default=ProjectConfig(headers=headers))
    config = SchemathesisConfig(seed=20260302, projects=sent)
    return schemathesis.openapi.from_wsgi("/api/schema/", application, config=config)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("caller", [ANONYMOUS, READER, SUPERUSER])
def test_every_answer_is_as_described(world: World, caller: str, tag: str) -> None:
    def keep_to_it(case: Any) -> None:
        with undone():
            case.call_and_validate(excluded_checks=excluded(case))

    broken = {}
    tests = get_all_tests(
        schema=description(world.credentials(caller)).include(tag=tag),
        test_func=keep_to_it,
        settings=SETTINGS,
        given_kwargs=None,
    )
    for made in tests:
        operation, test = made.ok()
        try:
            test()
        except BaseExceptionGroup as failures:
            broken[operation.label] = [str(as_reported_failure(failures))]
    assert not broken, _report(broken)


def _report(broken: dict[str, list[str]]) -> str:
    return "\n\n".join(f"{label}: {what}" for label, found in broken.items() for what in found)
