"""The HTTP client that MSAL uses in place of requests."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

import httpx

from kiosk.net.http import aread_limited, retry_after, timeouts

_TOTAL_SECONDS = 30.0

Result = TypeVar("Result")


class Busy(httpx.HTTPError):
    """A service answered with status 429 or 5xx. ``retry_after`` is its Retry-After in seconds, if any."""

    def __init__(self, status: int, retry_after: float | None) -> None:
        super().__init__(f"status {status}")
        self.retry_after = retry_after


class Rejected(httpx.HTTPError):
    """The authority refused to describe itself, as for an unknown tenant. ``answer`` is the OAuth error."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("the authority refused to describe itself")
        self.answer = answer


class MsalHttp:
    """Sends the requests of MSAL.

    A plain httpx client does not fit MSAL: it sends None values and bytes in form data as their text. Answers with 429
    or 5xx are raised as Busy, because MSAL would cache them and replay them for a minute. A refused discovery is raised
    as Rejected, because MSAL would turn it into a ValueError.

    MSAL blocks in a thread while its requests run on the event loop. Only there can a request be cancelled when name
    resolution hangs or an answer never ends. Each request has its own connection.
    """

    def __init__(
        self, context: ssl.SSLContext, timeout: httpx.Timeout | None = None, total_seconds: float = _TOTAL_SECONDS
    ) -> None:
        """Silence MSAL's log. Each request raises TimeoutError after ``total_seconds``."""
        close_msal_log()
        self._context = context
        self._timeout = timeout or timeouts()
        self._total_seconds = total_seconds
        self.loop: asyncio.AbstractEventLoop | None = None

    async def run(self, call: Callable[[], Result]) -> Result:
        """Return the result of a call of MSAL, made in its own thread.

        The event loop's thread pool could deadlock: it also resolves names for the requests that these calls wait for.
        """
        self.loop = asyncio.get_running_loop()
        done: Future[Result] = Future()

        def work() -> None:
            try:
                result = call()
            except BaseException as error:
                done.set_exception(error)
            else:
                done.set_result(result)

        done.set_running_or_notify_cancel()
        threading.Thread(target=work, name="msal", daemon=True).start()
        return await asyncio.wrap_future(done)

    def get(
        self, url: str, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None, **_: object
    ) -> MsalResponse:
        response = self._request("GET", url, params=_plain(params), headers=headers)
        if response.status_code >= httpx.codes.BAD_REQUEST and (answer := _oauth_error(response.text)):
            raise Rejected(answer)
        return response

    def post(
        self,
        url: str,
        params: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> MsalResponse:
        return self._request("POST", url, params=_plain(params), data=_plain(data), headers=headers)

    def close(self) -> None:
        """Do nothing: MSAL calls this, but no connection stays open."""

    def _request(self, method: str, url: str, **arguments: Any) -> MsalResponse:
        assert self.loop is not None, "run comes first"
        return asyncio.run_coroutine_threadsafe(self._send(method, url, **arguments), self.loop).result()

    async def _send(self, method: str, url: str, **arguments: Any) -> MsalResponse:
        async with (
            asyncio.timeout(self._total_seconds),
            httpx.AsyncClient(verify=self._context, trust_env=False, timeout=self._timeout) as client,
            client.stream(method, url, **arguments) as response,
        ):
            if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
                raise Busy(response.status_code, retry_after(response.headers))
            return MsalResponse(response, await aread_limited(response))


class MsalResponse:
    """The attributes of a response that MSAL reads, as the requests library provides them."""

    def __init__(self, response: httpx.Response, body: bytes) -> None:
        self.status_code = response.status_code
        self.headers = dict(response.headers)
        self.text = body.decode("utf-8", "replace")

    def raise_for_status(self) -> None:
        if self.status_code >= httpx.codes.BAD_REQUEST:
            raise httpx.HTTPError(f"status {self.status_code}")


def close_msal_log() -> None:
    """Silence MSAL's loggers: when MSAL cannot read an answer, it logs the whole answer, token included."""
    logging.getLogger("msal").setLevel(logging.CRITICAL + 1)


def _oauth_error(text: str) -> dict[str, Any]:
    """Return an OAuth error, empty if the text is none."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) and isinstance(answer.get("error"), str) else {}


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in values.items()
        if value is not None
    }
