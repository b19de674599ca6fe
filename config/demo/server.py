"""The demo's two processes, web and job worker: started together and stopped together."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from django.utils.translation import gettext as _

from config.demo import BASE_DIR

HOST = "127.0.0.1"
SECONDS_TO_START = 60
SECONDS_TO_STOP = 10
STOP_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
ON_WINDOWS = sys.platform == "win32"


class ServerError(Exception):
    """The demo cannot be served, or no longer; the message says why and what to do."""


def refuse_busy_port(port: int) -> None:
    """Raise ServerError where another program listens on the port."""
    with socket.socket() as probe:
        if not ON_WINDOWS:
            # As the web server does, so that a port left a moment ago is free at once.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as busy:
            raise ServerError(
                _("Port %(port)d is not free (%(why)s). Choose another, as in --port %(other)d.")
                % {"port": port, "why": busy.strerror, "other": 8010 if port != 8010 else 8020}
            ) from busy


def serve(port: int, *, when_ready: Callable[[], None]) -> None:
    """Run web and worker until this process is told to stop, or one of them ends by itself.

    Raises ServerError where one of them ended.
    """
    refuse_busy_port(port)
    with _stop_on_signal() as stop:
        children: dict[str, subprocess.Popen[bytes]] = {}
        try:
            children["web"] = _start(_web_command(port), port)
            children["worker"] = _start([sys.executable, "manage.py", "qcluster"], port)
            if _wait_until_it_answers(port, children, stop):
                when_ready()
            while not stop.wait(0.3):
                _refuse_to_go_on_without(children)
        finally:
            _stop_all(children)


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    stop = threading.Event()

    def note(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, note) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _web_command(port: int) -> list[str]:
    if ON_WINDOWS:
        return [
            *(sys.executable, "manage.py", "runserver", f"{HOST}:{port}"),
            *("--nothreading", "--noreload"),
        ]
    return [
        *(sys.executable, "-m", "gunicorn", "config.wsgi", "--bind", f"{HOST}:{port}"),
        *("--workers", "2", "--log-level", "warning", "--no-control-socket"),
    ]


def _start(command: list[str], port: int) -> subprocess.Popen[bytes]:
    """Start a child of its own process group: Ctrl-C reaches this process, which stops it."""
    environment = {
        **os.environ,
        "SITE_URL": f"http://{HOST}:{port}",
        "LOG_LEVEL": "WARNING",
        "GUNICORN_CMD_ARGS": "",
        # The static files are served from where they lie, not collected.
        "PYTHONWARNINGS": "ignore:No directory at",
    }
    return subprocess.Popen(
        command,
        cwd=BASE_DIR,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=not ON_WINDOWS,
        creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
    )


def _wait_until_it_answers(
    port: int, children: dict[str, subprocess.Popen[bytes]], stop: threading.Event
) -> bool:
    for _attempt in range(SECONDS_TO_START * 5):
        _refuse_to_go_on_without(children)
        with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return True
        if stop.wait(0.2):
            return False
    raise ServerError(_("The web server does not answer."))


def _refuse_to_go_on_without(children: dict[str, subprocess.Popen[bytes]]) -> None:
    for name, child in children.items():
        if child.poll() is not None:
            raise ServerError(
                _("The %(name)s process ended with status %(status)d, so the demo was stopped.")
                % {"name": name, "status": child.returncode}
            )


def _stop_all(children: dict[str, subprocess.Popen[bytes]]) -> None:
    for child in children.values():
        child.terminate()
    for child in children.values():
        try:
            child.wait(timeout=SECONDS_TO_STOP)
        except subprocess.TimeoutExpired:
            child.kill()
        if not ON_WINDOWS:
            # What a child has left behind shares its process group.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
