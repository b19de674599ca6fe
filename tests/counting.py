"""How often an act asks the database."""

from collections.abc import Callable

from django.db import connection
from django.test.utils import CaptureQueriesContext


def queries_of(act: Callable[[], object]) -> int:
    """Count them as if the act had a transaction of its own, which wakes a worker for alerts."""
    connection.run_on_commit.clear()
    with CaptureQueriesContext(connection) as captured:
        act()
    return len(captured)
