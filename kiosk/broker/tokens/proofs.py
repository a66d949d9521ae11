"""Checks that a request comes from the visit that holds its token: DPoP (RFC 9449), each proof once.

Entra ID does not bind its tokens to a key, so the first proof that comes with a token does.
"""

from __future__ import annotations

import heapq
import re
from dataclasses import dataclass

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from kiosk.clock import Clock
from kiosk.errors import TokenProofTime, TokenUnproven
from kiosk.models import (
    PROOF_ALGORITHM,
    PROOF_KEY_TYPE,
    PROOF_TYPE,
    Proof,
    ProofHeader,
    base64url,
    digest,
    visit_fingerprint,
)

# A proof is made right before it is sent. Clocks may differ by as much: a kiosk then asks once more, by our clock.
WINDOW_SECONDS = 30.0
# Requests of each person are limited, so 500 proofs a second take a good many people. Beyond it the window shrinks.
MOST_PROOFS = 30_000
# Starting takes longer, so no process before this one served a proof that was made since.
_START_SECONDS = 0.5
_LONGEST_PROOF = 4096
_ID = re.compile(r"[\w-]{16,64}", re.ASCII)
_KIND = (PROOF_TYPE, PROOF_ALGORITHM, *PROOF_KEY_TYPE)
_PARTS = ("method", "address", "token")
_JWS = jwt.PyJWS(algorithms=[PROOF_ALGORITHM])
_MALFORMED = (jwt.InvalidTokenError, msgspec.MsgspecError, UnicodeError, RecursionError, ValueError, TypeError)


@dataclass(frozen=True)
class Proven:
    """A proof with a good signature. ``visit`` identifies the keys of the visit that made it."""

    visit: str
    key: str
    body: str
    jti: str
    made: float

    def visit_sealing_to(self, public_key: bytes) -> str:
        """Return what identifies the visit with this signer and this public key for recovery keys."""
        return visit_fingerprint(digest(public_key), self.key)

    def expect_body(self, body: bytes) -> None:
        """Raise TokenUnproven if the proof is for another body."""
        if self.body != digest(body):
            raise TokenUnproven("the proof is for another body")


class Proofs:
    """Verifies proofs, and remembers those that were used for as long as they could be used again.

    Times are kept by the monotonic clock, so that nobody is kept out by a wall clock that was ahead and is corrected. A
    proof from before the start is refused, because this process cannot know whether it was used.
    """

    def __init__(self, clock: Clock, most: int = MOST_PROOFS) -> None:
        self._clock = clock
        self._most = most
        # No proof counts that was made at this time or before.
        self._earliest = clock.now() - _START_SECONDS
        self._used: set[tuple[str, str]] = set()
        self._by_time: list[tuple[float, tuple[str, str]]] = []

    def verify(self, proof: str | None, method: str, target: str, token: str) -> Proven:
        """Return what a DPoP header proves of a request with this token. ``target`` is the path with the query.

        Raises TokenUnproven or TokenProofTime.
        """
        header, claims = _read(proof)
        asked = (method, target, digest(token.encode()))
        for what, said, expected in zip(_PARTS, (claims.htm, claims.htu, claims.ath), asked, strict=True):
            if said != expected:
                raise TokenUnproven(f"the proof is for another {what}")
        age = self._clock.utc().timestamp() - claims.iat
        made = self._clock.now() - age
        if age < -WINDOW_SECONDS or made <= self._earliest_now():
            error = TokenProofTime(f"the proof was made {age:.6g} s ago")
            error.broker_time = self._clock.utc().timestamp()
            raise error
        key = header.jwk.x
        if (key, claims.jti) in self._used:
            raise TokenUnproven("the proof was used before")
        return Proven(visit_fingerprint(claims.seal, key), key, claims.body, claims.jti, made)

    def use(self, proven: Proven) -> None:
        """Remember a proof whose request is served. Raises TokenUnproven if another request has used it meanwhile."""
        used = proven.key, proven.jti
        if used in self._used:
            raise TokenUnproven("the proof was used before")
        self._used.add(used)
        heapq.heappush(self._by_time, (proven.made, used))
        earliest = self._earliest_now()
        # This proof itself may have become too old since it was verified.
        while self._by_time and (self._by_time[0][0] <= earliest or len(self._by_time) > self._most):
            made, old = heapq.heappop(self._by_time)
            self._used.discard(old)
            self._earliest = max(self._earliest, made)

    def __len__(self) -> int:
        """Return how many proofs are remembered."""
        return len(self._used)

    def _earliest_now(self) -> float:
        return max(self._earliest, self._clock.now() - WINDOW_SECONDS)


def _read(proof: str | None) -> tuple[ProofHeader, Proof]:
    """Return header and claims of a proof that was signed with the key in its header. Raises TokenUnproven."""
    if not proof:
        raise TokenUnproven("no proof")
    if len(proof) > _LONGEST_PROOF:
        raise TokenUnproven(f"a proof of {len(proof)} characters")
    try:
        header = msgspec.convert(jwt.get_unverified_header(proof), ProofHeader)
        if (header.typ, header.alg, header.jwk.kty, header.jwk.crv) != _KIND:
            raise TokenUnproven("a proof of another kind")
        raw = jwt.utils.base64url_decode(header.jwk.x)
        # One spelling only, because it is part of what identifies the visit.
        if base64url(raw) != header.jwk.x:
            raise TokenUnproven("not the key of a proof")
        key = Ed25519PublicKey.from_public_bytes(raw)
        claims = msgspec.json.decode(_JWS.decode(proof, key, algorithms=[PROOF_ALGORITHM]), type=Proof)
    except _MALFORMED as error:
        raise TokenUnproven(f"not a proof: {type(error).__name__}") from None
    if not _ID.fullmatch(claims.jti):
        raise TokenUnproven("a proof without an id of its own")
    return header, claims
