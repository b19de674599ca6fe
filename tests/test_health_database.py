"""`manage.py wait_for_database`: what it waits for, for how long, and what it says meanwhile."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
WAIT = [sys.executable, "manage.py", "wait_for_database"]


def wait(url: str, *words: str) -> subprocess.CompletedProcess[str]:
    site = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    return subprocess.run(
        [*WAIT, *words],
        cwd=ROOT,
        env={**os.environ, **site},
        capture_output=True,
        text=True,
        check=False,
    )


def test_sqlite_is_there_at_once_and_before_any_migration(tmp_path: Path) -> None:
    waited = wait(f"sqlite:///{tmp_path / 'new.sqlite3'}")
    assert (waited.returncode, waited.stderr) == (0, "")
    assert "takes connections" in waited.stdout


def test_a_folder_that_is_missing_does_not_come_by_waiting(tmp_path: Path) -> None:
    waited = wait(f"sqlite:///{tmp_path / 'nowhere' / 'new.sqlite3'}")
    assert waited.returncode == 1
    assert f"The folder {tmp_path / 'nowhere'} is not there." in waited.stderr


@pytest.mark.slow
def test_it_says_what_it_waits_for_and_why_it_gives_up() -> None:
    pytest.importorskip("psycopg")
    waited = wait("postgres://carrel:a-password@127.0.0.1:1/library", "--timeout", "2")
    assert waited.returncode == 1
    where = "PostgreSQL at 127.0.0.1, port 1, database “library”"
    assert f"Waiting for {where}" in waited.stdout
    assert waited.stdout.count("Waiting for") == 1
    assert where in waited.stderr
    assert "refused" in waited.stderr
    assert "a-password" not in waited.stdout + waited.stderr


@pytest.mark.slow
@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "inf"])
def test_a_time_that_is_none_is_refused(seconds: str) -> None:
    waited = wait("sqlite:///:memory:", "--timeout", seconds)
    assert waited.returncode == 2
    assert "is not a number of seconds" in waited.stderr
