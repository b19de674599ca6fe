"""How staged rows meet the rows of a model: compared, inserted, updated and written to its history.

Column lists come from the models, so that the SQL cannot drift away from them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, models
from django.utils.translation import gettext as _

from alerts.histories import AS_BEFORE
from catalog.imports.staging import ROWS, Stage


@dataclass(frozen=True)
class Assignment:
    """One staged column that fills one column of the model."""

    name: str
    """In the staging table; the model's attname."""
    keeps: bool = False
    """A staged NULL leaves the stored value alone."""


@dataclass(frozen=True)
class Target:
    """A model, the staged column that holds its row's id, and what the rows assign.

    `alike` are the columns that make a row changed; the others are derived from those.
    """

    model: type[models.Model]
    id_column: str
    assigned: tuple[Assignment, ...]
    derived: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        return self.model._meta.db_table

    @property
    def history(self) -> type[models.Model]:
        history: type[models.Model] = self.model.history.model  # type: ignore[attr-defined]
        return history

    def difference(self, stage: Stage) -> str:
        """The SQL condition that row `s` says something else than the stored row `t`."""
        parts = []
        for column in self.assigned:
            part = stage.differs(f"t.{column.name}", f"s.{column.name}")
            parts.append(f"(s.{column.name} IS NOT NULL AND {part})" if column.keeps else part)
        return "(" + (" OR ".join(parts) or "1 = 0") + ")"

    def first_difference(self, stage: Stage, *, other: str) -> str:
        """The SQL expression that names the first column in which row `s` and another differ."""
        cases = []
        for column in self.assigned:
            differs = stage.differs(f"s.{column.name}", f"{other}.{column.name}")
            if column.keeps and other == "t":
                differs = f"s.{column.name} IS NOT NULL AND {differs}"
            cases.append(f"WHEN {differs} THEN '{column.name}'")
        return f"CASE {' '.join(cases)} END" if cases else "NULL"

    def state(self, stage: Stage) -> str:
        """The SQL expression for the stored row `t` as it was when the import was planned."""
        return stage.digest(f"t.{column.name}" for column in self.assigned)

    def insert(
        self,
        stage: Stage,
        *,
        source: str,
        given: Mapping[str, tuple[str, list[object]]],
        source_params: Sequence[object] = (),
    ) -> int:
        """Create rows from `source`: "FROM ... WHERE ...", in which `s` is the staged row.

        `given` adds columns, each as SQL with its parameters. What is in neither is the model's
        default.
        """
        defaults = self._defaults()
        columns = {name: ("%s", [value]) for name, value in defaults.items()}
        for column in self.assigned:
            columns[column.name] = (f"s.{column.name}", [])
            if column.keeps and column.name in defaults:
                columns[column.name] = (f"COALESCE(s.{column.name}, %s)", [defaults[column.name]])
        columns |= {name: (f"s.{name}", []) for name in self.derived}
        columns |= given
        names = ", ".join(f'"{name}"' for name in columns)
        values = ", ".join(sql for sql, _params in columns.values())
        params = [value for _sql, params in columns.values() for value in params]
        return stage.execute(
            f'INSERT INTO "{self.table}" ({names}) SELECT {values} {source}',
            [*params, *source_params],
        )

    def update(self, stage: Stage, *, where: str) -> int:
        """Write the staged values over the stored ones, for the rows `s` that `where` selects."""
        assignments = []
        for column in self.assigned:
            value = f"s.{column.name}"
            if column.keeps:
                value = f'COALESCE({value}, "{self.table}"."{column.name}")'
            assignments.append((column.name, value))
        assignments += [(name, f"s.{name}") for name in self.derived]
        if not assignments:
            return 0
        sets = ", ".join(f'"{name}" = {value}' for name, value in assignments)
        return stage.execute(
            f'UPDATE "{self.table}" SET {sets} FROM {ROWS} s '
            f'WHERE "{self.table}".id = s.{self.id_column} AND {where}'
        )

    def record(
        self, stage: Stage, *, ids: str, at: datetime, by_id: int | None, run_id: int
    ) -> None:
        """Write the present state of the rows to their history: after a change."""
        self._record(stage, ids, ("~", at, by_id, _("Import %(number)d") % {"number": run_id}))

    def record_before(self, stage: Stage, *, ids: str, at: datetime) -> None:
        """Give rows that have no history yet a first entry, so that a change shows its before."""
        recorded = f'SELECT 1 FROM "{self.history._meta.db_table}" h WHERE h.id = t.id'
        entry = ("+", at, None, str(AS_BEFORE))
        self._record(stage, f"{ids} AND NOT EXISTS ({recorded})", entry)

    def _record(self, stage: Stage, ids: str, entry: tuple[str, datetime, int | None, str]) -> None:
        kind, at, by_id, reason = entry
        tracked = {field.attname for field in self.model._meta.concrete_fields}
        names = [
            field.attname
            for field in self.history._meta.concrete_fields
            if field.attname in tracked
        ]
        columns = ", ".join(f'"{name}"' for name in names)
        stage.execute(
            f'INSERT INTO "{self.history._meta.db_table}" ({columns}, history_date, '
            "history_change_reason, history_type, history_user_id) "
            f"SELECT {', '.join(f't.{name}' for name in names)}, %s, %s, %s, %s "
            f'FROM "{self.table}" t WHERE {ids}',
            [connection.ops.adapt_datetimefield_value(at), reason, kind, by_id],
        )

    def _defaults(self) -> dict[str, Any]:
        """Return attname -> value, as the database takes it, of the columns that need one."""
        return {
            field.attname: field.get_db_prep_save(field.get_default(), connection)
            for field in self.model._meta.concrete_fields
            if not field.primary_key and not field.has_db_default()
        }


def column_types(model: type[models.Model], names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the staging columns for some attnames of a model, typed like the model's own."""
    fields = {field.attname: field for field in model._meta.concrete_fields}
    typed = []
    for name in names:
        field = fields[name]
        kind = field.db_type(connection) if not field.is_relation else "bigint"
        typed.append((name, str(kind)))
    return typed
