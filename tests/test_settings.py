"""Settings: a site that is set up dangerously does not start, and says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STRONG = "q7" * 10 + "Zx-4_vB9" * 5


def start(**environment: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py check` as a site with this environment would."""
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", **environment},
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
    site = {"SECRET_KEY": STRONG, "ALLOWED_HOSTS": "library.example", "DEBUG": "false"}
    started = start(**{**site, **environment})
    assert started.returncode == 1
    assert said in started.stderr
    assert "Traceback" not in started.stderr


def test_a_key_and_a_host_name_are_enough() -> None:
    started = start(SECRET_KEY=STRONG, ALLOWED_HOSTS="library.example", DEBUG="false")
    assert started.returncode == 0, started.stderr


@pytest.mark.parametrize("more", ["", "?protocol=3"])
def test_a_site_starts_with_redis_as_its_queue(more: str) -> None:
    site = {"SECRET_KEY": STRONG, "ALLOWED_HOSTS": "library.example", "DEBUG": "false"}
    started = start(**site, REDIS_URL=f"redis://127.0.0.1:1/0{more}")
    assert started.returncode == 0, started.stderr
