"""Serves HTTP on one connection, with a time limit for each step of a request."""

from __future__ import annotations

import asyncio
import math
import re
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from kiosk.clock import Clock
from kiosk.net.connections import Connection, ConnectionLimits, Phase, state_of
from kiosk.net.peer import peer_at
from kiosk.net.peer import state_of as peer_state

_VERSIONS = {b"1.0", b"1.1"}
_CLOSE = (b"connection", b"close")
_ODD_LINES = re.compile(rb"(?<!\r)\n|\r(?!\n)|\n[ \t]")


class _StrictHttp(h11.Connection):
    """h11, but strict: refuses requests that proxies may read differently, and reads nothing after invalid HTTP."""

    _refused = False

    def next_event(self) -> Any:
        if self._refused:
            return h11.NEED_DATA
        arrived = self.trailing_data[0] if self.their_state is h11.IDLE else b""
        try:
            event = super().next_event()
            if isinstance(event, h11.Request):
                _check(event, arrived[: len(arrived) - len(self.trailing_data[0])])
        except h11.RemoteProtocolError:
            self._refused = True
            raise
        return event


def _check(request: h11.Request, head: bytes) -> None:
    """Refuse other versions of HTTP, folded lines or odd line ends, and bodies with two lengths.

    Raises RemoteProtocolError.
    """
    if _ODD_LINES.search(head):
        raise h11.RemoteProtocolError("a line that does not end with CR LF, or that is folded")
    names = {name for name, _ in request.headers}
    chunked, counted = b"transfer-encoding" in names, b"content-length" in names
    if request.http_version not in _VERSIONS or (chunked and (counted or request.http_version == b"1.0")):
        raise h11.RemoteProtocolError("another version, or more than one length")


class LimitedHttp(H11Protocol):
    """uvicorn's protocol, which itself limits only the time between two requests."""

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        connection: Connection,
        limits: ConnectionLimits,
        clock: Clock,
    ) -> None:
        super().__init__(config, server_state, app_state | state_of(connection))
        self.conn = _StrictHttp(h11.SERVER)
        self._connection = connection
        self._clock = clock
        self._answer_seconds = limits.answer_seconds
        self._seconds = {
            Phase.HEAD: limits.head_seconds,
            Phase.BODY: limits.body_seconds,
            Phase.WORK: math.inf,
            # uvicorn ends an idle connection; this is for a peer that does not take the end.
            Phase.IDLE: limits.idle_seconds + limits.answer_seconds,
        }
        self._forget = connection.close

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._connection.close = transport.abort
        self._connection.finish = self.finish
        try:
            self.app_state.update(peer_state(peer_at(transport)))
        except OSError:
            transport.abort()
        self._enter(Phase.HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # A circle of references would keep the last request, and the token in it, until the next garbage collection.
        self._connection.finish = lambda: None
        self._forget()

    def finish(self) -> None:
        """End the connection, after the answer if a request is at work."""
        if self.cycle is None or self.cycle.response_complete:
            # A client with an idle TLS connection notices the end only when it reads again, so nobody waits for it.
            self.transport.abort()
        else:
            # uvicorn then answers in the same words. Without them, the client would use the connection again.
            self.headers.append(_CLOSE)
            self.cycle.keep_alive = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._follow(begun=True)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._follow(begun=False)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._connection.answer_deadline = self._clock.now() + self._answer_seconds

    def resume_writing(self) -> None:
        super().resume_writing()
        self._connection.answer_deadline = math.inf

    def send_400_response(self, msg: str) -> None:
        """Answer invalid HTTP. Nothing more is sent for an application that is at work on the request."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.close()
                return
        super().send_400_response(msg)

    def _should_upgrade(self) -> bool:
        """Whether to change the protocol: never, and without a word in the log."""
        return False

    def _follow(self, *, begun: bool) -> None:
        """Note what the connection waits for; ``begun`` means that some of the next request may have come."""
        theirs, ours = self.conn.their_state, self.conn.our_state
        if theirs is h11.SEND_BODY:
            self._enter(Phase.BODY)
        elif ours in {h11.SEND_RESPONSE, h11.SEND_BODY}:
            self._enter(Phase.WORK)
        elif theirs is h11.IDLE and begun:
            self._enter(Phase.HEAD)
        else:
            self._enter(Phase.IDLE)

    def _enter(self, phase: Phase) -> None:
        if phase is not self._connection.phase:
            self._connection.phase = phase
            self._connection.deadline = self._clock.now() + self._seconds[phase]
