"""Telegram."""

from collections.abc import Mapping
from typing import Any

from alerts.backends.base import Backend, Message, Receipt


class Telegram(Backend):
    name = "telegram"
    label = "Telegram"

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        raise NotImplementedError
