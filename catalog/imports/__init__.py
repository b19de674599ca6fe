"""Import: a file is read, checked and staged row by row, then written in one short transaction.

`run()` is the one door for the admin, the command, the demo and jobs.
"""

from catalog.imports.importing import StoppedError, kind_called, run
from catalog.imports.kinds import Options, UnreadableError
from catalog.imports.report import CellError, Report, plain
from catalog.imports.values import MOST_COPIES

__all__ = [
    "MOST_COPIES",
    "CellError",
    "Options",
    "Report",
    "StoppedError",
    "UnreadableError",
    "kind_called",
    "plain",
    "run",
]
