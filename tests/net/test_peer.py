"""Who sends a request, over real unix sockets and TLS connections."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from pathlib import Path

import pytest

from kiosk.net.peer import NOBODY, Peer, name_of
from kiosk.net.server_tls import Tls
from tests.support.client_certificates import Certificates, listening, serving

GET = b"GET / HTTP/1.1\r\nhost: b\r\n\r\n"


@pytest.fixture(name="certificates")
def _certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


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
        async with serving(sock) as (app, _server):
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
        (["Desk7.Example", "lobby.example"], "Desk 7", {"desk7.example", "lobby.example"}, "desk7.example"),
        (["desk7.example"], "", {"desk7.example"}, "desk7.example"),
        ([], "Desk 7", {"Desk 7"}, "Desk 7"),
        ([], "Desk\x1b[2J 7", {"Desk\N{REPLACEMENT CHARACTER}[2J 7"}, "Desk\N{REPLACEMENT CHARACTER}[2J 7"),
        ([], "", set(), ""),
    ],
)
async def test_a_client_certificate_says_the_names(
    certificates: Certificates, dns: list[str], common_name: str, names: set[str], name: str
) -> None:
    """The common name counts only without DNS names, and nothing in them reaches a terminal as it is."""
    context = certificates.client(*dns, common_name=common_name)
    async with listening(certificates.tls) as (app, port):
        opened = await asyncio.open_connection("localhost", port, ssl=context)
        assert await asks(*opened) == b"HTTP/1.1 200 OK\r\n"
    assert app.peers == [Peer(names=frozenset(names), name=name)]
    assert name_of(app.peers[0]) == name


async def test_without_client_ca_nobody_has_a_name(certificates: Certificates) -> None:
    """Not even a client that has a certificate: nobody asks for it."""
    context = certificates.client("desk7.example")
    async with listening(Tls(certificates.tls.certificate, certificates.tls.key)) as (app, port):
        opened = await asyncio.open_connection("localhost", port, ssl=context)
        assert await asks(*opened) == b"HTTP/1.1 200 OK\r\n"
    assert app.peers == [NOBODY]
