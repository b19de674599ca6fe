"""Django's SMTP backend with a time limit on the whole conversation."""

import smtplib
from collections.abc import Callable
from functools import partial
from socket import socket
from typing import Any

from django.core.mail.backends.smtp import EmailBackend

from alerts.backends.wire import Limit, dial


class LimitedSmtp(EmailBackend):
    def __init__(self, limit: Limit) -> None:
        super().__init__()
        self._limit = limit

    @property
    def connection_class(self) -> Callable[..., smtplib.SMTP]:  # type: ignore[override]
        return partial(_SmtpSsl if self.use_ssl else _Smtp, limit=self._limit)


class _Smtp(smtplib.SMTP):
    def __init__(self, *args: Any, limit: Limit, **options: Any) -> None:
        self._limit = limit
        super().__init__(*args, **options)

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket:
        return dial(host, port, self._limit)


class _SmtpSsl(_Smtp, smtplib.SMTP_SSL):
    def _get_socket(self, host: str, port: int, timeout: Any) -> socket:
        connected = super()._get_socket(host, port, timeout)
        return self.context.wrap_socket(connected, server_hostname=host)
