"""Where a request comes from: what throttles and the lock-out count by."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

UNIX_SOCKET = "unix"
HOUSEHOLD = 64
"""Bits of an IPv6 address that one line has alone; it may change all others as it likes."""
MOST_HOPS = 20


def client_address(request: HttpRequest) -> str | None:
    """Return the address of who asks; of IPv6, the first address of its network.

    X-Forwarded-For is believed as far as the proxies of TRUSTED_PROXIES have written it, from the
    right: what stands left of that anybody may have sent.
    """
    here = _parse(request.META.get("REMOTE_ADDR", ""))
    if here is None and UNIX_SOCKET not in settings.TRUSTED_PROXIES:
        return None
    trusted = networks(tuple(settings.TRUSTED_PROXIES))
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    for hop in reversed(hops[-MOST_HOPS:]):
        if here is not None and not any(here in network for network in trusted):
            break
        before = _parse(hop)
        if before is None:
            break
        here = before
    return None if here is None else str(_household(here))


@lru_cache(maxsize=8)
def networks(written: Sequence[str]) -> list[Network]:
    """Return the networks of TRUSTED_PROXIES. Raises ValueError for what is none."""
    return [
        ipaddress.ip_network(each.strip(), strict=False) for each in written if each != UNIX_SOCKET
    ]


def _parse(written: str) -> Address | None:
    try:
        address = ipaddress.ip_address(written.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def _household(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    return ipaddress.ip_network((int(address), HOUSEHOLD), strict=False).network_address
