"""The sections of the examination, in the order in which they are told, each within seconds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from config import patience
from config.doctor import backups, site, storage, work
from config.doctor.findings import Finding, Section, problem
from config.unsaid import without_secrets

PATIENCE = 12.0
"""Seconds for each section; a mail server is given ten by itself."""


@dataclass(frozen=True)
class Part:
    title: str | Promise
    examine: Callable[[], Iterable[Finding]]
    needs_database: bool = False


DATABASE = Part(gettext_lazy("Database"), storage.database)
PARTS = (
    Part(gettext_lazy("Site"), site.site),
    Part(gettext_lazy("Checks of the settings"), site.django),
    DATABASE,
    Part(gettext_lazy("Queue and cache"), storage.queue),
    Part(gettext_lazy("Workers and jobs"), work.jobs, needs_database=True),
    Part(gettext_lazy("Messages"), work.alerts, needs_database=True),
    Part(gettext_lazy("Mail server"), work.mail_server),
    Part(gettext_lazy("Payments"), work.payments),
    Part(gettext_lazy("Sign-in by others"), work.sign_in),
    Part(gettext_lazy("Backups"), backups.backups),
    Part(gettext_lazy("Files and disks"), site.files),
)

Answer = Callable[[float], list[Finding]]


def examine() -> Iterator[Section]:
    """Begin with all sections at once, but for those that make no sense without the database."""
    begun = {part: _begin(part) for part in PARTS if not part.needs_database}
    storage_found = _findings(begun[DATABASE])
    has_database = not any(each.state == "problem" for each in storage_found)
    if has_database:
        begun |= {part: _begin(part) for part in PARTS if part.needs_database}
    for part in PARTS:
        if part is DATABASE:
            found = storage_found
        elif part in begun:
            found = _findings(begun[part])
        else:
            found = [problem(_("Not looked at: the database has to be mended first."))]
        yield Section(str(part.title), found)


def _begin(part: Part) -> Answer:
    return patience.Question(partial(_examined, part)).begin()


def _examined(part: Part) -> list[Finding]:
    return list(part.examine())


def _findings(answer: Answer) -> list[Finding]:
    try:
        return answer(PATIENCE)
    except patience.NoAnswerError:
        sentence = _("There was no answer within %(seconds)d seconds.")
        return [problem(sentence % {"seconds": PATIENCE})]
    except Exception as failed:  # a plug-in, or what nobody has thought of: the rest is told
        why = without_secrets(f"{type(failed).__name__}: {failed}").split("\n")[0]
        return [problem(_("This could not be looked at: %(why)s") % {"why": why})]
