"""People at the doors of a site on many machines, who lend, return and pay all the time.

Each has a reader and copies of his or her own, so nothing is refused because of another. Who gets
no answer asks the other machine, and finds out there whether the act was done.
"""

import itertools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any
from uuid import uuid4

import requests

from tests.sites import Machine

PATIENCE = 60
"""Seconds in which an act has to succeed somewhere."""
CSRF = "x" * 32


@dataclass(frozen=True)
class Fault:
    """No answer, or one of a server in trouble (5xx), at a time of `time.monotonic`."""

    began: float
    ended: float
    machine: Machine
    what: str


@dataclass
class Done:
    """What was acknowledged."""

    lent: list[int] = field(default_factory=list)
    returned: list[int] = field(default_factory=list)
    paid: list[str] = field(default_factory=list)


class Client(Thread):
    def __init__(
        self,
        machines: list[Machine],
        *,
        reader: int,
        barcodes: list[str],
        token: str,
        session: str,
    ) -> None:
        super().__init__()
        self.done, self.faults, self.wrong = Done(), list[Fault](), list[str]()
        self._machines = itertools.cycle(machines)
        self._reader, self._barcodes = reader, barcodes
        self._headers = {"Authorization": f"Bearer {token}"}
        self._cookies = {"sessionid": session, "csrftoken": CSRF}
        self._ended = Event()

    def end(self) -> None:
        """Finish what is under way, and no more."""
        self._ended.set()
        self.join()

    def run(self) -> None:
        try:
            for barcode in itertools.cycle(self._barcodes):
                if self._ended.is_set():
                    return
                loan = self._lend(barcode)
                self._give_back(loan)
                self._pay()
        except Exception as problem:  # told by the test, which waits for no thread that is gone
            self.wrong.append(f"{type(problem).__name__}: {problem}")

    def _lend(self, barcode: str) -> int:
        sent = {"barcode": barcode, "user_id": self._reader}
        answer, is_repeated = self._ask_api("POST", "/api/borrowings/", json=sent)
        if answer.status_code == 409 and is_repeated:
            of_reader = f"/api/borrowings/?user_id={self._reader}&is_active=true"
            [loan] = self._ask_api("GET", of_reader)[0].json()["results"]
        else:
            loan = _content(answer, 201)
        self.done.lent.append(loan["id"])
        return int(loan["id"])

    def _give_back(self, loan: int) -> None:
        address = f"/api/borrowings/{loan}/"
        answer, is_repeated = self._ask_api("POST", f"{address}return/", json={})
        if answer.status_code == 409 and is_repeated:
            answer, _ = self._ask_api("GET", address)
        if not _content(answer, 200)["actual_return_date"]:
            raise AssertionError(answer.text)
        self.done.returned.append(loan)

    def _pay(self) -> None:
        """Take cash for all that is owed, as a cashier does on the reader's page."""
        address = f"/admin/money/account/{self._reader}/"
        page, _ = self._ask("GET", address, cookies=self._cookies)
        ticked = re.findall(r'name="charge" value="(\d+)"', page.text)
        key = str(uuid4())
        owed = re.search(r'name="amount" value="([\d.]+)"', page.text)
        sent = {
            "act": "cash",
            "amount": owed[1] if owed else "",
            "key": key,
            "charge": ticked,
            "csrfmiddlewaretoken": CSRF,
        }
        answer, is_repeated = self._ask("POST", address, cookies=self._cookies, data=sent)
        if answer.status_code != 302:
            raise AssertionError(f"{answer.status_code} ({is_repeated}): {answer.text[:2000]}")
        self.done.paid.append(key)

    def _ask_api(self, *arguments: Any, **options: Any) -> tuple[requests.Response, bool]:
        return self._ask(*arguments, headers=self._headers, **options)

    def _ask(self, method: str, path: str, **options: Any) -> tuple[requests.Response, bool]:
        """Return an answer that is none of trouble, and whether it was asked for more than once."""
        ends = time.monotonic() + PATIENCE
        for attempt in itertools.count():
            machine, began = next(self._machines), time.monotonic()
            what = ""
            try:
                answer = requests.request(
                    method, machine.url + path, timeout=40, allow_redirects=False, **options
                )
                if answer.status_code < 500:
                    return answer, bool(attempt)
                what = f"HTTP {answer.status_code}"
                time.sleep(0.1)
            except requests.RequestException as problem:
                what = type(problem).__name__
            self.faults.append(Fault(began, time.monotonic(), machine, what))
            if time.monotonic() > ends:
                break
        raise AssertionError(f"{method} {path} was not answered in {PATIENCE} s")


def _content(answer: requests.Response, status: int) -> dict[str, Any]:
    if answer.status_code != status:
        raise AssertionError(f"{answer.status_code}: {answer.text[:2000]}")
    content: dict[str, Any] = answer.json()
    return content


def all_of(clients: list[Client], what: Callable[[Client], list[Any]]) -> list[Any]:
    return [each for client in clients for each in what(client)]
