"""Checks the signed assertion with which an application proves that it holds its certificate's key."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Sequence
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes

from kiosk.sandbox.entra.tokens import base64url, rsa_key

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS = ("RS256", "PS256")
_SKEW = dt.timedelta(minutes=5)
_LONGEST = dt.timedelta(hours=24)


class AssertionProblem(Exception):
    """Why an assertion is not taken: the AADSTS code, and words without anything of the assertion's content."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class Assertions:
    """Verifies assertions against the registered certificates, and takes each of them once."""

    def __init__(self) -> None:
        self._used: dict[str, float] = {}

    def check(
        self,
        assertion: str,
        client_id: str,
        certificates: Sequence[x509.Certificate],
        audiences: Sequence[str],
        now: dt.datetime,
    ) -> None:
        """See that ``assertion`` speaks for ``client_id`` at one of ``audiences``. Raises AssertionProblem."""
        try:
            header = jwt.get_unverified_header(assertion)
        except jwt.PyJWTError:
            raise AssertionProblem(50027, "JWT token is invalid or malformed.") from None
        claims = _verified(assertion, _registered(header, certificates))
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise AssertionProblem(
                700021, "Client assertion application identifier doesn't match 'client_id' parameter."
            )
        audience = claims.get("aud")
        if not set(audience if isinstance(audience, list) else [audience]) & set(audiences):
            raise AssertionProblem(
                700023, f"Client assertion audience claim does not match Realm issuer. Expected: {audiences[0]}."
            )
        self._once(claims, _ends(claims, now), now)

    def _once(self, claims: dict[str, Any], ends: float, now: dt.datetime) -> None:
        stamp = now.timestamp()
        self._used = {jti: end for jti, end in self._used.items() if end > stamp}
        jti = claims.get("jti")
        if not isinstance(jti, str) or not jti:
            raise AssertionProblem(50027, "JWT token is invalid or malformed: it has no 'jti'.")
        if jti in self._used:
            raise AssertionProblem(50013, "Assertion failed validation. [Reason - The assertion was used before.]")
        self._used[jti] = ends


def _registered(header: dict[str, Any], certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """The certificate that every hint in the header points to."""
    leaf = header.get("x5c")
    first = leaf[0] if isinstance(leaf, list) and leaf else None
    for certificate in certificates:
        expected = {
            "x5t#S256": base64url(certificate.fingerprint(hashes.SHA256())),
            "x5t": base64url(certificate.fingerprint(hashes.SHA1())),  # noqa: S303  # a name, not a protection
        }
        hints = {name: header[name] for name in expected if name in header}
        if first is not None:
            hints["x5c"], expected["x5c"] = _thumbprint(first), expected["x5t#S256"]
        if hints and all(str(value).rstrip("=") == expected[name] for name, value in hints.items()):
            return certificate
    raise AssertionProblem(700027, "Client assertion contains an invalid signature. [Reason - The key was not found.]")


def _thumbprint(encoded: object) -> str:
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(str(encoded)))
    except (ValueError, UnsupportedAlgorithm):
        return "unreadable"
    return base64url(certificate.fingerprint(hashes.SHA256()))


def _verified(assertion: str, certificate: x509.Certificate) -> dict[str, Any]:
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
    try:
        # Lifetime and audience are looked at by the caller, by the sandbox's own clock.
        return dict(jwt.decode(assertion, rsa_key(certificate), algorithms=_ALGORITHMS, options=options))
    except jwt.PyJWTError:
        words = "Client assertion contains an invalid signature. [Reason - The signature does not fit the key.]"
        raise AssertionProblem(700027, words) from None


def _ends(claims: dict[str, Any], now: dt.datetime) -> float:
    expires, begins = claims.get("exp"), claims.get("nbf", 0)
    stamp, skew = now.timestamp(), _SKEW.total_seconds()
    if (
        not isinstance(expires, int | float)
        or not isinstance(begins, int | float)
        or not begins - skew <= stamp < expires + skew
        or expires > stamp + _LONGEST.total_seconds()
    ):
        raise AssertionProblem(700024, "Client assertion is not within its valid time range.")
    return expires + skew
