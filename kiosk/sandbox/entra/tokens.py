"""Signed tokens: the keys that sign them, and the checks that the sandbox's own Graph makes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

import jwt
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kiosk.sandbox.ca import KeyPair, self_signed

ALGORITHM = "RS256"


class TokenProblem(Exception):
    """A token that cannot be taken. The words are those of the error that the caller gets."""


class SigningKeys:
    """The tenant's signing keys: the newest one signs, all published ones verify."""

    def __init__(self) -> None:
        self._pairs: list[KeyPair] = []
        self._foreign: KeyPair | None = None
        self.rotate()

    def rotate(self, *, keep_old: bool = True) -> str:
        """Sign with a new key from now on; the old ones stay published, or are dropped. Returns the new ``kid``."""
        pair = self_signed("Sandbox token signing")
        self._pairs = [pair, *self._pairs] if keep_old else [pair]
        return key_id(pair)

    def sign(self, claims: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        """A JWT as Entra ID writes it."""
        return _encode(claims, self._pairs[0], headers)

    def sign_badly(self, claims: Mapping[str, Any], how: str, headers: Mapping[str, Any] | None = None) -> str:
        """A JWT that nobody may accept: signed with a ``foreign`` key, with the public key (``HS256``), or ``none``."""
        pair = self._pairs[0]
        header = {"typ": "JWT", "kid": key_id(pair)} | dict(headers or {})
        if how == "foreign":
            self._foreign = self._foreign or self_signed("Somebody else")
            return _encode(claims, self._foreign, header)
        if how == "none":
            return _unsigned({"alg": "none"} | header, claims) + "."
        unsigned = _unsigned({"alg": "HS256"} | header, claims)
        public = pair.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        # By hand, because PyJWT rightly refuses a public key as a shared secret.
        return f"{unsigned}.{base64url(hmac.digest(public, unsigned.encode(), hashlib.sha256))}"

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token that one of the published keys signed. Raises TokenProblem."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            raise TokenProblem("CompactToken parsing failed with error code: 80049217") from None
        pair = next((pair for pair in self._pairs if key_id(pair) == kid), None)
        if pair is None:
            raise TokenProblem("Signing key is invalid.")
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
        try:
            # Lifetime and audience are looked at by the caller, by the sandbox's own clock and with Graph's own words.
            claims = jwt.decode(token, rsa_key(pair.certificate), algorithms=[ALGORITHM], options=options)
        except jwt.PyJWTError:
            raise TokenProblem("Access token validation failure. Invalid signature.") from None
        return dict(claims)

    def jwks(self, issuer: str) -> dict[str, Any]:
        """The published keys."""
        return {"keys": [_jwk(pair, issuer) for pair in self._pairs]}


def key_id(pair: KeyPair) -> str:
    """The ``kid`` of a key: as with Entra ID, the SHA-1 thumbprint of its certificate."""
    return base64url(pair.certificate.fingerprint(hashes.SHA1()))  # noqa: S303  # a name, not a protection


def base64url(raw: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def rsa_key(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    """The public key of one of our RSA certificates."""
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def _encode(claims: Mapping[str, Any], pair: KeyPair, headers: Mapping[str, Any] | None) -> str:
    assert isinstance(pair.key, rsa.RSAPrivateKey)
    return jwt.encode(dict(claims), pair.key, ALGORITHM, {"kid": key_id(pair)} | dict(headers or {}))


def _unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return ".".join(base64url(msgspec.json.encode(part)) for part in (header, claims))


def _jwk(pair: KeyPair, issuer: str) -> dict[str, Any]:
    assert isinstance(pair.key, rsa.RSAPrivateKey)
    numbers = pair.key.public_key().public_numbers()
    der = pair.certificate.public_bytes(serialization.Encoding.DER)
    return {
        "kty": "RSA",
        "use": "sig",
        "kid": key_id(pair),
        "x5t": key_id(pair),
        "n": base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
        "e": base64url(numbers.e.to_bytes(3, "big")),
        "x5c": [base64.b64encode(der).decode()],
        "cloud_instance_name": "localhost",
        "issuer": issuer,
    }
