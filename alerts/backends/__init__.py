"""The backends of this library, from the dotted paths in `settings.ALERT_BACKENDS`."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from alerts.backends.base import Backend


class UnknownBackendError(LookupError):
    """No backend of this name is listed in ALERT_BACKENDS."""


def all_backends() -> dict[str, Backend]:
    """Return one object of each listed class, by name. Raises ImproperlyConfigured."""
    made = [_made(path) for path in settings.ALERT_BACKENDS]
    return {backend.name: backend for backend in made}


def called(name: str) -> Backend:
    """Return a backend by its name. Raises UnknownBackendError."""
    try:
        return all_backends()[name]
    except KeyError:
        raise UnknownBackendError(name) from None


def choices() -> list[tuple[str, str]]:
    """Return names and labels, for `Channel.backend`: a new backend needs no migration."""
    return [(name, str(backend.label)) for name, backend in all_backends().items()]


def _made(path: str) -> Backend:
    try:
        backend: Backend = import_string(path)()
    except ImportError as problem:
        message = f"ALERT_BACKENDS names {path}, which cannot be imported: {problem}."
        raise ImproperlyConfigured(message) from problem
    return backend
