"""/healthz and /readyz: what a balancer learns, in how long, and what it does not."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone
from django_q.conf import Conf
from pytest_django import DjangoAssertNumQueries, Settings

from config import patience, readiness
from config.health import HEARTBEAT
from config.models import JobRun
from config.runs import WORKER, note_restart
from tests.brokers import Redis

WORDS = {"database": "ok", "migrations": "ok", "worker": "ok", "queue": "ok"}
ALL_THERE = pytest.mark.django_db(transaction=True)
"""Readiness is asked on connections of its own, which see what is committed."""


@pytest.fixture
def at_work(transactional_db: None) -> None:
    JobRun.objects.create(name="deliver_alerts", finished_at=timezone.now())


@pytest.fixture
def use_redis(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(url: str) -> None:
        monkeypatch.setattr(Conf, "ORM", None)
        monkeypatch.setattr(Conf, "REDIS", f"{url}?{settings.PATIENCE}")

    return use


@pytest.fixture
def silence() -> Iterator[int]:
    """Somebody takes connections at this port, and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.django_db
def test_that_the_process_answers_takes_neither_database_nor_session(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0):
        answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_a_balancer_may_ask_by_any_address_and_by_http(
    address: str, client: Client, settings: Settings, at_work: None
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(address, SERVER_NAME="10.1.2.3").status_code == 200
    assert client.head(address, SERVER_NAME="10.1.2.3").status_code == 200


def test_nothing_is_to_be_written_there(client: Client) -> None:
    assert client.post("/healthz").status_code == 405
    assert client.post("/readyz").status_code == 405


@pytest.mark.usefixtures("at_work")
def test_all_that_is_needed_is_there(client: Client) -> None:
    answer = client.get("/readyz?strict")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "checks": WORDS}


@pytest.mark.django_db
def test_what_it_costs_the_database(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    readiness.migrations()
    # Is it there; the table of migrations, and what it says; the last runs of jobs.
    costs = {readiness.database: 1, readiness.migrations: 2, readiness.queue: 1}
    JobRun.objects.create(name="deliver_alerts")
    for check, cost in {**costs, readiness.worker: 1}.items():
        with django_assert_num_queries(cost):
            assert check() == ""


@ALL_THERE
def test_without_a_worker_the_site_is_degraded_and_goes_on_lending(client: Client) -> None:
    JobRun.objects.create(name="deliver_alerts", started_at=timezone.now() - 2 * HEARTBEAT)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"]["worker"] == (
        "No job has run for 5 minutes: no worker is at work."
    )
    assert client.get("/readyz?strict").status_code == 503


@ALL_THERE
def test_workers_that_are_restarted_again_and_again_are_none(client: Client) -> None:
    JobRun.objects.create(name="deliver_alerts", started_at=timezone.now() - 2 * HEARTBEAT)
    note_restart("It hung.")
    assert JobRun.objects.get(name=WORKER).finished_at
    assert client.get("/readyz").json()["status"] == "degraded"


@pytest.mark.usefixtures("at_work")
def test_a_release_whose_migrations_were_not_run_is_not_ready(client: Client) -> None:
    applied = MigrationRecorder.Migration.objects.filter(app="config")
    name = applied.latest("id").name
    applied.filter(name=name).delete()
    try:
        answer = client.get("/readyz")
    finally:
        MigrationRecorder(connection).record_applied("config", name)
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    assert "python manage.py migrate" in answer.json()["checks"]["migrations"]


@pytest.mark.usefixtures("at_work")
def test_migrations_of_the_next_release_do_not_stop_this_one(client: Client) -> None:
    MigrationRecorder(connection).record_applied("config", "0099_of_tomorrow")
    try:
        assert client.get("/readyz").json()["checks"]["migrations"] == "ok"
    finally:
        MigrationRecorder(connection).record_unapplied("config", "0099_of_tomorrow")


@pytest.mark.usefixtures("at_work")
def test_a_queue_that_is_away_is_told_and_takes_nothing_out_of_service(
    client: Client, use_redis: Callable[[str], None]
) -> None:
    use_redis("redis://:a-secret@127.0.0.1:1/0")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["checks"] == {**WORDS, "queue": "No answer."}


@pytest.mark.usefixtures("at_work")
def test_a_queue_that_never_answers_is_not_waited_for(
    client: Client,
    silence: int,
    use_redis: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    use_redis(f"redis://127.0.0.1:{silence}/0")
    monkeypatch.setattr(readiness, "PATIENCE", 0.5)
    began = time.monotonic()
    answer = client.get("/readyz")
    assert time.monotonic() - began < 2
    assert answer.json()["checks"] == {**WORDS, "queue": "No answer."}
    assert "no answer within 0.5 seconds: queue" in caplog.text


@pytest.mark.usefixtures("at_work")
def test_a_redis_that_answers_is_a_queue(
    client: Client, redis: Redis, use_redis: Callable[[str], None]
) -> None:
    use_redis(redis.url)
    assert client.get("/readyz").json()["checks"]["queue"] == "ok"


def test_strangers_are_told_nothing_of_what_a_driver_says(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> str:
        raise OSError("postgres://carrel:a-password@10.0.0.7/carrel: PostgreSQL 15.4 is away")

    checks = (readiness.Check("database", broken, vital=True), *readiness.IN_DATABASE[1:])
    question = patience.Question(lambda: readiness._answers(checks))
    queue = patience.Question(lambda: {"queue": ""})
    names = tuple(check.name for check in checks)
    monkeypatch.setattr(readiness, "QUESTIONS", {names: question, ("queue",): queue})
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "unavailable")
    told = dict.fromkeys(("database", "migrations", "worker"), "No answer.")
    assert answer.json()["checks"] == {**told, "queue": "ok"}
    assert "10.0.0.7" in caplog.text
    assert "a-password" not in caplog.text


def test_what_never_answers_is_not_asked_without_end() -> None:
    asked = []

    def ask() -> None:
        asked.append(1)
        time.sleep(2)

    question = patience.Question(ask)
    for _each in range(3 * patience.MOST_WAITING):
        with pytest.raises(patience.NoAnswerError):
            question.begin()(0)
    time.sleep(0.1)
    assert len(asked) == patience.MOST_WAITING
