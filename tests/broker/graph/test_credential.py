"""The certificate for Graph: which files are accepted, and how tokens are requested with it."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import msal
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from kiosk.broker.graph import credential
from kiosk.broker.graph.credential import Credential
from kiosk.config.broker import GraphSettings
from kiosk.errors import (
    CertificateRefused,
    ConfigError,
    EntraClientUnknown,
    EntraGarbled,
    EntraRefused,
    KioskError,
)
from kiosk.net.certificate import load_certificate
from tests.support.authority import LoopbackAuthority, Mode, ca_pem, loopback_authority
from tests.support.clock import ManualClock

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
CLOCK = ManualClock()
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())


def certificate(key: Key = KEY, days: int = 30) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "broker")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(CLOCK.utc() - dt.timedelta(days=60))
    return builder.not_valid_after(CLOCK.utc() + dt.timedelta(days=days)).sign(key, hashes.SHA256())


def pem(*parts: x509.Certificate | Key, passphrase: bytes = b"") -> bytes:
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return b"".join(
        part.public_bytes(Encoding.PEM)
        if isinstance(part, x509.Certificate)
        else part.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        for part in parts
    )


def pfx(key: rsa.RSAPrivateKey | None, of: x509.Certificate | None, passphrase: bytes = b"") -> bytes:
    encryption: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    return pkcs12.serialize_key_and_certificates(b"broker", key, of, None, encryption)


def settings(folder: Path, content: bytes, passphrase: str | None = None) -> GraphSettings:
    path = folder / "certificate"
    path.write_bytes(content)
    passphrase_file = None
    if passphrase is not None:
        passphrase_file = folder / "passphrase"
        passphrase_file.write_text(passphrase)
    return GraphSettings(
        authority="https://login.example/t", client_id="c", certificate=path, passphrase_file=passphrase_file
    )


GOOD = {
    "PEM": (pem(certificate(), KEY), None),
    "PEM with the key first": (pem(KEY, certificate()), None),
    "PEM with a chain": (pem(certificate(OTHER), KEY, certificate()), None),
    "PEM with words around": (b"Bag Attributes: \xe9\n" + pem(certificate(), KEY), None),
    "PEM with a passphrase": (pem(certificate(), KEY, passphrase=b"open sesame"), "open sesame\n"),
    "PEM that needs no passphrase": (pem(certificate(), KEY), "open sesame"),
    "PFX": (pfx(KEY, certificate()), None),
    "PFX with a passphrase": (pfx(KEY, certificate(), b"open sesame"), "open sesame\n"),
}


@pytest.mark.parametrize(("content", "passphrase"), GOOD.values(), ids=GOOD)
def test_what_is_taken_is_what_msal_takes(tmp_path: Path, content: bytes, passphrase: str | None) -> None:
    credential = load_certificate(settings(tmp_path, content, passphrase), CLOCK, "graph").form

    class Http:
        def get(self, url: str, **_: object) -> object:
            class Response:
                status_code = 200
                text = (
                    '{"issuer":"https://login.example/t/v2.0","token_endpoint":"https://login.example/t/token",'
                    '"authorization_endpoint":"https://login.example/t/authorize"}'
                )
                headers: dict[str, str] = {}

                def raise_for_status(self) -> None: ...

            return Response()

        def post(self, url: str, data: dict[str, object] | None = None, **_: object) -> object:
            raise ConnectionAbortedError(str(data and data["client_assertion_type"]))

        def close(self) -> None: ...

    application = msal.ConfidentialClientApplication(
        "c", authority="https://login.example/t", client_credential=credential, http_client=Http(),
        instance_discovery=False,
    )  # fmt: skip
    # MSAL gets this far only with a signed assertion.
    with pytest.raises(ConnectionAbortedError, match="jwt-bearer"):
        application.acquire_token_for_client(["https://graph.example/.default"])


BAD = {
    "nothing": (b"", None, "certificate with its private key, in PEM or PFX"),
    "garbage": (b"\x30\x82garbage", None, "certificate with its private key, in PEM or PFX"),
    "PEM without a key": (pem(certificate()), None, "a certificate and its private key in PEM"),
    "PEM without a certificate": (pem(KEY), None, "a certificate and its private key in PEM"),
    "PEM with another key": (pem(certificate(), OTHER), None, "the private key that belongs to the certificate"),
    "PEM of an elliptic curve": (pem(certificate(CURVE), CURVE), None, "an RSA key"),
    "PEM that is cut off": (pem(certificate(), KEY)[:-40], None, "a certificate and its private key in PEM"),
    "PEM without its passphrase": (pem(certificate(), KEY, passphrase=b"x"), None, "the passphrase"),
    "PEM with an empty passphrase": (pem(certificate(), KEY, passphrase=b"x"), "\n", "the passphrase"),
    "PEM with a wrong passphrase": (pem(certificate(), KEY, passphrase=b"x"), "hunter2", "the right passphrase"),
    "PFX without its passphrase": (pfx(KEY, certificate(), b"x"), None, "the right passphrase"),
    "PFX with a wrong passphrase": (pfx(KEY, certificate(), b"x"), "hunter2", "the right passphrase"),
    "PFX without a key": (pfx(None, certificate()), None, "an RSA key"),
    "PFX without a certificate": (pfx(KEY, None), None, "the private key that belongs to the certificate"),
    "run out": (pem(certificate(days=-1), KEY), None, "still valid"),
}


@pytest.mark.parametrize(("content", "passphrase", "expected"), BAD.values(), ids=BAD)
def test_what_is_not_taken(tmp_path: Path, content: bytes, passphrase: str | None, expected: str) -> None:
    with pytest.raises(ConfigError, match=r"graph\.(certificate|passphrase_file): expected") as refused:
        load_certificate(settings(tmp_path, content, passphrase), CLOCK, "graph")
    assert expected in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_gone(tmp_path: Path) -> None:
    given = settings(tmp_path, pem(certificate(), KEY), "x")
    assert given.passphrase_file is not None
    given.passphrase_file.unlink()
    with pytest.raises(ConfigError, match="expected a passphrase"):
        load_certificate(given, CLOCK, "graph")
    given.certificate.unlink()
    with pytest.raises(ConfigError, match="No such file"):
        load_certificate(given, CLOCK, "graph")


@pytest.mark.parametrize(
    ("odd", "kind"),
    [
        ({}, EntraGarbled),
        ({"error": {"code": "x"}}, EntraGarbled),
        ({"error": []}, EntraGarbled),
        ({"error": "x", "error_codes": [{}, [], 1]}, EntraRefused),
        ({"error": "invalid_client"}, CertificateRefused),
        ({"error": "invalid_client", "error_codes": [True, 700016]}, EntraClientUnknown),
    ],
)
def test_a_refusal_of_any_shape(odd: dict[str, object], kind: type[KioskError]) -> None:
    assert type(credential._explain(odd)) is kind


@pytest.fixture
async def authority() -> AsyncIterator[LoopbackAuthority]:
    async with loopback_authority() as made:
        root = f"{made.url}/t"
        endpoints = {"issuer": f"{root}/v2.0", "token_endpoint": f"{root}/token", "authorization_endpoint": root}
        made.documents["/t/v2.0/.well-known/openid-configuration"] = endpoints
        made.documents["/t/token"] = {"access_token": "good", "token_type": "Bearer", "expires_in": 3600}
        yield made


def asking(authority: LoopbackAuthority, folder: Path) -> Credential:
    """Return a credential that requests its tokens from the loopback authority."""
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(ca_pem())
    whole = settings(folder, pem(certificate(), KEY))
    return Credential(msgspec.structs.replace(whole, authority=f"{authority.url}/t", ca_bundle=ca_file), CLOCK)


async def test_tokens_are_cached_until_they_are_forgotten(authority: LoopbackAuthority, tmp_path: Path) -> None:
    credential = asking(authority, tmp_path)
    assert {await credential.token() for _ in range(3)} == {"good"}
    assert authority.asked.count("/t/token") == 1
    authority.documents["/t/token"] |= {"access_token": "better"}
    credential.forget()
    assert {await credential.token() for _ in range(3)} == {"better"}
    assert authority.asked.count("/t/token") == 2


async def test_a_cancelled_request_keeps_its_turn_until_its_thread_ends(
    authority: LoopbackAuthority, tmp_path: Path
) -> None:
    credential = asking(authority, tmp_path)
    authority.mode = Mode.HANGS
    cancelled = asyncio.create_task(credential.token())
    await authority.has_been_asked(1)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    waiting = asyncio.create_task(credential.token())
    given_up = asyncio.create_task(credential.token())
    for _ in range(5):
        await asyncio.sleep(0)
    # MSAL's application and its caches are not thread-safe.
    assert len([thread for thread in threading.enumerate() if thread.name == "msal"]) == 1
    given_up.cancel()
    authority.mode = Mode.ANSWERS
    await authority.hang_up()
    assert await waiting == "good"
    assert authority.asked.count("/t/token") == 1
