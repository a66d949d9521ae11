"""Proves with each request that it comes from the visit that holds the token: DPoP (RFC 9449)."""

from __future__ import annotations

import os

import msgspec

from kiosk.clock import Clock
from kiosk.models import (
    PROOF_ALGORITHM,
    PROOF_KEY_TYPE,
    PROOF_TYPE,
    Proof,
    ProofHeader,
    ProofKey,
    base64url,
    digest,
    visit_fingerprint,
)
from kiosk.secret import VisitKeys

_ID_BYTES = 16


class Prover:
    """Makes the proofs of one visit, and keeps to the broker's clock."""

    def __init__(self, keys: VisitKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        # How far the broker's clock is ahead of ours, in seconds.
        self._ahead = 0.0
        self._seal = digest(keys.public_key)
        kind, curve = PROOF_KEY_TYPE
        key = ProofKey(kty=kind, crv=curve, x=base64url(keys.proof_key))
        header = ProofHeader(typ=PROOF_TYPE, alg=PROOF_ALGORITHM, jwk=key)
        self._header = base64url(msgspec.json.encode(header))
        self.visit = visit_fingerprint(self._seal, key.x)

    def proof(self, method: str, target: str, token: str, body: bytes) -> str:
        """Return the value of the DPoP header for one request. ``target`` is its path and query.

        Raises ValueError when the visit is over.
        """
        claims = Proof(
            jti=base64url(os.urandom(_ID_BYTES)),
            htm=method,
            htu=target,
            iat=round(self._time() + self._ahead, 3),
            ath=digest(token.encode()),
            seal=self._seal,
            body=digest(body),
        )
        signed = f"{self._header}.{base64url(msgspec.json.encode(claims))}"
        return f"{signed}.{base64url(self._keys.sign(signed.encode()))}"

    def follow(self, broker_time: float) -> None:
        """Make the next proofs by the broker's clock."""
        self._ahead = broker_time - self._time()

    def _time(self) -> float:
        return self._clock.utc().timestamp()
