"""Defines the messages and headers between kiosk and broker. The broker cleans every string that a person will see."""

from __future__ import annotations

import base64
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, TypeAlias

import msgspec

if TYPE_CHECKING:
    import hashlib

TERMINAL_HEADER = "X-Kiosk-Terminal"
# RFC 9449: a JWS that proves that the request comes from the visit that holds the token.
PROOF_HEADER = "DPoP"
PROOF_TYPE = "dpop+jwt"
PROOF_ALGORITHM = "EdDSA"
PROOF_KEY_TYPE = ("OKP", "Ed25519")

# A time with its offset from UTC. Without the offset it could not be compared with our clock.
Moment: TypeAlias = Annotated[datetime, msgspec.Meta(tz=True)]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all messages. Unknown fields are ignored, so that a newer broker can serve an older kiosk."""


class Person(Message, frozen=True, kw_only=True):
    """The person at the terminal. ``tid`` and ``oid`` identify them; the rest is for display."""

    tid: str
    oid: str
    name: str
    address: str
    roles: tuple[str, ...] = ()


class SignInMethod(StrEnum):
    """How people sign in: on the broker's sign-in page, or with a device code of Entra ID."""

    WEB = "web"
    DEVICE_CODE = "device_code"


class ReasonRule(StrEnum):
    """Whether a reason is asked for before a release."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


class Session(Message, frozen=True, kw_only=True):
    """Answer of ``GET /v1/session``. ``reason_prompt`` is the organisation's own wording of the prompt, if any."""

    person: Person
    reason: ReasonRule
    version: str
    reason_prompt: str | None = None


class Device(Message, frozen=True, kw_only=True):
    """A managed device of the person.

    ``last_seen`` is when it last reported, None if that is unknown, or if it never has (``never_seen``). ``refusal`` is
    the code of the error that a release would raise, if one is known. ``warning`` is the code of
    something that the person should know about a key that can be released.
    """

    id: str
    name: str
    model: str
    serial: str
    os: str
    os_version: str
    last_seen: Moment | None
    never_seen: bool = False
    refusal: str | None = None
    warning: str | None = None


class Devices(Message, frozen=True, kw_only=True):
    """Answer of ``GET /v1/devices``."""

    devices: tuple[Device, ...]
    next: str | None = None


class ReleaseRequest(Message, frozen=True, kw_only=True):
    """Body of ``POST /v1/devices/{id}/release``. ``public_key`` is raw (``kiosk.secret``); base64 on the wire."""

    public_key: bytes
    reason: str | None = None


class Release(Message, frozen=True, kw_only=True):
    """A recovery key, sealed to the public key of the visit.

    The reveal ends by ``deadline`` at the latest. ``warning`` is the code of something that the person should know
    about this key. ``device`` is the Mac as it was read for this release; None from an older broker.
    """

    release_id: str
    device_id: str
    sealed: bytes
    deadline: Moment
    warning: str | None = None
    device: Device | None = None


class Ending(StrEnum):
    """How a reveal ended."""

    COUNTDOWN = "countdown"
    HIDDEN = "hidden"
    FINISHED = "finished"
    LOCKED = "locked"
    IDLE = "idle"
    VISIT_OVER = "visit_over"
    LOST = "terminal_lost"
    CRASHED = "crashed"
    NOT_SHOWN = "not_shown"


class ReleaseClosed(Message, frozen=True, kw_only=True):
    """Body of ``POST /v1/releases/{id}/closed``. ``shown_seconds`` is how long the key was on the screen."""

    how: Ending
    shown_seconds: float = 0.0


class Health(Message, frozen=True, kw_only=True):
    """Answer of the health endpoints: the broker runs and, on ``readyz``, can serve a release."""

    healthy: bool = True
    version: str = ""


class CheckOutcome(StrEnum):
    """How the check of a copied key ended."""

    RIGHT = "right"
    # Some groups are wrong, or were not typed.
    INCOMPLETE = "incomplete"
    OUT_OF_TRIES = "out_of_tries"


class ReleaseChecked(Message, frozen=True, kw_only=True):
    """Body of ``POST /v1/releases/{id}/checked``. ``groups_right`` of the six groups were copied correctly."""

    how: CheckOutcome
    groups_right: Annotated[int, msgspec.Meta(ge=0, le=6)]


class Problem(Message, frozen=True, kw_only=True):
    """RFC 9457 problem document. ``type`` ends in the stable code of one of our errors.

    The ids are those of the last request to Graph, if any: Microsoft's support asks for them.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    reference: str = ""
    retry_after: float | None = None
    client_request_id: str = ""
    request_id: str = ""
    # The broker's clock, for a kiosk whose proof was made at the wrong time. Seconds since 1970.
    time: float | None = None


class ProofKey(Message, frozen=True, kw_only=True):
    """The public key of a proof, as a JWK (RFC 8037)."""

    kty: str
    crv: str
    x: str


class ProofHeader(Message, frozen=True, kw_only=True):
    """The header of a proof."""

    typ: str
    alg: str
    jwk: ProofKey


class Proof(Message, frozen=True, kw_only=True):
    """The claims of a proof: those of RFC 9449, and two of ours.

    ``htu`` is the path with the query and nothing before it: a broker does not know by which names it is reached.
    ``ath``, ``seal`` and ``body`` are SHA-256 in base64url: of the token, of the public key that recovery keys are
    sealed to, and of the request's body, also of an empty one.
    """

    jti: str
    htm: str
    htu: str
    iat: float
    ath: str
    seal: str
    body: str


def base64url(content: bytes) -> str:
    """Return base64url without padding, as JOSE has it."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def digest(content: bytes) -> str:
    """Return the SHA-256 as base64url."""
    return base64url(_sha256(content).digest())


def visit_fingerprint(seal: str, proof_key: str) -> str:
    """Return what identifies a visit: the SHA-256, in hexadecimal, of ``Proof.seal`` and ``ProofKey.x``."""
    return _sha256(f"{seal}.{proof_key}".encode()).hexdigest()


def _sha256(content: bytes) -> hashlib._Hash:
    # Imported only when a visit begins: an import at the top would delay the first screen.
    import hashlib

    return hashlib.sha256(content)
