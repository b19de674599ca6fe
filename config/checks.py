"""What is wrong with the settings of accounts and the API, told by `manage.py check`."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _

from config import addresses

SHORTEST_KEY = 32
"""Characters: what HMAC with SHA-256 needs (RFC 7518, section 3.2)."""


def check_accounts(**_options: Any) -> list[checks.CheckMessage]:
    return [*_check_numbers(), *_check_key(), *_check_proxies(), *_check_mail()]


def _check_numbers() -> Iterator[checks.CheckMessage]:
    for name in ("BACKUP_KEEP", "JWT_ACCESS_MINUTES", "JWT_REFRESH_DAYS", "LOCKOUT_MINUTES"):
        if getattr(settings, name) < 1:
            message = _("%(name)s is %(value)d, but has to be 1 or more.")
            text = message % {"name": name, "value": getattr(settings, name)}
            yield checks.Error(text, id="config.E001")


def _check_key() -> Iterator[checks.CheckMessage]:
    key = settings.SIMPLE_JWT["SIGNING_KEY"]
    if len(key) < SHORTEST_KEY or len(set(key)) < 5:
        message = _("JWT_SIGNING_KEY is too easy to guess: it needs %(number)d random characters.")
        hint = _("Make it as SECRET_KEY was made, or leave it out: then it follows SECRET_KEY.")
        yield checks.Error(message % {"number": SHORTEST_KEY}, hint=hint, id="config.E002")
    elif key == settings.SECRET_KEY:
        message = _("JWT_SIGNING_KEY is SECRET_KEY itself, which signs other things too.")
        hint = _("Make another key, or leave it out: then one is derived from SECRET_KEY.")
        yield checks.Error(message, hint=hint, id="config.E003")


def _check_proxies() -> Iterator[checks.CheckMessage]:
    try:
        found = addresses.networks(tuple(settings.TRUSTED_PROXIES))
    except ValueError as wrong:
        message = _("TRUSTED_PROXIES is wrong: %(problem)s.") % {"problem": wrong}
        hint = _("Write networks as 10.1.0.0/16 or addresses, with commas, or unix for a socket.")
        yield checks.Error(message, hint=hint, id="config.E004")
        return
    if any(network.prefixlen == 0 for network in found):
        message = _("TRUSTED_PROXIES trusts every address: anybody could pretend to be another.")
        hint = _("Name the networks of your own proxies alone.")
        yield checks.Error(message, hint=hint, id="config.E005")


def _check_mail() -> Iterator[checks.CheckMessage]:
    if settings.EMAIL_VERIFICATION and not settings.MAIL_IS_SET_UP:
        message = _("EMAIL_VERIFICATION is on, but there is no mail server to mail links by.")
        hint = _("Set EMAIL_URL, or leave EMAIL_VERIFICATION out.")
        yield checks.Error(message, hint=hint, id="config.E006")
