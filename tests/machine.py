"""Life by chance: acts in any order, and after each one all invariants hold.

The steps are the same on every run. `CARREL_MACHINE_STEPS=10000` takes more of them, and
`CARREL_MACHINE_SEED=2` others.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection
from django.db.models import Model
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, run_state_machine_as_test

from circulation.apps import make_default_policy
from circulation.models import Reader
from config import integrity
from tests.factories import make_reader

STEPS = int(os.environ.get("CARREL_MACHINE_STEPS", "100"))
SEED = int(os.environ.get("CARREL_MACHINE_SEED", "1"))
STEPS_OF_AN_EXAMPLE = 40
TRIES_ENOUGH = 20
"""An act that was refused so often, and always, proves nothing."""


class Chance(RuleBasedStateMachine):
    """Four readers and a librarian who may do all; what happens to them is for others to add."""

    steps = 0
    tried: Counter[str] = Counter()
    acted: Counter[str] = Counter()
    refusals: ClassVar[tuple[type[Exception], ...]] = ()
    kept: ClassVar[tuple[type[Model], ...]] = ()
    """Of these no row may have changed where an act was refused."""
    checks: ClassVar[tuple[integrity.Check, ...]] = ()
    """The invariants of `check_integrity` that are looked at after every step."""

    librarian: Reader
    readers: list[Reader]

    def open_the_doors(self) -> None:
        empty_the_library()
        self.librarian = make_reader("Maria", is_staff=True, is_superuser=True)
        self.readers = [make_reader(name) for name in ("Anna", "Bartek", "Celina", "Daniel")]

    def everything(self) -> list[list[tuple[Any, ...]]]:
        return [list(each._default_manager.order_by("pk").values_list()) for each in self.kept]

    def act(self, name: str, does: Callable[[], object]) -> None:
        """Do it, or find that it was refused and changed nothing."""
        before = self.everything()
        type(self).tried[name] += 1
        try:
            done = does()
        except self.refusals:
            assert self.everything() == before
        else:
            type(self).acted[name] += done is not None

    def pick(self, rows: Any, number: int) -> Any:
        """Return one of the rows, or None where there is none."""
        keys = list(rows.order_by("pk").values_list("pk", flat=True))
        return rows.model._default_manager.get(pk=keys[number % len(keys)]) if keys else None

    @invariant()
    def everything_agrees(self) -> None:
        type(self).steps += 1
        for check in self.checks:
            assert list(check.find()) == [], check.name


def run(machine: type[Chance], capsys: pytest.CaptureFixture[str]) -> None:
    """Let chance act; afterwards every check holds, and none of the acts was always refused."""
    machine.steps, machine.tried, machine.acted = 0, Counter(), Counter()
    round_ = 0
    while machine.steps < STEPS:
        # Of each round the first example is the simplest there is: the same act again and again.
        examples = 1 + -(-(STEPS - machine.steps) // STEPS_OF_AN_EXAMPLE)
        run_state_machine_as_test(
            seed(SEED * 1000 + round_)(machine),
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS_OF_AN_EXAMPLE,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            ),
            _min_steps=STEPS_OF_AN_EXAMPLE,
        )
        round_ += 1
    with capsys.disabled():
        done = ", ".join(f"{name} {times}" for name, times in sorted(machine.acted.items()))
        print(f"\n{machine.steps} steps from seed {SEED}; of them done: {done}")  # noqa: T201
    assert {result.check.name: result.listed for result in integrity.run() if result.count} == {}
    often = {name for name, times in machine.tried.items() if times >= TRIES_ENOUGH}
    always_refused = often - set(+machine.acted)
    assert not always_refused, f"the machine proves too little: never {always_refused}"


def empty_the_library() -> None:
    """Delete every row for the next example: it runs on the real database, without a rollback."""
    tables = [
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in integrity.OWN_APPS
    ]
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous = OFF")  # no power cut is played here
    sql = connection.ops.sql_flush(no_style(), tables, allow_cascade=True)
    connection.ops.execute_sql_flush(sql)
    make_default_policy(using=connection.alias)
