"""Makes private keys and certificate requests, and checks requests that somebody else made."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from kiosk.config.loading import expect_closed
from kiosk.enrolment.files import PRIVATE, PUBLIC, read, write
from kiosk.errors import ConfigError

# A common name has at most 64 characters.
_NAME = re.compile(r"(?=.{1,64}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_FEWEST_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1)


def checked_name(name: str) -> str:
    """Return a name in the form that certificates have here: a DNS name in lower case. Raises ConfigError."""
    lower = name.lower().rstrip(".")
    if not _NAME.fullmatch(lower):
        raise ConfigError("the name", f"expected a DNS name of at most 64 characters, such as desk7.example: {name!r}")
    return lower


def subject(name: str) -> x509.Name:
    """Return the subject of a certificate for this name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def alternative(name: str) -> x509.SubjectAlternativeName:
    """Return the subject alternative name of a certificate for this name."""
    return x509.SubjectAlternativeName([x509.DNSName(name)])


def fingerprint(key: CertificatePublicKeyTypes) -> str:
    """Return the SHA-256 digest of a public key, in groups that can be compared by eye."""
    digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
    return " ".join(digest[start : start + 8] for start in range(0, len(digest), 8))


def make_request(key_file: Path, request_file: Path, name: str, *, renew: bool, group: str) -> str:
    """Write a certificate request, with a new private key if there is none yet or ``renew``. Raises ConfigError.

    Returns the fingerprint of the key.
    """
    name = checked_name(name)
    if renew or not key_file.exists():
        key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(ec.SECP256R1())
        write(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), PRIVATE, group)
    else:
        key = _load(key_file)
    made = x509.CertificateSigningRequestBuilder().subject_name(subject(name))
    made = made.add_extension(alternative(name), critical=False)
    write(request_file, made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM), PUBLIC)
    return fingerprint(key.public_key())


def _load(path: Path) -> ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey:
    expected = "expected a private key in PEM without passphrase; --renew makes another one"
    expect_closed(path, "the private key")
    try:
        key = load_pem_private_key(read(path, "a private key"), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigError(path, expected) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ConfigError(path, expected)
    return key


def read_request(path: Path) -> tuple[str, CertificatePublicKeyTypes]:
    """Return name and public key of a request that may be signed as it is. Raises ConfigError."""
    content = read(path, "a certificate request")
    try:
        found = x509.load_pem_x509_csr(content)
        key = found.public_key()
        if not found.is_signature_valid:
            raise ConfigError(path, "the signature of this request is not valid")
        name = _name(path, found)
    except (ValueError, UnsupportedAlgorithm):
        raise ConfigError(path, "expected a certificate request in PEM") from None
    match key:
        case ec.EllipticCurvePublicKey(curve=curve) if isinstance(curve, _CURVES):
            pass
        case rsa.RSAPublicKey(key_size=size) if size >= _FEWEST_BITS:
            pass
        case _:
            raise ConfigError(path, "expected a key on P-256 or P-384, or RSA with at least 2048 bits")
    return name, key


def _name(path: Path, request: x509.CertificateSigningRequest) -> str:
    """Return the only name in a request. Raises ConfigError, and ValueError for an extension that cannot be read."""
    names = {str(found.value) for found in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    try:
        extension = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names |= {str(one.value) for one in extension}
    except x509.ExtensionNotFound:
        pass
    checked = {checked_name(name) for name in names}
    if len(checked) != 1:
        raise ConfigError(path, f"expected a request for one name, found {', '.join(sorted(checked)) or 'none'}")
    return checked.pop()
