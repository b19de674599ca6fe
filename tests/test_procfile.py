"""The commands of the Procfile, as they stand, on a fresh copy: from nothing to a served page."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import requests

from tests.brokers import Redis
from tests.sites import Machine, administration
from tests.workers import wait_until

pytestmark = pytest.mark.slow

JOBS_DONE = (
    "python manage.py shell --no-imports -c "
    "'from config.models import JobRun; print(JobRun.objects.exclude(result=\"\").count())'"
)


@pytest.fixture(params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.postgres)])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A machine with no more in its environment than the sample requires, or the two variables."""
    variables = {}
    if request.param == "PostgreSQL":
        redis: Redis = request.getfixturevalue("redis")
        database = request.getfixturevalue("empty_postgres")
        variables = {"DATABASE_URL": database, "REDIS_URL": redis.url}
    machine = Machine(tmp_path / "site", **variables)
    yield machine
    machine.kill_everything()


def static_files_of(page: str) -> set[str]:
    return set(re.findall(r'(?:href|src)="(/static/[^"?]+)', page))


def test_the_procfile_brings_up_a_site_and_takes_it_down_again(machine: Machine) -> None:
    released = machine.run("release")
    assert released.returncode == 0, released.stderr
    web, worker = machine.start("web"), machine.start("worker")
    machine.wait_until_it_is_ready()

    page = requests.get(f"{machine.url}/admin/login/", timeout=30)
    assert page.status_code == 200
    files = static_files_of(page.text)
    assert len(files) > 5
    for file in files:
        assert requests.get(machine.url + file, timeout=30).status_code == 200, file
    # What only a proxy may say nobody else can.
    headers = {"PATH_INFO": "/healthz", "SCRIPT_NAME": "/elsewhere"}
    page = requests.get(f"{machine.url}/admin/login/", headers=headers, timeout=30)
    assert static_files_of(page.text) == files
    wait_until(lambda: int(machine.sh(JOBS_DONE).stdout) > 0, every=1)

    assert [web.stop(), worker.stop()] == [0, 0]
    assert web.members() == worker.members() == []
    assert "Traceback" not in machine.log.read_text()

    released = machine.run("release")
    assert released.returncode == 0
    assert "No migrations to apply" in released.stdout
    assert "\n0 static files copied" in released.stdout
    assert "(changed)" not in released.stdout

    # As hosts stop it that know no more of a process than that they began it.
    web, worker = machine.start("web"), machine.start("worker")
    machine.wait_until_it_is_ready()
    assert [web.stop(whole_group=True), worker.stop(whole_group=True)] == [0, 0]
    assert web.members() == worker.members() == []


def test_a_release_without_its_database_says_so_in_a_sentence(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "site", DATABASE_URL="postgres://carrel@127.0.0.1:1/carrel")
    released = machine.sh("python manage.py release --timeout 1")
    assert released.returncode == 1
    assert "PostgreSQL at 127.0.0.1, port 1" in released.stderr
    assert "Traceback" not in released.stderr


@pytest.mark.postgres
class TestSeveralReleasesAtOnce:
    @pytest.fixture
    def machines(self, tmp_path: Path, empty_postgres: str) -> list[Machine]:
        return [Machine(tmp_path / name, DATABASE_URL=empty_postgres) for name in ("one", "two")]

    def test_both_of_two_machines_succeed_on_an_empty_database(
        self, machines: list[Machine]
    ) -> None:
        processes = [machine.start("release") for machine in machines]
        statuses = [process.wait() for process in processes]
        told = [machine.log.read_text() for machine in machines]
        assert statuses == [0, 0], "\n".join(told)
        assert sum("Applying billing.0001_initial" in text for text in told) == 1
        assert sum("waiting for its end" in text for text in told) == 1

    def test_one_that_is_killed_lets_the_next_go_on(
        self, machines: list[Machine], empty_postgres: str
    ) -> None:
        first, second = machines
        killed = first.start("release")
        wait_until(lambda: "Applying" in first.log.read_text())
        waiting = second.start("release")
        wait_until(lambda: "waiting for its end" in second.log.read_text())
        killed.kill()
        assert waiting.wait() == 0
        with contextlib.closing(psycopg.connect(empty_postgres)) as database:
            (jobs,) = database.execute("SELECT count(*) FROM django_q_schedule").fetchone() or (0,)
        assert jobs > 5
        with administration() as server:
            assert not server.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'").rowcount
