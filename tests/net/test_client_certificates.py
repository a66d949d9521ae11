"""A server that wants to know its clients, and kiosks that it knows or does not, over real TLS connections."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from kiosk.api import Broker
from kiosk.clock import SystemClock
from kiosk.config.kiosk import BrokerAddress
from kiosk.errors import BrokerGarbled, BrokerUnreachable, ConfigError, KioskError, KioskNotKnown
from kiosk.net.connections import Acceptor, Closed
from kiosk.net.http import service_client
from kiosk.net.server_tls import Tls, server_tls
from kiosk.proof import Prover
from kiosk.secret import VisitKeys
from tests.support.client_certificates import App, Authority, Certificates, serving
from tests.support.clock import ManualClock
from tests.support.time_limit import TimeLimit


@pytest.fixture
def certificates(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@dataclass
class Running:
    """A server that wants client certificates."""

    app: App
    acceptor: Acceptor
    clock: ManualClock
    port: int
    folder: Path

    def address(self, certificate: Path | None) -> BrokerAddress:
        url, ca_bundle = f"https://localhost:{self.port}", self.folder / "ca.pem"
        return BrokerAddress(url=url, ca_bundle=ca_bundle, certificate=certificate, key=certificate, total_seconds=20)

    def client(self, certificate: Path) -> httpx.AsyncClient:
        address = self.address(certificate)
        return service_client(address.url, address.ca_bundle, certificate=certificate, key=certificate)

    async def cause(self, certificate: Path | None) -> type[KioskError]:
        """Ask as a kiosk, and return what it says; an answer in JSON is not there, so BrokerGarbled is a success."""
        client = kiosk(self.address(certificate))
        try:
            await client.session()
        except KioskError as error:
            return type(error)
        finally:
            await client.aclose()
        raise AssertionError("an empty answer is no session")


def kiosk(address: BrokerAddress) -> Broker:
    return Broker(address, lambda: "Bearer x", "tty", Prover(VisitKeys(), SystemClock()))


@contextlib.asynccontextmanager
async def running(certificates: Certificates, tls: Tls | None = None) -> AsyncIterator[Running]:
    sock = socket.create_server(("127.0.0.1", 0))
    async with serving(sock, tls or certificates.tls) as (app, server):
        clock = server.clock
        assert isinstance(clock, ManualClock)
        yield Running(app, server.acceptors[0], clock, sock.getsockname()[1], certificates.folder)


async def until(what: Callable[[], object]) -> None:
    limit = TimeLimit(15)
    while not what():
        assert not limit.passed()
        await asyncio.sleep(0.001)


async def test_only_a_certificate_of_the_authority_for_clients_is_good(
    certificates: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    """Everybody else is told so by an alert, reaches no application, and costs the log one line a minute."""
    folder, clients = certificates.folder, certificates.clients
    paths = {name: folder / f"{name}.pem" for name in ("good", "other", "servers", "expired", "early", "namesake")}
    clients.issue(paths["good"], "desk7.example")
    clients.issue(paths["servers"], "desk7.example", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    clients.issue(paths["expired"], "desk7.example", days=(-3, -1))
    clients.issue(paths["early"], "desk7.example", days=(1, 3))
    Authority("Others").issue(paths["other"], "desk7.example")
    Authority(clients.name).issue(paths["namesake"], "desk7.example")
    refused = [None, *(path for name, path in paths.items() if name != "good")]
    async with running(certificates) as found:
        assert await found.cause(paths["good"]) is BrokerGarbled
        for certificate in refused * 2:
            assert await found.cause(certificate) is KioskNotKnown, certificate
        assert len(found.app.peers) == 1
        assert found.acceptor.closed == {Closed.NOT_KNOWN: 2 * len(refused)}
        lines = [line for line in caplog.messages if "was refused" in line]
        assert len(lines) == len({line.rpartition(": ")[2] for line in lines}) >= 5
        assert "a client at 127.0.0.1 was refused: no certificate" in lines
    assert "clients were refused 1 more times: no certificate" in caplog.messages


async def test_who_does_not_take_the_alert_loses_its_place_in_time(certificates: Certificates) -> None:
    """Whatever it sends after that is thrown away unread."""
    context = ssl.create_default_context(cafile=certificates.folder / "ca.pem")

    def handshake(port: int) -> socket.socket:
        """Shake hands and return the connection under it, which takes the alert for no more than bytes."""
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost") as done:
            return socket.socket(fileno=done.detach())

    async with running(certificates) as found:
        with await asyncio.to_thread(handshake, found.port) as plain:
            await until(lambda: found.acceptor.closed[Closed.NOT_KNOWN])
            plain.setblocking(False)
            await asyncio.get_running_loop().sock_sendall(plain, b"x" * (4 << 20))
            assert len(found.acceptor.connections) == 1
            found.clock.advance(11)
            await until(lambda: not found.acceptor.connections)
            assert found.acceptor.closed == {Closed.NOT_KNOWN: 1, Closed.OVERDUE: 1}
    assert not found.app.peers


async def test_a_revoked_kiosk_is_refused_from_then_on(certificates: Certificates) -> None:
    """Also on the connection that it has open, as soon as nothing is at work on it."""
    folder, clients = certificates.folder, certificates.clients
    revoked = folder / "crl.pem"
    revoked.write_bytes(clients.revocations)
    serials = {name: clients.issue(folder / f"{name}.pem", f"{name}.example") for name in ("desk7", "desk8")}
    async with running(certificates, replace(certificates.tls, client_crl=revoked)) as found:
        async with found.client(folder / "desk7.pem") as client:
            await client.get("/")
            assert len(found.acceptor.connections) == 1
            waits = asyncio.create_task(client.get("/wait"))
            await until(lambda: len(found.app.peers) == 2)
            clients.revoked.append(serials["desk7"])
            revoked.write_bytes(clients.revocations)
            before = found.acceptor.tls and found.acceptor.tls.context
            found.clock.advance(1)
            await until(lambda: found.acceptor.tls and found.acceptor.tls.context is not before)
            found.app.go_on.set()
            assert (await waits).status_code == 200
            with pytest.raises(ssl.SSLError, match="ALERT_CERTIFICATE_REVOKED"):
                await client.get("/")
            assert len(found.app.peers) == 2
        assert await found.cause(folder / "desk7.pem") is KioskNotKnown
        assert await found.cause(folder / "desk8.pem") is BrokerGarbled
        # A list that cannot be used leaves the previous one in force.
        revoked.write_text("nothing")
        found.clock.advance(1)
        assert await found.cause(folder / "desk7.pem") is KioskNotKnown
        assert await found.cause(folder / "desk8.pem") is BrokerGarbled


async def test_an_idle_connection_ends_with_the_certificates_it_was_opened_under(certificates: Certificates) -> None:
    folder = certificates.folder
    certificates.clients.issue(folder / "desk7.pem", "desk7.example")
    async with running(certificates) as found:
        async with found.client(folder / "desk7.pem") as client:
            await client.get("/")
            assert len(found.acceptor.connections) == 1
            (folder / "clients.pem").write_bytes(Authority("Others").certificate)
            found.clock.advance(1)
            await until(lambda: not found.acceptor.connections)
        assert await found.cause(folder / "desk7.pem") is KioskNotKnown


async def test_a_renewed_kiosk_goes_on(certificates: Certificates) -> None:
    """A visit reads its certificate when it begins."""
    folder = certificates.folder
    certificates.clients.issue(folder / "desk7.pem", "desk7.example", days=(-3, -1))
    async with running(certificates) as found:
        assert await found.cause(folder / "desk7.pem") is KioskNotKnown
        certificates.clients.issue(folder / "desk7.pem", "desk7.example")
        assert await found.cause(folder / "desk7.pem") is BrokerGarbled


async def test_an_issuing_authority_is_trusted_without_the_one_above_it(certificates: Certificates) -> None:
    """And only that: another certificate of the authority above is a stranger's."""
    root = Authority("Root")
    above = certificates.folder / "above.pem"
    root.issue(above, "laptop.example")
    certificates.clients.issued_by = root
    (certificates.folder / "clients.pem").write_bytes(certificates.clients.certificate)
    below = certificates.folder / "below.pem"
    certificates.clients.issue(below, "desk7.example")
    async with running(certificates) as found:
        assert await found.cause(below) is BrokerGarbled
        assert await found.cause(above) is KioskNotKnown


@pytest.mark.parametrize("at", ["connect", "answer"])
async def test_a_broker_that_hangs_in_the_handshake_is_unreachable(certificates: Certificates, at: str) -> None:
    """Before its own part, or after the client's."""
    folder = certificates.folder
    certificates.clients.issue(folder / "desk7.pem", "desk7.example")
    with hanging(server_tls(certificates.tls) if at == "answer" else None) as port:
        url = f"https://localhost:{port}"
        pair = folder / "desk7.pem"
        client = kiosk(
            BrokerAddress(
                url=url, ca_bundle=folder / "ca.pem", certificate=pair, key=pair, connect_seconds=1, total_seconds=1
            )
        )
        with pytest.raises(BrokerUnreachable):
            await client.session()
        await client.aclose()
        # httpx leaves a connection whose handshake timed out to the garbage collector, which complains.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


@contextlib.contextmanager
def hanging(context: ssl.SSLContext | None) -> Iterator[int]:
    """Accept one connection and say nothing: at all, or after the handshake with this context."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            accepted, _ = listener.accept()
            with context.wrap_socket(accepted, server_side=True) if context else accepted:
                over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


def lone(part: str) -> Callable[[Path], None]:
    """Leave only one part of the file with certificate and key."""

    def cut(path: Path) -> None:
        key, _, certificate = path.read_text().partition("-----BEGIN CERTIFICATE-----")
        path.write_text(key if part == "key" else "-----BEGIN CERTIFICATE-----" + certificate)

    return cut


def encrypted(path: Path) -> None:
    key = load_pem_private_key(path.read_bytes(), None)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))


UNUSABLE: dict[str, tuple[dict[str, str | None], Callable[[Path], object], str]] = {
    "no key": ({"key": None}, bool, r"client.pem: broker.key: missing"),
    "no certificate": ({"certificate": None}, bool, r"client.pem: broker.certificate: missing"),
    "another key": ({"key": "server.pem"}, bool, r"client.pem: expected a certificate and its key .*server.pem"),
    "no key in it": ({}, lone("certificate"), r"expected a certificate and its key"),
    "no certificate in it": ({}, lone("key"), r"expected a certificate and its key"),
    "a passphrase": ({"certificate": "server.pem"}, encrypted, r"in PEM without passphrase"),
    "gone": ({}, Path.unlink, r"expected the private key: No such file"),
    "open to others": ({}, lambda path: path.chmod(0o644), r"not to be accessible to others .*0644"),
    "writable by its group": ({}, lambda path: path.chmod(0o660), r"writable by its group .*0660"),
}


@pytest.mark.parametrize(("names", "spoil", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_a_certificate_that_a_kiosk_cannot_use(
    certificates: Certificates, names: dict[str, str | None], spoil: Callable[[Path], object], says: str
) -> None:
    folder = certificates.folder
    certificates.clients.issue(folder / "client.pem", "desk7.example")
    (folder / "server.pem").chmod(0o600)
    spoil(folder / "client.pem")
    given = {"certificate": "client.pem", "key": "client.pem"} | names
    paths: Any = {key: folder / name for key, name in given.items() if name}
    with pytest.raises(ConfigError, match=says):
        kiosk(BrokerAddress(url="https://localhost", ca_bundle=folder / "ca.pem", **paths))


NO_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("tls", "content", "says"),
    [
        ("client_ca", "", "expected certificates in PEM, found nothing"),
        ("client_ca", "key", "expected certificates in PEM, found PRIVATE KEY"),
        (
            "client_ca",
            NO_CERTIFICATE,
            "expected certificates in PEM: ",
        ),
        ("client_crl", "", "expected only lists of revoked certificates in PEM, found nothing"),
        ("client_crl", "ca", "expected only lists of revoked certificates in PEM, found CERTIFICATE"),
        ("client_crl", "both", "expected only lists .* found CERTIFICATE, X509 CRL"),
        ("client_crl", NO_CERTIFICATE.replace("CERTIFICATE", "X509 CRL"), "expected only lists .* in PEM: "),
    ],
)
def test_authorities_that_a_broker_cannot_use(certificates: Certificates, tls: str, content: str, says: str) -> None:
    """A certificate in the list of revoked ones would be trusted as an authority."""
    certificate, revoked = certificates.clients.certificate.decode(), certificates.clients.revocations.decode()
    key = (certificates.folder / "server.pem").read_text().partition("-----BEGIN CERTIFICATE")[0]
    made = {"key": key.replace("EC PRIVATE", "PRIVATE"), "ca": certificate, "both": revoked + certificate}
    (bad := certificates.folder / "bad.pem").write_text(made.get(content, content))
    with pytest.raises(ConfigError, match=says):
        server_tls(replace(certificates.tls, **{tls: bad}))
