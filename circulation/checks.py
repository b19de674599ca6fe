"""What is wrong with the settings of lending, told by `manage.py check`."""

from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _

SELF_SERVICE = frozenset({"borrow", "hold", "return"})


def check_self_service(**_options: Any) -> list[checks.CheckMessage]:
    """Return what READER_SELF_SERVICE names that readers cannot do: a typing error, mostly."""
    unknown = sorted(settings.READER_SELF_SERVICE - SELF_SERVICE)
    if not unknown:
        return []
    message = _("READER_SELF_SERVICE names “%(unknown)s”, which is nothing that readers can do.")
    hint = _("Use any of these, with commas between them: %(known)s.")
    return [
        checks.Error(
            message % {"unknown": ", ".join(unknown)},
            hint=hint % {"known": ", ".join(sorted(SELF_SERVICE))},
            id="circulation.E001",
        )
    ]
