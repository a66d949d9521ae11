"""The headers of every answer, and what the headers of a request say about who sent it."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

_PREFETCH = ("sec-purpose", "purpose", "x-purpose", "x-moz")


def security_headers() -> dict[str, str]:
    """Return the headers of every answer."""
    policy = {
        "default-src": "'none'",
        "style-src": "'self'",
        "script-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "strict-transport-security": "max-age=63072000",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        # Nothing leaves for other sites. With ``no-referrer``, browsers would send "Origin: null" with our own forms.
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "x-robots-tag": "noindex, nofollow",
        "cache-control": "no-store",
    }


def origin_of(address: str) -> str:
    """Return scheme, host and port of an address, as browsers write them in ``Origin``."""
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port and parts.port != 443 else ""
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether a browser fetches a page that nobody has asked for yet."""
    return any("prefetch" in headers.get(name, "").lower() for name in _PREFETCH)


def is_navigation(headers: Mapping[str, str]) -> bool:
    """Whether a browser opens the page for somebody to see: crawlers and previews of links do not say so."""
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"


def is_our_own(headers: Mapping[str, str], origin: str) -> bool:
    """Whether a form was sent from a page of this origin. Every browser says so in one of these headers."""
    site = headers.get("sec-fetch-site")
    return site == "same-origin" if site is not None else headers.get("origin") == origin
