"""What is written to the log, which is standard error, and what is not."""

from typing import Any

FORMATS = {"line": "config.log_format.Line", "json": "config.log_format.Json"}
LINE = "%(asctime)s %(levelname)s %(name)s %(marks)s%(message)s"
LOGGERS: dict[str, dict[str, Any]] = {
    # The console channel says "Written to the log", whatever LOG_LEVEL is.
    "alerts.console": {"level": "INFO"},
    # Below that it logs bodies, and messages that repeat a part of the secret key.
    "stripe": {"level": "WARNING"},
    # They log addresses, and Telegram's has the bot's token in it.
    "urllib3": {"level": "ERROR"},
    "apprise": {"level": "CRITICAL"},
    # It tells of each failure twice.
    "axes": {"level": "WARNING"},
    # It tells of what it could do with another package whenever it is imported.
    "pyBarcode": {"level": "WARNING"},
    # The line of the request says the same without what was typed into the path.
    "django.request": {"filters": ["only_failures"]},
    # It writes by a handler of its own unless it is given one.
    "gunicorn.error": {"handlers": ["stderr"], "propagate": False},
}


def configuration(*, level: str, form: str) -> dict[str, Any]:
    """Return what LOGGING has to be. Raises ValueError where there is no such level or form."""
    if form not in FORMATS:
        raise ValueError(f"LOG_FORMAT is “{form}”, but has to be one of: {', '.join(FORMATS)}.")
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        raise ValueError(f"LOG_LEVEL is “{level}”, but has to be DEBUG, INFO, WARNING or ERROR.")
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"chosen": {"()": FORMATS[form], "fmt": LINE}},
        "filters": {"only_failures": {"()": "config.log_format.OnlyFailures"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": LOGGERS,
    }
