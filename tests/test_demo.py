"""The demo command: what it makes, that it makes it once, and how it is served and stopped."""

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import requests
from django.core.management import CommandError, call_command

from config.demo import people

ROOT = Path(__file__).resolve().parent.parent
# The command as manage.py runs it, but for the place of its database.
COMMAND = [
    sys.executable,
    "-c",
    "import sys, pathlib, manage; from config import demo;"
    "demo.DATABASE = pathlib.Path(sys.argv.pop(1)); manage.main()",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc"),
]


def demo(database: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, str(database), "demo", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo's database, made once for all processes of the test run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "demo"
    database = folder / "demo.sqlite3"
    log = folder / "log"
    try:
        folder.mkdir()
    except FileExistsError:
        for _attempt in range(3000):
            if log.exists():
                return database
            time.sleep(0.1)
        raise
    done = demo(database, "--prepare-only")
    assert done.returncode == 0, done.stderr
    log.write_text(done.stdout)
    return database


@pytest.fixture
def database(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(prepared, tmp_path))


def ask(database: Path, question: str) -> list[tuple[int, ...]]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return connection.execute(question).fetchall()


def fingerprint(database: Path) -> str:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return sha256("\n".join(connection.iterdump()).encode()).hexdigest()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(port: int) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(f"http://127.0.0.1:{port}/admin/login/", timeout=10).status_code == 200
    return False


def descendants(pid: int) -> dict[int, str]:
    """Return the processes that `pid` has started, and those that they have, by their commands."""
    found = {pid: ""}
    for process in sorted(Path("/proc").glob("[0-9]*"), key=lambda path: int(path.name)):
        with contextlib.suppress(OSError):
            if int(state(process)[1]) in found:
                command = (process / "cmdline").read_bytes().replace(b"\0", b" ")
                found[int(process.name)] = command.decode()
    del found[pid]
    return found


def state(process: Path) -> list[str]:
    """Return what the kernel says after the name: state (Z: ended), parent, and so on."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return state(Path(f"/proc/{pid}"))[0] != "Z"
    return False


class Served:
    def __init__(self, database: Path) -> None:
        self.port = free_port()
        self.site = f"http://127.0.0.1:{self.port}"
        self.process = subprocess.Popen(
            [*COMMAND, str(database), "demo", "--port", str(self.port)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.children: dict[int, str] = {}

    def wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 60
        while not answers(self.port) or not self.child("qcluster"):
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.2)

    def child(self, name: str) -> int | None:
        """Return the id of the first process of that name."""
        self.children = descendants(self.process.pid)
        return next((pid for pid, command in self.children.items() if name in command), None)

    def end(self) -> tuple[int, str, str]:
        out, error = self.process.communicate(timeout=30)
        return self.process.returncode, out, error

    def survivors(self) -> list[int]:
        return [pid for pid in self.children if is_alive(pid)]


@pytest.fixture
def served(database: Path) -> Iterator[Served]:
    serving = Served(database)
    try:
        serving.wait_until_it_answers()
        yield serving
    finally:
        if serving.process.poll() is None:
            serving.process.terminate()
            serving.process.communicate(timeout=30)


def test_a_real_installation_is_never_touched() -> None:
    with pytest.raises(CommandError, match=r"python manage\.py demo"):
        call_command("demo", "--prepare-only")


def test_it_ignores_the_environment_of_a_real_installation(
    tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real.sqlite3"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{real}")
    monkeypatch.setenv("SECRET_KEY", "short")
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "nowhere.settings")
    copy = Path(shutil.copy(prepared, tmp_path / "demo.sqlite3"))
    assert demo(copy, "--prepare-only").returncode == 0
    assert not real.exists()


def test_a_second_run_changes_nothing(database: Path) -> None:
    before = fingerprint(database)
    again = demo(database, "--prepare-only")
    assert again.returncode == 0, again.stderr
    assert fingerprint(database) == before


def test_it_prints_every_login_and_cards_and_barcodes_that_exist(prepared: Path) -> None:
    printed = (prepared.parent / "log").read_text()
    for role, _first, _last in people.STAFF:
        assert re.search(rf"{people.email_of(role)} +{people.PASSWORD}", printed)
    codes = set(re.findall(r" (R\d{4}|\d{5}-\d) ", printed))
    assert len(codes) >= 10
    known = ask(prepared, "SELECT barcode FROM catalog_copy") + ask(
        prepared, "SELECT card_number FROM circulation_reader"
    )
    assert codes <= {row[0] for row in known}


@pytest.mark.parametrize(
    ("what", "least"),
    [
        ("catalog_book", 7660),
        ("catalog_importrun WHERE status = 'done' AND rows_wrong = 0", 2),
        ("catalog_copy WHERE item_type_id IS NOT NULL", 30),
        ("circulation_reader WHERE card_number LIKE 'R00%'", 40),
        ("circulation_reader WHERE expiry_date < date('now', '-1 day')", 1),
        ("circulation_reader WHERE is_blocked", 1),
        ("circulation_reader WHERE email IS NULL", 1),
        ("circulation_loan WHERE actual_return_date IS NOT NULL", 300),
        ("circulation_loan WHERE actual_return_date > expected_return_date", 5),
        ("circulation_loan WHERE lost_date IS NOT NULL AND actual_return_date IS NULL", 1),
        ("circulation_loan WHERE lost_date IS NOT NULL AND actual_return_date IS NOT NULL", 1),
        ("circulation_loan WHERE renewals > 0", 1),
        ("circulation_hold WHERE status = 'ready'", 2),
        ("circulation_hold WHERE status = 'waiting'", 3),
        ("circulation_hold WHERE status = 'fulfilled'", 1),
        ("circulation_override", 1),
        ("billing_charge WHERE kind = 'FINE' AND is_accruing", 5),
        ("billing_charge WHERE kind = 'PAYMENT'", 1),
        ("billing_charge WHERE kind = 'LOST'", 1),
        ("billing_payment WHERE provider = 'CASH' AND status = 'PAID'", 10),
        ("billing_adjustment WHERE kind = 'WAIVED'", 1),
        ("django_q_schedule", 2),
    ],
)
def test_it_has_something_of_everything(prepared: Path, what: str, least: int) -> None:
    ((count,),) = ask(prepared, f"SELECT count(*) FROM {what}")
    assert count >= least


def test_nobody_is_told_of_its_past(prepared: Path) -> None:
    ((events, untold),) = ask(
        prepared, "SELECT count(*), sum(fanned_out_at IS NULL) FROM alerts_event"
    )
    assert events > 300
    assert untold == 0


def test_it_has_loans_in_every_state_of_lateness(prepared: Path) -> None:
    ((today, soon, days, weeks, months),) = ask(
        prepared,
        """
        WITH open AS (
            SELECT julianday(expected_return_date) - julianday('now', 'start of day') AS left
            FROM circulation_loan WHERE actual_return_date IS NULL AND lost_date IS NULL
        )
        SELECT sum(left BETWEEN 0 AND 1), sum(left BETWEEN 1 AND 3), sum(left BETWEEN -7 AND -1),
            sum(left BETWEEN -30 AND -8), sum(left < -30) FROM open
        """,
    )
    assert min(today, soon, days, weeks, months) >= 1


def test_it_serves_until_it_is_interrupted_and_leaves_nothing_running(served: Served) -> None:
    assert served.child("gunicorn")
    started = time.monotonic()
    served.process.send_signal(signal.SIGINT)
    status, out, error = served.end()
    assert (status, error) == (0, "")
    assert f"{served.site}/" in out
    assert time.monotonic() - started < 15
    assert served.survivors() == []
    assert not answers(served.port)


def test_everyone_can_sign_in(served: Served) -> None:
    for role, _first, _last in people.STAFF:
        assert sign_in(served, people.email_of(role)) == f"{served.site}/admin/"


def sign_in(served: Served, email: str) -> str:
    """Return the address at which someone arrives who signs in."""
    with requests.Session() as browser:
        page = browser.get(f"{served.site}/admin/login/", timeout=10).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
        assert token
        form = {
            "csrfmiddlewaretoken": token[1],
            "username": email,
            "password": people.PASSWORD,
        }
        return browser.post(
            f"{served.site}/admin/login/?next=/admin/",
            data=form,
            headers={"Origin": served.site},
            timeout=10,
        ).url


@pytest.mark.parametrize(("name", "called"), [("gunicorn", "web"), ("qcluster", "worker")])
def test_when_one_process_dies_the_other_is_stopped(served: Served, name: str, called: str) -> None:
    victim = served.child(name)
    assert victim
    os.kill(victim, signal.SIGKILL)
    status, _out, error = served.end()
    assert status == 1
    assert f"The {called} process ended" in error
    assert "Traceback" not in error
    assert served.survivors() == []


def test_a_busy_port_is_said_in_a_sentence(database: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        refused = demo(database, "--port", str(other.getsockname()[1]))
    assert refused.returncode == 1
    assert re.search(r"Port \d+ is not free .*--port \d+", refused.stderr)
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(CommandError, match="1 to 65535"):
        call_command("demo", f"--port={port}")
