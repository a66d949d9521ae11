"""Posts JSON to a webhook over HTTPS. A status of 2xx confirms the delivery."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any

import httpx

from kiosk import __version__
from kiosk.broker.record.chain import Appended
from kiosk.broker.sinks.sink import APPLICATION, ATTEMPT_SECONDS, CONNECT_SECONDS, TOO_LONG, Addresses, look_up, rest
from kiosk.clock import Deadline
from kiosk.net.http import timeouts


class Webhook:
    """Posts ``{"entries": [...]}``: rows and checkpoints in order, each as in an export."""

    def __init__(self, url: str, tls: ssl.SSLContext, token: str = "") -> None:
        """``token`` is sent as a bearer token unless it is empty."""
        self._headers = {"content-type": "application/json", "user-agent": f"{APPLICATION}/{__version__}"}
        self._headers |= {"authorization": f"Bearer {token}"} if token else {}
        self._url = url
        self._tls = tls

    def send(self, batch: Sequence[Appended], deadline: Deadline) -> None:
        body = b'{"entries":[' + b",".join(item.line() for item in batch) + b"]}"
        # Only an event loop can abandon an endless answer in time.
        with asyncio.Runner(loop_factory=_Loop) as runner:
            try:
                status = runner.run(self._post(body, rest(deadline)))
            except TimeoutError:
                raise TimeoutError(TOO_LONG) from None
        if not httpx.codes.is_success(status):
            raise httpx.HTTPError(f"status {status}")

    async def _post(self, body: bytes, seconds: float) -> int:
        """Return the status. The body is not read, whatever its size."""
        limits = timeouts(CONNECT_SECONDS, ATTEMPT_SECONDS)
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=limits, headers=self._headers) as client,
            client.stream("POST", self._url, content=body) as response,
        ):
            return response.status_code

    def __repr__(self) -> str:
        return "<Webhook>"


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that closes without waiting for a pending name lookup."""

    async def getaddrinfo(self, host: Any, port: Any, **hints: int) -> Addresses:
        return await asyncio.wrap_future(look_up(host, port, **hints))
