"""The addresses of paying that need no sign-in; each with and without its trailing slash."""

from collections.abc import Callable, Iterator

from django.http import HttpResponseBase
from django.urls import URLPattern, path

from billing import pages


def _addresses() -> Iterator[URLPattern]:
    table: tuple[tuple[str, Callable[..., HttpResponseBase], str], ...] = (
        ("pay/<path:token>", pages.pay, "pay"),
        ("api/payments/success", pages.success, "payment-success"),
        ("api/payments/cancel", pages.cancel, "payment-cancel"),
        ("api/payments/webhook/<slug:provider>", pages.webhook, "payment-webhook"),
        # The largest document of the mission has them here, too.
        ("api/library/payments/success", pages.success, "library-payment-success"),
        ("api/library/payments/cancel", pages.cancel, "library-payment-cancel"),
        ("api/library/payments/webhook/<slug:provider>", pages.webhook, "library-payment-webhook"),
    )
    for route, view, name in table:
        yield path(f"{route}/", view, name=name)
        yield path(route, view)


urlpatterns = list(_addresses())
