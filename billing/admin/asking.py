"""Asking a provider from a page: only one that can be asked, not for long, and refused in words."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest
from django.utils.translation import gettext as _

from alerts.backoffice.acts import ActRefusedError
from billing import gateways
from billing.gateways.base import Gateway, RejectedError, UnreachableError

LONGEST_ASKING = 8.0
"""Seconds after which a request asks about no more rows: a web worker is stopped after 30."""


def usable_gateway(name: str) -> Gateway:
    """Return the gateway of a payment, if it can be used. Raises ActRefusedError."""
    try:
        gateway = gateways.called(name)
    except gateways.UnknownGatewayError as unknown:
        raise ActRefusedError(
            _("PAYMENT_GATEWAYS does not list %(name)s any more: it cannot be asked from here.")
            % {"name": name.capitalize()}
        ) from unknown
    if missing := gateway.missing():
        raise ActRefusedError(
            _("%(provider)s cannot be asked: it is not set up (missing: %(variables)s).")
            % {"provider": gateway.label, "variables": ", ".join(missing)}
        )
    return gateway


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what goes wrong at a provider into a refusal; a gateway's messages name the provider."""
    try:
        yield
    except UnreachableError as away:
        text = _("%(problem)s Nothing was lost: try again in a few minutes.")
        raise ActRefusedError(text % {"problem": away}) from away
    except RejectedError as refused:
        raise ActRefusedError(str(refused)) from refused


def refuse_when_late(request: HttpRequest) -> None:
    """Ask about no more rows in a request that has taken long. Raises ActRefusedError."""
    started: float = request.__dict__.setdefault("_asking_since", time.monotonic())
    if time.monotonic() - started > LONGEST_ASKING:
        raise ActRefusedError(_("Not asked: the provider is slow. Choose fewer, or try later."))
