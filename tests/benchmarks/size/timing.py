"""How long a page takes to be made, in this process: wall time, CPU and queries."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework_simplejwt.tokens import AccessToken

from circulation.models import Reader
from tests.benchmarks.size.walking import Page, Who

LONGEST_ROUND = 4.0
"""In seconds: what is so slow is not asked for as often."""


@dataclass(frozen=True)
class Taken:
    """In milliseconds; `cpu` is what this process and the server of the database worked for it.

    Where a machine is shared, only that says how much work a page is.
    """

    p50: float
    p95: float
    cpu: float
    queries: int


class Callers:
    """A client for each kind of person, signed in as a browser or a program is."""

    def __init__(self, readers: dict[Who, int]) -> None:
        self._readers = readers
        self.ask = cache(self._ask)

    def get(self, page: Page) -> Any:
        answer = self.ask(page.who, page.address.startswith("/api/")).get(page.address)
        is_beyond = answer.status_code == 404 and "page=" in page.address
        assert answer.status_code < 400 or is_beyond, (page, answer.status_code, answer.content)
        return answer

    def _ask(self, who: Who, is_program: bool) -> Client:
        if who == "nobody":
            return Client()
        reader = Reader.objects.get(pk=self._readers[who])
        if is_program:
            return Client(headers={"Authorization": f"Bearer {AccessToken.for_user(reader)}"})
        client = Client()
        client.force_login(reader)
        return client


def measure(act: Callable[[], object], times: int) -> Taken:
    """Do it once to warm up, counting the queries, and then so many times against the clock."""
    with CaptureQueriesContext(connection) as asked:
        act()
        queries = len(asked)  # each request forgets those of the last
    waits, worked = [], []
    ends = time.perf_counter() + LONGEST_ROUND
    while len(waits) < times and (time.perf_counter() < ends or len(waits) < 2):
        began, used = time.perf_counter(), _cpu()
        act()
        waits.append(1000 * (time.perf_counter() - began))
        worked.append(1000 * (_cpu() - used))
    p95 = statistics.quantiles(waits, n=20, method="inclusive")[-1] if len(waits) > 1 else waits[0]
    return Taken(statistics.median(waits), p95, statistics.median(worked), queries)


def _cpu() -> float:
    """Return the seconds that this process and its PostgreSQL, if it is on this machine, worked."""
    server: Any = connection.connection
    if connection.vendor != "postgresql" or server is None:
        return time.process_time()
    path = Path(f"/proc/{server.info.backend_pid}/schedstat")
    nanoseconds = int(path.read_text().split()[0]) if path.exists() else 0
    return time.process_time() + nanoseconds / 1e9
