"""Email."""

from collections.abc import Mapping
from typing import Any

from alerts.backends.base import Backend, Message, Receipt


class Email(Backend):
    name = "email"
    label = "Email"

    def send(self, message: Message, to: str, config: Mapping[str, Any]) -> Receipt:
        raise NotImplementedError
