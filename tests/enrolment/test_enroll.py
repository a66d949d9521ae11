"""How a kiosk gets its certificate: both commands as processes, and what comes of them in a real TLS handshake."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import resource
import ssl
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from kiosk.cli.main import cli
from kiosk.enrolment.request import alternative, subject
from kiosk.net.peer import name_of
from kiosk.net.server_tls import Tls
from tests.support.client_certificates import Certificates, listening

KIOSK = """\
[organisation]
name = "Nordwind"
helpdesk = "Ground floor"
[broker]
url = "https://localhost:1"
certificate = "desk.pem"
key = "desk.key"
"""
PAGE = """\
[organisation]
name = "Nordwind"
helpdesk = "Ground floor"
[listen]
address = "https://go.example"
[entra]
authority = "https://login.example/tenant"
client_id = "client"
certificate = "entra.pem"
scope = "api://kiosk/Session.Open"
[broker]
url = "https://localhost:1"
certificate = "page.pem"
key = "page.key"
"""


@dataclass
class Place:
    """A folder with a kiosk's configuration, and an authority beside it."""

    folder: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def run(self, *words: str, answer: str = "") -> Result:
        return CliRunner().invoke(cli, words, input=answer, prog_name="kiosk")

    def enroll(self, *words: str, config: str = "kiosk.toml", name: str = "Desk7.Example") -> Result:
        return self.run("enroll", "--config", str(self / config), "--name", name, *words)

    def sign(self, *words: str, request: str = "desk.csr", answer: str = "") -> Result:
        given = [str(self / request)] if request else []
        return self.run("broker", "enroll", "--ca", str(self / "ca"), *words, *given, answer=answer)

    def certificate(self, name: str = "desk.pem") -> x509.Certificate:
        return x509.load_pem_x509_certificate((self / name).read_bytes())

    def whole(self) -> dict[str, bytes]:
        """Return the content of all files."""
        return {str(path): path.read_bytes() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "kiosk.toml").write_text(KIOSK)
    (tmp_path / "sign-in.toml").write_text(PAGE)
    return Place(tmp_path)


def compared(done: Result) -> str:
    """Return the fingerprint that a command shows."""
    (shown,) = re.findall(r"fingerprint of its key: ([0-9a-f ]+)\n", done.stdout)
    assert len(shown.split()) == 8
    return str(shown)


async def test_an_enrolled_kiosk_is_known_until_it_is_revoked(
    place: Place, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked = place.enroll()
    assert asked.exit_code == 0
    assert stat.S_IMODE((place / "desk.key").stat().st_mode) == 0o600
    signed = place.sign("--new-ca", answer="y\n")
    assert signed.exit_code == 0, signed.output
    assert compared(signed) == compared(asked)
    assert "kiosk: desk7.example" in signed.stdout
    made = place.certificate()
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days == 398
    assert stat.S_IMODE((place / "ca/ca.key").stat().st_mode) == 0o600

    server = Certificates(tmp_path_factory.mktemp("server"))
    tls = ssl_of(server, place)
    assert await answers(tls, place, server) == "desk7.example"
    revoked = place.sign("--revoke", "Desk7.Example", request="")
    assert f"revoked: desk7.example, serial number {made.serial_number:x}" in revoked.stdout
    assert await answers(tls, place, server) == ""
    again = place.sign("--revoke", f"{made.serial_number:X}", request="")
    assert (again.exit_code, "no valid certificate has" in again.stderr) == (2, True)
    # The same key, which is not lost yet, can have another certificate.
    assert place.sign("--yes").exit_code == 0
    assert await answers(tls, place, server) == "desk7.example"
    assert len(x509.load_pem_x509_crl((place / "ca/revoked.pem").read_bytes())) == 1


def ssl_of(server: Certificates, place: Place) -> Tls:
    return replace(server.tls, client_ca=place / "ca/ca.pem", client_crl=place / "ca/revoked.pem")


async def answers(tls: Tls, place: Place, server: Certificates) -> str:
    """Return what a broker calls the kiosk, or "" if it refuses it."""
    context = ssl.create_default_context(cafile=server.folder / "ca.pem")
    context.load_cert_chain(place / "desk.pem", place / "desk.key")
    async with listening(tls) as (app, port):
        reader, writer = await asyncio.open_connection("localhost", port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nhost: b\r\n\r\n")
        with contextlib.suppress(ssl.SSLError):
            await reader.readline()
        writer.transport.abort()
        return "".join(name_of(peer) for peer in app.peers)


def test_enrolling_twice_keeps_the_key(place: Place) -> None:
    first = place.enroll()
    key = (place / "desk.key").read_bytes()
    assert compared(place.enroll()) == compared(first)
    assert (place / "desk.key").read_bytes() == key
    renewed = place.enroll("--renew")
    assert compared(renewed) != compared(first)
    assert (place / "desk.key").read_bytes() != key
    assert sorted(path.name for path in place.folder.iterdir()) == [
        "desk.csr",
        "desk.key",
        "kiosk.toml",
        "sign-in.toml",
    ]


def test_a_group_may_read_the_key(place: Place) -> None:
    assert place.enroll("--group", "nosuchgroup").exit_code == 2
    assert not (place / "desk.key").exists()
    assert place.enroll("--group", "root").exit_code == (0 if os.geteuid() == 0 else 2)
    if os.geteuid() == 0:
        assert stat.S_IMODE((place / "desk.key").stat().st_mode) == 0o640


def test_a_page_and_a_kiosk_never_have_the_same_name(place: Place) -> None:
    """Or a kiosk could pass for the sign-in page."""
    assert place.enroll(config="sign-in.toml", name="go.example").exit_code == 0
    signed = place.sign("--new-ca", "--page", "--yes", request="page.csr")
    assert signed.exit_code == 0, signed.output
    assert 'page_certificate = "go.example"' in signed.stdout
    place.enroll(name="GO.example")
    refused = place.sign("--yes")
    assert (refused.exit_code, "go.example is already the name of a page" in refused.stderr) == (2, True)
    # A certificate that was revoked does not free its name: a broker may have an old list, or none.
    assert place.sign("--revoke", "go.example", request="").exit_code == 0
    refused = place.sign("--yes")
    assert (refused.exit_code, "go.example is already the name of a page" in refused.stderr) == (2, True)
    assert not (place / "desk.pem").exists()


@pytest.mark.parametrize("answer", ["n\n", "", "\n"])
def test_nothing_is_signed_without_a_yes(place: Place, answer: str) -> None:
    place.enroll()
    assert place.sign("--new-ca", answer=answer).exit_code == 1
    assert not (place / "desk.pem").exists()
    assert not list((place / "ca/issued").iterdir())


def request(
    names: tuple[str, ...] = ("desk7.example",), common_name: str = "desk7.example", key: object = None, cut: int = 0
) -> bytes:
    secret = key or ec.generate_private_key(ec.SECP256R1())
    assert isinstance(secret, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey)
    made = x509.CertificateSigningRequestBuilder().subject_name(subject(common_name))
    if names:
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
    # Asked for, never granted.
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    algorithm = None if isinstance(secret, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return made.sign(secret, algorithm).public_bytes(Encoding.PEM)


def forged() -> bytes:
    """Return a request whose name was changed after it was signed."""
    found = x509.load_pem_x509_csr(request())
    changed = found.public_bytes(Encoding.DER).replace(b"desk7.example", b"desk8.example")
    return x509.load_der_x509_csr(changed).public_bytes(Encoding.PEM)


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "expected a certificate request in PEM"),
    "nonsense": (lambda: b"\xff" * 99, "expected a certificate request in PEM"),
    "a megabyte": (lambda: b"x" * (1 << 20), "found more than 65536 bytes"),
    "two names": (lambda: request(("desk7.example", "go.example")), "for one name, found desk7.example, go.example"),
    "another common name": (lambda: request(common_name="go.example"), "for one name, found desk7.example, go.example"),
    "a wildcard": (lambda: request(("*.example",), "*.example"), "expected a DNS name"),
    "no DNS name": (lambda: request((), "Desk 7"), "expected a DNS name"),
    "a terminal's words": (lambda: request((), "desk\x1b[2J"), "expected a DNS name"),
    "a forged name": (forged, "the signature of this request is not valid"),
    "a small key": (lambda: request(key=rsa.generate_private_key(65537, 1024)), "RSA with at least 2048 bits"),
    "a small curve": (lambda: request(key=ec.generate_private_key(ec.SECP224R1())), "expected a key on P-256"),
    "another kind of key": (lambda: request(key=ed25519.Ed25519PrivateKey.generate()), "expected a key on P-256"),
}


@pytest.mark.parametrize(("content", "says"), BAD.values(), ids=BAD)
def test_a_request_that_is_not_signed(place: Place, content: Callable[[], bytes], says: str) -> None:
    """Nor is an authority made for it."""
    (place / "desk.csr").write_bytes(content())
    before = place.whole()
    done = place.sign("--new-ca", "--yes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr
    assert "\x1b" not in done.stderr
    assert place.whole() == before


def test_what_a_request_asks_for_is_not_granted(place: Place) -> None:
    """Only its name and key are taken over."""
    (place / "desk.csr").write_bytes(request())
    assert place.sign("--new-ca", "--yes", "--days", "3650").exit_code == 0
    made = place.certificate()
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == alternative("desk7.example")
    assert made.not_valid_after_utc <= place.certificate("ca/ca.pem").not_valid_after_utc
    refused = place.sign("--yes", "--name", "desk8.example")
    assert (refused.exit_code, "for desk8.example, found one for desk7.example" in refused.stderr) == (2, True)


Spoil = Callable[[Place], object]
UNUSABLE: dict[str, tuple[Spoil, tuple[str, ...], str]] = {
    "no authority": (lambda place: None, (), "expected the folder of an authority, which --new-ca makes"),
    "a folder in use": (lambda place: authority(place), ("--new-ca",), "expected an empty folder"),
    "a file": (lambda place: (place / "ca").touch(), ("--new-ca",), "is a file"),
    "no key": (lambda place: (place / "ca").mkdir(), (), "the authority's private key: No such file"),
    "open key": (lambda place: authority(place).chmod(0o644), (), "not to be accessible to others"),
    "broken key": (lambda place: authority(place).write_text("x"), (), "expected the authority's key in ca.key"),
    "no list": (lambda place: authority(place, "revoked.pem").unlink(), (), "revoked certificates: No such file"),
    "broken list": (lambda place: authority(place, "revoked.pem").write_text("x"), (), "revoked certificates in PEM"),
}


def authority(place: Place, name: str = "ca.key") -> Path:
    """Make an authority, and return one of its files."""
    (place / "first.csr").write_bytes(request(("desk1.example",), "desk1.example"))
    assert place.sign("--new-ca", "--yes", request="first.csr").exit_code == 0
    return place / "ca" / name


@pytest.mark.parametrize(("spoil", "words", "says"), UNUSABLE.values(), ids=UNUSABLE)
def test_an_authority_that_cannot_be_used(place: Place, spoil: Spoil, words: tuple[str, ...], says: str) -> None:
    place.enroll()
    spoil(place)
    done = place.sign("--yes", *words)
    assert (done.exit_code, says in done.stderr) == (2, True), done.output
    assert not (place / "desk.pem").exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("https://localhost:1", "unix:/run/b.sock", "broker.url: expected an https address"),
        ('key = "desk.key"\n', "", "broker.key: missing"),
        ('certificate = "desk.pem"\n', "", "broker.certificate: missing"),
        ("desk.key", "desk.pem", "broker.key: expected another file than broker.certificate"),
        ("desk.key", "nowhere/desk.key", "expected to write this file: No such file"),
        ("[broker]", "[broker", "kiosk.toml"),
    ],
)
def test_a_configuration_that_cannot_be_enrolled(place: Place, old: str, new: str, says: str) -> None:
    (place / "kiosk.toml").write_text(KIOSK.replace(old, new))
    before = place.whole()
    done = place.enroll()
    assert (done.exit_code, says in done.stderr) == (2, True), done.output
    assert place.whole() == before


@pytest.mark.parametrize("name", ["", "desk 7", "*.example", "x" * 65, "d\u00e9sk7"])
def test_a_name_that_no_certificate_can_have(place: Place, name: str) -> None:
    done = place.enroll(name=name or " ")
    assert (done.exit_code, "expected a DNS name" in done.stderr) == (2, True)
    assert not (place / "desk.key").exists()


@pytest.mark.parametrize("words", [(), ("--renew",)])
def test_a_full_disk_leaves_everything_as_it_was(place: Place, words: tuple[str, ...]) -> None:
    """A limit on the size of files is a disk that is full after some bytes."""
    if words:
        assert place.enroll().exit_code == 0
    before = place.whole()
    done = subprocess.run(
        [sys.executable, "-m", "kiosk", "enroll", "--config", str(place / "kiosk.toml"), "--name", "desk7", *words],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)),
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "desk.key: expected to write this file: File too large" in done.stderr
    assert place.whole() == before


def test_a_key_that_is_there_but_no_use_is_kept(place: Place) -> None:
    (place / "desk.key").write_text("precious")
    (place / "desk.key").chmod(0o600)
    done = place.enroll()
    assert (done.exit_code, "--renew makes another one" in done.stderr) == (2, True)
    assert "precious" not in done.output
    assert (place / "desk.key").read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("broker",), "Missing option '--config'"),
        (("broker", "--config", "x", "enroll", "--ca", "y", "z"), "has options of its own"),
        (("broker", "revoke"), "No such command 'revoke'"),
        (("broker", "enroll", "--ca", "x"), "expected either a request to sign or --revoke"),
        (("broker", "enroll", "--ca", "x", "--revoke", "y", "z"), "expected either a request to sign or --revoke"),
    ],
)
def test_the_broker_runs_unless_a_command_follows(place: Place, words: tuple[str, ...], says: str) -> None:
    done = place.run(*words)
    assert (done.exit_code, says in done.stderr) == (2, True), done.output


def test_help_says_how_the_broker_runs_and_what_else_there_is(place: Place) -> None:
    shown = place.run("broker", "--help").stdout
    assert "Usage: kiosk broker [OPTIONS] [COMMAND [ARGS]...]" in shown
    assert re.search(r"Run the broker.*--config.*\n  enroll +Sign the request", shown, re.DOTALL)
    assert re.search(r"enroll +Make a private key and a request", place.run("--help").stdout)
