"""Who may do what: every route by every method, every caller, one's own thing and another's.

The table stands here by itself: it says what the library wants, not what the views say.
"""

import json
import logging
import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from django.test import Client
from pytest_django import Settings
from pytest_django.plugin import DjangoDbBlocker

from config.api import ROUTES
from tests.api_world import (
    ANONYMOUS,
    DEACTIVATED,
    NOW,
    OTHER_READER,
    PASSWORD,
    READER,
    SUPERUSER,
    World,
    make_world,
    undone,
)

pytestmark = pytest.mark.django_db
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
SAFE = ("GET", "HEAD", "OPTIONS")
READERS = frozenset({READER, OTHER_READER})
LIBRARIAN, ASSISTANT, CASHIER, AUDITOR = (
    frozenset({name, SUPERUSER}) for name in ("Librarian", "Assistant", "Cashier", "Auditor")
)
STAFF = LIBRARIAN | ASSISTANT | CASHIER | AUDITOR
SEE_LOANS = LIBRARIAN | ASSISTANT | AUDITOR
PEOPLE = READERS | STAFF
NOTICES, LOANS, CATALOGUE, PAYMENTS = (
    frozenset({f"key: {scope}"}) for scope in ("notices", "loans", "catalogue", "payments")
)
KEYS = NOTICES | LOANS | CATALOGUE | PAYMENTS
ALL = PEOPLE | KEYS | {ANONYMOUS}
# These routes look at no token, so one that is too old is not in the way.
WITH_ANY_TOKEN = ALL | {DEACTIVATED}
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class May:
    """Who is answered with the status; `own` are so for their own things, else told `foreign`."""

    status: int
    who: frozenset[str] = NOBODY
    own: frozenset[str] = NOBODY
    foreign: int = 404


Rules = dict[str, May]
OPEN_PAGE = {"GET": May(200, WITH_ANY_TOKEN)}
SENDS: dict[str, Rules] = {
    "users": {"POST": May(201, WITH_ANY_TOKEN)},
    "users/register": {"POST": May(201, WITH_ANY_TOKEN)},
    "users/token": {"POST": May(200, WITH_ANY_TOKEN)},
    "users/token/refresh": {"POST": May(200, WITH_ANY_TOKEN)},
    "users/token/verify": {"POST": May(200, WITH_ANY_TOKEN)},
    "users/password-reset": {"POST": May(202, WITH_ANY_TOKEN)},
    "users/password-reset/confirm": {"POST": May(200, WITH_ANY_TOKEN)},
    "users/me": {"GET": May(200, PEOPLE), "PUT": May(200, PEOPLE), "PATCH": May(200, PEOPLE)},
    "users/me/books": {"GET": May(200, PEOPLE)},
    "users/me/account": {"GET": May(200, PEOPLE)},
    "users/me/password": {"POST": May(200, PEOPLE)},
    "books": {"GET": May(200, ALL), "POST": May(201, LIBRARIAN | CATALOGUE)},
    "books/<int:pk>": {
        "GET": May(200, ALL),
        "PUT": May(200, LIBRARIAN | CATALOGUE),
        "PATCH": May(200, LIBRARIAN | CATALOGUE),
        "DELETE": May(204, LIBRARIAN),
    },
    "books/<int:pk>/copies": {"GET": May(200, LIBRARIAN | ASSISTANT | AUDITOR | CATALOGUE)},
    "borrowings": {
        "GET": May(200, PEOPLE | NOTICES | LOANS),
        "POST": May(201, LIBRARIAN | ASSISTANT),
    },
    "borrowings/<int:pk>": {
        # What somebody reads is nothing that a cashier needs to know.
        "GET": May(
            200,
            SEE_LOANS | NOTICES | LOANS,
            own=READERS | CASHIER - {SUPERUSER},
        )
    },
    "borrowings/<int:pk>/return": {"POST": May(200, LIBRARIAN | ASSISTANT)},
    "borrowings/<int:pk>/renew": {"POST": May(200, LIBRARIAN | ASSISTANT)},
    "holds": {"GET": May(200, PEOPLE | LOANS), "POST": May(201, LIBRARIAN | ASSISTANT)},
    "holds/<int:pk>": {
        # A cashier sees no holds but those of his or her own.
        "GET": May(
            200, LIBRARIAN | ASSISTANT | AUDITOR | LOANS, own=READERS | CASHIER - {SUPERUSER}
        ),
        "DELETE": May(204, LIBRARIAN | ASSISTANT),
    },
    "payments": {"GET": May(200, PEOPLE | PAYMENTS)},
    "payments/<int:pk>": {"GET": May(200, STAFF | PAYMENTS, own=READERS)},
    "loans/overdue": {"GET": May(200, SEE_LOANS | NOTICES | LOANS)},
    "loans/notification-required": {"GET": May(200, SEE_LOANS | NOTICES | LOANS)},
    "loans/<int:pk>": {
        "GET": May(200, SEE_LOANS | NOTICES | LOANS),
        "PATCH": May(200, LIBRARIAN | NOTICES),
    },
    "schema": OPEN_PAGE,
    "schema/swagger-ui": OPEN_PAGE,
    "schema/redoc": OPEN_PAGE,
}
# These are no REST views. Their links and signatures are the authority, whoever sends them.
PAGES: dict[str, Rules] = {
    "/api/payments/success/": OPEN_PAGE,
    "/api/payments/cancel/": OPEN_PAGE,
    "/api/payments/webhook/stripe/": {"POST": May(503, WITH_ANY_TOKEN)},  # no key is set
    "/api/payments/webhook/nobody/": {"POST": May(404, WITH_ANY_TOKEN)},
    "/pay/nonsense/": {"GET": May(404, WITH_ANY_TOKEN)},
    "/account/password/MQ/nonsense/": {
        "GET": May(404, WITH_ANY_TOKEN),
        "POST": May(404, WITH_ANY_TOKEN),
    },
    "/account/verify/nonsense/": {
        "GET": May(404, WITH_ANY_TOKEN),
        "POST": May(404, WITH_ANY_TOKEN),
    },
}
# What READER_SELF_SERVICE adds, for oneself alone; who may do it for all may do it still.
SELF_SERVICE: dict[tuple[str, str, str], May] = {
    ("borrow", "borrowings", "POST"): May(201, own=READERS, foreign=403),
    ("borrow", "borrowings/<int:pk>/renew", "POST"): May(200, own=READERS),
    ("return", "borrowings/<int:pk>/return", "POST"): May(200, own=READERS),
    ("hold", "holds", "POST"): May(201, own=READERS, foreign=403),
    ("hold", "holds/<int:pk>", "DELETE"): May(204, own=READERS),
}
IN_THE_LIBRARY = [route for route in SENDS if re.match("books|borrowings|payments", route)]
CALLERS = sorted(WITH_ANY_TOKEN)
A_FEW = (ANONYMOUS, READER, SUPERUSER, DEACTIVATED)
# Of these one person's differ from another's.
OWNED = [route for route in SENDS if re.match("(borrowings|holds|payments|loans)/<", route)]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    logging.disable(logging.ERROR)  # thousands of refusals, each of which Django logs
    with django_db_blocker.unblock(), time_machine.travel(NOW, tick=False), undone():
        yield make_world()
    logging.disable(logging.NOTSET)


def test_the_table_has_every_route() -> None:
    assert {route for route, _view, _name in ROUTES} == set(SENDS)


@pytest.mark.parametrize(
    ("route", "owner"),
    [*((route, READER) for route in SENDS), *((route, OTHER_READER) for route in OWNED)],
)
def test_every_caller_is_answered_as_the_table_says(world: World, route: str, owner: str) -> None:
    answers = list(asked(world, route, owner, f"/api/{route}/"))
    assert not [answer for answer in answers if answer.status != answer.expected]


@pytest.mark.parametrize("route", IN_THE_LIBRARY)
def test_the_aliases_answer_alike(world: World, route: str) -> None:
    answers = list(asked(world, route, READER, f"/api/library/{route}", callers=A_FEW))
    assert not [answer for answer in answers if answer.status != answer.expected]


@pytest.mark.parametrize("row", SELF_SERVICE)
@pytest.mark.parametrize("owner", sorted(READERS))
def test_self_service_is_for_oneself(
    world: World, settings: Settings, row: tuple[str, str, str], owner: str
) -> None:
    service, route, method = row
    settings.READER_SELF_SERVICE = frozenset({service})
    rules = {**SENDS[route], method: SELF_SERVICE[row]}
    answers = list(asked(world, route, owner, f"/api/{route}/", rules=rules, callers=READERS))
    assert not [answer for answer in answers if answer.status != answer.expected]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("folder", ["/api/", "/api/library/"])
def test_pages_ask_nobody_who_calls(world: World, path: str, folder: str) -> None:
    path = path.replace("/api/", folder)
    client = Client()
    for method in METHODS:
        rules = PAGES[path.replace(folder, "/api/")]
        for caller in A_FEW:
            with undone():
                answer = client.generic(method, path, headers=world.credentials(caller))
            assert answer.status_code == expected(rules, method, caller, READER), (method, caller)


@dataclass(frozen=True)
class Answer:
    method: str
    caller: str
    status: int
    expected: int


def asked(
    world: World,
    route: str,
    owner: str,
    path: str,
    *,
    rules: Rules | None = None,
    callers: Any = CALLERS,
) -> Iterator[Answer]:
    client = Client()
    rules = rules or SENDS[route]
    path = path.replace("<int:pk>", str(number(world, route, owner)))
    for method in METHODS:
        body = sent(world, route, method, owner)
        query = "?type=overdue" if route == "loans/notification-required" else ""
        for caller in callers:
            with nullcontext() if method in SAFE else undone():
                answer = client.generic(
                    method,
                    path + query,
                    body,
                    content_type="application/json",
                    headers=world.credentials(caller),
                )
            wanted = expected(rules, method, caller, owner)
            yield Answer(method, caller, answer.status_code, wanted)


def expected(rules: Rules, method: str, caller: str, owner: str) -> int:
    rule = rules.get("GET" if method == "HEAD" else method)
    looks_at_tokens = not any(DEACTIVATED in other.who for other in rules.values())
    if caller == DEACTIVATED and looks_at_tokens:
        return 401
    if rule is None:
        return 405
    if caller in rule.who:
        return rule.status
    if caller in rule.own:
        return rule.status if caller == owner else rule.foreign
    return 401 if caller == ANONYMOUS else 403


def number(world: World, route: str, owner: str) -> int:
    """Return the number of the thing that a route is asked about."""
    things = world.things[owner]
    return {
        "books": world.book,
        "borrowings": things.loan,
        "holds": things.hold,
        "payments": things.payment,
        "loans": things.loan,
    }.get(route.split("/", maxsplit=1)[0], world.book).pk


def sent(world: World, route: str, method: str, owner: str) -> str:
    """Return a body that is right for who may send it."""
    reader = world.people[owner]
    bodies: dict[str, dict[str, Any]] = {
        "users": {"email": "new@example.org", "password": PASSWORD},
        "users/token": {"email": reader.email, "password": PASSWORD},
        "users/token/refresh": {"refresh": world.refresh},
        "users/token/verify": {"token": world.refresh},
        "users/password-reset": {"email": reader.email},
        "users/password-reset/confirm": {**world.reset, "new_password": f"{PASSWORD} more"},
        "users/me": {"first_name": "Ann"},
        "users/me/password": {"current_password": PASSWORD, "new_password": f"{PASSWORD} more"},
        "books": {"title": "Eden", "author": "Lem, Stanisław", "inventory": 2},
        "books/<int:pk>": {"title": "Eden", "author": "Lem, Stanisław", "inventory": 2},
        "borrowings": {"book": world.book.pk, "user_id": reader.pk},
        "holds": {"book": world.book.pk, "user_id": reader.pk},
        "loans/<int:pk>": {"notification_sent": True},
    }
    bodies["users/register"] = bodies["users"]
    return json.dumps(bodies.get(route, {})) if method in ("POST", "PUT", "PATCH") else ""
