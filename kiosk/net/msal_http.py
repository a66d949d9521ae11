"""The HTTP client under MSAL, in place of requests."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import httpx

from kiosk.net.http import aread_limited, timeouts

_TOTAL_SECONDS = 30.0

Result = TypeVar("Result")

# MSAL logs, as an error, every answer that it cannot read, with whatever token is in it.
logging.getLogger("msal").addHandler(logging.NullHandler())
logging.getLogger("msal").propagate = False


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


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in values.items()
        if value is not None
    }
