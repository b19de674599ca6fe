"""The site itself: its settings, Django's own checks, its files and its disks."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.http.request import validate_host
from django.utils.translation import gettext as _

from config.doctor.findings import Finding, State, advice, off, ok, problem

LITTLE_ROOM = 1 << 30
NO_ROOM = 100 << 20
"""Bytes."""
FOLLOWS_FROM_HTTP = frozenset(f"security.{each}" for each in "W004 W008 W012 W016".split())
DEFAULT_SITE_URL = "http://127.0.0.1:8000"


def site() -> Iterator[Finding]:
    if settings.DEBUG:
        yield problem(
            _("DEBUG is on: whoever meets an error sees the settings and the code."),
            _("Leave DEBUG out, but on a developer's own machine."),
        )
    yield ok(_("SECRET_KEY is set."))
    yield ok(_("It answers to: %(hosts)s.") % {"hosts": ", ".join(settings.ALLOWED_HOSTS) or "–"})
    yield from _address()
    yield ok(
        _("Time zone %(zone)s, language %(language)s, currency %(currency)s.")
        % {
            "zone": settings.TIME_ZONE,
            "language": settings.LANGUAGE_CODE,
            "currency": settings.CURRENCY,
        }
    )
    if settings.SENTRY_DSN:
        yield ok(_("Errors are reported to Sentry."))
    else:
        yield off(_("Errors are written to the log only."), _("Set SENTRY_DSN to report them."))


def _address() -> Iterator[Finding]:
    address, host = settings.SITE_URL, urlsplit(settings.SITE_URL).hostname or ""
    if address == DEFAULT_SITE_URL:
        yield advice(
            _("Links in messages lead to %(address)s, which is this machine alone.")
            % {"address": address},
            _("Set SITE_URL to the address that people type."),
        )
    elif not validate_host(host, settings.ALLOWED_HOSTS):
        yield problem(
            _("Links in messages lead to %(host)s, which the site does not answer to.")
            % {"host": host or address},
            _("Add it to ALLOWED_HOSTS, or mend SITE_URL."),
        )
    else:
        yield ok(_("Links in messages lead to %(address)s.") % {"address": address})


def django() -> Iterator[Finding]:
    """Tell what `check --deploy` tells, and what all follows from one setting once."""
    found = checks.run_checks(include_deployment_checks=True)
    if not settings.SECURE_SSL_REDIRECT:
        found = [message for message in found if message.id not in FOLLOWS_FROM_HTTP]
        yield advice(
            _("The site is served without TLS: sessions and passwords can be read on the way."),
            _("Set SITE_URL to an address with https:// (or SECURE_SSL_REDIRECT=true)."),
        )
    for message in found:
        if not message.is_silenced():
            state = State.PROBLEM if message.is_serious() else State.ADVICE
            sentence = " ".join(message.msg.split())
            remedy = " ".join((message.hint or "").split())
            yield Finding(state, f"{sentence} ({message.id})", remedy)
    if not found:
        yield ok(_("All else is well with the settings (check --deploy)."))


def files() -> Iterator[Finding]:
    if settings.WHITENOISE_USE_FINDERS:
        yield advice(
            _("Style sheets and scripts are served from their sources, uncompressed."),
            _("Run: python manage.py collectstatic --noinput, and start Carrel anew."),
        )
    else:
        yield ok(_("Style sheets and scripts are collected."))
    for folder, what in _folders().items():
        yield _room(folder, what)


def _folders() -> dict[Path, str]:
    """Return each file system's folder once, with what is in it."""
    given = settings.DATABASES["default"]
    wanted = [(settings.BASE_DIR, _("Carrel itself"))]
    if settings.BACKUP_DIR:
        wanted.insert(0, (Path(settings.BACKUP_DIR), _("the backups")))
    if given["ENGINE"] == "config.sqlite":
        wanted.insert(0, (Path(given["NAME"]).parent, _("the database")))
    found: dict[int, tuple[Path, str]] = {}
    for folder, what in wanted:
        there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
        found.setdefault(there.stat().st_dev, (there, what))
    return dict(found.values())


def _room(folder: Path, what: str) -> Finding:
    free = shutil.disk_usage(folder).free
    sentence = _("%(free)s MB are free in %(folder)s, for %(what)s.") % {
        "free": f"{free // (1 << 20):,}",
        "folder": folder,
        "what": what,
    }
    if free < NO_ROOM:
        return problem(sentence, _("Make room at once: a full disk stops the library."))
    return advice(sentence, _("Make room soon.")) if free < LITTLE_ROOM else ok(sentence)
