"""What staff should know about how readers can pay: said above the list of payments."""

from django.conf import settings
from django.utils.translation import gettext as _

from billing import gateways


def notices() -> list[str]:
    """Return what is missing for readers to pay online; nothing where all is set up."""
    gateway = gateways.online()
    if gateway is None:
        sentence = _(
            "Readers pay at the desk only: no payment provider is set up (%(why)s). "
            "The README says how to set one up."
        )
        return [sentence % {"why": _why_none()}]
    if gateway.can_check_events:
        return []
    sentence = _(
        "%(provider)s cannot tell this site about payments: its webhook is not set up. They are "
        "seen when the reader comes back, or within ten minutes. The README says how to set it up."
    )
    return [sentence % {"provider": gateway.label}]


def _why_none() -> str:
    online = {name: each for name, each in gateways.all_gateways().items() if each.is_online}
    if not online:
        return _("PAYMENT_GATEWAYS lists none")
    chosen = settings.PAYMENT_PROVIDER
    if chosen and chosen not in online:
        return _("PAYMENT_PROVIDER is %(name)s, which PAYMENT_GATEWAYS does not list") % {
            "name": chosen
        }
    wanted = [online[chosen]] if chosen else online.values()
    missing = "; ".join(
        _("%(variables)s for %(provider)s")
        % {"provider": each.label, "variables": ", ".join(each.missing())}
        for each in wanted
    )
    return _("missing: %(variables)s") % {"variables": missing}
