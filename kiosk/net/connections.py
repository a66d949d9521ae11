"""Accepts connections within limits: so many in all and from one address, each with a time for every step.

The limits apply before anything is read. When all places are taken, a connection without a valid token gives its place
to the next one, so silent connections cannot keep others out.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import itertools
import logging
import math
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from typing import Any

from kiosk.clock import Clock
from kiosk.net.log_limit import LogLimit
from kiosk.net.peer import uid_of
from kiosk.net.server_tls import RenewedTls, on_refused

log = logging.getLogger(__name__)

_AT_ONCE = 128
_TICK_SECONDS = 0.5
_RETRY_SECONDS = 1.0
# Descriptors for everything but connections: database, Graph, sinks, files, and accepted ones that are closed at once.
RESERVED_DESCRIPTORS = 256
_NO_MORE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_STATE = "connection"


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits on connections; ``docs/configuration.md`` explains them.

    ``per_address`` limits the connections that one address has open, and those that it opens in a second. On a unix
    socket each user of the machine may have half of all places. ``handshakes_per_second`` bounds what TLS costs.
    """

    connections: int = 256
    per_address: int = 16
    handshakes_per_second: float = 64
    handshake_seconds: float = 10
    head_seconds: float = 10
    body_seconds: float = 10
    idle_seconds: float = 5
    answer_seconds: float = 10

    def within_descriptors(self) -> ConnectionLimits:
        """Return limits that leave descriptors for other things. Raises the process's own limit if it may."""
        needed = self.connections + RESERVED_DESCRIPTORS
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < needed and soft != resource.RLIM_INFINITY:
            wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
            # The sandbox of a systemd unit forbids it: LimitNOFILE belongs there.
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
                soft = wanted
        if soft >= needed or soft == resource.RLIM_INFINITY:
            return self
        fewer = max(1, soft - RESERVED_DESCRIPTORS)
        log.warning("only %s connections at once, not %s: RLIMIT_NOFILE is %s", fewer, self.connections, soft)
        return replace(self, connections=fewer)


class Phase(IntEnum):
    """What a connection is busy with, in the order in which connections give up their places."""

    HANDSHAKE = 0
    HEAD = 1
    IDLE = 2
    BODY = 3
    WORK = 4


class Closed(StrEnum):
    """Why a connection was closed.

    There was no place for it, another one got its place, it was too slow, or its client certificate was not accepted.
    """

    REFUSED = "refused"
    EVICTED = "evicted"
    OVERDUE = "overdue"
    NOT_KNOWN = "not_known"


@dataclass(eq=False)
class Connection:
    """One accepted connection, numbered in the order of coming.

    The application sets ``trusted`` once a request has proved who sends it. ``close`` ends it at once, ``finish`` as
    soon as nothing is at work on it.
    """

    address: str
    number: int
    close: Callable[[], None] = lambda: None
    finish: Callable[[], None] = lambda: None
    phase: Phase = Phase.HANDSHAKE
    deadline: float = math.inf
    # By when the peer must have read what waits for it.
    answer_deadline: float = math.inf
    trusted: bool = False
    begun: bool = False

    def gives_way(self) -> bool:
        """Whether it may be closed to make room for a new one."""
        return not self.trusted or self.phase in {Phase.HEAD, Phase.IDLE}

    def overdue(self, now: float) -> bool:
        return now >= min(self.deadline, self.answer_deadline)


def trust(scope: Any) -> None:
    """Note that the connection of this request has proved who it is, so that it keeps its place."""
    connection = scope.get("state", {}).get(_STATE)
    if isinstance(connection, Connection):
        connection.trusted = True


def state_of(connection: Connection) -> dict[str, Any]:
    """Return the state that the requests of a connection carry in their scope."""
    return {_STATE: connection}


def address_of(sock: socket.socket) -> str:
    """Return what counts as one address: an IPv4 address, a /64 network of IPv6, or a user of this machine."""
    if sock.family == socket.AF_UNIX:
        return f"user {uid_of(sock)}"
    host = str(sock.getpeername()[0]).partition("%")[0]
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return host


@dataclass
class _Bucket:
    """A token bucket that is full after a second."""

    most: float
    at: float
    left: float = field(init=False)

    def __post_init__(self) -> None:
        self.left = self.most

    def refill(self, now: float) -> float:
        """Return the tokens that are left now."""
        self.left, self.at = min(self.most, self.left + (now - self.at) * self.most), now
        return self.left

    def take(self, now: float) -> bool:
        """Take a token. Whether there was one."""
        if self.refill(now) < 1:
            return False
        self.left -= 1
        return True


@dataclass
class Acceptor:
    """Accepts on one listening socket and starts a protocol for each connection, within the limits.

    ``closed`` counts the connections that were closed because of a limit, or because nobody knows who they are.
    """

    sock: socket.socket
    protocol: Callable[[Connection], asyncio.Protocol]
    limits: ConnectionLimits
    clock: Clock
    tls: RenewedTls | None = None
    connections: set[Connection] = field(default_factory=set)
    closed: Counter[Closed] = field(default_factory=Counter)
    stopped: bool = False
    _count: Counter[str] = field(default_factory=Counter)
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _waiting: dict[Connection, asyncio.Future[None]] = field(default_factory=dict)
    _giving_turns: asyncio.Task[None] | None = None
    _sweeping: asyncio.Task[None] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._errors = LogLimit(self.clock, self._report)
        self._strangers = LogLimit(self.clock, self._report_strangers)
        self._handshakes = _Bucket(self.limits.handshakes_per_second, self.clock.now())
        self._local = self.sock.family == socket.AF_UNIX
        self._per_peer = max(1, self.limits.connections // 2) if self._local else self.limits.per_address

    def start(self) -> None:
        """Accept from now on, and close what takes too long."""
        self.sock.setblocking(False)
        self._listen()
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    def stop(self) -> None:
        """Accept nothing more, and drop connections that have not begun. The others keep their time limits."""
        self.stopped = True
        if self.sock.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self.sock.fileno())
        for task in self._tasks:
            task.cancel()

    def close(self) -> None:
        """Leave the connections that are still open to themselves."""
        if self._sweeping:
            self._sweeping.cancel()
        self._errors.flush(now=True)
        self._strangers.flush(now=True)

    def forget(self, connection: Connection) -> None:
        """Take a connection that is closed, or about to be, off the books."""
        if connection in self.connections:
            self.connections.discard(connection)
            self._count[connection.address] -= 1
            if not self._count[connection.address]:
                del self._count[connection.address]

    def waiting(self) -> int:
        """Return how many connections wait for their turn to shake hands."""
        return len(self._waiting)

    def _listen(self) -> None:
        if not self.stopped:
            asyncio.get_running_loop().add_reader(self.sock.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _address = self.sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if self._errors.admits(errno.errorcode.get(error.errno or 0, "OSError")):
                    log.error("a connection could not be accepted: %s", error.strerror)
                if error.errno in _NO_MORE:
                    # The socket stays readable, so without a pause this would run all the time.
                    asyncio.get_running_loop().remove_reader(self.sock.fileno())
                    self._run(self._retry())
                return
            self._admit(accepted)

    async def _retry(self) -> None:
        await self.clock.sleep(_RETRY_SECONDS)
        self._listen()

    def _admit(self, accepted: socket.socket) -> None:
        """Start a connection, or close it unread if there is no place for it."""
        try:
            address = address_of(accepted)
        except (OSError, ValueError):
            # It has gone again.
            accepted.close()
            return
        if not self._in_rate(address) or not self._make_room(address):
            self.closed[Closed.REFUSED] += 1
            accepted.close()
            return
        accepted.setblocking(False)
        now = self.clock.now()
        connection = Connection(address, next(self._numbers), deadline=now + self.limits.handshake_seconds)
        self.connections.add(connection)
        self._count[address] += 1
        task = self._run(self._begin(connection, accepted))
        # Also if the task ends before it has begun.
        task.add_done_callback(lambda _: None if connection.begun else accepted.close())
        connection.close = lambda: self._drop(connection, task)

    def _in_rate(self, address: str) -> bool:
        if self._local:
            # Many visits share a user, and may well begin together.
            return True
        now = self.clock.now()
        return self._buckets.setdefault(address, _Bucket(self.limits.per_address, now)).take(now)

    async def _turn(self, connection: Connection) -> None:
        """Wait for a turn to shake hands. Addresses that opened the fewest connections lately are first."""
        if not self._waiting and self._handshakes.take(self.clock.now()):
            return
        turn = self._waiting[connection] = asyncio.get_running_loop().create_future()
        if self._giving_turns is None or self._giving_turns.done():
            self._giving_turns = self._run(self._give_turns())
        try:
            await turn
        finally:
            self._waiting.pop(connection, None)

    async def _give_turns(self) -> None:
        while self._waiting:
            await self.clock.sleep(1 / self.limits.handshakes_per_second)
            now = self.clock.now()
            while self._waiting and self._handshakes.take(now):
                first = min(self._waiting, key=lambda one: (-self._left(one.address, now), one.number))
                turn = self._waiting.pop(first)
                if not turn.done():
                    turn.set_result(None)

    def _left(self, address: str, now: float) -> float:
        """Return how many connections an address may open now."""
        bucket = self._buckets.get(address)
        return bucket.refill(now) if bucket else self.limits.per_address

    def _make_room(self, address: str) -> bool:
        """Whether there is a place for a connection from this address, after closing another one if need be."""
        if self._count[address] >= self._per_peer:
            return self._evict([one for one in self.connections if one.address == address])
        return len(self.connections) < self.limits.connections or self._evict(self.connections)

    def _evict(self, among: set[Connection] | list[Connection]) -> bool:
        """Close the connection that proves the least, from the address that has the most. Whether there was one."""
        victims = [one for one in among if one.gives_way()]
        if not victims:
            return False
        victim = min(victims, key=lambda one: (one.trusted, one.phase, -self._count[one.address], one.number))
        self.closed[Closed.EVICTED] += 1
        self.forget(victim)
        victim.close()
        return True

    def _drop(self, connection: Connection, task: asyncio.Task[None]) -> None:
        self.forget(connection)
        task.cancel()

    async def _begin(self, connection: Connection, accepted: socket.socket) -> None:
        """Start TLS, if any, and the protocol. Of failures, which are the peer's, only unknown clients are logged."""
        loop = asyncio.get_running_loop()
        times: dict[str, float] = {}
        if self.tls:
            # The state of a TLS connection costs memory, so it is made for a peer that speaks.
            await _readable(accepted)
            await self._turn(connection)
            times["ssl_handshake_timeout"] = self.limits.handshake_seconds
            times["ssl_shutdown_timeout"] = self.limits.answer_seconds
            on_refused.set(lambda why: self._refused(connection, why))
        # From here on the socket is the transport's.
        connection.begun = True
        context = self._renewed()
        try:
            await loop.connect_accepted_socket(lambda: self.protocol(connection), accepted, ssl=context, **times)
        except OSError:
            self.forget(connection)
        if context is not self._renewed():
            connection.finish()

    def _renewed(self) -> ssl.SSLContext | None:
        """Return the context for the next connection. If it is a new one, clients must show again who they are."""
        if self.tls is None:
            return None
        if self.tls.renew():
            for connection in list(self.connections):
                connection.finish()
        return self.tls.context

    def _refused(self, connection: Connection, why: str) -> None:
        self.closed[Closed.NOT_KNOWN] += 1
        if self._strangers.admits(why):
            log.warning("a client at %s was refused: %s", connection.address, why)

    async def _sweep(self) -> None:
        while True:
            await self.clock.sleep(_TICK_SECONDS)
            now = self.clock.now()
            for connection in [one for one in self.connections if one.overdue(now)]:
                self.closed[Closed.OVERDUE] += 1
                self.forget(connection)
                connection.close()
            full = {name for name, bucket in self._buckets.items() if now - bucket.at >= 1}
            for name in full:
                del self._buckets[name]
            self._errors.flush()
            self._strangers.flush()
            self._renewed()

    def _run(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _report(self, kind: str, count: int) -> None:
        log.error("connections could not be accepted %s more times: %s", count, kind)

    def _report_strangers(self, why: str, count: int) -> None:
        log.warning("clients were refused %s more times: %s", count, why)


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def is_ready() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_reader(sock.fileno(), is_ready)
    try:
        await ready
    finally:
        loop.remove_reader(sock.fileno())
