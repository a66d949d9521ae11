"""An authority for client certificates, which also issues what must be refused, and a server that asks for them."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from kiosk.net.connections import ConnectionLimits
from kiosk.net.peer import Peer, peer_of
from kiosk.net.server_tls import Tls
from kiosk.net.serving import Server
from kiosk.sandbox.certificates import make_certificates
from tests.support.clock import ManualClock

DAY = dt.timedelta(days=1)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


@dataclass
class Authority:
    """Issues certificates, and a list of those that it revoked."""

    name: str = "Kiosks"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    revoked: list[int] = field(default_factory=list)
    issued_by: Authority | None = None

    @property
    def certificate(self) -> bytes:
        """Its own certificate, in PEM."""
        now = dt.datetime.now(dt.UTC)
        above = self.issued_by or self
        made = above._begin(self.key.public_key(), self.name, now - DAY, now + 365 * DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return made.sign(above.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    @property
    def revocations(self) -> bytes:
        """Its list of revoked certificates, in PEM."""
        now = dt.datetime.now(dt.UTC)
        made = x509.CertificateRevocationListBuilder().issuer_name(_name(self.name))
        made = made.last_update(now - DAY).next_update(now + 365 * DAY)
        for serial in self.revoked:
            one = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - DAY)
            made = made.add_revoked_certificate(one.build())
        return made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def issue(
        self,
        to: Path,
        *dns: str,
        common_name: str = "",
        usage: ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
        days: Sequence[int] = (-1, 30),
    ) -> int:
        """Write a private key and its certificate to one file. Returns the serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = dt.datetime.now(dt.UTC)
        made = self._begin(key.public_key(), common_name, now + days[0] * DAY, now + days[1] * DAY)
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if dns:
            names = x509.SubjectAlternativeName([x509.DNSName(name) for name in dns])
            made = made.add_extension(names, critical=not common_name)
        signed = made.sign(self.key, hashes.SHA256())
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        to.write_bytes(secret + signed.public_bytes(Encoding.PEM))
        to.chmod(0o600)
        return signed.serial_number

    def _begin(
        self, key: ec.EllipticCurvePublicKey, subject: str, begin: dt.datetime, end: dt.datetime
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(_name(self.name))
            .subject_name(_name(subject))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
        )


def client_context(authority: Path, certificate: Path | None = None) -> ssl.SSLContext:
    """Return a context that trusts this authority, for a client with this certificate or without one."""
    context = ssl.create_default_context(cafile=authority)
    if certificate:
        context.load_cert_chain(certificate)
    return context


@dataclass
class App:
    """Notes who asks, and answers at once or, on /wait, when told."""

    peers: list[Peer] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        self.peers.append(peer_of(scope))
        if scope["path"] == "/wait":
            await self.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})


class Certificates:
    """A server's certificate, the authority that vouches for it, and the one for clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clients = Authority()
        made = make_certificates(dt.datetime.now(dt.UTC))
        made.server.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        made.authority.cert_pem.write_to_path(folder / "ca.pem")
        (folder / "clients.pem").write_bytes(self.clients.certificate)
        self.tls = Tls(folder / "server.pem", folder / "server.pem", folder / "clients.pem")

    def client(self, *dns: str, **more: Any) -> ssl.SSLContext:
        """Return the context of a client with a certificate for these names."""
        self.clients.issue(self.folder / "client.pem", *dns, **more)
        return client_context(self.folder / "ca.pem", self.folder / "client.pem")


@contextlib.asynccontextmanager
async def serving(sock: socket.socket, tls: Tls | None = None) -> AsyncIterator[tuple[App, Server]]:
    app, ready = App(), asyncio.Event()
    limits = ConnectionLimits(connections=16)
    server = Server(app, limits=limits, clock=ManualClock(), tls=tls, lifespan=False, on_ready=ready.set)
    task = asyncio.create_task(server.serve([sock]))
    await ready.wait()
    try:
        yield app, server
    finally:
        app.go_on.set()
        server.stop(at_once=True)
        await task


@contextlib.asynccontextmanager
async def listening(tls: Tls) -> AsyncIterator[tuple[App, int]]:
    """Serve on a free port."""
    sock = socket.create_server(("127.0.0.1", 0))
    async with serving(sock, tls) as (app, _server):
        yield app, sock.getsockname()[1]
