"""`manage.py doctor`: what is set up, missing and unhealthy, whatever is broken; and its status."""

import json
import os
import subprocess
import sys
import time
from collections import Counter, namedtuple
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django import Settings

from alerts.models import ChannelAudience
from config import jobs, patience, runs
from config.doctor import backups, examination, site, storage, work
from config.doctor.findings import Finding, State
from config.models import JobRun
from tests.alert_servers import MailServer
from tests.brokers import Redis
from tests.sinks import make_channel

ROOT = Path(__file__).resolve().parent.parent
STRONG = "q7" * 10 + "Zx-4_vB9" * 5
SECRETS = ("a-db-password", "a-redis-password", "a-mail-password", STRONG)


def states(found: Iterator[Finding]) -> list[tuple[State, str]]:
    return [(each.state, each.sentence) for each in found]


def said(found: Iterator[Finding], state: State) -> str:
    return "\n".join(f"{each.sentence} {each.remedy}" for each in found if each.state is state)


def doctor(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {
        "ALLOWED_HOSTS": "library.example",
        "DATABASE_URL": "sqlite:///:memory:",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": STRONG,
    }
    return subprocess.run(
        [sys.executable, "manage.py", "doctor", *words],
        cwd=ROOT,
        env={**os.environ, **base, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(autouse=True)
def unsafe(settings: Settings) -> None:
    """Leave out what is said of the tests' own environment (see conftest.py)."""
    settings.SILENCED_SYSTEM_CHECKS = ["async.E001"]


@pytest.fixture
def well(transactional_db: None) -> None:
    jobs.sync()
    JobRun.objects.create(name="deliver_alerts", finished_at=timezone.now())


@pytest.mark.usefixtures("well")
def test_a_site_with_nothing_but_what_is_needed_has_no_problem() -> None:
    out = StringIO()
    call_command("doctor", stdout=out)
    text = out.getvalue()
    assert "PROBLEM" not in text
    assert "All migrations are applied." in text
    assert "A worker is at work" in text
    assert "Set STRIPE_SECRET_KEY." in text


@pytest.mark.django_db(transaction=True)
def test_a_problem_is_its_status_and_json_says_the_same() -> None:
    out = StringIO()
    with pytest.raises(CommandError, match=r"Problems: 1\.") as ended:
        call_command("doctor", "--json", stdout=out)
    assert ended.value.returncode == 1
    told = json.loads(out.getvalue())
    assert told["ok"] is False
    assert [section["title"] for section in told["sections"]] == [
        str(part.title) for part in examination.PARTS
    ]
    found = Counter(each["state"] for section in told["sections"] for each in section["findings"])
    assert found["problem"] == 1
    assert "No job is scheduled" in out.getvalue()


@pytest.mark.slow
def test_all_that_may_be_away_is_told_in_sentences_within_seconds() -> None:
    pytest.importorskip("psycopg")
    began = time.monotonic()
    done = doctor(
        DATABASE_URL="postgres://carrel:a-db-password@127.0.0.1:1/library",
        REDIS_URL="redis://:a-redis-password@127.0.0.1:1/0",
        EMAIL_URL="smtp://library:a-mail-password@127.0.0.1:1",
        OIDC_ISSUER="http://127.0.0.1:1",
        OIDC_AUDIENCE="library",
        PAYPAL_CLIENT_ID="half",
        SITE_URL="https://other.example",
    )
    assert time.monotonic() - began < 30
    assert done.returncode == 1
    for sentence in (
        "The database cannot be reached (PostgreSQL at 127.0.0.1, port 1, database “library”)",
        "The queue does not answer",
        "The mail server does not take us (127.0.0.1, port 1)",
        "The sign-in provider http://127.0.0.1:1 does not answer",
        "PAYPAL_CLIENT_SECRET",
        "Links in messages lead to other.example, which the site does not answer to.",
        "Not looked at: the database has to be mended first.",
    ):
        assert sentence in done.stdout
    everything = done.stdout + done.stderr
    assert "Traceback" not in everything
    assert not [secret for secret in SECRETS if secret in everything]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({"DATABASE_URL": "nonsense:a-db-password"}, "DATABASE_URL cannot be understood"),
        ({"DATABASE_URL": "mysql://u:a-db-password@h/x"}, "DATABASE_URL cannot be understood"),
        ({"DATABASE_URL": "postgres://u:a-db-password@h:x/x"}, "DATABASE_URL cannot be understood"),
        ({"REDIS_URL": "a-redis-password"}, "REDIS_URL cannot be understood"),
        ({"EMAIL_URL": "mail://u:a-mail-password@h"}, "EMAIL_URL cannot be understood"),
        ({"TIME_ZONE": "Mars/Olympus"}, "TIME_ZONE cannot be understood"),
        ({"LANGUAGE_CODE": "xx"}, "LANGUAGE_CODE cannot be understood"),
        ({"LOG_FORMAT": "xml"}, "LOG_FORMAT is “xml”"),
    ],
)
def test_settings_that_cannot_be_read_are_told_in_a_sentence_with_their_name(
    environment: dict[str, str], sentence: str
) -> None:
    done = doctor(**environment)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]


@pytest.mark.slow
def test_an_empty_database_needs_its_migrations(tmp_path: Path) -> None:
    done = doctor(DATABASE_URL=f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert done.returncode == 1
    assert "Run: python manage.py migrate" in done.stdout
    assert "Run: python manage.py createcachetable" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_section_that_never_ends_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless() -> list[Finding]:
        time.sleep(3)
        return []

    parts = (examination.DATABASE, examination.Part("Endless", endless))
    monkeypatch.setattr(examination, "PARTS", parts)
    monkeypatch.setattr(examination, "PATIENCE", 0.5)
    found = list(examination.examine())
    assert found[-1].findings[0].sentence == "There was no answer within 0 seconds."


@pytest.mark.django_db(transaction=True)
def test_a_section_that_breaks_does_not_take_the_others_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> list[Finding]:
        raise OSError("redis://:a-redis-password@h/0 is away")

    parts = (examination.Part("Broken", broken), examination.DATABASE)
    monkeypatch.setattr(examination, "PARTS", parts)
    first, database = examination.examine()
    assert first.findings[0].sentence == (
        "This could not be looked at: OSError: redis://***@h/0 is away"
    )
    assert database.findings[0].state is State.OK


def test_what_a_site_without_tls_lacks_is_said_once(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = False
    found = said(site.django(), State.ADVICE)
    assert "served without TLS" in found
    assert "security.W0" not in found


def test_debug_is_a_problem(settings: Settings) -> None:
    settings.DEBUG = True
    assert "DEBUG is on" in said(site.site(), State.PROBLEM)


Usage = namedtuple("Usage", "free")


@pytest.mark.parametrize(
    ("free", "state"), [(50 << 20, State.PROBLEM), (500 << 20, State.ADVICE), (5 << 30, State.OK)]
)
def test_a_full_disk_is_told_before_it_stops_the_library(
    free: int, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _folder: Usage(free))
    assert f"{free >> 20:,} MB are free" in said(site.files(), state)


def test_a_queue_in_redis_answers_or_forgets(
    redis: Redis, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import redis as client  # noqa: PLC0415
    from django_q.conf import Conf  # noqa: PLC0415

    settings.REDIS_URL = redis.url
    settings.CACHES = {"default": {"BACKEND": "config.shared_cache.Redis", "LOCATION": redis.url}}
    monkeypatch.setattr(Conf, "ORM", None)
    monkeypatch.setattr(Conf, "REDIS", redis.url)
    found = states(storage.queue())
    assert [state for state, _sentence in found] == [State.OK, State.OK]
    server = client.from_url(redis.url)
    server.config_set("maxmemory", "10mb")
    server.config_set("maxmemory-policy", "allkeys-lru")
    server.close()
    assert "allkeys-lru" in said(storage.queue(), State.PROBLEM)


@pytest.mark.django_db
def test_restarts_of_workers_are_told_for_a_day() -> None:
    runs.note_restart("The cluster of workers was restarted: it hung.")
    assert "it hung. Look at what the log says" in said(work.jobs(), State.ADVICE)
    yesterday = timezone.now() - 2 * work.LATELY
    JobRun.objects.update(started_at=yesterday)
    assert "it hung" not in said(work.jobs(), State.ADVICE)


@pytest.mark.django_db
def test_a_channel_that_cannot_send_is_told_with_what_it_lacks(settings: Settings) -> None:
    assert "nobody is told anything" in said(work.alerts(), State.ADVICE)
    channel = make_channel(ChannelAudience.READERS, backend="email")
    assert "EMAIL_URL" in said(work.alerts(), State.ADVICE)
    settings.MAIL_IS_SET_UP = True
    assert f"“{channel.name}” is set up" in said(work.alerts(), State.OK)


class TestBackups:
    def test_a_library_without_them_is_advised(self) -> None:
        assert "No backup is made at night" in said(backups.backups(), State.ADVICE)

    def test_the_first_night_is_waited_for(self, settings: Settings, tmp_path: Path) -> None:
        settings.BACKUP_DIR = str(tmp_path)
        assert "no good backup in BACKUP_DIR yet" in said(backups.backups(), State.ADVICE)

    @pytest.mark.parametrize(("days", "state"), [(0, State.OK), (2, State.PROBLEM)])
    def test_the_newest_good_one_may_be_a_day_old(
        self, settings: Settings, tmp_path: Path, days: int, state: State
    ) -> None:
        settings.BACKUP_DIR = str(tmp_path)
        made_at = timezone.localtime() - timedelta(days=days)
        ending = ".dump" if connection.vendor == "postgresql" else ".sqlite3.gz"
        (tmp_path / f"carrel-{made_at:%Y-%m-%dT%H%M}{ending}").touch()
        assert f"{made_at:%Y-%m-%d %H:%M}" in said(backups.backups(), state)

    def test_a_folder_that_is_gone_is_a_problem(self, settings: Settings, tmp_path: Path) -> None:
        settings.BACKUP_DIR = str(tmp_path / "not-mounted")
        assert "not-mounted" in said(backups.backups(), State.PROBLEM)


def test_a_mail_server_is_signed_in_to(mail_server: MailServer, settings: Settings) -> None:
    assert "takes us" in said(work.mail_server(), State.OK)
    settings.EMAIL_HOST_PASSWORD = "wrong"
    assert "does not take us" in said(work.mail_server(), State.PROBLEM)


@pytest.mark.postgres
@pytest.mark.django_db
def test_a_clock_that_is_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(storage.database(), State.PROBLEM) == ""
    late = time.time() - 3600
    monkeypatch.setattr("config.doctor.storage.time.time", lambda: late)
    assert "differ by 3600 seconds" in said(storage.database(), State.PROBLEM)


def test_a_question_may_have_a_time_limit_of_its_own() -> None:
    def impatient() -> Any:
        raise TimeoutError("after a second")

    with pytest.raises(TimeoutError, match="after a second"):
        patience.Question(impatient).begin()(5)


@pytest.mark.django_db
def test_that_no_job_has_run_yet_is_not_called_a_worker_at_work() -> None:
    jobs.sync()
    assert "No job has run yet. Start the worker" in said(work.jobs(), State.ADVICE)
    assert "at work" not in said(work.jobs(), State.OK)
