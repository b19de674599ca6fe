"""What the README has from the code itself: each piece is Markdown, between two marks of its name.

They are written in English, whatever the language of the site.
"""

import re
from collections.abc import Callable

from django.utils import translation

from config.documents import diagram, jobs, roles, settings

PIECES: dict[str, Callable[[], str]] = {
    "settings": settings.table,
    "jobs": jobs.table,
    "roles": roles.table,
    "models": diagram.diagram,
}


def piece(name: str) -> str:
    """Return one piece. Raises KeyError."""
    with translation.override("en"):
        return PIECES[name]()


def marks(name: str) -> tuple[str, str]:
    """Return the lines before and after a piece."""
    return f"<!-- manage.py document {name}: begin -->", f"<!-- manage.py document {name}: end -->"


def missing(text: str) -> list[str]:
    """Return the pieces that have no place in a text."""
    return [name for name in PIECES if not _place(name).search(text)]


def renewed(text: str) -> str:
    """Return a text with its pieces as they are now."""
    for name in PIECES:
        begin, end = marks(name)
        whole = f"{begin}\n{piece(name)}\n{end}"
        text = _place(name).sub(lambda _old, whole=whole: whole, text)  # type: ignore[misc]
    return text


def _place(name: str) -> re.Pattern[str]:
    begin, end = map(re.escape, marks(name))
    return re.compile(f"{begin}.*?{end}", re.DOTALL)
