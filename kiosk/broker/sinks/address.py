"""Names a sink without the secret that its address may hold."""

from __future__ import annotations

import hashlib
import socket
from urllib.parse import urlsplit

from kiosk.config.broker import SinkSettings

_DIGITS = 8


def sink_name(settings: SinkSettings) -> str:
    """Return the name of a sink for logs, metrics and the table of offsets. Settings that differ have other names.

    Brokers on one database share the offset of a sink that all of them reach; what is on a machine belongs to it. The
    path of a webhook often is its password, so the name has the host and a fingerprint of the address.
    """
    if settings.name:
        return settings.name
    if settings.kind != "webhook":
        name = f"{settings.kind} {settings.url}".strip()
        local = settings.kind in {"file", "journald"} or settings.url.startswith("unix:")
        return f"{name} on {socket.gethostname()}" if local else name
    host = urlsplit(settings.url).netloc.rpartition("@")[2]
    return f"webhook https://{host} {hashlib.sha256(settings.url.encode()).hexdigest()[:_DIGITS]}"


def expected_instead(url: str) -> str:
    """Return what is expected of an address that holds a secret where others would read it, or an empty string."""
    parts = urlsplit(url)
    if "@" in parts.netloc:
        return "expected an address without user or password; a webhook has token_file"
    if parts.query or parts.fragment:
        return "expected an address without a query; a webhook has token_file"
    return ""
