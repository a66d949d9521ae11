"""The little HTTP that the sandbox needs: a request as one value, a response as one value, routes between them.

Plain ASGI: handlers are ordinary functions, because everything they touch is in memory.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import msgspec

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Scope = MutableMapping[str, Any]

_LARGEST_REQUEST = 1 << 20


@dataclass(frozen=True)
class Request:
    """One request, wholly read. The body may hold secrets and stays out of the repr."""

    method: str
    path: str
    query: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    client: str = ""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def client_request_id(self) -> str:
        """The client's own id for this request; ours where it sent none, as the real services answer."""
        return self.headers.get("client-request-id", "") or self.id

    def parameters(self) -> dict[str, str]:
        """The query, decoded."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """The body as a form, decoded; empty when it is none."""
        try:
            return dict(parse_qsl(self.body.decode(), keep_blank_values=True))
        except ValueError:
            return {}

    def cookie(self, name: str) -> str:
        """The value of one cookie, or nothing."""
        pairs = (pair.strip().partition("=") for pair in self.headers.get("cookie", "").split(";"))
        return next((value for key, _, value in pairs if key == name), "")

    def bearer(self) -> str:
        """The bearer token, or nothing."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""


@dataclass
class Response:
    """One answer."""

    status: int = 200
    body: bytes = field(default=b"", repr=False)
    headers: dict[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """Ends the handling of a request with a ready answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"status {response.status}")
        self.response = response


Handler = Callable[..., Response]


def json_response(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON that no cache keeps."""
    plain = {"content-type": "application/json; charset=utf-8", "cache-control": "no-store"}
    return Response(status, msgspec.json.encode(value), plain | dict(headers or {}))


class Routes:
    """Which handler answers which method and path; ``{name}`` in a pattern is one segment, handed over by name."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        """Add a route. The first that fits answers."""
        parts = re.split(r"\{(\w+)\}", pattern)
        regex = "".join(f"(?P<{part}>[^/]+)" if at % 2 else re.escape(part) for at, part in enumerate(parts))
        self._routes.append((method, re.compile(regex + r"/?"), handler))

    def answer(self, request: Request) -> Response | None:
        """The answer of the route that fits; None when the path is not ours."""
        others = []
        for method, pattern, handler in self._routes:
            if match := pattern.fullmatch(request.path):
                if method == request.method:
                    return handler(request, **match.groupdict())
                others.append(method)
        if others:
            return Response(405, headers={"allow": ", ".join(sorted(set(others)))})
        return None


async def read_request(scope: Scope, receive: Receive) -> Request | None:
    """Read a whole request; None when the client went away. Raises Refusal when it sends more than anybody needs."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > _LARGEST_REQUEST:
            raise Refusal(Response(413, headers={"connection": "close"}))
        if not message.get("more_body", False):
            break
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    client = scope.get("client")
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=bytes(body),
        client=client[0] if client else "",
    )


async def send_response(response: Response, send: Send) -> None:
    """Send a whole answer."""
    await send_head(response, send, len(response.body))
    await send({"type": "http.response.body", "body": response.body})


async def send_head(response: Response, send: Send, length: int | None) -> None:
    """Send status and headers, with a promise of ``length`` bytes, or chunked."""
    headers = dict(response.headers)
    if length is not None and response.status not in {204, 304}:
        headers["content-length"] = str(length)
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": response.status, "headers": raw})
