"""Backends of the tests: what they are given they keep, note in a file, or post to a far end."""

import http.client
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest
from pytest_django import Settings

from alerts.backends.base import Backend, Message, Pace, Receipt, TryLaterError
from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience
from circulation.models import Reader

BACKENDS = [f"tests.sinks.{name}" for name in ("Memory", "OneByOne", "File", "Loopback")]


class Memory(Backend):
    """Keeps what it is sent; `reacts`, where set, may raise or answer instead."""

    name = "memory"
    label = "Memory"
    sent: list[Message] = []
    reacts: Callable[[Message], Receipt | None] | None = None
    paces: list[Pace] = []

    def address(self, config: Mapping[str, Any], recipient: Reader | None) -> str:
        return recipient.notice_email if recipient else "staff"

    def pace(self, config: Mapping[str, Any]) -> list[Pace]:
        return self.paces

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        answer = Memory.reacts(message) if Memory.reacts else None
        self.sent.append(message)
        return answer or Receipt("Taken.")


class OneByOne(Memory):
    """As a program likes it: one message for each event."""

    name = "one_by_one"
    label = "One by one"
    joins = False


class File(Backend):
    """Appends a line to a file."""

    name = "file"
    label = "File"

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        line = json.dumps({"id": str(message.id), **message.metadata}) + "\n"
        file = os.open(config["path"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)
        return Receipt("Noted.")


class Loopback(Backend):
    """Posts to a far end of a test, one message for each event."""

    name = "loopback"
    label = "Loopback"
    joins = False

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        url = urlsplit(config["url"])
        assert url.hostname
        far_end = http.client.HTTPConnection(url.hostname, url.port, timeout=5)
        try:
            sender = {"id": str(message.id), "worker": os.getpid()}
            body = json.dumps({**sender, **message.metadata})
            far_end.request("POST", url.path, body)
            status = far_end.getresponse().status
        except OSError as problem:
            raise TryLaterError(type(problem).__name__) from None
        finally:
            far_end.close()
        if status != 200:
            raise TryLaterError(f"HTTP {status}")
        return Receipt("Taken.")


def make_channel(audience: ChannelAudience = ChannelAudience.READERS, **fields: Any) -> Channel:
    """A channel for all kinds, by the sink that keeps in memory."""
    fields.setdefault("name", f"{fields.get('backend', 'memory')} {audience.label}")
    fields.setdefault("backend", "memory")
    fields.setdefault("kinds", [kind.value for kind in EventKind])
    return Channel.objects.create(audience=audience, **fields)


@pytest.fixture
def sink(settings: Settings) -> Iterator[type[Memory]]:
    """The sink in memory, empty, and all the others of this module, in place of real backends."""
    settings.ALERT_BACKENDS = BACKENDS
    Memory.sent.clear()
    yield Memory
    Memory.sent.clear()
    Memory.reacts = None
    Memory.paces = []
