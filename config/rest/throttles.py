"""How often one may call what needs no sign-in, or guess at a password."""

from typing import Any

from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from config.addresses import client_address


class ByAddress(SimpleRateThrottle):
    """Counts the calls to the views of one `throttle_scope`, in the shared cache.

    It counts by address; who has signed in is counted alone.
    """

    def __init__(self) -> None:
        """Leave the rate to the view, which is not known yet."""

    def allow_request(self, request: Request, view: Any) -> bool:
        self.scope = getattr(view, "throttle_scope", None)
        if self.scope is None:
            return True
        self.rate = api_settings.DEFAULT_THROTTLE_RATES[self.scope]
        self.num_requests, self.duration = self.parse_rate(self.rate)
        return bool(super().allow_request(request, view))

    def get_cache_key(self, request: Request, view: Any) -> str:
        who = request.user.pk or client_address(request._request)
        return f"throttle:{self.scope}:{who}"

    def wait(self) -> float:
        """Return the seconds until the oldest counted call is forgotten."""
        return max(1.0, float(self.duration - (self.now - self.history[-1])))
