"""A real server for tests of connections, with clients that say what they like, over real sockets and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from kiosk.net.connections import Acceptor, ConnectionLimits, trust
from kiosk.net.server_tls import Tls
from kiosk.net.serving import Draining, Server, limited_log
from tests.support.clock import ManualClock
from tests.support.time_limit import TimeLimit

LIMITS = ConnectionLimits(connections=6, per_address=3)
GET = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"
TRUSTED = GET.replace(b"GET /", b"GET /trusted")
WAIT = GET.replace(b"GET /", b"GET /wait")
LARGE = GET.replace(b"GET /", b"GET /large")
POST = b"POST / HTTP/1.1\r\nhost: b\r\ncontent-length: 10\r\n\r\n"


@dataclass
class App:
    """Answers every request: at once, when told, or with more than a socket holds."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    answered: int = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while scope["path"] != "/late-wait" and (await receive()).get("more_body"):
            pass
        if scope["path"] in {"/trusted", "/wait"}:
            trust(scope)
        if scope["path"].endswith("wait"):
            await self.go_on.wait()
        body = b"x" * (8_000_000 if scope["path"] == "/large" else 2)
        headers = [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self.answered += 1


@dataclass
class Peer:
    """One connection of a client."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def says(self, words: bytes) -> None:
        self.writer.write(words)
        await self.writer.drain()

    async def status(self) -> int:
        """Read one answer, and return its status."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self.reader.readexactly(int(length.partition(b":")[2]))
        return int(head.split(b" ")[1])

    async def asks(self, words: bytes = GET) -> int:
        await self.says(words)
        return await self.status()

    async def is_closed(self) -> bool:
        """Wait for the end of the connection, whatever comes before it."""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while await self.reader.read(1 << 20):
                pass
        return True

    async def hears(self) -> bytes:
        """Return everything up to the end of the connection."""
        with contextlib.suppress(ConnectionError):
            return await self.reader.read(-1)
        return b""


@dataclass
class Running:
    """A running server, its clock, and the peers that were opened."""

    server: Server
    clock: ManualClock
    port: int
    app: App
    tls: ssl.SSLContext | None
    peers: list[Peer] = field(default_factory=list)

    @property
    def acceptor(self) -> Acceptor:
        return self.server.acceptors[0]

    async def peer(self, address: str = "127.0.0.1", *, tls: bool = True) -> Peer:
        """Connect from this address of the loopback network."""
        context = self.tls if tls else None
        name = "localhost" if context else None
        opened = Peer(
            *await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=context, server_hostname=name, local_addr=(address, 0)
            )
        )
        self.peers.append(opened)
        return opened

    async def holds(self, count: int) -> None:
        await until(lambda: len(self.acceptor.connections) == count)

    async def waits(self, count: int) -> None:
        await until(lambda: self.acceptor.waiting() == count)


async def until(what: Callable[[], object]) -> None:
    limit = TimeLimit(15)
    while not what():
        assert not limit.passed()
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def running(
    files: Tls | None, limits: ConnectionLimits = LIMITS, draining: Draining | None = None
) -> AsyncIterator[Running]:
    clock, app = ManualClock(), App()
    server = Server(app, limits=limits, clock=clock, tls=files, lifespan=False, draining=draining, grace_seconds=60)
    sock = socket.create_server(("127.0.0.1", 0))
    context = ssl.create_default_context(cafile=files.certificate) if files else None
    if context:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with limited_log(clock):
        task = asyncio.create_task(server.serve([sock]))
        await until(lambda: server.acceptors)
        found = Running(server, clock, sock.getsockname()[1], app, context)
        try:
            yield found
        finally:
            app.go_on.set()
            for peer in found.peers:
                peer.writer.transport.abort()
            server.stop(at_once=True)
            await task
