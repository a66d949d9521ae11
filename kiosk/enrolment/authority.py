"""A small authority in a folder: signs requests of kiosks and sign-in pages, and revokes what it signed.

``ca.pem`` and ``revoked.pem`` are for brokers. ``ca.key`` is secret. ``issued`` has every certificate that it signed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kiosk.clock import Clock
from kiosk.config.loading import expect_closed
from kiosk.enrolment.files import PRIVATE, PUBLIC, read, write
from kiosk.enrolment.request import alternative, subject
from kiosk.errors import ConfigError

_COMMON_NAME = "Recovery kiosk clients"
_LIFETIME = dt.timedelta(days=3650)
# A broker whose clock is behind must not find a new certificate "not yet valid".
_BACKDATED = dt.timedelta(hours=1)


def _usage(*, leaf: bool) -> x509.KeyUsage:
    """Return what a key may do: sign for itself, or issue certificates and revocations."""
    return x509.KeyUsage(
        digital_signature=leaf,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=not leaf,
        crl_sign=not leaf,
        encipher_only=False,
        decipher_only=False,
    )


_SIGNS, _ISSUES = _usage(leaf=True), _usage(leaf=False)


@dataclass(frozen=True)
class Issued:
    """A certificate that the authority signed."""

    name: str
    serial: int
    ends: dt.datetime
    page: bool
    revoked: bool

    def __str__(self) -> str:
        return f"{self.name}, serial number {self.serial:x}, valid until {self.ends:%Y-%m-%d}"


class Authority:
    """The authority in a folder. Use it inside ``opened``, which keeps others out meanwhile."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Raises ConfigError."""
        self._folder = folder
        self._clock = clock
        expect_closed(folder / "ca.key", "the authority's private key")
        try:
            key = load_pem_private_key(read(folder / "ca.key", "the authority's private key"), None)
            self.certificate = x509.load_pem_x509_certificate(read(folder / "ca.pem", "the authority's certificate"))
        except (ValueError, TypeError):
            raise ConfigError(folder, "expected the authority's key in ca.key and its certificate in ca.pem") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != self.certificate.public_key():
            raise ConfigError(folder, "ca.key is not the private key of ca.pem")
        self._key = key

    def issued(self) -> list[Issued]:
        """Return what has not expired, revoked or not. Raises ConfigError."""
        return [one for one in self._ever_issued() if one.ends > self._clock.utc()]

    def _ever_issued(self) -> list[Issued]:
        revocations, found = self._revocations(), []
        for path in sorted((self._folder / "issued").glob("*.pem")):
            try:
                one = x509.load_pem_x509_certificate(read(path, "a certificate"))
                name = str(one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
            except (ValueError, IndexError):
                raise ConfigError(path, "expected a certificate that this authority signed") from None
            serial = one.serial_number
            revoked = revocations.get_revoked_certificate_by_serial_number(serial) is not None
            page = path.name.startswith("page-")
            found.append(Issued(name, serial, one.not_valid_after_utc, page, revoked))
        return found

    def sign(self, name: str, key: CertificatePublicKeyTypes, days: int, *, page: bool) -> tuple[Issued, bytes]:
        """Sign a certificate for this name, and return it in PEM as well. Raises ConfigError.

        A kiosk never gets the name of a sign-in page, nor the other way round: brokers may still know that name.
        """
        for other in self._ever_issued():
            if other.name == name and other.page is not page:
                raise ConfigError("the name", f"{name} is already the name of a {'page' if other.page else 'kiosk'}")
        now = self._clock.utc()
        ends = min(now + dt.timedelta(days=days), self.certificate.not_valid_after_utc)
        made = _begin(name, key, now, ends).issuer_name(self.certificate.subject)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        made = made.add_extension(_SIGNS, critical=True)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        made = made.add_extension(alternative(name), critical=False)
        made = made.add_extension(self._key_id(), critical=False)
        signed = made.sign(self._key, hashes.SHA256())
        content = signed.public_bytes(Encoding.PEM)
        # First of all: what is not listed here could not be revoked by name.
        kind = "page" if page else "kiosk"
        write(self._folder / "issued" / f"{kind}-{signed.serial_number:x}.pem", content, PUBLIC)
        return Issued(name, signed.serial_number, ends, page, False), content

    def revoke(self, which: str) -> list[Issued]:
        """Revoke the valid certificates with this name or serial number. Raises ConfigError if there are none."""
        wanted = which.lower().replace(":", "").strip()
        found = [
            one
            for one in self.issued()
            if not one.revoked and (one.name == which.lower() or f"{one.serial:x}" == wanted)
        ]
        if not found:
            raise ConfigError(self._folder, f"no valid certificate has the name or serial number {which!r}")
        self._write_revocations(self._revocations(), found)
        return found

    def _revocations(self) -> x509.CertificateRevocationList:
        path = self._folder / "revoked.pem"
        try:
            return x509.load_pem_x509_crl(read(path, "the list of revoked certificates"))
        except ValueError:
            raise ConfigError(path, "expected a list of revoked certificates in PEM") from None

    def _write_revocations(self, before: x509.CertificateRevocationList | None, more: list[Issued]) -> None:
        now = self._clock.utc()
        number = 1
        made = (
            x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject).last_update(now - _BACKDATED)
        )
        # A broker refuses everybody when its list is out of date, and nobody writes this one again at a set time.
        made = made.next_update(self.certificate.not_valid_after_utc)
        if before is not None:
            number += before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
            for old in before:
                made = made.add_revoked_certificate(old)
        for one in more:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial).revocation_date(now)
            made = made.add_revoked_certificate(entry.build())
        made = made.add_extension(x509.CRLNumber(number), critical=False).add_extension(self._key_id(), critical=False)
        content = made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        write(self._folder / "revoked.pem", content, PUBLIC)

    def _key_id(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())


def _begin(
    name: str, key: CertificatePublicKeyTypes, begins: dt.datetime, ends: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins - _BACKDATED)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def create(folder: Path, clock: Clock) -> None:
    """Make a new authority in a folder that is new or empty. Raises ConfigError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(folder, "expected an empty folder for a new authority")
        (folder / "issued").mkdir(mode=0o700)
    except OSError as error:
        raise ConfigError(folder, f"expected to make an authority here: {error.strerror or error}") from None
    key, now = ec.generate_private_key(ec.SECP384R1()), clock.utc()
    made = _begin(_COMMON_NAME, key.public_key(), now, now + _LIFETIME).issuer_name(subject(_COMMON_NAME))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    made = made.add_extension(_ISSUES, critical=True)
    content = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    write(folder / "ca.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), PRIVATE)
    write(folder / "ca.pem", content, PUBLIC)
    Authority(folder, clock)._write_revocations(None, [])


@contextlib.contextmanager
def opened(folder: Path, clock: Clock, *, new: bool = False) -> Iterator[Authority]:
    """Open the authority in a folder, after making it if it is to be a new one. Raises ConfigError."""
    if new:
        create(folder, clock)
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        reason = f"expected the folder of an authority, which --new-ca makes: {error.strerror}"
        raise ConfigError(folder, reason) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Authority(folder, clock)
    except BlockingIOError:
        raise ConfigError(folder, "another program is using this authority") from None
    finally:
        os.close(descriptor)
