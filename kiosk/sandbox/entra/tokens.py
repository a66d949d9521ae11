"""Signed tokens: the tenant's signing keys, and the checks that the sandbox's own Graph makes."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jwt
import msgspec
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

_ALGORITHM = "RS256"


class TokenProblem(Exception):
    """Why a token is not accepted, in the words of the error that the caller gets."""


class SigningKey:
    """An RSA key with a self-signed certificate, as Entra ID publishes its own."""

    def __init__(self, name: str) -> None:
        pair = trustme.CA(organization_name=name, key_type=trustme.KeyType.RSA)
        key = serialization.load_pem_private_key(pair.private_key_pem.bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        certificate = x509.load_pem_x509_certificate(pair.cert_pem.bytes())
        self._der = certificate.public_bytes(serialization.Encoding.DER)
        # As at Entra ID, the SHA-1 thumbprint of the certificate.
        self.id = base64url(certificate.fingerprint(hashes.SHA1()))  # noqa: S303  # a name, not a protection

    @property
    def public(self) -> rsa.RSAPublicKey:
        return self._key.public_key()

    def sign(self, claims: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        """Return a JWT; ``headers`` replace those that Entra ID writes."""
        return jwt.encode(dict(claims), self._key, _ALGORITHM, {"kid": self.id} | dict(headers or {}))

    def jwk(self, issuer: str) -> dict[str, Any]:
        """Return the public key as Entra ID publishes it."""
        numbers = self.public.public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.id,
            "x5t": self.id,
            "n": base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")),
            "e": base64url(numbers.e.to_bytes(3, "big")),
            "x5c": [base64.b64encode(self._der).decode()],
            "cloud_instance_name": "localhost",
            "issuer": issuer,
        }


class SigningKeys:
    """The tenant's signing keys: the newest signs, all published ones verify."""

    def __init__(self) -> None:
        self._keys: list[SigningKey] = []
        self._foreign: SigningKey | None = None
        self.rotate()

    def rotate(self, *, keep_old: bool = True) -> str:
        """Sign with a new key from now on; the old ones stay published or are dropped. Returns the new ``kid``."""
        key = SigningKey("Sandbox token signing")
        self._keys = [key, *self._keys] if keep_old else [key]
        return key.id

    def sign(self, claims: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        """Return a JWT as Entra ID writes it."""
        return self._keys[0].sign(claims, headers)

    def sign_badly(
        self,
        claims: Mapping[str, Any],
        how: Literal["foreign", "none", "HS256"],
        headers: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a JWT that nobody may accept: signed with a foreign key, not at all, or with the public key."""
        key = self._keys[0]
        header = {"typ": "JWT", "kid": key.id} | dict(headers or {})
        if how == "foreign":
            self._foreign = self._foreign or SigningKey("Somebody else")
            return self._foreign.sign(claims, header)
        unsigned = ".".join(base64url(msgspec.json.encode(part)) for part in ({"alg": how} | header, claims))
        if how == "none":
            return f"{unsigned}."
        public = key.public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        # By hand, because PyJWT rightly refuses a public key as a shared secret.
        return f"{unsigned}.{base64url(hmac.digest(public, unsigned.encode(), hashlib.sha256))}"

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that one of the published keys signed. Raises TokenProblem."""
        try:
            kid = jwt.get_unverified_header(token).get("kid")
        except jwt.PyJWTError:
            raise TokenProblem("CompactToken parsing failed with error code: 80049217") from None
        key = next((key for key in self._keys if key.id == kid), None)
        if key is None:
            raise TokenProblem("Signing key is invalid.")
        try:
            return signed_claims(token, key.public, [_ALGORITHM])
        except jwt.PyJWTError:
            raise TokenProblem("Access token validation failure. Invalid signature.") from None

    def jwks(self, issuer: str) -> dict[str, Any]:
        """Return the published keys."""
        return {"keys": [key.jwk(issuer) for key in self._keys]}


def signed_claims(token: str, key: rsa.RSAPublicKey, algorithms: Sequence[str]) -> dict[str, Any]:
    """Return the claims of a JWT whose signature is valid. Raises jwt.PyJWTError.

    Lifetime and audience are left to the caller, who has the sandbox's own clock and the service's own words.
    """
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    return dict(jwt.decode(token, key, algorithms=algorithms, options=options))


def base64url(raw: bytes) -> str:
    """Return URL-safe Base64 without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
