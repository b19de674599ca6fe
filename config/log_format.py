"""How a line of the log is written: in words, or as JSON; with whose request or task it was of."""

import copy
import json
import logging
from datetime import UTC, datetime
from typing import Any

from config import context, discreet

FACTS = "facts"
"""In `extra`: a dict of what JSON says besides the message. Other extras are not written."""


class Line(logging.Formatter):
    """Leaves people out of what is said, and of tracebacks."""

    def format(self, record: logging.LogRecord) -> str:
        record = copy.copy(record)  # for others it stays as it is
        record.msg, record.args = discreet.without_people(record.getMessage()), None
        record.exc_text = None
        said = " ".join(context.marks().values())
        record.marks = f"[{said}] " if said else ""
        return super().format(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - its name in `logging`
        return discreet.without_people(super().formatException(ei))


class Json(Line):
    """One object a line."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": discreet.without_people(record.getMessage()),
            "process": record.process,
            **context.marks(),
            **getattr(record, FACTS, {}),
        }
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)


class OnlyFailures(logging.Filter):
    """Of requests, leaves out what their own line says too, and what is secret in the path."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        if request is None:
            return True
        record.msg, record.args = "Internal Server Error: %s", (discreet.path(request),)
        return bool(record.exc_info)
