"""How our programs open connections: own timeouts, bounded answers, nothing from the environment."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from kiosk.tls import tls_context

UNIX_PREFIX = "unix:"
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 15.0
_LARGEST_ANSWER = 1 << 20


def timeouts(connect: float = _CONNECT_SECONDS, read: float = _READ_SECONDS) -> httpx.Timeout:
    """Seconds for one connection and for one read, write or wait for a connection."""
    return httpx.Timeout(read, connect=connect)


def service_client(url: str, ca_bundle: Path | None = None) -> httpx.AsyncClient:
    """A client for our own broker, over ``unix:/path`` or ``https://host``."""
    if url.startswith(UNIX_PREFIX):
        transport = httpx.AsyncHTTPTransport(uds=url.removeprefix(UNIX_PREFIX))
        return httpx.AsyncClient(
            transport=transport, base_url="http://broker", trust_env=False, timeout=timeouts(read=60)
        )
    return httpx.AsyncClient(
        base_url=url, verify=tls_context(ca_bundle), trust_env=False, timeout=timeouts(read=60), http2=False
    )


class Busy(httpx.HTTPError):
    """A service that cannot answer now (429 or 5xx); ``retry_after`` are the seconds that it asks for, if any."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"status {status}")
        self.retry_after = retry_after


class MsalHttp:
    """The HTTP client that MSAL is given, in place of requests.

    A bare httpx client breaks MSAL in two ways: None values and bytes in form data are sent as their text. And MSAL
    replays a 429 or 5xx for a minute without asking again, so such an answer never reaches it; it is raised as Busy.
    """

    def __init__(self, context: ssl.SSLContext, timeout: httpx.Timeout | None = None) -> None:
        self._client = httpx.Client(verify=context, trust_env=False, timeout=timeout or timeouts())

    def get(
        self, url: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> MsalResponse:
        return self._ask("GET", url, params=_plain(params), headers=headers)

    def post(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> MsalResponse:
        return self._ask("POST", url, params=_plain(params), data=_plain(data), headers=headers)

    def _ask(self, method: str, url: str, **arguments: Any) -> MsalResponse:
        with self._client.stream(method, url, **arguments) as response:
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
                raise Busy(response.status_code, retry_after(response))
            return MsalResponse(response, read_limited(response))

    def close(self) -> None:
        self._client.close()


class MsalResponse:
    """The part of a requests response that MSAL looks at."""

    def __init__(self, response: httpx.Response, body: bytes) -> None:
        self.status_code = response.status_code
        self.headers = dict(response.headers)
        self.text = body.decode("utf-8", "replace")

    def raise_for_status(self) -> None:
        if self.status_code >= httpx.codes.BAD_REQUEST:
            raise httpx.HTTPError(f"status {self.status_code}")


def retry_after(response: httpx.Response) -> float | None:
    """The seconds of a Retry-After header; its other form, a date, is not taken: our clocks may differ."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


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


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in values.items()
        if value is not None
    }
