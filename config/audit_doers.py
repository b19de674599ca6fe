"""Who acted where nobody was signed in: written beside each change, and read in words."""

from typing import Any

from django.utils.translation import gettext as _

from alerts import doers
from config import jobs


def name_the_doer(*, history_instance: Any, **_more: Any) -> None:
    """Write who is at work beside a change that no person made."""
    if history_instance.history_user_id is None and not history_instance.history_change_reason:
        history_instance.history_change_reason = doers.current() or None


def doer(reason: str) -> str:
    """Return who the reason of a change names."""
    if reason.startswith(doers.KEY):
        return _("Integration key “%(name)s”") % {"name": reason.removeprefix(doers.KEY)}
    if reason.startswith(doers.PROVIDER):
        return _("%(name)s, which told us") % {"name": reason.removeprefix(doers.PROVIDER)}
    if reason.startswith(doers.JOB):
        return _job(reason.removeprefix(doers.JOB))
    return _("Carrel itself")


def note(reason: str) -> str:
    """Return what the reason says beside who it was."""
    named = reason.startswith((doers.KEY, doers.JOB, doers.PROVIDER))
    return "" if named else reason


def _job(name: str) -> str:
    try:
        does = jobs.called(name).does
    except jobs.UnknownJobError:
        return _("A job that is no more: %(name)s") % {"name": name}
    return _("The job that %(does)s") % {"does": does}
