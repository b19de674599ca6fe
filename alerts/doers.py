"""Who acts where nobody is signed in: a job, another system, a provider of payments.

The histories of rows know people alone; what is said here stands beside their changes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

KEY, JOB, PROVIDER = "API: ", "Job: ", "Provider: "
"""What the reason of a change begins with, and who the rest of it names."""
LONGEST_REASON = 100
"""What the histories have room for."""
_doer = ContextVar("doer", default="")


@contextmanager
def acting(kind: str, name: str) -> Iterator[None]:
    """Say who is at work within: `kind` is one of the above."""
    token = _doer.set(reason(kind, name))
    try:
        yield
    finally:
        _doer.reset(token)


def reason(kind: str, name: str) -> str:
    """Return what stands beside a change that somebody made who is no person."""
    return f"{kind}{name}"[:LONGEST_REASON]


def current() -> str:
    return _doer.get()
