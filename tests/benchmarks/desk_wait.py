"""A second process that scans at the desk all the time, and notes the longest wait of a scan."""

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).parent.parent.parent
SCANS = """
import sys, time, threading
import django
django.setup()
from django.db import connection, transaction
from catalog.models import Copy
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
copy = Copy.objects.order_by("pk").first()
longest = total = scans = 0
print("ready", flush=True)
while not stop.is_set():
    began = time.perf_counter()
    with transaction.atomic():
        Copy.objects.select_for_update().filter(pk=copy.pk).update(note=f"scan {scans}")
    waited = time.perf_counter() - began
    longest, total, scans = max(longest, waited), total + waited, scans + 1
    time.sleep(0.05)
print(longest, scans, flush=True)
"""


class Desk:
    """Scans until the end of the `with` block; then `longest` is in seconds."""

    longest = 0.0
    scans = 0

    def __enter__(self) -> "Desk":
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCANS],
            cwd=ROOT,
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shown, _errors = self._process.communicate("")
        longest, scans = shown.split()
        self.longest, self.scans = float(longest), int(scans)
