"""Backups while the desk lends, backups that are killed, and what is wrong in a backup."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog.models import Copy, CopyStatus
from circulation.models import Loan
from config import integrity
from tests import backing_up
from tests.backing_up import Desk
from tests.factories import make_book, make_copy, make_reader, set_policy
from tests.workers import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROUNDS = int(os.environ.get("CARREL_BACKUP_ROUNDS", "2"))


@contextlib.contextmanager
def desks(count: int) -> Iterator[list[Desk]]:
    set_policy(max_loans=5, debt_limit="999.00")
    opened = [
        Desk(reader=make_reader().pk, copy=make_copy(make_book(daily_fee="0.10")).pk)
        for _number in range(count)
    ]
    try:
        wait_until(lambda: all(len(desk.lent) > 5 for desk in opened))
        yield opened
    finally:
        for desk in opened:
            desk.stop()


def loans_in(backup: Path, folder: Path) -> set[int]:
    """Restore a backup, which check_integrity looks at, and return the loans in it."""
    with backing_up.empty_database(folder) as database:
        status, said = backing_up.manage("restore", str(backup), database=database)
        assert (status, "nothing wrong" in said) == (0, True), said
        return {pk for (pk,) in backing_up.ask(database, "SELECT id FROM circulation_loan")}


def test_every_loan_that_was_made_before_a_backup_began_is_in_it(tmp_path: Path) -> None:
    made: list[tuple[Path, set[int]]] = []
    with desks(2) as lending:
        for number in range(ROUNDS):
            counts = [len(desk.lent) for desk in lending]
            before = {loan for desk in lending for loan in list(desk.lent)}
            file = tmp_path / f"{number}{backing_up.SUFFIX}"
            status, said = backing_up.manage("backup", str(file))
            assert (status, "nothing wrong" in said) == (0, True), said
            made.append((file, before))
            assert all(len(desk.lent) > count for desk, count in zip(lending, counts, strict=True))
    assert [result.check.name for result in integrity.run() if result.count] == []

    everything = set(Loan.objects.values_list("pk", flat=True))
    for number, (file, before) in enumerate(made):
        (tmp_path / str(number)).mkdir()
        found = loans_in(file, tmp_path / str(number))
        assert before <= found <= everything


def test_a_backup_that_is_killed_leaves_no_file_and_the_next_one_works(tmp_path: Path) -> None:
    file = tmp_path / f"carrel{backing_up.SUFFIX}"
    room = tmp_path / f".{file.name}.partial"
    with desks(1):
        for _number in range(ROUNDS):
            process = backing_up.start("manage.py", "backup", str(file), start_new_session=True)
            wait_until(lambda: any(room.glob("copy*")))
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            assert not file.exists()
            assert room.exists()
        status, said = backing_up.manage("backup", str(file))
    assert status == 0, said
    assert list(tmp_path.iterdir()) == [file]


def test_a_backup_that_is_stopped_tidies_up(tmp_path: Path) -> None:
    set_policy()
    file = tmp_path / f"carrel{backing_up.SUFFIX}"
    process = backing_up.start("manage.py", "backup", str(file))
    wait_until(lambda: any(tmp_path.glob(".*/copy*")))
    process.send_signal(signal.SIGTERM)
    _said, problems = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert "Stopped, and nothing was kept." in problems
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_in_a_backup_is_said_and_restored_only_where_it_is_asked_for(
    tmp_path: Path,
) -> None:
    Copy.objects.filter(pk=make_copy().pk).update(status=CopyStatus.ON_LOAN)
    file = tmp_path / f"carrel{backing_up.SUFFIX}"
    with pytest.raises(CommandError, match=r"made, but something is wrong in it: .* open loan"):
        call_command("backup", str(file))
    with backing_up.empty_database(tmp_path) as database:
        status, said = backing_up.manage("restore", str(file), database=database)
        assert (status, "--accept-unsound" in said) == (1, True), said
        assert backing_up.tables(database) == 0
        arguments = ("restore", str(file), "--accept-unsound")
        status, said = backing_up.manage(*arguments, database=database)
        assert status == 0, said
        assert backing_up.ask(database, "SELECT status FROM catalog_copy") == [("on_loan",)]


def test_a_backup_made_before_an_update_is_brought_up_to_date(tmp_path: Path) -> None:
    """The tables of `config` stand for what an update will add."""
    first, second = (tmp_path / f"{name}{backing_up.SUFFIX}" for name in ("first", "second"))
    call_command("backup", str(first))
    with backing_up.empty_database(tmp_path) as database:
        for command in (("restore", str(first)), ("migrate", "config", "zero")):
            status, said = backing_up.manage(*command, database=database)
            assert status == 0, said
        status, said = backing_up.manage("backup", str(second), database=database)
        assert (status, "check_integrity could not be run" in said) == (0, True), said
    (tmp_path / "again").mkdir()
    with backing_up.empty_database(tmp_path / "again") as database:
        status, said = backing_up.manage("restore", str(second), database=database)
        assert (status, "Migrations applied: 1." in said) == (0, True), said
        assert backing_up.ask(database, "SELECT count(*) FROM config_jobrun") == [(0,)]
