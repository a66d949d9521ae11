"""Sends requests to Microsoft Graph: with an access token, retries and a limit on the time of all of them."""

from __future__ import annotations

import logging
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from kiosk import __version__
from kiosk.broker.graph.credential import Credential
from kiosk.broker.logs import event
from kiosk.broker.metrics import Metrics
from kiosk.clock import Clock, Deadline
from kiosk.config.broker import GraphSettings
from kiosk.errors import (
    EntraUnavailable,
    GraphFailed,
    GraphGarbled,
    GraphNoPermission,
    GraphNoRole,
    GraphRefused,
    GraphThrottled,
    GraphUnavailable,
    GraphUntrusted,
    KioskError,
)
from kiosk.net.http import cause_of, retry_after, timeouts, untrusted
from kiosk.net.tls import tls_context
from kiosk.secret import overwrite, zero
from kiosk.text import clean

_NO_PERMISSION = frozenset({"Forbidden", "Authorization_RequestDenied"})
_RETRIED = frozenset({429, 500, 502, 503, 504})
_LARGEST_BODY = 4 << 20
_LONGEST_ID = 64
# However long an answer asks to wait, Graph is asked again after so many seconds.
_LONGEST_PAUSE = 300.0
# How the JSON value null begins.
_NULL = ord("n")
_RANDOM = secrets.SystemRandom()


class NotFound(Exception):
    """Graph answered 404, or 204 where the result may be null. What that means depends on the request."""


@dataclass
class CallBudget:
    """Limits the time of all requests to Graph for one request of a kiosk, and keeps the ids of the last one."""

    deadline: Deadline
    client_request_id: str = ""
    request_id: str = ""

    def part(self, seconds: float) -> CallBudget:
        """Return a budget of at most so many seconds within this one. Its requests leave the ids of this one alone."""
        clock = self.deadline.clock
        return CallBudget(Deadline(clock, min(self.deadline.at, clock.now() + seconds)))

    def label(self, error: KioskError) -> None:
        """Name the last request in an error that came after it."""
        error.came_after(client_request_id=self.client_request_id, request_id=self.request_id)


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait before a retry: random, at most ``first`` doubled with each retry, and never above ``most``."""

    first: float = 0.5
    most: float = 8.0
    tries: int = 5

    def wait(self, tried: int) -> float:
        return _RANDOM.uniform(0.0, min(self.most, self.first * 2**tried))


@dataclass(frozen=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    body: bytearray


class GraphHttp:
    """Sends GET requests to Graph. They change nothing there, so each may be retried.

    After Graph has asked one request to wait (429 with Retry-After), none is sent until that time is over: Graph counts
    all of them against the same application.
    """

    def __init__(
        self,
        settings: GraphSettings,
        credential: Credential,
        clock: Clock,
        backoff: Backoff,
        metrics: Metrics | None = None,
    ) -> None:
        self._settings = settings
        self._credential = credential
        self._clock = clock
        self._backoff = backoff
        self._metrics = metrics or Metrics(clock)
        self._pause = Deadline.after(clock, 0)
        self._client = httpx.AsyncClient(
            verify=tls_context(settings.ca_bundle),
            trust_env=False,
            timeout=timeouts(settings.connect_seconds, settings.read_seconds),
            follow_redirects=False,
        )

    def budget(self) -> CallBudget:
        """Return a new budget with the configured time."""
        return CallBudget(Deadline.after(self._clock, self._settings.total_seconds))

    async def close(self) -> None:
        await self._client.aclose()
        self._credential.close()

    async def get(self, budget: CallBudget, url: str, *, nullable: bool = False) -> bytearray:
        """Return the JSON body of a good response. The caller owns it and may wipe it.

        ``nullable``: the result may be null, which OData says with status 204. Raises NotFound, GraphUnavailable,
        GraphThrottled, GraphRefused, GraphGarbled, or an error of Entra ID.
        """
        renewed = False
        tried = 0
        while True:
            await self._wait_out(budget)
            try:
                response = await self._send(budget, url)
                if response.status == httpx.codes.OK:
                    return _json_body(response)
                if response.status == httpx.codes.NO_CONTENT and nullable:
                    raise NotFound("Graph: status 204")
                if response.status == httpx.codes.UNAUTHORIZED and not renewed and not _forbidden(response.body):
                    renewed = True
                    self._credential.forget()
                    continue
                error = _error(response)
                if isinstance(error, GraphThrottled):
                    self._note_pause(error.retry_after or 0.0)
                retried = response.status in _RETRIED
            except (httpx.TransportError, TimeoutError) as broken:
                self._metrics.answer("graph", type(broken).__name__)
                if reason := untrusted(broken):
                    raise GraphUntrusted(f"Graph: {reason}") from None
                error = GraphUnavailable(f"Graph: {cause_of(broken)}")
                retried = True
            tried += 1
            wait = max(self._backoff.wait(tried), error.retry_after or 0.0)
            if not retried or tried >= self._backoff.tries or wait >= budget.deadline.left():
                raise error
            await self._clock.sleep(wait)

    def _note_pause(self, seconds: float) -> None:
        pause = Deadline.after(self._clock, min(seconds, _LONGEST_PAUSE))
        self._pause = max(self._pause, pause, key=lambda each: each.at)

    async def _wait_out(self, budget: CallBudget) -> None:
        """Wait until Graph may be asked again. Raises GraphThrottled, without waiting, if that is too late."""
        while left := self._pause.left():
            # Not all at once, when the pause is over.
            wait = left + self._backoff.wait(0)
            if wait >= budget.deadline.left():
                raise GraphThrottled("Graph: asked to wait by an earlier answer", retry_after=left)
            await self._clock.sleep(wait)

    async def _token(self, budget: CallBudget) -> str:
        try:
            async with budget.deadline.limit():
                return await self._credential.token()
        except TimeoutError:
            raise EntraUnavailable("Entra ID: no answer in time") from None

    async def _send(self, budget: CallBudget, url: str) -> _Response:
        budget.client_request_id = str(uuid.uuid4())
        budget.request_id = ""
        token = await self._token(budget)
        async with budget.deadline.limit():
            headers = {
                "authorization": f"Bearer {token}",
                "accept": "application/json",
                # A compressed body would leave a second copy of a key in the decompressor.
                "accept-encoding": "identity",
                "client-request-id": budget.client_request_id,
                "user-agent": f"recovery-kiosk/{__version__}",
            }
            call, begun = _call(url), self._clock.now()
            with self._metrics.call("graph", call):
                async with self._client.stream("GET", url, headers=headers) as stream:
                    budget.request_id = clean(stream.headers.get("request-id"), _LONGEST_ID)
                    response = _Response(stream.status_code, stream.headers, await _read(stream))
            self._metrics.answer("graph", str(response.status))
            event(
                "graph.asked",
                logging.DEBUG,
                call=call,
                status=response.status,
                seconds=self._clock.now() - begun,
                client_request_id=budget.client_request_id,
                request_id=budget.request_id,
            )
            return response


def _call(url: str) -> str:
    """Return the word by which metrics and log name the kind of request."""
    parts = httpx.URL(url).path.rstrip("/").split("/")
    last = parts[-1].lower()
    if "manageddeviceencryptionstates" in "".join(parts[-2:-1]).lower():
        return "encryption"
    return {"manageddevices": "devices", "users": "users", "getfilevaultkey": "key"}.get(last, "device")


def _json_body(response: _Response) -> bytearray:
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise GraphGarbled(f"Graph: an answer of type {clean(kind)!r}")
    if _reports_error(response.body):
        error = _error(response)
        zero(response.body)
        raise error
    return response.body


class _Report(msgspec.Struct):
    # Raw points into the body: a key beside it is not copied.
    error: msgspec.Raw = msgspec.Raw(b"null")


def _reports_error(body: bytearray) -> bool:
    """Whether a body says that the request failed, whatever its status."""
    try:
        return memoryview(msgspec.json.decode(body, type=_Report).error)[0] != _NULL
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        # Whoever reads it says in what way it is malformed.
        return False


async def _read(response: httpx.Response) -> bytearray:
    """Return the body in one buffer that can be wiped, and wipe the pieces that it arrived in."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_raw():
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST_BODY:
            raise GraphGarbled(f"Graph: an answer of more than {_LARGEST_BODY} bytes")
    # Allocated once in its full size: a buffer that grows moves, and leaves copies behind.
    body = bytearray(size)
    at = 0
    for piece in pieces:
        body[at : at + len(piece)] = piece
        at += len(piece)
        overwrite(piece)
    return body


def _error(response: _Response) -> KioskError:
    """Return the error of a response, with Graph's words only in its cause. Raises NotFound for 404."""
    cause = f"Graph: status {response.status} {_words(response.body)}".strip()
    match response.status:
        case 404:
            raise NotFound(cause)
        case 200 | 401 | 403 if _forbidden(response.body):
            return GraphNoRole(cause)
        case 200 | 403 if _code(response.body) in _NO_PERMISSION:
            return GraphNoPermission(cause)
        case 401 | 403:
            return GraphRefused(cause)
        case 429:
            return GraphThrottled(cause, retry_after=retry_after(response.headers))
        case status if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return GraphUnavailable(cause, retry_after=retry_after(response.headers))
        case 200:
            return GraphFailed(cause)
        case _:
            return GraphFailed(cause) if _code(response.body) else GraphGarbled(cause)


def _object(text: bytearray | str) -> dict[str, Any]:
    """Return a JSON object, empty if the text is anything else."""
    try:
        decoded = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _forbidden(body: bytearray) -> bool:
    """Whether Intune denies a right. It answers 401 for that, with "Forbidden" in JSON inside the error's message."""
    inner = _object(body).get("error")
    message = inner.get("message") if isinstance(inner, dict) else None
    code = _object(message).get("ErrorCode") if isinstance(message, str) else None
    return code == "Forbidden"


def _code(body: bytearray) -> str:
    inner = _object(body).get("error")
    return clean(inner.get("code")) if isinstance(inner, dict) else ""


def _words(body: bytearray) -> str:
    return _code(body) + (" (Forbidden)" if _forbidden(body) else "")
