"""Faults on demand: what the network and the services can do to a client, on the routes that a test chooses."""

from __future__ import annotations

import asyncio
import dataclasses
import fnmatch
import socket
import struct
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kiosk.clock import Clock
from kiosk.config.types import Section, Text
from kiosk.sandbox.entra.errors import SIGN_IN_REFUSALS, entra_error_body
from kiosk.sandbox.graph.errors import plain_failure
from kiosk.sandbox.graph.routes import VERSIONS
from kiosk.sandbox.web import Handler, Receive, Request, Response, Send, json_response, send_head, send_response

_HTML = (
    b"<!DOCTYPE html><html><head><title>Proxy</title></head><body><h1>Please sign in to the network</h1></body></html>"
)
_CHUNK = b"A" * 65_536
_LINGER_NOT = struct.pack("ii", 1, 0)


class Fault(Section, frozen=True, kw_only=True):
    """What happens to requests of ``method`` to ``path`` (a pattern with ``*``; it may go on with ``?`` and the query).

    The first ``skip`` of them are left alone, the next ``times`` (all, when not given) suffer.

    ``aadsts`` is a refusal of the sign-in service. ``set`` changes one thing in the true answer: what ``field`` names,
    such as ``value.0.id`` (``*`` for each of a list), becomes ``value``, or goes away where none is given. As a value,
    ``{self}`` stands for the address of the request, and ``{twice}`` for a list with all that was in it twice.
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


@dataclasses.dataclass
class _Armed:
    fault: Fault
    id: int
    seen: int = 0
    hits: int = 0

    def strikes(self, request: Request) -> bool:
        fault = self.fault
        if fault.method not in ("*", request.method) or not _matches(request, fault.path):
            return False
        self.seen += 1
        if self.seen <= fault.skip or (fault.times is not None and self.hits >= fault.times):
            return False
        self.hits += 1
        return True


class Faults:
    """The faults that are armed, and how each of them is played."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._armed: list[_Armed] = []
        self._last_id = 0

    def arm(self, fault: Fault) -> int:
        """Add a fault; returns the number by which it can be taken away."""
        self._last_id += 1
        self._armed.append(_Armed(fault, self._last_id))
        return self._last_id

    def disarm(self, number: int | None = None) -> None:
        """Take one fault away, or all."""
        self._armed = [armed for armed in self._armed if number is not None and armed.id != number]

    def listed(self) -> list[dict[str, Any]]:
        """What is armed, and how often it has struck."""
        return [{"id": armed.id, "hits": armed.hits} | msgspec.to_builtins(armed.fault) for armed in self._armed]

    def strike(self, request: Request) -> Fault | None:
        """The fault that this request meets, if any."""
        return next((armed.fault for armed in self._armed if armed.strikes(request)), None)

    async def play(self, fault: Fault, request: Request, answer: Handler, receive: Receive, send: Send) -> None:
        """Let one request suffer. ``answer`` gives the true answer, for faults that spoil it."""
        match fault.kind:
            case "status":
                await send_response(self._failure(fault, request), send)
            case "delay":
                await self._clock.sleep(fault.seconds)
                await send_response(answer(request), send)
            case "hang":
                await _gone(receive)
            case "reset":
                await _reset(receive, send)
            case "cut":
                response = answer(request)
                await send_head(response, send, len(response.body))
                await send({"type": "http.response.body", "body": _half(response.body), "more_body": True})
                await _reset(receive, send)
            case "truncated":
                response = answer(request)
                await send_response(dataclasses.replace(response, body=_half(response.body)), send)
            case "html":
                await send_response(Response(200, _HTML, {"content-type": "text/html; charset=utf-8"}), send)
            case "wrong_type":
                response = answer(request)
                headers = response.headers | {"content-type": "application/octet-stream"}
                await send_response(dataclasses.replace(response, headers=headers), send)
            case "huge":
                await _huge(fault.megabytes, send)
            case "endless":
                await _endless(_CHUNK, 0.0, receive, send)
            case "trickle":
                await _endless(b" ", fault.seconds, receive, send)
            case "aadsts":
                await send_response(self._refusal(fault, request), send)
            case "set":
                await send_response(_changed(fault, request, answer(request)), send)

    def _refusal(self, fault: Fault, request: Request) -> Response:
        error, suberror, words = SIGN_IN_REFUSALS.get(fault.aadsts, ("invalid_grant", "", "Sign-in was refused."))
        body = entra_error_body(request, self._clock.utc(), fault.aadsts, error, words, suberror=suberror)
        return json_response(body, 400)

    def _failure(self, fault: Fault, request: Request) -> Response:
        first = request.path.lstrip("/").partition("/")[0]
        if first in VERSIONS:
            response = plain_failure(request, self._clock.utc(), fault.status)
        else:
            error = "temporarily_unavailable" if fault.status >= 500 else "invalid_request"
            words = "A transient error has occurred. Please try again."
            body = entra_error_body(request, self._clock.utc(), 90033, error, words)
            response = json_response(body, fault.status)
        if fault.retry_after is not None:
            response.headers["retry-after"] = str(fault.retry_after)
        return response


def _matches(request: Request, pattern: str) -> bool:
    whole = f"{request.path}?{request.query}"
    return fnmatch.fnmatchcase(request.path, pattern) or fnmatch.fnmatchcase(whole, pattern)


def _half(body: bytes) -> bytes:
    return body[: len(body) // 2]


async def _gone(receive: Receive) -> None:
    """Wait until the connection is no more."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reset(receive: Receive, send: Send) -> None:
    """End the connection with a TCP reset.

    ASGI has no word for that. In the outermost layer ``send`` is a method of uvicorn's request cycle, which holds the
    transport; not lingering makes closing a reset instead of an orderly end.
    """
    transport: asyncio.Transport = send.__self__.transport  # type: ignore[attr-defined]
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
    await _gone(receive)


async def _huge(megabytes: int, send: Send) -> None:
    length = megabytes << 20
    await send_head(Response(200, headers={"content-type": "application/json"}), send, length)
    await send({"type": "http.response.body", "body": b'{"value":"', "more_body": True})
    left = length - 12
    while left > 0:
        piece = _CHUNK[: min(left, len(_CHUNK))]
        left -= len(piece)
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        # uvicorn waits only while the client is there; without this, a fast loop would starve everybody else.
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b'"}'})


async def _endless(piece: bytes, seconds: float, receive: Receive, send: Send) -> None:
    """Send without end, until the client has had enough."""
    gone = asyncio.ensure_future(_gone(receive))
    await send_head(Response(200, headers={"content-type": "application/json"}), send, None)
    try:
        while not gone.done():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            await asyncio.sleep(seconds)
    finally:
        gone.cancel()


def _changed(fault: Fault, request: Request, response: Response) -> Response:
    """The true answer with one field replaced or removed; one that is no JSON object stays as it is."""
    try:
        body = msgspec.json.decode(response.body)
    except msgspec.DecodeError:
        return response
    _set(
        body, fault.field.split("."), fault, f"https://{request.headers.get('host', '')}{request.path}?{request.query}"
    )
    return dataclasses.replace(response, body=msgspec.json.encode(body))


def _set(inside: Any, path: list[str], fault: Fault, here: str) -> None:
    name, *rest = path
    chosen: list[Any] = [name] if isinstance(inside, dict) else []
    if isinstance(inside, list):
        chosen = [at for at in range(len(inside)) if name in {"*", str(at)}]
    for key in chosen:
        if rest:
            _set(inside.get(key) if isinstance(inside, dict) else inside[key], rest, fault, here)
        elif fault.value is msgspec.UNSET:
            inside.pop(*([key] if isinstance(inside, list) else [key, None]))
        elif fault.value == "{twice}":
            inside[key] = [*inside.get(key, ()), *inside.get(key, ())]
        else:
            inside[key] = here if fault.value == "{self}" else fault.value
