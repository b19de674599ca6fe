"""Where webhooks may lead: public addresses, and the networks that the site's settings allow.

Without it, whoever may edit channels could make Carrel call what only its own network reaches.
"""

import ipaddress
import unicodedata
from urllib.parse import SplitResult, urlsplit

import requests
from django.conf import settings
from django.utils.translation import gettext as _

from alerts.backends import wire

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOK_UP_SECONDS = 5

GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
"""All of IPv6 that is given out: not mapped IPv4, NAT64, local or multicast addresses."""

NEVER_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "2001::/23",  # special purposes, Teredo among them
        "2002::/16",  # 6to4: an IPv4 address in disguise
        "3fff::/20",  # documentation
        "192.0.0.0/24",
        "192.88.99.0/24",  # relays of 6to4
    )
)


class RefusedAddressError(ValueError):
    """Carrel does not call there; the message is what an administrator reads."""


def check_form(url: str) -> SplitResult:
    """Return the parts of a URL, its name as ASCII. Raises RefusedAddressError."""
    if any(c.isspace() or c == "\\" or unicodedata.category(c)[0] == "C" for c in url):
        raise RefusedAddressError(_("Enter an address without spaces and control characters."))
    try:
        given = urlsplit(url)
        if given.scheme not in {"http", "https"}:
            raise RefusedAddressError(_("Enter an address that begins with https:// or http://."))
        if "@" in given.netloc:
            raise RefusedAddressError(
                _("Enter the address without a user and password: use the token.")
            )
        # The client's own reading of it, so that what is checked is what is called.
        parts = urlsplit(requests.Request("POST", url).prepare().url or "")
        if not parts.hostname or given.port == 0:
            raise ValueError
        parts.hostname.encode("idna")
    except RefusedAddressError:
        raise
    except ValueError:
        raise RefusedAddressError(_("This is not an address: check its name and port.")) from None
    return parts


def check_url(url: str) -> None:
    """Look a URL's addresses up and check them. Raises RefusedAddressError.

    A name that is not found passes: it is looked up and checked again with each call.
    """
    parts = check_form(url)
    try:
        # As the client does, without the dot that a full name may end in.
        name = (parts.hostname or "").rstrip(".")
        found = wire.look_up(name, parts.port or 0, seconds=LOOK_UP_SECONDS)
    except OSError:
        return
    for *_rest, address in found:
        check_address(address[0])


def check_address(address: str) -> None:
    """Raise RefusedAddressError unless the address is public or allowed."""
    ip = ipaddress.ip_address(address)
    if _is_public(ip) or any(ip in network for network in allowed_networks()):
        return
    message = _(
        "It leads to %(address)s, which is not a public address. Whoever runs this site can allow "
        "its network in ALERT_ALLOWED_NETWORKS."
    )
    raise RefusedAddressError(message % {"address": ip})


def allowed_networks() -> list[Network]:
    """Raises RefusedAddressError where ALERT_ALLOWED_NETWORKS is not a list of networks."""
    try:
        return [
            ipaddress.ip_network(each.strip(), strict=False)
            for each in settings.ALERT_ALLOWED_NETWORKS
        ]
    except ValueError as problem:
        message = _(
            "ALERT_ALLOWED_NETWORKS is wrong: %(problem)s. Write networks as 10.1.0.0/16, with "
            "commas."
        )
        raise RefusedAddressError(message % {"problem": problem}) from None


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address) and ip not in GLOBAL_UNICAST:
        return False
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    return not any(ip in network for network in NEVER_PUBLIC)
