"""Figures that tests measure: said at the end of a run, however many processes it had."""

from collections.abc import Callable

import pytest
from django.db import connection

Say = Callable[[str], None]
FIGURES = "figures"


@pytest.fixture
def say(record_property: Callable[[str, object], None]) -> Say:
    return lambda line: record_property(FIGURES, f"{connection.vendor}: {line}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            figures = [line for name, line in report.user_properties if name == FIGURES]
            for line in figures:
                terminalreporter.write_line(str(line))
