"""The device code flow: the codes that were issued, and the state of each."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from enum import Enum

from kiosk.clock import Clock
from kiosk.sandbox.tenant.directory import Application

# No vowels, no digits: codes are typed on phones, and must not spell anything.
_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_USER_CODE_LENGTH = 9
_AUTO_APPROVAL_SECONDS = 1.0
# Part of the interval that may be missing: after a slow answer, the next poll of a patient client comes early.
_TOLERATED_EARLINESS = 0.5
_KEPT_AFTER_EXPIRY_SECONDS = 3600.0


class Outcome(Enum):
    """The result of a poll."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    PENDING = "pending"
    TOO_SOON = "too soon"
    DECLINED = "declined"
    REDEEMED = "redeemed"
    APPROVED = "approved"


@dataclass
class Grant:
    """One pair of codes, and what the person has answered."""

    application: Application
    scopes: tuple[str, ...]
    origin: str
    asked_at: float
    expires_at: float
    user_code: str = field(repr=False, default="")
    device_code: str = field(repr=False, default="")
    oid: str = ""
    signed_in: int = 0
    declined: bool = False
    redeemed: bool = False
    polled_at: float | None = None

    @property
    def answered(self) -> bool:
        """Whether the person has approved or declined."""
        return bool(self.oid) or self.declined


class DeviceCodes:
    """Issues codes, takes the answers of people and the polls of clients.

    With ``approve_oid``, each code is approved as this person after a second.
    """

    def __init__(self, clock: Clock, *, expires_seconds: int, interval_seconds: int, approve_oid: str = "") -> None:
        self.expires_seconds = expires_seconds
        self.interval_seconds = interval_seconds
        self._clock = clock
        self._approve_oid = approve_oid
        self._by_device_code: dict[str, Grant] = {}
        self._by_user_code: dict[str, Grant] = {}

    def issue(self, application: Application, scopes: tuple[str, ...], origin: str) -> Grant:
        """Issue a pair of codes. ``origin`` is the address that asked."""
        self._forget()
        now = self._clock.now()
        grant = Grant(application, scopes, origin, now, now + self.expires_seconds)
        grant.user_code = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(_USER_CODE_LENGTH))
        grant.device_code = secrets.token_urlsafe(96)
        self._by_device_code[grant.device_code] = self._by_user_code[grant.user_code] = grant
        return grant

    def open_grant(self, user_code: str) -> Grant | None:
        """Return the grant for a typed code, if it can still be answered."""
        typed = "".join(letter for letter in user_code.upper() if letter.isalnum())
        grant = self._by_user_code.get(typed)
        if grant is None or grant.answered or self._clock.now() >= grant.expires_at:
            return None
        return grant

    def approve(self, grant: Grant, oid: str) -> None:
        """Record that this person has signed in now."""
        grant.oid, grant.signed_in = oid, int(self._clock.utc().timestamp())

    def decline(self, grant: Grant) -> None:
        """Record that the person has declined."""
        grant.declined = True

    def poll(self, device_code: str, application: Application) -> tuple[Outcome, Grant | None]:
        """Return the state of a code. An approval is returned once, then the code is redeemed."""
        grant = self._by_device_code.get(device_code)
        if grant is None or grant.application != application:
            return Outcome.UNKNOWN, None
        now = self._clock.now()
        since, grant.polled_at = (None if grant.polled_at is None else now - grant.polled_at), now
        if grant.redeemed:
            return Outcome.REDEEMED, grant
        if now >= grant.expires_at:
            return Outcome.EXPIRED, grant
        if grant.declined:
            return Outcome.DECLINED, grant
        if self._approve_oid and not grant.oid and now - grant.asked_at >= _AUTO_APPROVAL_SECONDS:
            self.approve(grant, self._approve_oid)
        if grant.oid:
            grant.redeemed = True
            return Outcome.APPROVED, grant
        if since is not None and since < self.interval_seconds * (1 - _TOLERATED_EARLINESS):
            return Outcome.TOO_SOON, grant
        return Outcome.PENDING, grant

    def _forget(self) -> None:
        before = self._clock.now() - _KEPT_AFTER_EXPIRY_SECONDS
        for grant in [grant for grant in self._by_device_code.values() if grant.expires_at < before]:
            del self._by_device_code[grant.device_code], self._by_user_code[grant.user_code]
