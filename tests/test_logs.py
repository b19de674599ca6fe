"""The log: a number for each request, JSON where it is asked for, and nothing about people."""

import io
import json
import logging
import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from django.db import IntegrityError
from django.test import Client
from django.urls import reverse
from django_q.signals import post_execute_in_worker, pre_execute

from circulation.models import Reader
from config import context, discreet, logs, runs
from config.log_format import Json, Line
from config.runs import RUN
from tests.benchmarks import processes
from tests.factories import lend, make_book, make_copy, make_reader
from tests.office import as_superuser, page
from tests.workers import wait_until

ID = "from-the-proxy-0123456789"
PASSWORD = "blue-door-7"
Said = list[dict[str, Any]]


class Sink:
    """All that is said meanwhile, in both forms."""

    def __init__(self) -> None:
        self.handlers = []
        self.streams = {}
        for form, formatter in (("json", Json()), ("line", Line(logs.LINE))):
            self.streams[form] = io.StringIO()
            handler = logging.StreamHandler(self.streams[form])
            handler.setFormatter(formatter)
            self.handlers.append(handler)

    @property
    def json(self) -> Said:
        return [json.loads(line) for line in self.streams["json"].getvalue().splitlines()]

    @property
    def line(self) -> str:
        return self.streams["line"].getvalue()

    @property
    def requests(self) -> Said:
        return [told for told in self.json if told["logger"] == "config.requests"]


@pytest.fixture
def log() -> Iterator[Sink]:
    sink = Sink()
    root = logging.getLogger()
    for handler in sink.handlers:
        root.addHandler(handler)
    yield sink
    for handler in sink.handlers:
        root.removeHandler(handler)


@pytest.mark.django_db
def test_each_request_has_one_line_without_what_was_asked_for(client: Client, log: Sink) -> None:
    client.get("/api/books/?search=Kowalska")
    [line] = log.requests
    assert re.fullmatch(r"GET /api/books/ 200 \d+\.\d ms", line["message"])
    told = {name: line[name] for name in ("method", "path", "status", "level")}
    assert told == {"method": "GET", "path": "/api/books/", "status": 200, "level": "INFO"}
    assert line["ms"] > 0
    assert "Kowalska" not in log.line


@pytest.mark.parametrize(
    ("given", "is_kept"),
    [(ID, True), ("", False), ("short", False), ("x" * 65, False), ("anna kowalska", False)],
)
@pytest.mark.django_db
def test_a_request_keeps_the_number_of_a_proxy_if_it_is_one(
    given: str, is_kept: bool, client: Client, log: Sink
) -> None:
    answer = client.get("/admin/login/", HTTP_X_REQUEST_ID=given)
    number = answer["X-Request-ID"]
    assert (number == given) is is_kept
    assert re.fullmatch(r"[\w-]{8,64}", number)
    assert [line["request_id"] for line in log.requests] == [number]
    assert f"[{number}] GET /admin/login/ 200" in log.line


@pytest.mark.django_db
def test_all_that_is_said_during_a_request_has_its_number(
    client: Client, log: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> None:
        raise ValueError("It broke for anna@example.org")

    monkeypatch.setattr("billing.pages.show", fail)
    client.raise_request_exception = False
    assert client.get("/pay/a-secret-token", HTTP_X_REQUEST_ID=ID).status_code == 500
    failure, line = (told for told in log.json if told["logger"] != "asyncio")
    assert failure["request_id"] == line["request_id"] == ID
    assert failure["message"] == "Internal Server Error: /pay/<token>"
    assert failure["traceback"].endswith("ValueError: It broke for ***")
    assert (line["status"], line["level"]) == (500, "WARNING")
    assert "a-secret-token" not in log.line


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/admin/circulation/reader/7/change/", "/admin/circulation/reader/7/change/"),
        ("/admin/circulation/reader/anna/change/", "/admin/circulation/reader/<object_id>/change/"),
        ("/admin/anna@example.org/", "/admin/<url>"),
        ("/account/password/MQ/c0ffee-token/", "/account/password/<uid>/<token>/"),
        ("/notices/unsubscribe/c0ffee", "/notices/unsubscribe/<token>"),
        ("/api/books/7/", "/api/books/7/"),
        ("/api/users/anna/", "/api/<address>"),
        ("/anna@example.org", "(unknown)"),
    ],
)
@pytest.mark.django_db
def test_of_a_path_only_numbers_of_rows_are_told(
    path: str, shown: str, client: Client, log: Sink
) -> None:
    client.get(path)
    assert [line["path"] for line in log.requests] == [shown]
    assert not [told for told in log.json if told["logger"] == "django.request"]


@pytest.mark.django_db
def test_probes_and_files_of_the_site_do_not_fill_the_log(client: Client, log: Sink) -> None:
    client.get("/healthz")
    client.get("/static/config/nothing.css")
    assert log.requests == []


def test_a_refusal_has_its_line_too(client: Client, log: Sink) -> None:
    client.get("/admin/", SERVER_NAME="10.1.2.3", HTTP_X_REQUEST_ID=ID)
    assert [(line["status"], line["request_id"]) for line in log.requests] == [(400, ID)]


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("No answer from anna.kowalska+lib@example.org", "No answer from ***"),
        (
            "DETAIL:  Key (email)=(anna) already exists.",
            "DETAIL:  Key (email)=(***) already exists.",
        ),
        ("Failing row contains (7, Anna, null).", "Failing row contains (***)."),
        ("Authorization: Bearer eyJhbGciOi.J9.x-y_z", "Authorization: Bearer ***"),
        ("redis://:s3cret@10.0.0.7/0 is away", "redis://***@10.0.0.7/0 is away"),
        ("Loan 7 of copy 12 ended", "Loan 7 of copy 12 ended"),
    ],
)
def test_people_and_secrets_are_left_out(said: str, written: str) -> None:
    assert discreet.without_people(said) == written


def test_what_is_left_out_for_one_reader_of_the_log_stays_for_others() -> None:
    record = logging.LogRecord("x", 20, "", 1, "%s is there", ("anna@example.org",), None)
    Line(logs.LINE).format(record)
    assert record.getMessage() == "anna@example.org is there"


@pytest.mark.django_db
def test_a_task_marks_what_is_said_during_it(log: Sink) -> None:
    task = {"id": "0a1b", "func": RUN, "args": ("forget_tokens",)}
    pre_execute.send("django_q", func=None, task=task)
    logging.getLogger("circulation").warning("So be it.")
    post_execute_in_worker.send("django_q", func=None, task=task)
    logging.getLogger("circulation").warning("Done.")
    during, after = log.json
    assert (during["task_id"], during["job"]) == ("0a1b", "forget_tokens")
    assert "job" not in after
    assert dict(context.marks()) == {}


def test_a_line_of_json_is_one_line_of_json() -> None:
    try:
        raise IntegrityError('no\nKey (card_number)=(00123) "exists".')
    except IntegrityError:
        made = logging.getLogger("x").makeRecord("x", 40, "", 1, "a\nb", (), sys.exc_info())
    written = Json().format(made)
    assert "\n" not in written
    assert json.loads(written)["message"] == "a\nb"
    assert "00123" not in written


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"level": "INFO", "form": "xml"}, "LOG_FORMAT"),
        ({"level": "LOUD", "form": "json"}, "LOG_LEVEL"),
    ],
)
def test_a_form_or_level_that_there_is_not_is_refused(given: dict[str, str], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        logs.configuration(**given)


@pytest.fixture
def bartholomea(db: None) -> Reader:
    """A reader whose name is in nobody else's words."""
    reader = make_reader(
        "Bartholomea",
        last_name="Quibbleworth",
        email="b.quibbleworth@example.org",
        card_number="77012345678",
        phone="+48 600 700 800",
    )
    reader.set_password(PASSWORD)
    reader.save()
    return reader


OF_HER = ("Bartholomea", "Quibbleworth", "example.org", "77012345678", "600 700 800", PASSWORD)


def test_nobody_is_named_in_the_log_of_a_day(
    bartholomea: Reader, rule: object, client: Client, log: Sink
) -> None:
    """Signing in rightly and wrongly, looking for her, lending to her, and asking for her loans."""
    office = as_superuser()
    client.raise_request_exception = False
    sign_in = {"username": bartholomea.email, "password": PASSWORD}
    for password in (PASSWORD, PASSWORD + "x"):
        client.post(reverse("admin:login"), {**sign_in, "password": password})
    asked = {"email": bartholomea.email, "password": PASSWORD}
    token = client.post("/api/users/token/", asked, content_type="application/json").json()
    wrong = {**asked, "password": "wrong-" + PASSWORD}
    for _each in range(6):  # until the account is locked
        client.post("/api/users/token/", wrong, content_type="application/json")
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {token['access']}"}
    copy = make_copy(make_book("Solaris"))
    lend(bartholomea, copy)
    for address in ("/api/users/me/", "/api/borrowings/", "/api/payments/", "/api/nothing/"):
        client.get(address, **bearer)
    client.get("/api/borrowings/", HTTP_AUTHORIZATION=f"Bearer {token['access']}x")
    new = {"email": bartholomea.email, "password": PASSWORD, "first_name": "Bartholomea"}
    client.post("/api/users/", new, content_type="application/json")
    for query in ("Quibbleworth", bartholomea.email, "77012345678"):
        office.get(page(Reader, "changelist"), {"q": query})
        office.get(reverse("palette"), {"q": query})
        office.get(f"/admin/circulation/reader/{query}/change/")
        office.get(f"/{query}")
    office.get(page(bartholomea, "change"))
    office.post(reverse("desk_scan"), {"mode": "lend", "code": "77012345678"})
    client.get(f"/pay/{token['refresh']}")
    everything = log.line + log.streams["json"].getvalue()
    assert len(log.requests) >= 25
    for secret in (*OF_HER, token["access"], token["refresh"]):
        assert secret not in everything


@pytest.mark.django_db
def test_a_job_that_fails_over_somebody_does_not_name_them(
    log: Sink,
) -> None:
    def refuse() -> str:
        raise IntegrityError("DETAIL:  Key (email)=(b.quibbleworth@example.org) already exists.")

    with pytest.raises(IntegrityError):
        runs.recorded("forget_tokens", refuse)
    logging.getLogger("django-q").error("Failed 'x' (y) - Key (email)=(b.quibbleworth@example.org)")
    assert "quibbleworth" not in log.line


@pytest.mark.slow
def test_the_site_as_it_is_deployed_writes_nothing_but_json(tmp_path: Path) -> None:
    environment = {
        "ALLOWED_HOSTS": "library.example",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'empty.sqlite3'}",
        "LOG_FORMAT": "json",
        "PYTHONWARNINGS": "ignore",
        "SECURE_SSL_REDIRECT": "true",
        "SITE_URL": "https://library.example",
    }
    log = tmp_path / "log"
    with processes.web(environment, log) as (pid, port):
        site = f"http://127.0.0.1:{port}"
        assert requests.get(f"{site}/healthz", timeout=30).status_code == 200
        ready = requests.get(f"{site}/readyz", timeout=30)
        assert (ready.status_code, ready.json()["checks"]["database"]) == (503, "ok")
        asked = {"Host": "library.example", "X-Request-ID": ID}
        answer = requests.get(f"{site}/admin/", headers=asked, allow_redirects=False, timeout=30)
        assert (answer.status_code, answer.headers["X-Request-ID"]) == (301, ID)
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: "Shutting down" in log.read_text(), seconds=30)
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert {"gunicorn.error", "config.requests", "config.probes"} <= {
        each["logger"] for each in told
    }
