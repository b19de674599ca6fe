"""The console: for developers, and to see what would be sent."""

import logging
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from alerts.backends.base import Backend, Message, Receipt

log = logging.getLogger("alerts.console")


class Console(Backend):
    name = "console"
    label = _("Console")

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        log.info("%s: %s\n%s", message.id, message.subject, message.text)
        return Receipt(str(_("Written to the log.")))
