"""Writes a whole library of a shape into an empty database."""

from datetime import date

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, transaction

from tests.benchmarks.size import catalogue, lending, money, office, people
from tests.benchmarks.size.filling import Clock, execute, numbers_up_to, without_indexes
from tests.benchmarks.size.shape import Shape


def build(shape: Shape, *, on: date) -> None:
    """Write ten years of a library up to the date `on`; the database holds no rows but set-up."""
    clock = Clock(on)
    with without_indexes(), numbers_up_to(shape.loans):
        for write in (catalogue.write, people.write, lending.write, money.write, office.write):
            with transaction.atomic():
                write(shape, clock)
        for statement in connection.ops.sequence_reset_sql(no_style(), list(apps.get_models())):
            execute(statement)


def analyse() -> None:
    """Have the database look at what it holds, as it does by itself in a library that is used."""
    execute("VACUUM ANALYZE" if connection.vendor == "postgresql" else "ANALYZE")
