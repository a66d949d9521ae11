"""Reads the certificate with which an application signs in to Entra ID, and its private key."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import pkcs12

from kiosk.clock import Clock
from kiosk.config.loading import read_text
from kiosk.errors import ConfigError

_PEM = b"-----BEGIN "


class CertificateSettings(Protocol):
    """A table of a configuration file that names a certificate with its private key, in PEM or PFX."""

    @property
    def certificate(self) -> Path: ...

    @property
    def passphrase_file(self) -> Path | None: ...


@dataclass(frozen=True)
class Loaded:
    """A certificate with its private key; ``form`` is both in MSAL's form."""

    certificate: x509.Certificate
    key: RSAPrivateKey = field(repr=False)
    form: dict[str, Any] = field(repr=False)


def certificate_of(settings: CertificateSettings, table: str) -> x509.Certificate:
    """Return the certificate, even an expired one, without its key. Raises ConfigError, as ``load_certificate``."""
    return _read(settings, table)[1][0]


def load_certificate(settings: CertificateSettings, clock: Clock, table: str) -> Loaded:
    """Check the certificate and its private key, and return them. Raises ConfigError, which names this ``table``."""
    path = settings.certificate
    key, ours, certificates, form = _read(settings, table)
    if ours[0].not_valid_after_utc <= clock.utc():
        expected = f"a certificate that is still valid; this one expired {ours[0].not_valid_after_utc}"
        raise _unusable(path, expected, f"{table}.certificate")
    if "private_key" in form:
        chain = [*ours, *(other for other in certificates if other not in ours)]
        pem = b"".join(certificate.public_bytes(serialization.Encoding.PEM) for certificate in chain)
        form["public_certificate"] = pem.decode()
    return Loaded(ours[0], key, form)


def _read(
    settings: CertificateSettings, table: str
) -> tuple[RSAPrivateKey, list[x509.Certificate], list[x509.Certificate], dict[str, Any]]:
    """Return the key, its certificates (at least one), all certificates, and MSAL's form. Raises ConfigError."""
    path, name = settings.certificate, f"{table}.certificate"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unusable(path, f"a certificate: {error.strerror or error}", name) from None
    passphrase = _passphrase(settings.passphrase_file)
    key, certificates, form = (_from_pem if _PEM in content else _from_pfx)(path, content, passphrase, table)
    if not isinstance(key, RSAPrivateKey):
        raise _unusable(path, "an RSA key", name)
    ours = [certificate for certificate in certificates if certificate.public_key() == key.public_key()]
    if not ours:
        raise _unusable(path, "the private key that belongs to the certificate", name)
    return key, ours, certificates, form


_Parts = tuple[object, list[x509.Certificate], dict[str, Any]]


def _from_pem(path: Path, content: bytes, passphrase: str | None, table: str) -> _Parts:
    encrypted = b"ENCRYPTED" in content
    if encrypted and not passphrase:
        raise _unusable(path, "the passphrase of the private key", f"{table}.passphrase_file")
    secret = passphrase if encrypted else None
    try:
        certificates = x509.load_pem_x509_certificates(content)
        key = serialization.load_pem_private_key(content, secret.encode() if secret else None)
    except (ValueError, UnsupportedAlgorithm):
        expected = "a certificate and its private key in PEM"
        expected += ", and the right passphrase" if encrypted else ""
        raise _unusable(path, expected, f"{table}.certificate") from None
    form = {"private_key": content.decode("utf-8", "replace")}
    return key, certificates, form | ({"passphrase": secret} if secret else {})


def _from_pfx(path: Path, content: bytes, passphrase: str | None, table: str) -> _Parts:
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(content, passphrase.encode() if passphrase else None)
    except (ValueError, UnsupportedAlgorithm):
        expected = "a certificate with its private key, in PEM or PFX, and the right passphrase"
        raise _unusable(path, expected, f"{table}.certificate") from None
    form = {"private_key_pfx_path": str(path), "passphrase": passphrase, "public_certificate": True}
    return key, [certificate] if certificate else [], form


def _passphrase(path: Path | None) -> str | None:
    return read_text(path, "a passphrase").rstrip("\r\n") if path else None


def _unusable(path: Path, expected: str, key: str) -> ConfigError:
    return ConfigError(path, f"expected {expected}", key=key)
