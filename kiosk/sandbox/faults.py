"""Fault injection: what the network and the services can do to a client, on the routes that a test chooses."""

from __future__ import annotations

import asyncio
import fnmatch
import re
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Send

from kiosk.clock import Clock
from kiosk.config.types import Section, Text
from kiosk.sandbox.entra.errors import EntraError, sign_in_refusal
from kiosk.sandbox.graph.errors import failure
from kiosk.sandbox.graph.routes import VERSIONS
from kiosk.sandbox.http import Refusal, json_response

_HTML = (
    b"<!DOCTYPE html><html><head><title>Proxy</title></head><body><h1>Please sign in to the network</h1></body></html>"
)
_JSON = (b"content-type", b"application/json")
# A dot separates the steps of a field, but is part of the names of OData's annotations.
_STEPS = re.compile(r"(?<!@odata)\.")
_CHUNK = b"A" * 65_536
# SO_LINGER, switched on with zero seconds: closing the socket sends a reset.
_LINGER_ZERO = struct.pack("ii", 1, 0)

Answer = Callable[[], Awaitable[Response]]


class Fault(Section, frozen=True, kw_only=True):
    """What happens to requests of ``method`` to ``path``.

    ``path`` is a pattern with ``*``, compared with the path alone and with the path, ``?`` and the query. The first
    ``skip`` matching requests are left alone, the next ``times`` (by default all) are hit.

    ``json`` answers with status 200 and ``value``, or with 204 if no value is given.

    ``aadsts`` answers with a refusal of the sign-in service. ``set`` changes the true response: ``field``, a path such
    as ``value.0.id`` (``*`` is every item of a list), gets ``value``, or is removed if no value is given. The value
    ``{self}`` is replaced by the address of the request, ``{twice}`` by the field's list with every item repeated.
    """

    path: Text
    kind: Literal[
        "status",
        "delay",
        "hang",
        "reset",
        "cut",
        "truncated",
        "huge",
        "endless",
        "trickle",
        "html",
        "json",
        "wrong_type",
        "aadsts",
        "set",
    ]
    method: str = "*"
    status: Annotated[int, Meta(ge=400, le=599)] = 503
    retry_after: Annotated[int, Meta(ge=0)] | None = None
    seconds: Annotated[float, Meta(ge=0, le=600)] = 1.0
    megabytes: Annotated[int, Meta(ge=1, le=1024)] = 16
    aadsts: int = 90033
    field: str = ""
    value: Any = msgspec.UNSET
    skip: Annotated[int, Meta(ge=0)] = 0
    times: Annotated[int, Meta(ge=1)] | None = None

    def logged_status(self) -> int:
        """Return the status that the request log shows; 0 if the client gets no response."""
        if self.kind == "status":
            return self.status
        if self.kind == "json" and self.value is msgspec.UNSET:
            return 204
        return 0 if self.kind in {"hang", "reset"} else 200


@dataclass
class _Armed:
    fault: Fault
    id: int
    seen: int = 0
    hits: int = 0

    def strikes(self, request: Request) -> bool:
        """Whether this request is hit. Counts it."""
        fault = self.fault
        if fault.method not in ("*", request.method) or not _matches(request, fault.path):
            return False
        self.seen += 1
        if self.seen <= fault.skip or (fault.times is not None and self.hits >= fault.times):
            return False
        self.hits += 1
        return True


class Faults:
    """The armed faults, and how each kind is played."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._armed: list[_Armed] = []
        self._last_id = 0

    def arm(self, fault: Fault) -> int:
        """Add a fault. Returns the id to disarm it with."""
        self._last_id += 1
        self._armed.append(_Armed(fault, self._last_id))
        return self._last_id

    def disarm(self, number: int | None = None) -> None:
        """Remove one fault, or all."""
        self._armed = [armed for armed in self._armed if number is not None and armed.id != number]

    def listed(self) -> list[dict[str, Any]]:
        """Return the armed faults, each with its number of hits."""
        return [{"id": armed.id, "hits": armed.hits} | msgspec.to_builtins(armed.fault) for armed in self._armed]

    def strike(self, request: Request) -> Fault | None:
        """Return the fault that hits this request, if any."""
        return next((armed.fault for armed in self._armed if armed.strikes(request)), None)

    async def play(self, fault: Fault, request: Request, answer: Answer, receive: Receive, send: Send) -> None:
        """Answer one request with a fault. ``answer`` returns the true response, for faults that alter it."""
        match fault.kind:
            case "status":
                response = self._failure(fault, request)
            case "aadsts":
                response = sign_in_refusal(fault.aadsts).response(request, self._clock.utc())
            case "html":
                response = Response(_HTML, media_type="text/html")
            case "json":
                response = Response(status_code=204) if fault.value is msgspec.UNSET else json_response(fault.value)
            case "delay":
                await self._clock.sleep(fault.seconds)
                response = await answer()
            case "truncated":
                response = await answer()
                response = _with_body(response, _half(response))
            case "wrong_type":
                response = await answer()
                response.headers["content-type"] = "application/octet-stream"
            case "set":
                response = _changed(fault, request, await answer())
            case _:
                await _disturb(fault, answer, receive, send)
                return
        await response(request.scope, receive, send)

    def _failure(self, fault: Fault, request: Request) -> Response:
        if request["path"].lstrip("/").partition("/")[0] in VERSIONS:
            refusal: Refusal = failure(fault.status)
        else:
            error = "temporarily_unavailable" if fault.status >= 500 else "invalid_request"
            words = "A transient error has occurred. Please try again."
            refusal = EntraError(90033, error, words, status=fault.status)
        response = refusal.response(request, self._clock.utc())
        if fault.retry_after is not None:
            response.headers["retry-after"] = str(fault.retry_after)
        return response


def _matches(request: Request, pattern: str) -> bool:
    path = request["path"]
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(f"{path}?{_query(request)}", pattern)


def _query(request: Request) -> str:
    query: bytes = request["query_string"]
    return query.decode("latin-1")


def _half(response: Response) -> bytes:
    return bytes(response.body[: len(response.body) // 2])


def _with_body(response: Response, body: bytes) -> Response:
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(body, response.status_code, headers)


async def _disturb(fault: Fault, answer: Answer, receive: Receive, send: Send) -> None:
    """Play a fault of the connection or of its pace."""
    match fault.kind:
        case "hang":
            await _disconnected(receive)
        case "reset":
            await _reset(receive, send)
        case "cut":
            response = await answer()
            await _start(send, response.status_code, response.raw_headers)
            await send({"type": "http.response.body", "body": _half(response), "more_body": True})
            await _reset(receive, send)
        case "huge":
            await _huge(fault.megabytes, send)
        case "endless":
            await _endless(_CHUNK, 0.0, receive, send)
        case "trickle":
            await _endless(b" ", fault.seconds, receive, send)


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def _disconnected(receive: Receive) -> None:
    """Wait until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reset(receive: Receive, send: Send) -> None:
    """End the connection with a TCP reset.

    ASGI has no message for this. At the outermost layer ``send`` is a method of uvicorn's request cycle, which holds
    the transport; with a linger time of zero, closing is a reset instead of an orderly end.
    """
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()
    await _disconnected(receive)


async def _huge(megabytes: int, send: Send) -> None:
    """Send a JSON document of this size."""
    length = megabytes << 20
    await _start(send, 200, [_JSON, (b"content-length", str(length).encode())])
    opening, closing = b'{"value":"', b'"}'
    await send({"type": "http.response.body", "body": opening, "more_body": True})
    left = length - len(opening) - len(closing)
    while left > 0:
        piece = _CHUNK[: min(left, len(_CHUNK))]
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        # Once the client is gone, uvicorn's send returns at once; this loop would then starve all other requests.
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": closing})


async def _endless(piece: bytes, seconds: float, receive: Receive, send: Send) -> None:
    """Send ``piece`` again and again until the client disconnects."""
    disconnected = asyncio.ensure_future(_disconnected(receive))
    await _start(send, 200, [_JSON])
    try:
        while not disconnected.done():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(seconds)
    finally:
        disconnected.cancel()


def _changed(fault: Fault, request: Request, response: Response) -> Response:
    """Return the response with one field set or removed; unchanged if it is not JSON."""
    try:
        document = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return response
    address = f"https://{request.headers.get('host', '')}{request['path']}?{_query(request)}"
    _set(document, _STEPS.split(fault.field), fault, address)
    return _with_body(response, msgspec.json.encode(document))


def _set(node: Any, path: list[str], fault: Fault, address: str) -> None:
    """Change ``node`` in place: descend along ``path`` and set or remove what is at its end."""
    name, *rest = path
    keys: list[Any] = [name] if isinstance(node, dict) else []
    if isinstance(node, list):
        # From the end, so that removing an item does not move those that follow in the loop.
        keys = [index for index in reversed(range(len(node))) if name in {"*", str(index)}]
    for key in keys:
        child = node.get(key) if isinstance(node, dict) else node[key]
        if rest:
            _set(child, rest, fault, address)
        elif fault.value is msgspec.UNSET:
            node.pop(*([key] if isinstance(node, list) else [key, None]))
        elif fault.value == "{twice}":
            node[key] = [*(child or ()), *(child or ())]
        else:
            node[key] = address if fault.value == "{self}" else fault.value
