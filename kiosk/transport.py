"""How our programs open connections: own timeouts, bounded answers, nothing from the environment."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import httpx

from kiosk.tls import tls_context

UNIX_PREFIX = "unix:"
_CONNECT_SECONDS = 5.0
_READ_SECONDS = 15.0
_TOTAL_SECONDS = 30.0
_LARGEST_ANSWER = 1 << 20
# Servers drop a connection that was idle for some seconds; ours is given up first, or a question would meet its end.
_LIMITS = httpx.Limits(keepalive_expiry=2.0)

_BEARER = re.compile(r"[!-~]+")

Result = TypeVar("Result")

# MSAL logs, as an error, every answer that it cannot read, with whatever token is in it.
logging.getLogger("msal").addHandler(logging.NullHandler())
logging.getLogger("msal").propagate = False


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


class Busy(httpx.HTTPError):
    """A service that cannot answer now (429 or 5xx); ``retry_after`` are the seconds that it asks for, if any."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"status {status}")
        self.retry_after = retry_after


class MsalHttp:
    """The HTTP client that MSAL is given, in place of requests.

    A bare httpx client breaks MSAL in two ways: None values and bytes in form data are sent as their text. And MSAL
    replays a 429 or 5xx for a minute without asking again, so such an answer never reaches it; it is raised as Busy.

    MSAL waits in a thread while its questions are asked on the event loop: only there can an answer that never ends, or
    a name that is never found, be given up in time. Each question has a connection of its own.
    """

    def __init__(
        self, context: ssl.SSLContext, timeout: httpx.Timeout | None = None, total_seconds: float = _TOTAL_SECONDS
    ) -> None:
        """``total_seconds`` bound one whole question; a TimeoutError says that they are over."""
        self._context = context
        self._timeout = timeout or timeouts()
        self._total_seconds = total_seconds
        self.loop: asyncio.AbstractEventLoop | None = None

    async def run(self, ask: Callable[[], Result]) -> Result:
        """Do in a thread what asks by way of MSAL.

        In one of its own: the pool of the event loop finds names for the questions that these threads wait for.
        """
        self.loop = asyncio.get_running_loop()
        answer: Future[Result] = Future()

        def work() -> None:
            try:
                result = ask()
            except BaseException as error:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        answer.set_running_or_notify_cancel()
        threading.Thread(target=work, name="msal", daemon=True).start()
        return await asyncio.wrap_future(answer)

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

    def close(self) -> None:
        """Part of what MSAL expects; nothing stays open here."""

    def _ask(self, method: str, url: str, **arguments: Any) -> MsalResponse:
        assert self.loop is not None, "run comes first"
        return asyncio.run_coroutine_threadsafe(self._send(method, url, **arguments), self.loop).result()

    async def _send(self, method: str, url: str, **arguments: Any) -> MsalResponse:
        async with (
            asyncio.timeout(self._total_seconds),
            httpx.AsyncClient(verify=self._context, trust_env=False, timeout=self._timeout) as client,
            client.stream(method, url, **arguments) as response,
        ):
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
                raise Busy(response.status_code, retry_after(response))
            return MsalResponse(response, await aread_limited(response))


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
