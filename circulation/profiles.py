"""What readers change of their own records: names, phone, language, notices, followed authors."""

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from alerts import preferences
from catalog import following
from circulation.models import Reader

OWN = ("first_name", "last_name", "phone", "language")
MOST_AUTHORS = 100


@transaction.atomic
def change(
    reader: Reader,
    *,
    notices: Mapping[str, bool] | None = None,
    followed_authors: Iterable[str] | None = None,
    **fields: str,
) -> Reader:
    """Change these of the reader's own fields, and return the reader as he or she is now.

    `notices` says which optional kinds are wanted; those that it does not name stay as they are.
    """
    locked = Reader.objects.select_for_update(no_key=True).get(pk=reader.pk)
    wanted: dict[str, Any] = {name: fields[name] for name in OWN if name in fields}
    if notices is not None:
        wanted["declined_notices"] = _declined(locked, notices)
    changed = [name for name, value in wanted.items() if getattr(locked, name) != value]
    if changed:
        for name in changed:
            setattr(locked, name, wanted[name])
        locked._history_user = locked
        locked._change_reason = _("Changed by the reader online.")
        locked.save(update_fields=[*changed, "search_name"])
    if followed_authors is not None:
        following.follow_only(locked, followed_authors)
    return locked


def _declined(reader: Reader, notices: Mapping[str, bool]) -> list[str]:
    accepted = {kind.value for kind in preferences.accepted_kinds(reader)}
    accepted -= {kind for kind, is_wanted in notices.items() if not is_wanted}
    accepted |= {kind for kind, is_wanted in notices.items() if is_wanted}
    return preferences.all_but(accepted)
