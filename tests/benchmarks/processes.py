"""The processes of a library that is being measured, and what CPU time they have used."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
LONGEST_START = 30  # seconds
WEB = "gunicorn config.wsgi --worker-class sync --no-control-socket --workers 2".split()


@contextlib.contextmanager
def running(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[int]:
    """Run a module of Python with the site's own settings; yield its process id."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, **environment, "DJANGO_SETTINGS_MODULE": "config.settings"},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def web(environment: Mapping[str, str], log: Path) -> Iterator[tuple[int, int]]:
    """Run the site as the Procfile does; yield its process id and its port."""
    port = _free_port()
    with running(["-m", *WEB, "--bind", f"127.0.0.1:{port}"], environment, log) as pid:
        _wait_for(port, log)
        yield pid, port


def database() -> list[int]:
    """Return the process id of a PostgreSQL server on this machine; none for SQLite."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    return [_stat(backend)[0]]


def cpu(roots: list[int]) -> float:
    """Return the seconds of CPU of these processes and all below them, those that ended too."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # ended meanwhile
                found[int(folder.name)] = _stat(int(folder.name))
    wanted, below = set(roots), set(roots)
    while below := {pid for pid, (parent, _ticks) in found.items() if parent in below} - wanted:
        wanted |= below
    return sum(found[pid][1] for pid in wanted) / TICKS


def _stat(pid: int) -> tuple[int, int]:
    """Return a process's parent and its ticks, with those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[1]), sum(int(ticks) for ticks in fields[11:15])


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _wait_for(port: int, log: Path) -> None:
    ends = time.monotonic() + LONGEST_START
    while time.monotonic() < ends:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    raise SystemExit(f"The site did not start:\n{log.read_text()[-2000:]}")
