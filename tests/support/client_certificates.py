"""An authority for client certificates, which also issues what a broker must refuse."""

from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

DAY = dt.timedelta(days=1)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


@dataclass
class Authority:
    """Issues certificates, and a list of those that it revoked."""

    name: str = "Kiosks"
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    revoked: list[int] = field(default_factory=list)

    @property
    def certificate(self) -> bytes:
        """Its own certificate, in PEM."""
        now = dt.datetime.now(dt.UTC)
        made = self._begin(self.key.public_key(), self.name, now - DAY, now + 365 * DAY)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return made.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

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
