"""What a request of the REST API costs, as a library runs it, beside its bare queries."""

import http.client
import json
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework_simplejwt.tokens import AccessToken

from alerts.events import EventKind
from alerts.models import Channel, ChannelAudience
from circulation.models import Loan, Reader
from tests.benchmarks import api_data, processes
from tests.benchmarks.api_data import Library
from tests.scripted_stripe import ScriptedStripe

BOOKS, LOANS, ASKED = 1_000, 50_000, 50
CLIENTS, LATENCY = 5, 0.3
MOST_CPU, LEAST_PAIRS = (5.0, 2.5), (20, 50)
"""What is promised, and the goal."""
KINDS = [EventKind.LOAN_CREATED, EventKind.LOAN_RETURNED]
ROW = "  {:<32} {:>8} {:>8} {:>8} {:>8} {:>8}"


@dataclass(frozen=True)
class Page:
    name: str
    address: str
    tokens: list[str]


class SlowFarEnd(ScriptedStripe):
    """Payment provider and webhook at once, each answering late."""

    def carry_out(self, call: Any) -> dict[str, Any]:
        time.sleep(LATENCY)
        return {} if call.path == "/webhook" else super().carry_out(call)


def measure(folder: Path, *, is_short: bool) -> None:
    """Print the figures beside their goals."""
    call_command("createcachetable", verbosity=0)
    loans = LOANS // 2 if is_short else LOANS
    library = api_data.fill(books=BOOKS, loans=loans, asked=ASKED, on=timezone.localdate())
    print(f"REST API, {BOOKS} books, {loans} borrowings, 2 workers, {connection.vendor}")
    print(ROW.format("GET", "CPU ms", "bare ms", "p50 ms", "p95 ms", "a second"))
    log = folder / "site.log"
    with processes.web({}, log) as (pid, port):
        for page in _pages(library):
            _measure_page(page, [pid, *processes.database()], port, is_short=is_short)
    print(f"  goal: {MOST_CPU[1]} ms of CPU, and at most {MOST_CPU[0]}")
    with SlowFarEnd() as far_end:
        _lead_to(far_end)
        environment = {
            **far_end.environment(),
            "PAYMENT_PROVIDER": "STRIPE",
            "ALERT_ALLOWED_NETWORKS": "127.0.0.0/8",
        }
        with (
            processes.web(environment, log) as (pid, port),
            processes.running(["manage.py", "qcluster"], environment, log),
        ):
            _measure_pairs(library, [pid, *processes.database()], port, is_short=is_short)
            asked = len(far_end.sessions), len(far_end.sent("POST", "/webhook"))
            print(f"    meanwhile {asked[0]} sessions opened and {asked[1]} alerts delivered")


def _pages(library: Library) -> list[Page]:
    readers = [_token(reader) for reader in library.readers[:ASKED]]
    return [
        Page("books, anonymous", "/api/books/", [""]),
        Page("books, signed in", "/api/books/", readers),
        Page("borrowings of the reader", "/api/borrowings/", readers),
    ]


def _token(reader: Reader) -> str:
    return str(AccessToken.for_user(reader))


def _measure_page(page: Page, roots: list[int], port: int, *, is_short: bool) -> None:
    """Of several rounds the cheapest counts: others may be at work on the same machine."""
    rounds, times = (2, 100) if is_short else (6, 300)
    _ask(port, page, 40)
    costs, waits, rates = [], [], []
    for _round in range(rounds):
        used, began = processes.cpu(roots), time.perf_counter()
        waits += _ask(port, page, times)
        rates.append(times / (time.perf_counter() - began))
        costs.append(1000 * (processes.cpu(roots) - used) / times)
    bare = min(_bare(page, times) for _round in range(rounds))
    print(
        ROW.format(
            page.name,
            f"{min(costs):.2f}",
            f"{bare:.2f}",
            f"{statistics.median(waits):.1f}",
            f"{statistics.quantiles(waits, n=20)[-1]:.1f}",
            f"{max(rates):.0f}",
        )
    )


def _ask(port: int, page: Page, times: int) -> list[float]:
    """Return the milliseconds of each request, two at a time."""

    def one(number: int) -> float:
        began = time.perf_counter()
        answer = _request(port, "GET", page.address, page.tokens[number % len(page.tokens)])
        assert len(answer["results"]) == 25
        return 1000 * (time.perf_counter() - began)

    with ThreadPoolExecutor(2) as clients:
        return list(clients.map(one, range(times)))


def _bare(page: Page, times: int) -> float:
    """Return what the same queries cost without Django, written as JSON, in ms of CPU."""
    token = page.tokens[0]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with CaptureQueriesContext(connection) as queries:
        content = Client(headers={"Host": "127.0.0.1", **headers}).get(page.address).json()
    assert connection.connection is not None
    cursor = connection.connection.cursor()
    roots = processes.database()
    used = processes.cpu(roots) + time.process_time()
    for _time in range(times):
        for query in queries:
            cursor.execute(query["sql"])
            cursor.fetchall()
        json.dumps(content)
    return 1000 * (processes.cpu(roots) + time.process_time() - used) / times


def _lead_to(far_end: SlowFarEnd) -> None:
    Channel.objects.update(is_active=False)
    Channel.objects.create(
        name="slow",
        backend="webhook",
        audience=ChannelAudience.STAFF,
        kinds=KINDS,
        config={"url": f"{far_end.url}/webhook"},
    )


def _measure_pairs(library: Library, roots: list[int], port: int, *, is_short: bool) -> None:
    times = 60 if is_short else 400
    token = _token(library.librarian)
    waits: list[float] = []

    def pair(number: int) -> None:
        began = time.perf_counter()
        sent = {
            "book": library.books[number % BOOKS].pk,
            "user_id": library.readers[number % BOOKS].pk,
        }
        lent = _request(port, "POST", "/api/borrowings/", token, sent)
        _request(port, "POST", f"/api/borrowings/{lent['id']}/return/", token, {})
        waits.append(1000 * (time.perf_counter() - began))

    def all_of(numbers: range) -> float:
        with ThreadPoolExecutor(CLIENTS) as clients:
            return _seconds(lambda: list(clients.map(pair, numbers)))

    all_of(range(20))
    waits.clear()
    used, returned = processes.cpu(roots), Loan.objects.unreturned().count()
    taken = all_of(range(20, 20 + times))
    cost = 1000 * (processes.cpu(roots) - used) / times
    assert Loan.objects.unreturned().count() == returned
    print(
        f"  POST borrowing and return, {CLIENTS} clients: {times / taken:.0f} pairs a second "
        f"(goal {LEAST_PAIRS[1]}, and at least {LEAST_PAIRS[0]}); {cost:.1f} ms of CPU a pair, "
        f"p50 {statistics.median(waits):.0f} ms, p95 {statistics.quantiles(waits, n=20)[-1]:.0f}\n"
        f"    with a provider and a webhook that answer after {1000 * LATENCY:.0f} ms"
    )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _request(port: int, method: str, address: str, token: str, body: Any = None) -> Any:
    """Ask over a connection of its own, as the site's workers close each."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        line.request(method, address, None if body is None else json.dumps(body), headers)
        answer = line.getresponse()
        content = answer.read()
    finally:
        line.close()
    assert answer.status < 300, content
    return json.loads(content)
