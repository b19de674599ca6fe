"""Settings: a site that is set up dangerously does not start, and says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis as Client

from tests.brokers import Redis

ROOT = Path(__file__).resolve().parent.parent
STRONG = "q7" * 10 + "Zx-4_vB9" * 5
SITE = {"SECRET_KEY": STRONG, "ALLOWED_HOSTS": "library.example", "DEBUG": "false"}


def start(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py check`, or another command, as a site with this environment would."""
    # The database of the tests has another name, and nothing here is about it.
    site = {"DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": "sqlite:///:memory:"}
    return subprocess.run(
        [sys.executable, "manage.py", *(words or ["check"])],
        cwd=ROOT,
        env={**os.environ, **site, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is too easy to guess"),
        ({"SECRET_KEY": "a" * 60}, "SECRET_KEY is too easy to guess"),
        ({"SECRET_KEY": f"django-insecure-{STRONG}"}, "SECRET_KEY is too easy to guess"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS must name the host names"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS must name the host names"),
    ],
)
def test_weak_settings_refuse_to_start_in_a_sentence(
    environment: dict[str, str], said: str
) -> None:
    started = start(**{**SITE, **environment})
    assert started.returncode == 1
    assert said in started.stderr
    assert "Traceback" not in started.stderr


@pytest.mark.slow
def test_a_key_and_a_host_name_are_enough() -> None:
    started = start(**SITE)
    assert started.returncode == 0, started.stderr


@pytest.mark.slow
@pytest.mark.parametrize("more", ["", "?protocol=3"])
def test_a_site_starts_with_a_redis_that_is_away_as_its_queue(more: str) -> None:
    started = start(**SITE, REDIS_URL=f"redis://127.0.0.1:1/0{more}")
    assert started.returncode == 0, started.stderr


WHERE = """
from django.core.cache import caches
from django_q.brokers import get_broker
print(type(get_broker()).__module__, type(caches["default"]).__module__)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("url", "broker", "cache"),
    [
        ("", "orm", "django.core.cache.backends.db"),
        ("redis://127.0.0.1:1/0", "redis_broker", "config.shared_cache"),
    ],
)
def test_queue_and_cache_are_tables_unless_there_is_a_redis(
    url: str, broker: str, cache: str
) -> None:
    started = start("shell", "--no-imports", "-c", WHERE, **SITE, REDIS_URL=url)
    modules = f"django_q.brokers.{broker} {cache}"
    assert modules in started.stdout, started.stderr


USE = """
from django.core.cache import cache
from django_q.tasks import async_task
async_task("config.jobs.run", "expire_holds")
cache.set("greeting", "hello")
print(cache.get("greeting"))
"""


def test_a_site_with_redis_keeps_queue_and_cache_there(redis: Redis) -> None:
    started = start("shell", "--no-imports", "-c", USE, **SITE, REDIS_URL=redis.url)
    assert "hello" in started.stdout, started.stderr
    with Client.from_url(redis.url) as kept:
        assert kept.llen("django_q:carrel:q") == 1
        assert kept.exists(":1:greeting")


@pytest.mark.slow
def test_what_the_console_channel_says_it_wrote_is_written_whatever_the_log_level_is() -> None:
    said = "import logging; logging.getLogger('alerts.console').info('Due tomorrow')"
    assert "Due tomorrow" in start("shell", "-c", said, **SITE, LOG_LEVEL="ERROR").stderr


@pytest.mark.slow
@pytest.mark.parametrize(("prepares", "threshold"), [("true", "5"), ("false", "None")])
def test_statements_are_prepared_on_postgresql_unless_a_pooler_cannot(
    prepares: str, threshold: str
) -> None:
    shown = "from django.conf import settings; print(settings.DATABASES['default']['OPTIONS'])"
    site = {**SITE, "DATABASE_URL": "postgres://127.0.0.1/carrel", "DATABASE_PREPARES": prepares}
    told = start("shell", "--no-imports", "-c", shown, **site)
    assert f"'prepare_threshold': {threshold}" in told.stdout, told.stderr
