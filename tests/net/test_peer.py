"""Who sends a request, over real unix sockets and TLS connections."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kiosk.net.connections import ConnectionLimits
from kiosk.net.peer import NOBODY, Peer, name_of, peer_of
from kiosk.net.serving import Server, Tls
from kiosk.sandbox.certificates import make_certificates
from tests.support.client_certificates import Authority, client_context
from tests.support.clock import ManualClock

LIMITS = ConnectionLimits(connections=6)
GET = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"


@dataclass
class App:
    """Notes who asks."""

    peers: list[Peer] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        self.peers.append(peer_of(scope))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


@dataclass
class Certificates:
    """A server's certificate, the authority that vouches for it, and the one for clients."""

    folder: Path
    clients: Authority

    @property
    def tls(self) -> Tls:
        return Tls(self.folder / "server.pem", self.folder / "server.pem", self.folder / "clients.pem")

    def client(self, *dns: str, **more: Any) -> ssl.SSLContext:
        """Return the context of a client with a certificate for these names."""
        self.clients.issue(self.folder / "client.pem", *dns, **more)
        return client_context(self.folder / "ca.pem", self.folder / "client.pem")


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    made = make_certificates(datetime.now(UTC))
    made.server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    made.authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    clients = Authority()
    (tmp_path / "clients.pem").write_bytes(clients.certificate)
    return Certificates(tmp_path, clients)


@contextlib.asynccontextmanager
async def serving(sock: socket.socket, tls: Tls | None = None) -> AsyncIterator[App]:
    app, ready = App(), asyncio.Event()
    server = Server(app, limits=LIMITS, clock=ManualClock(), tls=tls, lifespan=False, on_ready=ready.set)
    task = asyncio.create_task(server.serve([sock]))
    await ready.wait()
    try:
        yield app
    finally:
        server.stop(at_once=True)
        await task


async def asks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Send a request and return the first line of the answer."""
    try:
        writer.write(GET)
        return await reader.readline()
    finally:
        writer.transport.abort()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")
@pytest.mark.parametrize("uid", [0, 65_534])
async def test_a_unix_socket_says_the_user(uid: int) -> None:
    with tempfile.TemporaryDirectory() as name, socket.socket(socket.AF_UNIX) as sock:
        path = Path(name) / "s"
        sock.bind(str(path))
        for each in (path.parent, path):
            each.chmod(0o777)
        sock.listen()
        async with serving(sock) as app:
            os.seteuid(uid)
            try:
                opened = await asyncio.open_unix_connection(path)
            finally:
                os.seteuid(0)
            await asks(*opened)
    assert app.peers == [Peer(uid=uid)]
    assert name_of(app.peers[0]) == ""


@pytest.mark.parametrize(
    ("dns", "common_name", "names", "name"),
    [
        (["Desk7.Example", "lobby.example"], "Desk 7", {"desk7.example", "lobby.example", "Desk 7"}, "desk7.example"),
        (["desk7.example"], "", {"desk7.example"}, "desk7.example"),
        ([], "Desk 7", {"Desk 7"}, "Desk 7"),
        ([], "Desk\x1b[2J 7", {"Desk\N{REPLACEMENT CHARACTER}[2J 7"}, "Desk\N{REPLACEMENT CHARACTER}[2J 7"),
        ([], "", set(), ""),
    ],
)
async def test_a_client_certificate_says_the_names(
    certificates: Certificates, dns: list[str], common_name: str, names: set[str], name: str
) -> None:
    """DNS names come before the common name, and nothing in them reaches a terminal as it is."""
    sock = socket.create_server(("127.0.0.1", 0))
    context = certificates.client(*dns, common_name=common_name)
    async with serving(sock, certificates.tls) as app:
        opened = await asyncio.open_connection("localhost", sock.getsockname()[1], ssl=context)
        assert await asks(*opened) == b"HTTP/1.1 200 OK\r\n"
    assert app.peers == [Peer(names=frozenset(names), name=name)]
    assert name_of(app.peers[0]) == name


async def test_without_client_ca_nobody_has_a_name(certificates: Certificates) -> None:
    """Not even a client that shows a certificate nobody asked for."""
    sock = socket.create_server(("127.0.0.1", 0))
    tls = Tls(certificates.tls.certificate, certificates.tls.key)
    async with serving(sock, tls) as app:
        context = certificates.client("desk7.example")
        opened = await asyncio.open_connection("localhost", sock.getsockname()[1], ssl=context)
        assert await asks(*opened) == b"HTTP/1.1 200 OK\r\n"
    assert app.peers == [NOBODY]
