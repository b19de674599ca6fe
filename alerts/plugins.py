"""Plug-ins: classes of this library's choice, by the dotted paths in a setting."""

from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


def by_name(setting: str) -> dict[str, Any]:
    """Return one object of each class that a setting lists, by its `name`.

    Raises ImproperlyConfigured.
    """
    made = [_made(setting, path) for path in getattr(settings, setting)]
    return {each.name: each for each in made}


def _made(setting: str, path: str) -> Any:
    try:
        return import_string(path)()
    except ImportError as problem:
        message = f"{setting} names {path}, which cannot be imported: {problem}."
        raise ImproperlyConfigured(message) from problem
