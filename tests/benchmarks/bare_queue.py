"""What delivery is measured beside: the same claims and updates, straight in the database."""

import time

from django.db import connection, transaction

AT_ONCE = 20
"""As many messages as a worker claims together."""
TABLE = "benchmark_queue"


def seconds(rows: int) -> float:
    """Return what the statements alone take that claim rows by twenties and finish each."""
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {TABLE} (id bigint PRIMARY KEY, state text, due_at bigint)")
        cursor.execute(f"CREATE INDEX {TABLE}_due ON {TABLE} (due_at, id) WHERE state = 'QUEUED'")
        marks = [(number, "QUEUED", 0) for number in range(rows)]
        cursor.executemany(f"INSERT INTO {TABLE} VALUES (%s, %s, %s)", marks)
    began = time.perf_counter()
    while claimed := _claim():
        for number in claimed:
            _finish(number)
    took = time.perf_counter() - began
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE {TABLE}")
    return took


@transaction.atomic
def _claim() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {TABLE} WHERE state = 'QUEUED' AND due_at <= 0 "
            f"ORDER BY due_at, id LIMIT {AT_ONCE}"
        )
        claimed = [number for (number,) in cursor.fetchall()]
        cursor.executemany(
            f"UPDATE {TABLE} SET due_at = 1 WHERE id = %s", [(number,) for number in claimed]
        )
    return claimed


def _finish(number: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT id FROM {TABLE} WHERE id = %s AND state = 'QUEUED' AND due_at = 1", [number]
        )
        cursor.execute(
            f"UPDATE {TABLE} SET state = 'SENT' WHERE id = %s AND state = 'QUEUED' AND due_at = 1",
            [number],
        )
