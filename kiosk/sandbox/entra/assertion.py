"""Checks of the client assertion: the JWT with which an application proves that it holds its certificate's key."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from kiosk.clock import Clock
from kiosk.sandbox.entra.errors import EntraError
from kiosk.sandbox.entra.tokens import base64url, signed_claims

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = ("RS256", "PS256")
_SKEW = dt.timedelta(minutes=5)
_LONGEST_LIFETIME = dt.timedelta(hours=24)


class Assertions:
    """Verifies assertions against the registered certificates.

    As at Entra ID, an assertion may be presented again until it expires: MSAL sends each of its own for nine minutes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def check(
        self, assertion: str, client_id: str, certificates: Sequence[x509.Certificate], audiences: Sequence[str]
    ) -> None:
        """Check that ``assertion`` is signed by ``client_id`` for one of ``audiences``. Raises EntraError."""
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError:
            raise _invalid(50027, "JWT token is invalid or malformed.") from None
        claims = _verified(assertion, _registered(header, certificates))
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise _invalid(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
        audience = claims.get("aud")
        if not set(audience if isinstance(audience, list) else [audience]) & set(audiences):
            raise _invalid(
                700023, f"Client assertion audience claim does not match Realm issuer. Expected: {audiences[0]}."
            )
        jti = claims.get("jti")
        if not isinstance(jti, str) or not jti:
            raise _invalid(50027, "JWT token is invalid or malformed: it has no 'jti'.")
        _check_lifetime(claims, self._clock.utc().timestamp())


def _invalid(number: int, words: str) -> EntraError:
    """Return the error for an assertion. The words must not repeat any of its content."""
    return EntraError(number, "invalid_client", words, status=401)


def _registered(header: dict[str, Any], certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """Return the certificate that all identifiers in the header agree on."""
    chain = header.get("x5c")
    leaf = chain[0] if isinstance(chain, list) and chain else None
    for certificate in certificates:
        expected = {
            "x5t#S256": base64url(certificate.fingerprint(hashes.SHA256())),
            "x5t": base64url(certificate.fingerprint(hashes.SHA1())),  # noqa: S303  # a name, not a protection
        }
        given = {name: header[name] for name in expected if name in header}
        if leaf is not None:
            given["x5c"], expected["x5c"] = _thumbprint(leaf), expected["x5t#S256"]
        if given and all(str(value).rstrip("=") == expected[name] for name, value in given.items()):
            return certificate
    raise _invalid(700027, "Client assertion contains an invalid signature. [Reason - The key was not found.]")


def _thumbprint(encoded: object) -> str:
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(str(encoded)))
    except (ValueError, UnsupportedAlgorithm):
        return "unreadable"
    return base64url(certificate.fingerprint(hashes.SHA256()))


def _verified(assertion: str, certificate: x509.Certificate) -> dict[str, Any]:
    """Return the claims of an assertion with a valid signature."""
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        return signed_claims(assertion, key, _ALGORITHMS)
    except jwt.PyJWTError:
        words = "Client assertion contains an invalid signature. [Reason - The signature does not fit the key.]"
        raise _invalid(700027, words) from None


def _check_lifetime(claims: dict[str, Any], now: float) -> None:
    expires, begins, skew = claims.get("exp"), claims.get("nbf", 0), _SKEW.total_seconds()
    if (
        not isinstance(expires, int | float)
        or not isinstance(begins, int | float)
        or not begins - skew <= now < expires + skew
        or expires > now + _LONGEST_LIFETIME.total_seconds()
    ):
        raise _invalid(700024, "Client assertion is not within its valid time range.")
