"""A site as it is deployed: a copy of what the image holds, run by the commands of the Procfile.

Its processes get an environment of their own, with nothing of the tests'.
"""

import contextlib
import fnmatch
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
import requests
from django.conf import settings
from django.db import connection

from tests.workers import ROOT, wait_until

PROCFILE = dict(
    line.split(": ", maxsplit=1) for line in (ROOT / "Procfile").read_text().splitlines()
)
SECRET_KEY = "of-one-site-on-many-machines-" + "0123456789" * 3
LONGEST_START = 60
LONGEST_RUN = 300
LONGEST_STOP = 40
"""Seconds; web waits for 30 until what is under way is finished."""


def is_in_image(path: Path) -> bool:
    """Tell whether .dockerignore lets through a path of the checkout; its last word counts."""
    names = [path.as_posix(), *(parent.as_posix() for parent in path.parents)][:-1]
    is_in = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        rule = line.removeprefix("!").removeprefix("**/")
        if not rule or rule.startswith("#"):
            continue
        tried = path.parts if "**/" in line else names
        if any(fnmatch.fnmatchcase(name, rule) for name in tried):
            is_in = line.startswith("!")
    return is_in


def copy_of_the_image(folder: Path) -> Path:
    """Copy what the image would hold, with the Procfile beside it."""

    def left_out(parent: str, names: list[str]) -> set[str]:
        here = Path(parent).relative_to(ROOT)
        return {name for name in names if not is_in_image(here / name)}

    shutil.copytree(ROOT, folder, ignore=left_out)
    return folder


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


class Process:
    """One command of a machine; all that it begins, in whatever session, carries its mark."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str], log: Path) -> None:
        self._mark = f"CARREL_TEST_PROCESS={uuid4()}"
        name, _, value = self._mark.partition("=")
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"],
                cwd=folder,
                env={**environment, name: value},
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.pid = self._process.pid

    def members(self) -> list[int]:
        """Return the process ids of all that it consists of."""
        found = []
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self._mark.encode() in environ.read_bytes():
                    found.append(int(environ.parent.name))
        return sorted(found)

    def wait(self) -> int:
        """Wait for it to end by itself, and return the exit status."""
        return self._process.wait(LONGEST_RUN)

    def stop(self, *, whole_group: bool = False) -> int:
        """Send SIGTERM, to the process alone or to its group, and return the exit status."""
        if whole_group:
            os.killpg(self.pid, signal.SIGTERM)
        else:
            self._process.terminate()
        return self._process.wait(LONGEST_STOP)

    def kill_alone(self) -> None:
        """Kill the process itself: what it has begun is left to find out."""
        kill(self.pid)
        self._process.wait()

    def kill(self) -> None:
        """Kill everything of it, until nothing is left."""
        while members := self.members():
            for pid in members:
                kill(pid)
            self._process.poll()
            time.sleep(0.02)
        self._process.wait()


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Machine:
    """A folder with the code, and an environment; `run` and `start` take names of the Procfile."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = copy_of_the_image(folder)
        self.port = free_port()
        self.log = folder.with_suffix(".log")
        self._environment = {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "SECRET_KEY": SECRET_KEY,
            "ALLOWED_HOSTS": "127.0.0.1",
            **environment,
        }
        self._started: list[Process] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        return self.sh(PROCFILE[name])

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LONGEST_RUN,
            check=False,
        )

    def start(self, name: str) -> Process:
        environment = {**self._environment, "PORT": str(self.port)}
        process = Process(PROCFILE[name], self.folder, environment, self.log)
        self._started.append(process)
        return process

    def wait_until_it_is_ready(self) -> None:
        try:
            wait_until(self._is_ready, seconds=LONGEST_START, every=0.1)
        except AssertionError:
            raise AssertionError(self.log.read_text()[-4000:]) from None

    def _is_ready(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/readyz", timeout=10).status_code == 200
        return False

    def kill_everything(self) -> None:
        for process in self._started:
            process.kill()


def address_of(database: str) -> str:
    """Return the DATABASE_URL of a database on the PostgreSQL server of the tests."""
    given = connection.settings_dict
    account = f"{quote(given['USER'])}:{quote(given['PASSWORD'])}"
    return f"postgres://{account}@{given['HOST']}:{given['PORT']}/{quote(database)}"


@contextlib.contextmanager
def administration() -> Iterator[psycopg.Connection]:
    """A connection to the server of the tests that is none to any of their databases."""
    with psycopg.connect(address_of("postgres"), autocommit=True) as server:
        yield server


@pytest.fixture
def empty_postgres() -> Iterator[str]:
    """The address of an empty database of a test's own, on PostgreSQL."""
    name = f"{settings.DATABASES['default']['NAME']}_site_{os.getpid()}"
    with administration() as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}" TEMPLATE template0')
    yield address_of(name)
    with administration() as server:
        server.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
