"""A sign-in service on loopback over TLS that serves a discovery document and signing keys, fails or hangs."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import re
import ssl
from collections.abc import AsyncIterator
from enum import Enum
from typing import Any

import trustme

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class Mode(Enum):
    """How the service treats a request."""

    ANSWERS = "answered"
    FAILS = "answered with 503"
    HANGS = "read, and never answered"


class LoopbackAuthority:
    """Answers as ``mode`` says. ``documents`` and ``statuses`` hold the answers by path.

    ``asked`` holds the paths of all requests, and ``bodies`` what came with them.
    """

    def __init__(self, port: int) -> None:
        self.url = f"https://localhost:{port}"
        self.mode = Mode.ANSWERS
        self.documents: dict[str, Any] = {}
        self.statuses: dict[str, str] = {}
        self.bodies: list[bytes] = []
        self.asked: list[str] = []
        self.serving: set[asyncio.Task[None]] = set()
        self._arrived = asyncio.Condition()

    async def hang_up(self) -> None:
        """Close all connections."""
        for task in list(self.serving):
            task.cancel()
        await asyncio.gather(*self.serving, return_exceptions=True)

    async def has_been_asked(self, times: int) -> None:
        """Wait until that many requests have arrived."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.asked) >= times)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request of one connection."""
        head = await reader.readuntil(_HEAD_END)
        path = head.split(b" ")[1].decode()
        length = _LENGTH.search(head)
        self.bodies.append(await reader.readexactly(int(length[1])) if length else b"")
        async with self._arrived:
            self.asked.append(path)
            self._arrived.notify_all()
        if self.mode is Mode.HANGS:
            await reader.read()
            return
        content = self.documents.get(path, {})
        status = self.statuses.get(path, "200 OK") if self.mode is Mode.ANSWERS else "503 Service Unavailable"
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        lines = (f"HTTP/1.1 {status}", "content-type: application/json", f"content-length: {len(body)}")
        writer.write("\r\n".join(lines).encode() + b"\r\nconnection: close" + _HEAD_END + body)
        await writer.drain()


@contextlib.asynccontextmanager
async def loopback_authority() -> AsyncIterator[LoopbackAuthority]:
    """Start a sign-in service on a free port."""

    async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        authority.serving.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await authority.serve(reader, writer)
        finally:
            authority.serving.discard(task)
            writer.close()

    server = await asyncio.start_server(accepted, "127.0.0.1", 0, ssl=_server_tls())
    authority = LoopbackAuthority(server.sockets[0].getsockname()[1])
    try:
        yield authority
    finally:
        server.close()
        await authority.hang_up()


@functools.cache
def _issuer() -> trustme.CA:
    return trustme.CA()


@functools.cache
def _server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _issuer().issue_cert("localhost").configure_cert(context)
    return context


def ca_pem() -> bytes:
    """Return the certificate of the CA that every ``loopback_authority`` uses."""
    return _issuer().cert_pem.bytes()


@functools.cache
def client_tls() -> ssl.SSLContext:
    """Return a TLS context that trusts every ``loopback_authority`` and nothing else."""
    return ssl.create_default_context(cadata=ca_pem().decode())
