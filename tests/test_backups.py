"""Backups: all of the library comes back, and what goes wrong is said in a sentence."""

import errno
import gzip
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from django_q.models import OrmQ

from alerts import secrets
from config.backups import files, making, on_postgresql, on_sqlite, restoring
from config.backups.files import BackupError, BusyError
from config.models import JobRun
from tests import backing_up
from tests.factories import lend, make_book, make_copy, make_reader, set_policy
from tests.sinks import make_channel

only_sqlite = pytest.mark.skipif(connection.vendor != "sqlite", reason="it is about its file")
SMALL = shutil._ntuple_diskusage(10**12, 10**12, 10)  # type: ignore[attr-defined]


def backup(file: Path, **options: Any) -> str:
    out = StringIO()
    call_command("backup", str(file), stdout=out, **options)
    return out.getvalue()


def why_no_backup(file: Path) -> str:
    with pytest.raises(CommandError) as refused:
        backup(file)
    assert refused.value.returncode == 1
    return str(refused.value)


@pytest.mark.django_db(transaction=True)
def test_what_was_backed_up_is_restored_into_an_empty_database(tmp_path: Path) -> None:
    set_policy()
    loan = lend(make_reader(email="anna@example.org"), make_copy(make_book(daily_fee="0.10")))
    JobRun.objects.create(name="back_up")
    OrmQ.objects.create(key="carrel", payload="what was waiting", lock=timezone.now())
    file = tmp_path / f"carrel{backing_up.SUFFIX}"

    said = backup(file)

    assert "nothing wrong" in said
    assert ".env" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [file]
    with backing_up.empty_database(tmp_path) as database:
        status, said = backing_up.manage("restore", str(file), database=database)
        assert (status, "nothing wrong" in said, "1 loans" in said) == (0, True, True), said
        assert backing_up.ask(database, "SELECT id FROM circulation_loan") == [(loan.pk,)]
        ((money,),) = backing_up.ask(database, "SELECT amount FROM billing_charge")
        assert float(money) == 1.4
        assert backing_up.ask(database, "SELECT result FROM config_jobrun") == [
            ("It was under way when the backup was made.",)
        ]
        assert backing_up.ask(database, "SELECT id FROM django_q_ormq") == []
        assert backing_up.next_number(database, "circulation_loan") > loan.pk + 100_000


@pytest.mark.django_db(transaction=True)
def test_a_file_that_is_no_backup_is_refused_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear reader")
    with backing_up.empty_database(tmp_path) as database:
        status, said = backing_up.manage("restore", str(tmp_path / "letter.txt"), database=database)
        assert status == 1
        assert "is no backup" in said
        assert "Traceback" not in said
        assert backing_up.tables(database) == 0


@pytest.mark.django_db
def test_a_file_that_is_there_is_not_replaced(tmp_path: Path) -> None:
    taken = tmp_path / "yesterday.sqlite3"
    taken.write_text("precious")
    assert "is there already" in why_no_backup(taken)
    assert taken.read_text() == "precious"


@pytest.mark.django_db
def test_a_backup_needs_a_folder_that_is_there_and_a_name_in_it(tmp_path: Path) -> None:
    assert "There is no folder" in why_no_backup(tmp_path / "unmounted" / "carrel.sqlite3")
    assert "is a folder" in why_no_backup(tmp_path)


@pytest.mark.django_db
def test_only_one_process_makes_a_backup_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "carrel.sqlite3"
    with (
        files.workshop(tmp_path, file.name),
        pytest.raises(BusyError, match="Another process is at work"),
    ):
        making.make(file)


def test_what_a_killed_backup_left_is_removed_by_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".carrel.partial"
    left.mkdir()
    (left / "copy.sqlite3-wal").write_text("half")
    with files.workshop(tmp_path, "carrel") as folder:
        assert [file.name for file in folder.iterdir()] == ["lock"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_named_and_nothing_stays_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fill(*_files: object) -> None:
        raise OSError(code, "no room")

    monkeypatch.setattr(files.shutil, "copyfileobj", fill)
    with files.workshop(tmp_path, "carrel") as folder:
        (folder / "copy.sqlite3").write_text("a library")
        with pytest.raises(BackupError, match=f"no room left in {tmp_path}\\."):
            files.packed(folder / "copy.sqlite3")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def made(tmp_path: Path, db: None) -> Path:
    """A copy of this test's database, unchecked: an SQLite file."""
    copy = tmp_path / "made" / "carrel.sqlite3"
    copy.parent.mkdir()
    live = sqlite3.connect(connection.settings_dict["NAME"])
    with closing(live), closing(sqlite3.connect(copy)) as there:
        live.backup(there)
        there.execute("PRAGMA journal_mode=DELETE")
    return copy


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the site's database is said to be, and nothing is."""
    place = tmp_path / "site" / "carrel.sqlite3"
    place.parent.mkdir()
    monkeypatch.setattr(on_sqlite, "database", lambda: place)
    return place


def why_not_restored(file: Path) -> str:
    with pytest.raises(CommandError) as refused:
        call_command("restore", str(file))
    assert refused.value.returncode == 1
    return str(refused.value)


@only_sqlite
@pytest.mark.django_db
class TestOnSQLite:
    @pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
    def test_the_database_is_no_place_for_its_backup(self, suffix: str) -> None:
        live = Path(f"{connection.settings_dict['NAME']}{suffix}")
        with pytest.raises(CommandError, match="is the database itself"):
            backup(live, force=True)

    def test_a_backup_that_would_not_fit_is_not_begun(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(files.shutil, "disk_usage", lambda _folder: SMALL)
        assert "too little room" in why_no_backup(tmp_path / "carrel.sqlite3")
        assert list(tmp_path.iterdir()) == []

    def test_there_has_to_be_a_database(self, target: Path, tmp_path: Path) -> None:
        assert "There is no database" in why_no_backup(tmp_path / "b.sqlite3")
        target.touch()
        assert "nothing to back up" in why_no_backup(tmp_path / "b.sqlite3")

    @pytest.mark.parametrize(
        ("spoil", "why"),
        [
            (lambda raw: b"", "is no backup"),
            (lambda raw: gzip.compress(b"Dear reader"), "is no backup"),
            (lambda raw: gzip.compress(raw)[:9], "is no backup"),
            (lambda raw: gzip.compress(raw)[:20_000], "is damaged or cut off"),
            (lambda raw: raw[:50_000], "malformed"),
            (lambda raw: b"PGDMP" + raw, "is a backup of PostgreSQL"),
        ],
        ids=["empty", "another file", "a stub", "cut off", "cut off, plain", "of PostgreSQL"],
    )
    def test_what_cannot_be_restored_is_refused(
        self, made: Path, target: Path, spoil: Callable[[bytes], bytes], why: str
    ) -> None:
        made.write_bytes(spoil(made.read_bytes()))
        assert why in why_not_restored(made)
        assert list(target.parent.iterdir()) == []

    def test_a_file_that_is_not_there_is_named(self, target: Path) -> None:
        assert "cannot be read: No such file" in why_not_restored(target.with_name("gone"))

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ("DELETE FROM django_migrations", "not one of Carrel"),
            ("DROP TABLE django_migrations", "not one of Carrel"),
            (
                "INSERT INTO django_migrations (app, name, applied) VALUES "
                "('circulation', '0099_years_ahead', '2030-01-01')",
                "made by a newer Carrel: this one does not know circulation.0099_years_ahead",
            ),
        ],
    )
    def test_a_database_that_this_carrel_does_not_know_is_refused(
        self, made: Path, target: Path, change: str, why: str
    ) -> None:
        with closing(sqlite3.connect(made)) as there, there:
            there.execute(change)
        assert why in why_not_restored(made)
        assert list(target.parent.iterdir()) == []

    def test_a_database_in_use_is_no_backup(self, made: Path, target: Path) -> None:
        with closing(sqlite3.connect(made)) as there:
            there.execute("PRAGMA journal_mode=WAL")
            there.execute("PRAGMA user_version=7")
            assert "is a database in use" in why_not_restored(made)

    def test_a_log_that_another_database_left_is_not_mixed_in(
        self, made: Path, target: Path
    ) -> None:
        target.with_name("carrel.sqlite3-wal").write_bytes(b"what a lost database wrote last")
        assert "carrel.sqlite3-wal was left by another database" in why_not_restored(made)

    def test_a_target_that_is_in_use_or_no_database_is_left_alone(
        self, made: Path, target: Path
    ) -> None:
        with closing(sqlite3.connect(target)) as web:
            web.execute("PRAGMA journal_mode=WAL")
            web.execute("SELECT * FROM sqlite_master").fetchall()
            assert "Stop web and worker" in why_not_restored(made)
        target.write_text("Dear reader " * 1000)
        assert "is no SQLite database" in why_not_restored(made)

    @pytest.mark.django_db(transaction=True)
    def test_what_fails_after_loading_leaves_nothing(
        self, made: Path, target: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_tell: object) -> None:
            raise BackupError("no")

        monkeypatch.setattr(restoring, "_migrate", fail)
        before = connection.settings_dict["NAME"]
        why_not_restored(made)
        assert connection.settings_dict["NAME"] == before
        assert list(target.parent.iterdir()) == []


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder in which programs are found."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def make_program(file: Path, *lines: str) -> None:
    file.write_text("\n".join(("#!/bin/sh", *lines)))
    file.chmod(0o755)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
class TestOnPostgreSQL:
    def test_a_name_that_promises_gzip_is_refused(self, tmp_path: Path) -> None:
        assert "does not end in .gz, as b.dump" in why_no_backup(tmp_path / "b.sqlite3.gz")

    def test_a_missing_pg_dump_is_named(self, programs: Path, tmp_path: Path) -> None:
        assert "pg_dump is not installed" in why_no_backup(tmp_path / "b.dump")

    def test_a_pg_dump_older_than_the_server_is_named(self, programs: Path) -> None:
        make_program(programs / "pg_dump", "echo 'pg_dump (PostgreSQL) 9.6.24'")
        why = why_no_backup(programs / "b.dump")
        assert "pg_dump is too old" in why
        assert "9.6.24" in why

    def test_no_argument_of_a_program_says_where_or_by_which_password(self, programs: Path) -> None:
        make_program(
            programs / "pg_dump",
            f'echo "$@" >> {programs}/arguments',
            f"/usr/bin/env > {programs}/environment",
            "echo 'pg_dump (PostgreSQL) 99.0'",
            "echo 'pg_dump: error: just so' >&2",
            '[ "$1" = --version ]',
        )
        assert why_no_backup(programs / "b.dump") == "pg_dump: error: just so"
        given = connection.settings_dict
        arguments = (programs / "arguments").read_text()
        assert "--snapshot=" in arguments
        assert given["NAME"] not in arguments
        environment = (programs / "environment").read_text().splitlines()
        assert {f"PGDATABASE={given['NAME']}", f"PGUSER={given['USER']}"} <= set(environment)
        assert f"PGPASSWORD={given['PASSWORD']}" in environment or not given["PASSWORD"]

    def test_a_dump_that_is_cut_off_leaves_the_database_empty(self, tmp_path: Path) -> None:
        dump = tmp_path / "b.dump"
        on_postgresql._run("pg_dump", "--format=custom", f"--file={dump}")
        dump.write_bytes(dump.read_bytes()[:100_000])
        with backing_up.empty_database(tmp_path) as database:
            status, said = backing_up.manage("restore", str(dump), database=database)
            assert status == 1
            assert "pg_restore: error" in said
            assert "Traceback" not in said
            assert backing_up.tables(database) == 0

    def test_a_database_of_another_kind_is_refused(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "b.sqlite3")) as other:
            other.execute("CREATE TABLE django_migrations (app, name)")
        assert "is a backup of SQLite" in why_not_restored(tmp_path / "b.sqlite3")


@pytest.mark.django_db
def test_who_restores_without_the_old_key_is_told_which_channels_lost_their_secrets() -> None:
    heard: list[str] = []
    make_channel(name="Staff chat", sealed=secrets.seal({"token": "12345"}))
    make_channel(name="Letters")
    restoring._tell_of_secrets(heard.append)
    assert heard == []
    with override_settings(CHANNEL_SECRET_KEY=["another"]):
        restoring._tell_of_secrets(heard.append)
    (sentence,) = heard
    assert "SECRET_KEY: Staff chat." in sentence


@pytest.mark.django_db
def test_a_database_that_holds_anything_is_not_restored_into() -> None:
    with pytest.raises(BackupError, match="is not empty"):
        making.engine().refuse_full()
