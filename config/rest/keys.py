"""Sign-in of other systems, by their integration keys: `Authorization: Bearer carrel_...`."""

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request
from simple_history.models import HistoricalRecords

from alerts import doers
from circulation import integration_keys
from circulation.integration_keys import Caller
from config.rest.bearer import BearerAuthentication, token_of


class IntegrationKeys(BearerAuthentication):
    """Knows the tokens with the keys' mark, whether they are good or not."""

    def authenticate(self, request: Request) -> tuple[Caller, str] | None:
        token = token_of(request)
        if not token.startswith(integration_keys.MARK):
            return None
        try:
            caller = integration_keys.recognise(token, at=timezone.now())
        except integration_keys.KeyRefusedError as refused:
            raise AuthenticationFailed(str(refused)) from refused
        _leave_histories_to(caller)
        return caller, caller.key.prefix


@dataclass(frozen=True)
class _ByKey:
    """Stands for the request in the eyes of the histories, which know people alone."""

    caller: Caller
    user: AnonymousUser


def _leave_histories_to(caller: Caller) -> None:
    """Let no person be written into the history of what another system does."""
    if hasattr(HistoricalRecords.context, "request"):
        HistoricalRecords.context.request = _ByKey(caller, AnonymousUser())


def name_the_key(*, history_instance: Any, **_more: Any) -> None:
    """Write the key's name beside a change, where the histories of others have a person."""
    request = getattr(HistoricalRecords.context, "request", None)
    if isinstance(request, _ByKey) and not history_instance.history_change_reason:
        history_instance.history_change_reason = doers.reason(doers.KEY, str(request.caller))
