"""The backup of each night: when it is made, what it is called, what is deleted and what is not."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.checks import Error
from django.db import connection
from django.test import override_settings
from django_q.models import Schedule
from pytest_django import Settings

from alerts.events import EventKind
from alerts.models import Event
from config import jobs, runs
from config.backups import files, making, nightly
from config.backups.checks import Verdict
from config.backups.files import BackupError
from config.checks import check_accounts
from config.models import JobRun

pytestmark = pytest.mark.django_db

NIGHT = datetime(2026, 3, 2, 3, tzinfo=UTC)
SOUND, UNSOUND = Verdict(32, ()), Verdict(32, ("A copy has at most one ready hold. (1)",))
SUFFIX = ".sqlite3.gz" if connection.vendor == "sqlite" else ".dump"


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    settings.BACKUP_DIR = str(tmp_path)
    return tmp_path


@pytest.fixture
def verdicts(monkeypatch: pytest.MonkeyPatch) -> list[Verdict]:
    """What is found of each copy in turn: copies are of one line, and quick to make."""
    found: list[Verdict] = []

    def copied(place: Path, _tell: object) -> tuple[Path, Verdict]:
        (place / "copy").write_text("a library")
        return place / "copy", found.pop(0)

    monkeypatch.setattr(making.engine(), "copied", copied)
    return found


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def make_files(folder: Path, *made: str) -> None:
    for name in made:
        (folder / name).touch()


def test_without_a_folder_no_backup_is_made_and_the_job_says_so() -> None:
    said = jobs.run("back_up")
    assert said == "BACKUP_DIR is not set: no backup is made."
    assert JobRun.objects.get().error == ""
    assert nightly.newest() is None


@pytest.mark.django_db(transaction=True)
def test_the_job_makes_a_backup_named_for_its_minute(folder: Path) -> None:
    with time_machine.travel(NIGHT, tick=False), override_settings(TIME_ZONE="Europe/Warsaw"):
        said = jobs.run("back_up")
        newest = nightly.newest()
    assert names(folder) == [f"carrel-2026-03-02T0400{SUFFIX}"]
    assert "nothing wrong" in said
    assert newest is not None
    assert (newest.made_at, newest.size > 10_000) == (NIGHT, True)
    files.engine_of(newest.file)


def test_the_oldest_beyond_those_kept_are_deleted(
    folder: Path, verdicts: list[Verdict], settings: Settings
) -> None:
    settings.BACKUP_KEEP = 3
    verdicts += [SOUND] * 5
    for night in range(5):
        with time_machine.travel(NIGHT + timedelta(days=night), tick=False):
            nightly.back_up()
    assert names(folder) == [f"carrel-2026-03-0{day}T0300{SUFFIX}" for day in (4, 5, 6)]


def test_what_the_job_did_not_make_is_never_deleted(
    folder: Path, verdicts: list[Verdict], settings: Settings
) -> None:
    settings.BACKUP_KEEP = 1
    theirs = (
        "carrel.sqlite3.gz",
        "carrel-2025-12-31T0300.sqlite3",
        "carrel-2025-12-31T0300.sqlite3.gz.keep",
        "carrel-2025-13-31T0300.sqlite3.gz",
        "copy of carrel-2025-12-31T0300.sqlite3.gz",
        "carrel-2025-12-31.dump",
    )
    make_files(folder, *theirs, f"carrel-2025-12-31T0300{SUFFIX}")
    verdicts.append(SOUND)
    with time_machine.travel(NIGHT, tick=False):
        nightly.back_up()
    assert names(folder) == sorted((*theirs, f"carrel-2026-03-02T0300{SUFFIX}"))


def test_an_unsound_copy_is_kept_apart_and_takes_the_place_of_no_good_one(
    folder: Path, verdicts: list[Verdict], settings: Settings
) -> None:
    settings.BACKUP_KEEP = 1
    verdicts += [SOUND, UNSOUND, UNSOUND]
    for night in range(3):
        with time_machine.travel(NIGHT + timedelta(days=night), tick=False):
            try:
                nightly.back_up()
            except BackupError as problem:
                assert "A copy has at most one ready hold." in str(problem)  # noqa: PT017
    assert names(folder) == [
        f"carrel-2026-03-02T0300{SUFFIX}",
        f"carrel-2026-03-04T0300.unsound{SUFFIX}",
    ]
    newest = nightly.newest()
    assert newest is not None
    assert newest.made_at == NIGHT


def test_a_backup_that_fails_deletes_nothing_and_staff_hear_of_it(folder: Path) -> None:
    gone = folder / "unmounted"
    make_files(folder, f"carrel-2025-12-31T0300{SUFFIX}")
    with override_settings(BACKUP_DIR=str(gone)), pytest.raises(BackupError):
        jobs.run("back_up")
    assert "There is no folder" in JobRun.objects.get().error
    event = Event.objects.get(kind=EventKind.JOB_FAILED)
    assert event.data["job"] == "back_up"
    assert len(names(folder)) == 1


def test_a_second_worker_leaves_the_first_alone(folder: Path) -> None:
    with files.workshop(folder, nightly.ROOM):
        assert "Another process is at work" in nightly.back_up()
    assert names(folder) == []


def test_the_queue_gives_it_more_time_than_other_jobs_but_less_than_a_killed_one() -> None:
    jobs.sync()
    seconds = jobs.called("back_up").queue_options["timeout"]
    kwargs = Schedule.objects.get(name="back_up").kwargs
    assert kwargs == repr({"q_options": {"timeout": seconds}})
    assert 300 < seconds < runs.KILLED_AFTER.total_seconds()
    assert jobs.sync() == []


def test_keeping_no_backup_at_all_is_an_error(settings: Settings) -> None:
    settings.BACKUP_KEEP = 0
    (error,) = check_accounts()
    assert isinstance(error, Error)
    assert "BACKUP_KEEP is 0" in error.msg


def test_a_database_at_another_version_is_backed_up_unchecked(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who updates Carrel makes a backup before `migrate`, with the new code in place."""
    if connection.vendor != "sqlite":
        pytest.skip("a dump needs a transaction of its own: test_backups_meanwhile has it")
    with closing(sqlite3.connect(folder / "old.sqlite3")) as old, old:
        old.execute("CREATE TABLE django_migrations (app, name)")
        old.execute("INSERT INTO django_migrations VALUES ('circulation', '0001_initial')")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(folder / "old.sqlite3"))
    said: list[Any] = []
    made = making.make(folder / "b.sqlite3", tell=said.append)
    assert made.verdict == Verdict(0, ())
    assert any("check_integrity could not be run" in sentence for sentence in said)
