"""What is nobody's business but theirs who write to readers, call them, or look after the cards."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

SEE = "circulation.view_personal_data"
FIELDS = frozenset(
    {"email", "contact_email", "phone", "block_reason", "declined_notices", "notices"}
)


def may_see(request: HttpRequest) -> bool:
    return request.user.has_perm(SEE)


def without(fieldsets: Iterable[Any]) -> list[Any]:
    """Return the fieldsets of an admin page without these fields, and none that is then empty."""
    shown = []
    for title, options in fieldsets:
        lines = [_kept(line) for line in options["fields"]]
        if any(lines):
            shown.append((title, {**options, "fields": tuple(filter(None, lines))}))
    return shown


def _kept(line: str | tuple[str, ...]) -> str | tuple[str, ...] | None:
    if isinstance(line, str):
        return None if line in FIELDS else line
    return tuple(name for name in line if name not in FIELDS) or None
