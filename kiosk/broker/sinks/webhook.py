"""A webhook: HTTPS POST of JSON, taken as delivered when the answer is 2xx."""

from __future__ import annotations

import ssl
from collections.abc import Sequence

import httpx

from kiosk import __version__
from kiosk.broker.chain import Appended
from kiosk.broker.sinks.sink import APPLICATION, CONNECT_SECONDS, SEND_SECONDS
from kiosk.transport import read_limited, timeouts


class Webhook:
    """``{"entries": [...]}``, the rows and checkpoints in order, each as it is in an export."""

    def __init__(self, url: str, tls: ssl.SSLContext, token: str = "") -> None:
        """``token`` is sent as a bearer token, if there is one."""
        headers = {"content-type": "application/json", "user-agent": f"{APPLICATION}/{__version__}"}
        headers |= {"authorization": f"Bearer {token}"} if token else {}
        self._url = url
        self._client = httpx.Client(
            verify=tls, trust_env=False, timeout=timeouts(CONNECT_SECONDS, SEND_SECONDS), headers=headers
        )

    def send(self, batch: Sequence[Appended]) -> None:
        body = b'{"entries":[' + b",".join(item.line() for item in batch) + b"]}"
        with self._client.stream("POST", self._url, content=body) as response:
            read_limited(response)
        if not response.is_success:
            raise httpx.HTTPError(f"status {response.status_code}")

    def close(self) -> None:
        self._client.close()

    def __repr__(self) -> str:
        return "<Webhook>"
