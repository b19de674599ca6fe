"""Real workers on the database of a test, and their far end on loopback.

`python -m tests.workers` is a cluster as `manage.py qcluster` runs it, but for times made short:
those of retries, and of leases where it will be killed.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import quote

from django.db import connection

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 180
SHORT_LEASE, SHORT_SEND = timedelta(seconds=6), timedelta(seconds=4)
RETRIES = [timedelta(seconds=seconds) for seconds in (1, 1, 2, 2, 3, 5, 5, 10, 10)]


def wait_until(is_so: Callable[[], bool], *, seconds: float = TIMEOUT, every: float = 0.02) -> None:
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, "It took too long."
        time.sleep(every)


class FarEnd:
    """Takes messages and notes them, each before it answers; or is down."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self._lock = Lock()
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        far_end = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with far_end._lock:
                    far_end.messages.append({**body, "webhook-id": self.headers["webhook-id"]})
                with contextlib.suppress(OSError):  # who sent it may have been killed
                    self.send_response(200)
                    self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_port
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Cluster:
    """Processes in a group of their own, so that all of them can be killed at once."""

    def __init__(
        self,
        log: Path,
        *,
        redis: str = "",
        mail: str = "",
        workers: int = 2,
        is_to_be_killed: bool = False,
    ) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": database_url(),
            "CARREL_TEST_REDIS_URL": redis,
            "CARREL_TEST_EMAIL_URL": mail,
            "ALERT_BACKENDS": "tests.sinks.Loopback,alerts.backends.email.Email",
            "WORKERS": str(workers),
            "IS_TO_BE_KILLED": str(int(is_to_be_killed)),
        }
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.workers"],
                cwd=ROOT,
                env=environment,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def database_url() -> str:
    """Where the database of this test is, not the one that it was made from."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{given['NAME']}"
    account = f"{quote(given['USER'])}:{quote(given['PASSWORD'])}"
    return f"postgres://{account}@{given['HOST']}:{given['PORT']}/{given['NAME']}"


def main() -> None:
    import django  # noqa: PLC0415

    django.setup()
    from django.core.management import call_command  # noqa: PLC0415
    from django_q.conf import Conf  # noqa: PLC0415

    from alerts import claims, dispatch  # noqa: PLC0415

    if int(os.environ["IS_TO_BE_KILLED"]):
        claims.LEASE, dispatch.LONGEST_SEND = SHORT_LEASE, SHORT_SEND
    dispatch.SCHEDULE = tuple(RETRIES)
    Conf.WORKERS = int(os.environ["WORKERS"])
    call_command("qcluster")


if __name__ == "__main__":
    main()
