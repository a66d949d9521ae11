"""One question to Microsoft Graph, with all that it may take: a token, a second token, retries, a limit on time."""

from __future__ import annotations

import asyncio
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
    GraphGarbled,
    GraphNoPermission,
    GraphNoRole,
    GraphRefused,
    GraphThrottled,
    GraphUnavailable,
    KioskError,
)
from kiosk.net.http import cause_of, retry_after, timeouts
from kiosk.net.tls import tls_context
from kiosk.secret import overwrite
from kiosk.text import clean

_NO_PERMISSION = frozenset({"Forbidden", "Authorization_RequestDenied"})
_RETRIED = frozenset({429, 500, 502, 503, 504})
_LARGEST_ANSWER = 4 << 20
_LONGEST_ID = 64
_RANDOM = secrets.SystemRandom()


class NotFound(Exception):
    """Graph answered 404; what that means depends on the question."""


@dataclass
class Question:
    """Bounds everything that one request makes us ask, and keeps the ids of the last call for the record."""

    deadline: Deadline
    client_request_id: str = ""
    request_id: str = ""

    def aside(self, seconds: float) -> Question:
        """A question beside this one, which keeps its ids: within the same bounds, and at most so many seconds."""
        clock = self.deadline.clock
        return Question(Deadline(clock, min(self.deadline.at, clock.now() + seconds)))

    def sign(self, error: KioskError) -> None:
        """Put the ids of the last call on an error that came of it."""
        error.client_request_id, error.request_id = self.client_request_id, self.request_id


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait before the next try: random, up to ``first`` doubled each time, never above ``most``."""

    first: float = 0.5
    most: float = 8.0
    tries: int = 5

    def wait(self, tried: int) -> float:
        return _RANDOM.uniform(0.0, min(self.most, self.first * 2**tried))


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytearray


class Questioner:
    """Asks Graph. Only safe GETs, so that every one may be asked again."""

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
        self._client = httpx.AsyncClient(
            verify=tls_context(settings.ca_bundle),
            trust_env=False,
            timeout=timeouts(settings.connect_seconds, settings.read_seconds),
            follow_redirects=False,
        )

    def question(self) -> Question:
        return Question(Deadline.after(self._clock, self._settings.total_seconds))

    async def close(self) -> None:
        await self._client.aclose()
        self._credential.close()

    async def ask(self, question: Question, url: str) -> bytearray:
        """The body of a good answer, which belongs to the caller alone.

        Raises NotFound, GraphUnavailable, GraphThrottled, GraphRefused or GraphGarbled.
        """
        renewed = False
        tried = 0
        while True:
            try:
                answer = await self._once(question, url)
                if answer.status == httpx.codes.OK:
                    return _json_only(answer)
                if answer.status == httpx.codes.UNAUTHORIZED and not renewed and not _forbidden(answer.body):
                    renewed = True
                    self._credential.forget()
                    continue
                fault = _fault(answer)
                again = answer.status in _RETRIED
            except (httpx.TransportError, TimeoutError) as error:
                fault = GraphUnavailable(f"Graph: {cause_of(error)}")
                self._metrics.answer("graph", type(error).__name__)
                again = True
            tried += 1
            wait = max(self._backoff.wait(tried), fault.retry_after or 0.0)
            if not again or tried >= self._backoff.tries or wait >= question.deadline.left():
                raise fault
            await self._clock.sleep(wait)

    async def _once(self, question: Question, url: str) -> _Answer:
        question.client_request_id = str(uuid.uuid4())
        question.request_id = ""
        async with asyncio.timeout(question.deadline.left()):
            headers = {
                "authorization": f"Bearer {await self._credential.token()}",
                "accept": "application/json",
                # What is not compressed leaves no second copy of a key in a decompressor.
                "accept-encoding": "identity",
                "client-request-id": question.client_request_id,
                "user-agent": f"recovery-kiosk/{__version__}",
            }
            call, begun = _call(url), self._clock.now()
            with self._metrics.call("graph", call):
                async with self._client.stream("GET", url, headers=headers) as response:
                    question.request_id = clean(response.headers.get("request-id"), _LONGEST_ID)
                    answer = _Answer(response.status_code, response.headers, await _read(response))
            self._metrics.answer("graph", str(answer.status))
            event(
                "graph.asked",
                logging.DEBUG,
                call=call,
                status=answer.status,
                seconds=self._clock.now() - begun,
                client_request_id=question.client_request_id,
                request_id=question.request_id,
            )
            return answer


def _call(url: str) -> str:
    """What an address asks for, in a word."""
    parts = httpx.URL(url).path.rstrip("/").split("/")
    last = parts[-1].lower()
    if "manageddeviceencryptionstates" in "".join(parts[-2:-1]).lower():
        return "encryption"
    return {"manageddevices": "devices", "users": "users", "getfilevaultkey": "key"}.get(last, "device")


def _json_only(answer: _Answer) -> bytearray:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise GraphGarbled(f"Graph: an answer of type {clean(kind)!r}")
    return answer.body


async def _read(response: httpx.Response) -> bytearray:
    """The body in one place that can be wiped; what it was put together from is wiped here."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.aiter_raw():
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST_ANSWER:
            raise GraphGarbled(f"Graph: an answer of more than {_LARGEST_ANSWER} bytes")
    # Made once in its full size: one that grows leaves copies behind as it moves.
    body = bytearray(size)
    at = 0
    for piece in pieces:
        body[at : at + len(piece)] = piece
        at += len(piece)
        overwrite(piece)
    return body


def _fault(answer: _Answer) -> KioskError:
    """What an answer other than 200 means. Graph's own words go into the cause only. Raises NotFound for 404."""
    cause = f"Graph: status {answer.status} {_error_code(answer.body)}".strip()
    match answer.status:
        case 404:
            raise NotFound(cause)
        case 401 | 403 if _forbidden(answer.body):
            return GraphNoRole(cause)
        case 403 if _code(answer.body) in _NO_PERMISSION:
            return GraphNoPermission(cause)
        case 401 | 403:
            return GraphRefused(cause)
        case 429:
            return GraphThrottled(cause, retry_after=retry_after(answer.headers))
        case status if status >= httpx.codes.INTERNAL_SERVER_ERROR:
            return GraphUnavailable(cause, retry_after=retry_after(answer.headers))
        case _:
            return GraphGarbled(cause)


def _error(body: bytes | bytearray | str) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return decoded if isinstance(decoded, dict) else {}


def _forbidden(body: bytearray) -> bool:
    """Intune says 401 for a missing right and wraps the truth, as JSON in a string, in the message of the error."""
    inner = _error(body).get("error")
    message = inner.get("message") if isinstance(inner, dict) else None
    code = _error(message).get("ErrorCode") if isinstance(message, str) else None
    return code == "Forbidden"


def _code(body: bytearray) -> str:
    inner = _error(body).get("error")
    return clean(inner.get("code")) if isinstance(inner, dict) else ""


def _error_code(body: bytearray) -> str:
    return _code(body) + (" (Forbidden)" if _forbidden(body) else "")
