"""Redis as a broker: a server of a test's own on loopback, or none where one should be."""

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers import wait_until


class Redis:
    """A server that keeps nothing: what it held is gone when it is started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = int(free.getsockname()[1])
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        program = shutil.which("redis-server")
        assert program
        options = {"port": self._port, "bind": "127.0.0.1", "dir": self._folder, "save": ""}
        given = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen([program, *given], stdout=subprocess.DEVNULL)
        wait_until(self._answers)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self._port)).close()
            return True
        return False


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    if not shutil.which("redis-server"):
        skip_or_fail = pytest.fail if os.environ.get("CARREL_REQUIRE_REDIS") else pytest.skip
        skip_or_fail("needs redis-server on the PATH")
    redis = Redis(tmp_path)
    yield redis
    redis.kill()
