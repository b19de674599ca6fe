"""Columns that follow from others, computed anew for rows that change only some of them."""

from typing import Any

from catalog.imports.planning import Plan
from catalog.imports.staging import ROWS

DERIVED = "import_derived"


def rederive(plan: Plan) -> None:
    """Compute the derived columns of changed rows from what is stored and what the file says."""
    stage, names = plan.stage, plan.kind.derived
    if not stage.has(f"SELECT 1 FROM {ROWS} WHERE action = 'c'"):
        return
    stage.create(DERIVED, (("line", "bigint"), *((name, "text") for name in names)), key="line")
    batch: list[tuple[Any, ...]] = []
    for line, record in _merged(plan):
        plan.kind.fill_in(record)
        batch.append((line, *(record[name] for name in names)))
    stage.fill(DERIVED, ("line", *names), batch)
    sets = ", ".join(f"{name} = d.{name}" for name in names)
    stage.execute(f"UPDATE {ROWS} SET {sets} FROM {DERIVED} d WHERE d.line = {ROWS}.line")


def _merged(plan: Plan) -> list[tuple[int, dict[str, Any]]]:
    """Return the changed rows as they will be stored."""
    target = plan.target
    assigned = {column.name: column for column in target.assigned}
    sources = [
        field.attname
        for field in target.model._meta.concrete_fields
        if field.attname not in target.derived
    ]
    values = []
    for name in sources:
        column = assigned.get(name)
        if column is None:
            values.append(f"t.{name}")
        else:
            values.append(f"COALESCE(s.{name}, t.{name})" if column.keeps else f"s.{name}")
    rows = plan.stage.fetch(
        f'SELECT s.line, {", ".join(values)} FROM {ROWS} s JOIN "{target.table}" t '
        "ON t.id = s.target_id WHERE s.action = 'c'"
    )
    return [(line, dict(zip(sources, stored, strict=True))) for line, *stored in rows]
