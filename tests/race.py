"""Runs acts at the same moment, each in a process and on a connection of its own.

`run(acts)` starts a Python that sets Django up once, forks a process for each act, lets them all go
together, and answers with one line each: what it did, or how it was refused.
"""

import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, NoReturn

from django.db import connection
from django.db.models import QuerySet

from billing import charges
from billing.models import Charge
from catalog.models import Book, Copy
from circulation import desk, fines, holds, locks
from circulation import undo as undoing
from circulation.models import DeskAct, Loan, Reader
from circulation.refusals import RefusedError
from tests import account_acts, payment_acts
from tests.api import client_for

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT = 120
START = "import django; django.setup(); from tests import race; race.main()"


def run(
    acts: Iterable[tuple[Any, ...]],
    *,
    environment: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> list[str]:
    """Run each (name, *arguments) in a process of its own on this test's database.

    `environment` leads the processes to the servers that stand for payment providers.
    """
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", START],
        input=json.dumps(list(acts)),
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "RACE_DATABASE": str(connection.settings_dict["NAME"]),
            **(environment or {}),
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answers: list[str] = json.loads(finished.stdout)
    return answers


def check_out(reader: int, book: int, on: str) -> str:
    who, what = Reader.objects.get(pk=reader), Book.objects.get(pk=book)
    desk.check_out(who, what, on=date.fromisoformat(on))
    return "lent"


def check_out_copy(reader: int, copy: int, on: str) -> str:
    who, what = Reader.objects.get(pk=reader), Copy.objects.get(pk=copy)
    desk.check_out(who, what, on=date.fromisoformat(on))
    return "lent"


def check_out_unguarded(barrier: Barrier, reader: int, book: int, on: str) -> str:
    """The same code without transaction and locks, all choosing before the first one writes."""
    choose = locks.for_check_out

    def choose_together(*args: Any) -> Any:
        chosen = choose(*args)
        barrier.wait(TIMEOUT)
        return chosen

    locks.for_check_out = choose_together
    QuerySet.select_for_update = lambda rows, **_options: rows  # type: ignore[method-assign]
    who, what = Reader.objects.get(pk=reader), Book.objects.get(pk=book)
    desk.check_out.__wrapped__(who, what, on=date.fromisoformat(on))  # type: ignore[attr-defined]
    return "lent"


def check_in(copy: int, on: str) -> str:
    done = desk.check_in(Copy.objects.get(pk=copy), today=date.fromisoformat(on))
    return "closed" if done.loan else done.message


def renew(loan: int, on: str) -> str:
    desk.renew(Loan.objects.get(pk=loan), on=date.fromisoformat(on))
    return "renewed"


def waive(charge: int, by: int, amount: str) -> str:
    cashier = Reader.objects.get(pk=by)
    charges.waive(Charge.objects.get(pk=charge), Decimal(amount), by=cashier, reason="Ill")
    return "waived"


def expire(on: str) -> str:
    return f"expired {holds.expire(on=date.fromisoformat(on))}"


def accrue(on: str) -> str:
    fines.accrue(on=date.fromisoformat(on))
    return "accrued"


def place_hold(reader: int, book: int) -> str:
    holds.place(Reader.objects.get(pk=reader), Book.objects.get(pk=book))
    return "placed"


def undo(act: int, on: str) -> str:
    undoing.undo(DeskAct.objects.get(pk=act), on=date.fromisoformat(on))
    return "undone"


def post(reader: int, address: str, sent: dict[str, Any]) -> str:
    answer = client_for(Reader.objects.get(pk=reader)).post(address, sent)
    return f"{answer.status_code} {answer.json().get('code', '')}".strip()


ACTS: dict[str, Callable[..., str]] = {
    act.__name__: act
    for act in (
        accrue,
        check_in,
        check_out,
        check_out_copy,
        check_out_unguarded,
        expire,
        place_hold,
        post,
        renew,
        undo,
        waive,
        *account_acts.ACTS,
        *payment_acts.ACTS,
        *payment_acts.TOGETHER,
        *payment_acts.KILLED,
    )
}
TOGETHER = {"check_out_unguarded", *(act.__name__ for act in payment_acts.TOGETHER)}
KILLED = {act.__name__ for act in payment_acts.KILLED}


def _answer(name: str, arguments: list[Any]) -> str:
    try:
        return ACTS[name](*arguments)
    except RefusedError as refused:
        return "refused: " + ", ".join(block.code for block in refused.blocks)
    except payment_acts.REFUSALS as refused:
        return f"refused: {refused or type(refused).__name__}"
    except Exception as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]


def main() -> None:
    connection.settings_dict["NAME"] = os.environ["RACE_DATABASE"]
    acts = json.load(sys.stdin)
    fork = multiprocessing.get_context("fork")
    start, together = fork.Barrier(len(acts)), fork.Barrier(len(acts))
    answers = fork.SimpleQueue()

    def act(place: int, name: str, arguments: list[Any]) -> None:
        def die() -> NoReturn:
            answers.put((place, "killed"))
            payment_acts.kill_myself()

        connection.ensure_connection()
        start.wait(TIMEOUT)
        if name in TOGETHER:
            arguments = [together, *arguments]
        if name in KILLED:
            arguments = [die, *arguments]
        answers.put((place, _answer(name, arguments)))

    for place, (name, *arguments) in enumerate(acts):
        fork.Process(target=act, args=(place, name, arguments), daemon=True).start()
    given = dict(answers.get() for _act in acts)
    sys.stdout.write(json.dumps([given[place] for place in range(len(acts))]))
