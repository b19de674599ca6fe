"""A browser in the tests: somebody signs in, and nothing goes wrong in it unseen."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.test import Client
from playwright.sync_api import ConsoleMessage, Page, Request
from pytest_django.live_server_helper import LiveServer

from circulation.models import Reader


def sign_in(page: Page, live_server: LiveServer, person: Reader) -> None:
    client = Client()
    client.force_login(person)
    session = client.cookies["sessionid"].value
    page.context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])


@contextmanager
def nothing_astray(page: Page, live_server: LiveServer, *also: str) -> Iterator[None]:
    """Fail at the end with all errors of scripts and of the console, and all that was asked of
    another host; `also` are the beginnings of addresses that are no host's, as `data:`.
    """
    strays: list[str] = []

    def note(said: ConsoleMessage) -> None:
        if said.type == "error":
            strays.append(f"{page.url}: {said.text}")

    def look(asked: Request) -> None:
        if not asked.url.startswith((live_server.url, *also)):
            strays.append(asked.url)

    page.context.on("weberror", lambda error: strays.append(f"{page.url}: {error.error}"))
    page.context.on("console", note)
    page.context.on("request", look)
    yield
    assert strays == []
