"""Real watchdogs with their clusters on the database of a test, and what they have begun.

`python -m tests.watchdogs` is `manage.py run_worker`, but that its patience is of seconds.
"""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.workers import ROOT, database_url, wait_until

PATIENCE = {"probe_every": 1.0, "unguarded": 6.0, "idle": 4.0}
GRACE = 20.0
READY = re.compile(r"ready for work at (\d+)")


class Watchdog:
    def __init__(self, log: Path, *, redis: str = "", **environment: str) -> None:
        self._log = log
        given = {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": database_url()}
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.watchdogs"],
                cwd=ROOT,
                env={**os.environ, **given, "CARREL_TEST_REDIS_URL": redis, **environment},
                stdout=file,
                stderr=file,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    @property
    def restarts(self) -> int:
        return self.said.count("is to be restarted")

    def workers(self) -> list[int]:
        """Return those that live, the oldest first: it is the one that waits at the inner queue."""
        return [int(pid) for pid in READY.findall(self.said) if is_alive(int(pid))]

    def wait_for_workers(self, *, number: int = 2) -> None:
        wait_until(lambda: len(self.workers()) >= number)

    def everybody(self) -> set[int]:
        return below(self._process.pid)

    def guard(self) -> int:
        """Return the process that has begun the workers."""
        return status(self.workers()[0])[1]

    def stop(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(timeout=60)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def below(ancestor: int) -> set[int]:
    """Return the processes that one has begun, and those that they have."""
    found, newest = set[int](), [ancestor]
    while newest:
        newest = [child for pid in newest for child in children(pid)]
        found.update(newest)
    return found


def children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            state, of = status(int(folder.name))
            if of == parent and state != "Z":
                found.append(int(folder.name))
    return found


def status(pid: int) -> tuple[str, int]:
    """Return the letter of its state and its parent; one that has ended is a zombie here."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return fields[0], int(fields[1])
    return "Z", 0


def is_alive(pid: int) -> bool:
    return status(pid)[0] != "Z"


def main() -> None:
    import django  # noqa: PLC0415

    django.setup()
    from django_q.conf import Conf  # noqa: PLC0415

    from config.worker import cluster, vitals, watchdog  # noqa: PLC0415

    Conf.TIMEOUT = int(os.environ.get("TASK_TIMEOUT", Conf.TIMEOUT))
    cluster.END_OF_ORPHANS = 3
    watchdog.LAST_MOMENTS = 3.0
    patience: Mapping[str, float] = PATIENCE
    watchdog.Watchdog(grace=GRACE, patience=vitals.Patience(**patience)).watch()


if __name__ == "__main__":
    main()
