"""Checks an address before it is shown to be typed or scanned."""

from __future__ import annotations

from kiosk.text import clean

LONGEST_ADDRESS = 200


def fault_of(address: str) -> str:
    """Return why an address cannot be shown; empty if it can."""
    scheme, _, rest = address.partition("://")
    if scheme.lower() != "https":
        return f"is not https: {clean(address, 40)}"
    if len(address) > LONGEST_ADDRESS:
        return f"has {len(address)} characters"
    if not rest.partition("/")[0]:
        return "names no host"
    return "has characters that no address has" if " " in address or clean(address, LONGEST_ADDRESS) != address else ""
