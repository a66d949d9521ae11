"""A TCP relay between two of our programs that can cut, block or misdirect connections. It never changes bytes."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import trustme

_PIECE = 1 << 16
_LINGER_NOT = struct.pack("ii", 1, 0)

# What can go wrong with a connection before any HTTP.
LINE_FAULTS = ("refused", "reset", "silent", "not_tls", "tls_expired", "tls_wrong_host", "tls_unknown_ca")


class Relay:
    """Listens on its own port and forwards to ``upstream``, unless a fault is played."""

    def __init__(self, spoiled: Mapping[str, int]) -> None:
        """``spoiled`` are the ports of servers with bad certificates, by the name of the fault."""
        self.upstream = 0
        self.fault = ""
        self.struck = 0
        self._spoiled = spoiled
        self._server: asyncio.Server | None = None
        self._running: set[asyncio.Task[None]] = set()
        # Bound but never listening, which reserves the port while connections are refused.
        self._guard = _bound(0)
        self.port: int = self._guard.getsockname()[1]

    async def play(self, fault: str) -> None:
        """Play this fault on new connections; empty for no fault. Open connections are not affected."""
        self.fault = fault
        if fault == "refused" and self._server:
            self._server.close()
            self._server = None
        elif fault != "refused" and self._server is None:
            self._server = await asyncio.start_server(self._accepted, sock=_bound(self.port))

    async def drop(self) -> None:
        """Cut all open connections."""
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def close(self) -> None:
        if self._server:
            self._server.close()
        await self.drop()
        self._guard.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._serve(reader, writer)
        finally:
            self._running.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.struck += bool(self.fault)
        if self.fault == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
            writer.transport.abort()
        elif self.fault == "silent":
            while await reader.read(_PIECE):
                pass
        elif self.fault == "not_tls":
            writer.write(b"220 smtp.example ESMTP\r\n")
            await reader.read(_PIECE)
        else:
            port = self._spoiled.get(self.fault, self.upstream)
            there, back = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(_pass_on(reader, back), _pass_on(there, writer), return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made


@contextlib.asynccontextmanager
async def spoiled_servers(authority: trustme.CA, place: Path) -> AsyncIterator[dict[str, int]]:
    """Run servers with certificates that are each wrong in one way. Yields their ports by the name of the fault."""
    pems = {
        "tls_expired": server_certificate(authority, "localhost", days=-1),
        "tls_wrong_host": server_certificate(authority, "elsewhere.example", days=1),
        "tls_unknown_ca": server_certificate(trustme.CA(), "localhost", days=1),
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(_PIECE)
        writer.close()

    servers: dict[str, asyncio.Server] = {}
    for name, pem in pems.items():
        file = place / f"{name}.pem"
        file.write_bytes(pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        servers[name] = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield {name: server.sockets[0].getsockname()[1] for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.close()


def server_certificate(authority: trustme.CA, host: str, *, days: int) -> bytes:
    """Issue a certificate for one host that expires in ``days`` days, and return it with its key."""
    now = dt.datetime.now(dt.UTC)
    issued = authority.issue_cert(host, not_before=now - dt.timedelta(days=9), not_after=now + dt.timedelta(days=days))
    return issued.private_key_and_cert_chain_pem.bytes()
