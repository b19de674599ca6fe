"""What is being done at the moment, for the log: a request, or a task of the queue."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from types import MappingProxyType
from typing import Any

Marks = Mapping[str, str]

RUNS_JOBS = "config.jobs.run"

_marks: ContextVar[Marks] = ContextVar("marks", default=MappingProxyType({}))


def marks() -> Marks:
    """Return what tells this request or task from others: `request_id`; `task_id`, `job`."""
    return _marks.get()


@contextmanager
def marked(**given: str) -> Iterator[None]:
    token = mark(**given)
    try:
        yield
    finally:
        _marks.reset(token)


def mark(**given: str) -> Token[Marks]:
    return _marks.set(given)


def mark_task(task: Mapping[str, Any], **_more: Any) -> None:
    """Receive the signal that a worker begins a task; the next one takes its place."""
    arguments = list(task.get("args", []))
    job = arguments[0] if task["func"] == RUNS_JOBS and arguments else task["func"]
    mark(task_id=str(task["id"]), job=str(job))


def unmark(**_more: Any) -> None:
    """Receive the signal that a worker has ended a task."""
    mark()
