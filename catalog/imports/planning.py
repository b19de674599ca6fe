"""What an import would do, found by comparing the staged rows with the library, all at once.

A `Kind` is one sort of import. It says which columns there are and how a row finds what it is
about; this module does the rest in the same way for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.utils.translation import gettext as _

from catalog.imports.kinds import Column, Options
from catalog.imports.staging import ROWS, Stage
from catalog.imports.targets import Assignment, Target, column_types


@dataclass(frozen=True)
class Key:
    """Staged columns by which a row finds the stored row it is about."""

    columns: tuple[str, ...]
    is_fallback: bool = False
    """Used only by rows that have none of the keys before it; not unique in the database."""


class StaleError(Exception):
    """Somebody changed what the plan relied on; nothing was written."""

    def __init__(self) -> None:
        super().__init__(
            _(
                "The library's data changed while this import was prepared, so nothing was "
                "written. Try again."
            )
        )


class Kind:
    """One sort of import: its model, its columns, and the steps that are its own."""

    name: ClassVar[str]
    model: ClassVar[type[models.Model]]
    keys: ClassVar[tuple[Key, ...]]
    lookups: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Further staging columns, for what a row names but the model does not hold."""
    planned: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Further columns that the plan fills in, not the file."""
    derived: ClassVar[tuple[str, ...]] = ()
    exported: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Header and ORM path of the columns that export writes."""
    shown: ClassVar[tuple[str, ...]] = ()
    """Staged columns that a preview shows beside those of the model."""

    def to_export(self, rows: models.QuerySet[Any]) -> models.QuerySet[Any]:
        """Prepare rows of the model for `exported`."""
        return rows

    def columns(self, options: Options) -> Sequence[Column]:
        raise NotImplementedError

    def assigned(self, present: frozenset[str], columns: Sequence[Column]) -> list[Assignment]:
        """Return what the file assigns: the columns that it has and that the model has."""
        attnames = {field.attname for field in self.model._meta.concrete_fields}
        return [
            Assignment(column.stage_name, column.keeps)
            for column in columns
            if column.name in present and column.stage_name in attnames
        ]

    def staged(self, columns: Sequence[Column]) -> list[tuple[str, str]]:
        """Return name and type of the staging columns."""
        attnames = {field.attname for field in self.model._meta.concrete_fields}
        own = [c.stage_name for c in columns if c.stage_name in attnames]
        return [
            *column_types(self.model, [*own, *self.derived]),
            *self.lookups,
        ]

    def fill_in(self, record: dict[str, Any]) -> None:
        """Compute the derived columns of a whole record."""

    def complete(self, record: dict[str, Any]) -> None:
        """Check a row as a whole and fill in what is derived. Raises RowError."""

    def check_layout(self, present: frozenset[str]) -> list[str]:
        """Return warnings about the columns of a file. Raises UnreadableError."""
        return []

    def warnings_for(self, line: int, record: dict[str, Any]) -> list[str]:
        return []

    def resolve(self, plan: "Plan") -> None:
        """Find what the rows name (a copy by barcode); refuse what is not there."""

    def match(self, plan: "Plan") -> None:
        """Find the stored row that each row is about."""
        for key in self.keys:
            match(plan, key)

    def refuse_repeated(self, plan: "Plan") -> None:
        """Refuse rows that say what an earlier row has said already."""
        refuse_repeated(plan)

    def check(self, plan: "Plan") -> None:
        """Refuse what contradicts the library, once the rows are matched."""

    def derive(self, plan: "Plan") -> None:
        """Compute what follows from which rows are new and which are changed."""

    def prepare(self, plan: "Plan") -> None:
        """Do what has to be done before the write transaction, and only if it will follow."""

    def lock(self, plan: "Plan") -> None:
        """Hold, on PostgreSQL, the rows that this kind changes beside its own."""

    def is_stale(self, plan: "Plan") -> bool:
        """Look again, in the write transaction, at what only this kind relied on."""
        return False

    def write(self, plan: "Plan", *, run_id: int, by_id: int | None, at: datetime) -> None:
        """Write the rows, inside the write transaction."""
        write_changes(plan, plan.target, run_id=run_id, by_id=by_id, at=at)
        plan.target.insert(
            plan.stage,
            source=f"FROM {ROWS} s WHERE s.action = 'n' ORDER BY s.line",
            given={"import_run_id": ("%s", [run_id]), **self.given()},
        )

    def given(self) -> dict[str, tuple[str, list[object]]]:
        """Return further columns of new rows, each as SQL with its parameters."""
        return {}

    def finish(self, plan: "Plan", *, run_id: int) -> None:
        """Do what may follow after the write transaction."""

    verdict: ClassVar[str] = (
        "CASE s.action WHEN 'w' THEN 'w' WHEN 'n' THEN 'n' WHEN 'c' THEN 'c' ELSE 'u' END"
    )
    """The SQL expression for what is reported of row `s`."""


@dataclass
class Plan:
    """The rows of one import with what each would do."""

    kind: Kind
    stage: Stage
    options: Options
    present: frozenset[str]
    target: Target
    actions: frozenset[str] = frozenset()
    """The actions that rows have, once the plan is made."""

    def make(self) -> None:
        self.stage.analyze()
        self.kind.resolve(self)
        self.kind.match(self)
        refuse_conflicts(self)
        self.kind.refuse_repeated(self)
        self.kind.check(self)
        classify(self)
        self.kind.derive(self)
        found = self.stage.fetch(f"SELECT DISTINCT action FROM {ROWS}")
        self.actions = frozenset(action for (action,) in found)


def equal(key: Key, one: str, other: str) -> str:
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in key.columns)


def complete_key(key: Key, row: str) -> str:
    return " AND ".join(f"{row}.{name} IS NOT NULL" for name in key.columns)


def without_keys_before(plan: Plan, key: Key, row: str) -> str:
    if not key.is_fallback:
        return "1 = 1"
    before = plan.kind.keys[: plan.kind.keys.index(key)]
    return " AND ".join(f"{row}.{name} IS NULL" for earlier in before for name in earlier.columns)


def stored_keyless(plan: Plan) -> str:
    """The SQL condition that the stored row `t` has no key of its own."""
    names = [name for key in plan.kind.keys if not key.is_fallback for name in key.columns]
    return " AND ".join(f"t.{name} IS NULL" for name in names)


def match(plan: Plan, key: Key) -> None:
    """Find the stored row of each row that has this key and is not matched yet."""
    stage, table = plan.stage, plan.target.table
    if key.is_fallback:
        _match_in_turn(plan, key)
        return
    stage.execute(
        f'UPDATE {ROWS} SET target_id = t.id FROM "{table}" t '
        f"WHERE {equal(key, 't', ROWS)} AND {ROWS}.target_id IS NULL AND {ROWS}.action = 'n'"
    )


def _match_in_turn(plan: Plan, key: Key) -> None:
    """Match rows by a key that several may share: the first in the file is the oldest stored."""
    names = ", ".join(key.columns)
    theirs = ", ".join(f"t.{name}" for name in key.columns)
    plan.stage.execute(
        f"UPDATE {ROWS} SET target_id = f.id FROM ("
        f"SELECT r.line, t.id FROM ("
        f"SELECT line, {names}, ROW_NUMBER() OVER (PARTITION BY {names} ORDER BY line) AS turn "
        f"FROM {ROWS} s WHERE action = 'n' AND {without_keys_before(plan, key, 's')} "
        f"AND {complete_key(key, 's')}) r "
        f"JOIN (SELECT t.id, {theirs}, ROW_NUMBER() OVER (PARTITION BY {theirs} ORDER BY t.id) "
        f'AS turn FROM "{plan.target.table}" t '
        f"JOIN (SELECT DISTINCT {names} FROM {ROWS}) k ON {equal(key, 't', 'k')} "
        f"WHERE {stored_keyless(plan)}) t ON {equal(key, 't', 'r')} AND t.turn = r.turn"
        f") f WHERE f.line = {ROWS}.line AND {ROWS}.target_id IS NULL"
    )


def refuse_conflicts(plan: Plan) -> None:
    """Refuse rows whose keys belong to different stored rows."""
    for key in plan.kind.keys[1:]:
        if key.is_fallback:
            continue
        plan.stage.refuse(
            f"SELECT s.line, s.{key.columns[0]} FROM {ROWS} s "
            f'JOIN "{plan.target.table}" t ON {equal(key, "t", "s")} '
            "WHERE s.action = 'n' AND t.id <> s.target_id",
            key.columns[0],
            lambda: _("It belongs to another record than the rest of this row."),
        )


def refuse_repeated(plan: Plan) -> None:
    """Refuse rows that repeat a unique key of an earlier row, or mean the same stored row."""
    unique = [key.columns for key in plan.kind.keys if not key.is_fallback] + [("target_id",)]
    for names in unique:
        listed = ", ".join(names)
        filled = " AND ".join(f"{name} IS NOT NULL" for name in names)
        plan.stage.refuse(
            f"SELECT s.line, s.{names[0] if names != ('target_id',) else 'line'}, f.first "
            f"FROM {ROWS} s JOIN (SELECT {listed}, MIN(line) AS first FROM {ROWS} "
            f"WHERE action = 'n' AND {filled} GROUP BY {listed} HAVING COUNT(*) > 1) f "
            f"ON {' AND '.join(f'f.{name} = s.{name}' for name in names)} "
            "WHERE s.action = 'n' AND s.line <> f.first",
            names[0] if names != ("target_id",) else "",
            lambda first: _("It is on line %(line)d already.") % {"line": first},
        )


def classify(plan: Plan) -> None:
    """Mark the rows that are about a stored row as changed or unchanged; the others are new."""
    stage, target = plan.stage, plan.target
    matched = "action = 'n' AND target_id IS NOT NULL"
    if not stage.has(f"SELECT 1 FROM {ROWS} WHERE {matched}"):
        return
    stage.execute(
        f"UPDATE {ROWS} SET action = 'c', before = c.state FROM ("
        f'SELECT s.line, {target.state(stage)} AS state FROM {ROWS} s JOIN "{target.table}" t '
        f"ON t.id = s.target_id WHERE s.action = 'n' AND {target.difference(stage)}"
        f") c WHERE c.line = {ROWS}.line"
    )
    stage.execute(f"UPDATE {ROWS} SET action = 'u' WHERE {matched}")


def lock(plan: Plan) -> None:
    """Hold the stored rows that the import changes, on a database that can hold rows."""
    if plan.stage.is_postgres:
        plan.stage.execute(
            f'SELECT 1 FROM "{plan.target.table}" t WHERE t.id IN '
            f"(SELECT target_id FROM {ROWS} WHERE action = 'c') ORDER BY t.id FOR NO KEY UPDATE"
        )
        plan.kind.lock(plan)


def is_stale(plan: Plan) -> bool:
    """Tell whether anything that the plan relied on has changed since.

    What the database itself keeps unique (ISBNs, barcodes ...) it refuses when it is written. Only
    what the plan holds is looked at, because the desk waits meanwhile.
    """
    stage, target = plan.stage, plan.target
    if stage.is_untouched():
        return False
    joined = f'FROM {ROWS} s LEFT JOIN "{target.table}" t ON t.id = s.target_id '
    changed = f"t.id IS NULL OR {target.state(stage)} <> s.before"
    unlike = f"t.id IS NULL OR {target.difference(stage)}"
    if "c" in plan.actions and stage.has(f"SELECT 1 {joined} WHERE s.action = 'c' AND ({changed})"):
        return True
    if "u" in plan.actions and stage.has(f"SELECT 1 {joined} WHERE s.action = 'u' AND ({unlike})"):
        return True
    shared = [key for key in plan.kind.keys if key.is_fallback] if "n" in plan.actions else []
    for key in shared:
        if stage.has(
            f'SELECT 1 FROM {ROWS} s JOIN "{target.table}" t ON {equal(key, "t", "s")} '
            f"WHERE s.action = 'n' AND {without_keys_before(plan, key, 's')} "
            f"AND {_not_of_an_earlier_turn(plan)}"
        ):
            return True
    return plan.kind.is_stale(plan)


def _not_of_an_earlier_turn(plan: Plan) -> str:
    """A stored row that has the key is no surprise where an earlier row is matched to it."""
    matched = f"SELECT 1 FROM {ROWS} m WHERE m.target_id = t.id"
    return f"NOT EXISTS ({matched}) AND {stored_keyless(plan)}"


def write_changes(
    plan: Plan,
    target: Target,
    *,
    run_id: int,
    by_id: int | None,
    at: datetime,
    where: str = "s.action = 'c'",
) -> None:
    """Update the stored rows that the import changes, and write their history."""
    stage = plan.stage
    if not stage.has(f"SELECT 1 FROM {ROWS} s WHERE {where}"):
        return
    ids = f"t.id IN (SELECT s.{target.id_column} FROM {ROWS} s WHERE {where})"
    target.record_before(stage, ids=ids, at=at)
    target.update(stage, where=where)
    target.record(stage, ids=ids, at=at, by_id=by_id, run_id=run_id)
