"""The gateways of this library, from the dotted paths in `settings.PAYMENT_GATEWAYS`."""

from django.conf import settings
from django.utils.translation import gettext as _

from alerts import plugins
from billing.gateways.base import Gateway, RejectedError


class UnknownGatewayError(RejectedError, LookupError):
    """No gateway of this name is listed in PAYMENT_GATEWAYS, so that nothing can be asked of it."""


def all_gateways() -> dict[str, Gateway]:
    """Return one object of each listed class, by name. Raises ImproperlyConfigured."""
    return plugins.by_name("PAYMENT_GATEWAYS")


def called(name: str) -> Gateway:
    """Return a gateway by its name. Raises UnknownGatewayError."""
    try:
        return all_gateways()[name]
    except KeyError:
        message = _("PAYMENT_GATEWAYS does not list %(name)s.") % {"name": name or "-"}
        raise UnknownGatewayError(message) from None


def online() -> Gateway | None:
    """Return the gateway that readers are sent to, or None where the library takes cash alone.

    It is the one that PAYMENT_PROVIDER names, else the first online one with all its keys.
    """
    configured = [each for each in all_gateways().values() if each.is_online and each.is_configured]
    if settings.PAYMENT_PROVIDER:
        return next((each for each in configured if each.name == settings.PAYMENT_PROVIDER), None)
    return configured[0] if configured else None


def choices() -> list[tuple[str, str]]:
    """Return names and labels, for `Payment.provider`: a new gateway needs no migration."""
    return [(name, str(gateway.label)) for name, gateway in all_gateways().items()]
