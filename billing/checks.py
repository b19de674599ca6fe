"""What is wrong with the settings of money, told by `manage.py check` and before every command."""

import re
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _

from billing import currencies, gateways


def check_money(**_options: Any) -> list[checks.CheckMessage]:
    """Return what is wrong with the currency, the choice of provider, and each provider."""
    found = [*_check_currency(), *_check_provider()]
    for gateway in gateways.all_gateways().values():
        found += gateway.check(debug=settings.DEBUG)
    return found


def _check_currency() -> Iterator[checks.CheckMessage]:
    if not re.fullmatch("[A-Z]{3}", settings.CURRENCY):
        message = _("CURRENCY is “%(currency)s”, which is no currency's code.")
        hint = _("Use the three capital letters of ISO 4217, as in CURRENCY=EUR.")
        yield checks.Error(message % {"currency": settings.CURRENCY}, hint=hint, id="billing.E030")
    elif not currencies.decimals(settings.CURRENCY):
        message = _("%(currency)s has no cents, but fees and fines can have two decimals.")
        hint = _("Give whole sums as fees, rates and prices in the loan rules and on the books.")
        yield checks.Warning(
            message % {"currency": settings.CURRENCY}, hint=hint, id="billing.W030"
        )


def _check_provider() -> Iterator[checks.CheckMessage]:
    chosen = settings.PAYMENT_PROVIDER
    online = {name: each for name, each in gateways.all_gateways().items() if each.is_online}
    if not chosen:
        return
    if chosen not in online:
        message = _("PAYMENT_PROVIDER is %(chosen)s, which is none of: %(known)s.")
        hint = _("Choose one of them, or add its class to PAYMENT_GATEWAYS.")
        text = message % {"chosen": chosen, "known": ", ".join(online)}
        yield checks.Error(text, hint=hint, id="billing.E031")
    elif missing := online[chosen].missing():
        message = _("PAYMENT_PROVIDER is %(chosen)s, but %(missing)s is not set.")
        hint = _("Set it, or leave PAYMENT_PROVIDER out: then payments are taken at the desk.")
        text = message % {"chosen": chosen, "missing": ", ".join(missing)}
        yield checks.Error(text, hint=hint, id="billing.E032")
