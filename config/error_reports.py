"""Errors go to Sentry where SENTRY_DSN is set: what broke and where, and nothing about people.

Nothing of its package is imported otherwise.
"""

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sentry_sdk
from django.core.exceptions import ImproperlyConfigured
from django_q import worker
from sentry_sdk.integrations.argv import ArgvIntegration
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.integrations.stdlib import StdlibIntegration
from sentry_sdk.utils import BadDsn

from config import context, discreet

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

TOLD = frozenset(
    "contexts environment event_id exception level logentry logger modules platform release sdk "
    "server_name timestamp transaction".split()
)
"""Of an event: not the request, who is signed in, what was done before, or values of variables."""
CONTEXTS = frozenset(("runtime", "trace"))
LONGEST_SEND = 2.0
"""Seconds that a worker waits: it may be stopped once its task has failed."""


def start(dsn: str, *, root: Path) -> None:
    """Send what breaks from here on. Raises ImproperlyConfigured."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    try:
        sentry_sdk.init(
            dsn,
            release=os.environ.get("SENTRY_RELEASE") or f"carrel@{project['version']}",
            integrations=[DjangoIntegration(signals_spans=False)],
            auto_enabling_integrations=False,
            # They add what was typed on the command line, and headers to what is sent to others.
            disabled_integrations=[ArgvIntegration, StdlibIntegration],
            send_default_pii=False,
            max_request_body_size="never",
            include_local_variables=False,
            max_breadcrumbs=0,
            auto_session_tracking=False,
            before_send=without_people,
        )
    except BadDsn as wrong:
        raise ImproperlyConfigured(f"SENTRY_DSN is not one that Sentry gives: {wrong}.") from wrong
    # Strangers call the site by any name.
    ignore_logger("django.security.DisallowedHost")
    worker.error_reporter = _TaskErrors()


class _TaskErrors:
    """What the queue calls in a worker whose task has failed."""

    def report(self) -> None:
        sentry_sdk.capture_exception()
        sentry_sdk.flush(LONGEST_SEND)


def without_people(event: "Event", hint: "Hint") -> "Event | None":
    """Return what may be told of an event, with its request or task by number."""
    record = hint.get("log_record")
    if record is not None and (record.name, record.module) == ("django-q", "monitor"):
        return None  # the worker has told of it, with its traceback
    source = event.get("transaction_info", {}).get("source")
    told: dict[str, Any] = {key: value for key, value in event.items() if key in TOLD}
    if source != "route":
        told.pop("transaction", None)
    for raised in told.get("exception", {}).get("values", []):
        raised["value"] = discreet.without_people(raised.get("value") or "")
    if "logentry" in told:
        entry = told["logentry"]
        said = discreet.without_people(entry.get("formatted") or entry.get("message", ""))
        told["logentry"] = {"message": entry.get("message", ""), "formatted": said}
    told["contexts"] = {key: told["contexts"][key] for key in CONTEXTS & told["contexts"].keys()}
    told["tags"] = dict(context.marks())
    return told  # type: ignore[return-value]
