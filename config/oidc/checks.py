"""What is wrong with the settings of external sign-in, told by `manage.py check`."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _

from config.oidc import provider


def check_provider(**_options: Any) -> list[checks.CheckMessage]:
    return [*_check_halves(), *_check_issuer(), *_check_hosts()]


def _check_halves() -> Iterator[checks.CheckMessage]:
    used = [
        name
        for name in ("OIDC_AUDIENCE", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_CREATE_READERS")
        if getattr(settings, name)
    ]
    if used and not settings.OIDC_ISSUER:
        message = _("%(names)s is set, but OIDC_ISSUER is not: nobody signs in through it.")
        hint = _("Set OIDC_ISSUER to the provider's address, as its own document gives it.")
        yield checks.Error(message % {"names": ", ".join(used)}, hint=hint, id="config.E020")
    if bool(settings.OIDC_CLIENT_ID) != bool(settings.OIDC_CLIENT_SECRET):
        message = _("Of OIDC_CLIENT_ID and OIDC_CLIENT_SECRET only one is set.")
        hint = _("Set both, to let staff sign in through the provider, or neither.")
        yield checks.Error(message, hint=hint, id="config.E021")
    if settings.OIDC_ISSUER and not (settings.OIDC_AUDIENCE or settings.OIDC_CLIENT_ID):
        message = _("OIDC_ISSUER is set, but nobody signs in through it.")
        hint = _("Set OIDC_AUDIENCE for the API, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET for staff.")
        yield checks.Warning(message, hint=hint, id="config.W022")
    if settings.OIDC_AUDIENCE and settings.OIDC_AUDIENCE == settings.OIDC_CLIENT_ID:
        message = _("OIDC_AUDIENCE and OIDC_CLIENT_ID are the same.")
        hint = _("Give the API a name of its own: what tells a page who came must not open it.")
        yield checks.Warning(message, hint=hint, id="config.W026")
    if settings.OIDC_CREATE_READERS and settings.OIDC_ISSUER and not settings.OIDC_AUDIENCE:
        message = _("OIDC_CREATE_READERS is on, but OIDC_AUDIENCE is not set.")
        hint = _("Readers come through the API: set OIDC_AUDIENCE, or leave this out.")
        yield checks.Warning(message, hint=hint, id="config.W023")


def _check_issuer() -> Iterator[checks.CheckMessage]:
    if not settings.OIDC_ISSUER:
        return
    try:
        parts = urlsplit(settings.OIDC_ISSUER)
        is_plain = not (parts.query or parts.fragment or parts.username or parts.password)
        is_good = is_plain and provider.is_safe(parts)
    except ValueError:
        is_good = False
    if not is_good:
        message = _("OIDC_ISSUER is “%(issuer)s”, which is no safe address of a provider.")
        hint = _(
            "Use the address that the provider's document gives as its issuer, with https:// "
            "(http:// on this machine alone), without a user, ? and #."
        )
        text = message % {"issuer": settings.OIDC_ISSUER}
        yield checks.Error(text, hint=hint, id="config.E024")


def _check_hosts() -> Iterator[checks.CheckMessage]:
    wrong = [host for host in settings.OIDC_HOSTS if set(host) & set("/@?# *")]
    if wrong:
        message = _("OIDC_HOSTS has %(wrong)s, which is no host.")
        hint = _("Write names alone, with commas, as OIDC_HOSTS=www.example.org,login.example.org")
        yield checks.Error(message % {"wrong": ", ".join(wrong)}, hint=hint, id="config.E025")
