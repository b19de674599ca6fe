"""The backends of this library, from the dotted paths in `settings.ALERT_BACKENDS`."""

from alerts import plugins
from alerts.backends.base import Backend


class UnknownBackendError(LookupError):
    """No backend of this name is listed in ALERT_BACKENDS."""


def all_backends() -> dict[str, Backend]:
    """Return one object of each listed class, by name. Raises ImproperlyConfigured."""
    return plugins.by_name("ALERT_BACKENDS")


def called(name: str) -> Backend:
    """Return a backend by its name. Raises UnknownBackendError."""
    try:
        return all_backends()[name]
    except KeyError:
        raise UnknownBackendError(name) from None


def choices() -> list[tuple[str, str]]:
    """Return names and labels, for `Channel.backend`: a new backend needs no migration."""
    return [(name, str(backend.label)) for name, backend in all_backends().items()]
