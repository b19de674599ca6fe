"""What is wrong with Stripe's settings, and what to do about it."""

import re
from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.utils.translation import gettext as _


def check_key(*, debug: bool) -> Iterator[checks.CheckMessage]:
    mode = re.match(r"[rs]k_(live|test)_", settings.STRIPE_SECRET_KEY)
    if not mode:
        message = _("STRIPE_SECRET_KEY is not a secret key of Stripe's.")
        hint = _("Use the one that begins with sk_ or rk_, not the publishable one (pk_).")
        yield checks.Error(message, hint=hint, id="billing.E001")
    elif mode[1] == "test" and not debug:
        message = _("STRIPE_SECRET_KEY is a test key: what readers pay is no real money.")
        hint = _("Set it to the live key (sk_live_...) once this site is for readers.")
        yield checks.Warning(message, hint=hint, id="billing.W001")
    elif mode[1] == "live":
        yield from _check_live(debug=debug)


def _check_live(*, debug: bool) -> Iterator[checks.CheckMessage]:
    if debug:
        message = _("DEBUG is on with a live key of Stripe's: real cards would be charged.")
        hint = _("Set DEBUG=false, or STRIPE_SECRET_KEY to a test key (sk_test_...).")
        yield checks.Error(message, hint=hint, id="billing.E002")
    if not settings.STRIPE_API_BASE.startswith("https://"):
        message = _("STRIPE_API_BASE does not begin with https://: the key would be readable.")
        hint = _("Leave STRIPE_API_BASE out, so that Stripe's own address is used.")
        yield checks.Error(message, hint=hint, id="billing.E004")


def check_webhook_secret(*, debug: bool) -> Iterator[checks.CheckMessage]:
    if not debug and not webhook_secrets():
        message = _("STRIPE_WEBHOOK_SECRET is not set: events of Stripe cannot be checked.")
        hint = _(
            "Add an endpoint for /api/payments/webhook/stripe/ in Stripe's dashboard and set its "
            "signing secret (whsec_...); while it is being changed, both, with a comma."
        )
        yield checks.Error(message, hint=hint, id="billing.E003")


def webhook_secrets() -> list[str]:
    """Return the secrets that may have signed an event: two while they are being changed."""
    return [secret.strip() for secret in settings.STRIPE_WEBHOOK_SECRET if secret.strip()]
