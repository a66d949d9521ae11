"""Finds the address of a phone, even behind reverse proxies. It is recorded, and decides nothing."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence

_FOR = re.compile(r'(?:^|;)\s*for="?([^";]+)"?', re.IGNORECASE)


def phone_address(peer: str, forwarded: Sequence[str], forwarded_for: Sequence[str], proxies: Collection[str]) -> str:
    """Return the address of the phone, or "" if it is not known.

    ``peer`` is empty on a unix socket, where a proxy always asks. Each proxy appends the address of its own client, so
    the last address that is not a proxy's is true, and those before it may be invented. A proxy may pass on a header
    that it does not know, so if there are both, they must agree.
    """
    if peer and peer not in proxies:
        return _address(peer)
    by_header = [
        _last([_in_forwarded(one) for one in _parts(forwarded)], proxies),
        _last(_parts(forwarded_for), proxies),
    ]
    said = {address for address, there in zip(by_header, (forwarded, forwarded_for), strict=True) if there}
    return said.pop() if len(said) == 1 else ""


def _last(addresses: list[str], proxies: Collection[str]) -> str:
    for one in reversed(addresses):
        address = _address(one)
        if not address or address not in proxies:
            return address
    return ""


def _parts(headers: Sequence[str]) -> list[str]:
    return [part.strip() for header in headers for part in header.split(",")]


def _in_forwarded(element: str) -> str:
    found = _FOR.search(element)
    return found[1] if found else ""


def _address(text: str) -> str:
    """Return an IP address in its usual form, without a port; "" if it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
