"""How our programs open connections: own timeouts, bounded answers, nothing from the environment."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from kiosk.net.tls import tls_context

UNIX_PREFIX = "unix:"
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 15.0
_LARGEST_ANSWER = 1 << 20
# Servers drop a connection that was idle for some seconds; ours is given up first, or a question would meet its end.
_LIMITS = httpx.Limits(keepalive_expiry=2.0)

_BEARER = re.compile(r"[!-~]+")


def timeouts(connect: float = _CONNECT_SECONDS, read: float = _READ_SECONDS) -> httpx.Timeout:
    """Seconds for one connection and for one read, write or wait for a connection."""
    return httpx.Timeout(read, connect=connect)


def service_client(url: str, ca_bundle: Path | None = None, timeout: httpx.Timeout | None = None) -> httpx.AsyncClient:
    """A client for our own broker, over ``unix:/path`` or ``https://host``."""
    timeout = timeout or timeouts(read=60)
    if url.startswith(UNIX_PREFIX):
        transport = httpx.AsyncHTTPTransport(uds=url.removeprefix(UNIX_PREFIX), limits=_LIMITS)
        return httpx.AsyncClient(transport=transport, base_url="http://broker", trust_env=False, timeout=timeout)
    return httpx.AsyncClient(
        base_url=url, verify=tls_context(ca_bundle), trust_env=False, timeout=timeout, limits=_LIMITS, http2=False
    )


def can_be_sent(token: str) -> bool:
    """Whether HTTP allows a token in a header: visible ASCII characters, without blanks."""
    return _BEARER.fullmatch(token) is not None


def cause_of(error: Exception) -> str:
    """What went wrong with a connection, for a log; of a breach of HTTP only the kind.

    Its words quote what was to be sent, with a token in it, or what came, which may be anything.
    """
    kind = type(error).__name__
    return kind if isinstance(error, httpx.ProtocolError) else f"{kind}: {error}"


def read_limited(response: httpx.Response, limit: int = _LARGEST_ANSWER) -> bytes:
    """The body, of which an honest one never has more than ``limit`` bytes. Raises httpx.HTTPError."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > limit:
            raise httpx.DecodingError(f"an answer of more than {limit} bytes")
    return bytes(body)


async def aread_limited(response: httpx.Response, limit: int = _LARGEST_ANSWER) -> bytes:
    """The same for a streamed asynchronous response. Raises httpx.HTTPError."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > limit:
            raise httpx.DecodingError(f"an answer of more than {limit} bytes")
    return bytes(body)
