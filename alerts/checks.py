"""What is wrong with the settings of alerts, told by `manage.py check` and before every command."""

from typing import Any

from django.core import checks
from django.utils.translation import gettext as _

from alerts.backends import guard


def check_networks(**_options: Any) -> list[checks.CheckMessage]:
    """Return what is wrong with ALERT_ALLOWED_NETWORKS: with that, no webhook is sent at all."""
    try:
        guard.allowed_networks()
    except guard.RefusedAddressError as wrong:
        hint = _("Leave it out, and webhooks lead to public addresses only.")
        return [checks.Error(str(wrong), hint=hint, id="alerts.E001")]
    return []
