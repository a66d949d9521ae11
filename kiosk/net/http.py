"""Builds HTTP clients with timeouts, and reads limited answers. Ignores the environment."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from kiosk.net.tls import no_authorities, tls_context

UNIX_PREFIX = "unix:"
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 15.0
_LARGEST_ANSWER = 1 << 20
_LONGEST_WAIT = 3600.0
# Expire idle connections before the server does, or a request could hit a closing connection.
_KEEPALIVE_SECONDS = 2.0

# Parts of OpenSSL's names of alerts, which end in such a part or go on with _EXPIRED, _REVOKED, _REQUIRED or _UNKNOWN.
_CERTIFICATE_ALERTS = (
    "ALERT_CERTIFICATE",
    "ALERT_BAD_CERTIFICATE",
    "ALERT_UNSUPPORTED_CERTIFICATE",
    "ALERT_NO_CERTIFICATE",
    "ALERT_UNKNOWN_CA",
    "ALERT_ACCESS_DENIED",
    # A certificate whose signature is not that of the authority with its issuer's name.
    "ALERT_DECRYPT_ERROR",
)

_BEARER = re.compile(r"[!-~]+")


def timeouts(connect: float = _CONNECT_SECONDS, read: float = _READ_SECONDS) -> httpx.Timeout:
    """Return timeouts in seconds: to connect, and for each read, each write and each wait for a free connection."""
    return httpx.Timeout(read, connect=connect)


def service_client(
    url: str,
    ca_bundle: Path | None = None,
    timeout: httpx.Timeout | None = None,
    *,
    certificate: Path | None = None,
    key: Path | None = None,
    most: int | None = None,
) -> httpx.AsyncClient:
    """Return a client for our broker at ``unix:/path`` or ``https://host``. Raises ConfigError.

    ``certificate`` and ``key`` tell the broker who asks, over https. It opens at most ``most`` connections at a time.
    """
    limits = httpx.Limits(max_connections=most, keepalive_expiry=_KEEPALIVE_SECONDS)
    timeout = timeout or timeouts(read=60)
    if url.startswith(UNIX_PREFIX):
        path = url.removeprefix(UNIX_PREFIX)
        transport = httpx.AsyncHTTPTransport(uds=path, verify=no_authorities(), trust_env=False, limits=limits)
        return httpx.AsyncClient(transport=transport, base_url="http://broker", trust_env=False, timeout=timeout)
    return httpx.AsyncClient(
        base_url=url,
        verify=tls_context(ca_bundle, certificate, key),
        trust_env=False,
        timeout=timeout,
        limits=limits,
        http2=False,
    )


def can_be_sent(token: str) -> bool:
    """Whether HTTP allows this token in a header: visible ASCII characters, no spaces."""
    return _BEARER.fullmatch(token) is not None


def cause_of(error: Exception) -> str:
    """Return a description of a connection error for a log.

    Leaves out the message of a protocol error: it may quote the answer, or the request with its token.
    """
    kind = type(error).__name__
    return kind if isinstance(error, httpx.ProtocolError) else f"{kind}: {error}"


def untrusted(error: BaseException | None) -> str:
    """Return why the certificate of a server was not accepted, or "" if a request failed for another reason."""
    while error:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"certificate not accepted: {error.verify_message}"
        error = error.__cause__ or error.__context__
    return ""


def refused_certificate(error: BaseException | None) -> str:
    """Return why a server did not accept our certificate, or that we have none; "" if a request failed otherwise.

    Such a server ends the connection with an alert, often only after our side of the handshake is complete.
    """
    while error:
        if isinstance(error, ssl.SSLError) and any(name in (error.reason or "") for name in _CERTIFICATE_ALERTS):
            return f"the server refused our certificate: {error.reason}"
        error = error.__cause__ or error.__context__
    return ""


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After header, an hour at most, or None if it is missing or invalid.

    A date counts from the server's own Date, because its clock may differ from ours.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _LONGEST_WAIT)
    try:
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("date", ""))
    except (TypeError, ValueError, OverflowError):
        return None
    return min(max(wait.total_seconds(), 0.0), _LONGEST_WAIT)


def read_limited(response: httpx.Response, limit: int = _LARGEST_ANSWER) -> bytes:
    """Return the body of a response. Raises httpx.HTTPError, for example if it is longer than ``limit`` bytes."""
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > limit:
            raise httpx.DecodingError(f"an answer of more than {limit} bytes")
    return bytes(body)


async def aread_limited(response: httpx.Response, limit: int = _LARGEST_ANSWER) -> bytes:
    """Return the body of a streamed asynchronous response, as ``read_limited`` does. Raises httpx.HTTPError."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > limit:
            raise httpx.DecodingError(f"an answer of more than {limit} bytes")
    return bytes(body)
