"""Sentry by one variable: what breaks in a request and in a task arrives, and nothing about people.

Its ingest is a real server on loopback, and the site a process of its own.
"""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
STRONG = "q7" * 10 + "Zx-4_vB9" * 5
KEY = "0123456789abcdef0123456789abcdef"
OF_HER = ("Quibbleworth", "b.quibbleworth@example.org", "blue-door-7", "77012345678")

BREAKS = """
import django
django.setup()
from django.test import Client
from config import jobs, request_log

def broken(*arguments, **options):
    name = "Quibbleworth"
    raise RuntimeError("Key (email)=(b.quibbleworth@example.org) already exists.")
"""
IN_A_REQUEST = (
    BREAKS
    + """
from billing import pages
pages.show = broken
client = Client(raise_request_exception=False, SERVER_NAME="library.example")
client.cookies["sessionid"] = "blue-door-7"
client.post(  # of which there is no table
    "/admin/login/?name=Quibbleworth",
    {"username": "b.quibbleworth@example.org", "password": "blue-door-7"},
)
answer = client.get(
    "/pay/blue-door-7?card=77012345678",
    HTTP_X_REQUEST_ID="from-the-proxy-1", HTTP_AUTHORIZATION="Bearer blue-door-7",
)
assert answer.status_code == 500
client.get("/admin/", SERVER_NAME="stranger.example")
"""
)
IN_A_TASK = (
    BREAKS
    + """
import multiprocessing
from django_q import worker
from config import runs
runs.recorded = broken
tasks, results = multiprocessing.Queue(), multiprocessing.Queue()
tasks.put({"id": "0a1b", "name": "x", "func": "config.jobs.run", "args": ("forget_tokens",),
           "kwargs": {}})
tasks.put("STOP")
worker.worker(tasks, results, multiprocessing.Value("f", -1), 5)
result = results.get()
assert not result["success"]
import logging
"""
)
NOTHING = "import django; django.setup(); import sys; print('sentry_sdk' in sys.modules)"


class Ingest:
    """Takes envelopes, as Sentry does, and keeps the events of them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.bodies = ""
        ingest = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                ingest.take(body.decode())
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.dsn = f"http://{KEY}@127.0.0.1:{self._server.server_port}/1"

    def take(self, envelope: str) -> None:
        self.bodies += envelope
        _header, *items = [json.loads(line) for line in envelope.splitlines() if line]
        for about, item in zip(items[::2], items[1::2], strict=True):
            if about["type"] == "event":
                self.events.append(item)

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def ingest() -> Iterator[Ingest]:
    ingest = Ingest()
    yield ingest
    ingest.stop()


def run(code: str, **environment: str) -> str:
    """Run code as a site of its own, with an empty database in memory."""
    site = {
        "SECRET_KEY": STRONG,
        "ALLOWED_HOSTS": "library.example",
        "DATABASE_URL": "sqlite:///:memory:",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **site, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_what_breaks_in_a_request_arrives_without_who_asked_and_what_for(ingest: Ingest) -> None:
    run(IN_A_REQUEST, SENTRY_DSN=ingest.dsn, SENTRY_ENVIRONMENT="trial")
    events = [event for event in ingest.events if event.get("tags")]
    assert len(events) == len(ingest.events) == 2  # the stranger's is none
    event = events[1]
    [*_causes, raised] = event["exception"]["values"]
    assert (raised["type"], raised["value"]) == (
        "RuntimeError",
        "Key (email)=(***) already exists.",
    )
    assert any(frame["filename"] == "billing/pages.py" for frame in raised["stacktrace"]["frames"])
    assert event["tags"] == {"request_id": "from-the-proxy-1"}
    assert event["transaction"] == "/pay/{token}"
    assert event["environment"] == "trial"
    assert re.fullmatch(r"carrel@\d+\.\d+\.\d+", event["release"])
    for absent in ("request", "user", "breadcrumbs", "extra"):
        assert absent not in event
    assert not [secret for secret in (*OF_HER, "Bearer", STRONG) if secret in without_code(ingest)]


def without_code(ingest: Ingest) -> str:
    """Return all that arrived, but for the lines of code around the error."""
    for event in ingest.events:
        for raised in event["exception"]["values"]:
            for frame in raised["stacktrace"]["frames"]:
                assert "vars" not in frame
                for lines in ("pre_context", "context_line", "post_context"):
                    frame.pop(lines, None)
    return json.dumps(ingest.events)


@pytest.mark.slow
def test_what_breaks_in_a_task_arrives_once_with_its_job(ingest: Ingest) -> None:
    run(IN_A_TASK, SENTRY_DSN=ingest.dsn)
    [event] = ingest.events
    [raised] = event["exception"]["values"]
    assert raised["value"] == "Key (email)=(***) already exists."
    assert event["tags"] == {"task_id": "0a1b", "job": "forget_tokens"}
    assert not [secret for secret in OF_HER if secret in without_code(ingest)]


@pytest.mark.slow
def test_without_the_variable_nothing_of_it_is_imported() -> None:
    assert run(NOTHING, SENTRY_DSN="") == "False"


@pytest.mark.slow
def test_an_address_that_sentry_never_gave_is_refused_in_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "CARREL_TEST_SENTRY_DSN": "x",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "SENTRY_DSN is not one that Sentry gives" in done.stderr
    assert "Traceback" not in done.stderr
