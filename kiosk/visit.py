"""What one visit knows, and how it ends. One person, one process, nothing left after it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from kiosk.api import Broker
from kiosk.clock import Clock, Deadline
from kiosk.config import KioskConfig
from kiosk.errors import KioskError, SealBroken
from kiosk.identity import SignIn
from kiosk.models import Device, Ending, Person, Session
from kiosk.secret import SecretBuffer, VisitKeys, release_info
from kiosk.witness import Witness


@dataclass(frozen=True)
class Reveal:
    """An opened recovery key and the moment at which it must be gone."""

    device: Device
    key: SecretBuffer
    release_id: str
    since: float
    deadline: Deadline


class Visit:
    """From "press Enter to begin" to the lock."""

    def __init__(self, config: KioskConfig, clock: Clock, terminal: str = "", witness: Witness | None = None) -> None:
        """Begins the visit's time. Raises ConfigError."""
        self._witness = witness
        self.config = config
        self.clock = clock
        self.deadline = Deadline.after(clock, config.visit.visit_seconds)
        self.sign_in = SignIn(config.sign_in, clock)
        self._keys = VisitKeys()
        self.broker = Broker(config.broker, self.sign_in.authorization, terminal, self._keys.public_key)
        self.session: Session | None = None
        # By release id. More than one only while the broker is still being told of the last one's end.
        self._reveals: dict[str, Reveal] = {}

    @property
    def person(self) -> Person:
        """Who signed in, as the broker has validated it."""
        assert self.session is not None, "sign-in comes first"
        return self.session.person

    async def open_session(self) -> Session:
        """Let the broker say who this is. Raises KioskError."""
        self.session = await self.broker.session()
        return self.session

    async def release(self, device: Device, reason: str | None = None) -> Reveal:
        """Ask for the key of a device and open its seal. Raises KioskError."""
        release = await self.broker.release(device.id, self._keys.public_key, reason)
        if release.device_id != device.id:
            raise SealBroken("the broker answered for another device")
        info = release_info(
            tid=self.person.tid, oid=self.person.oid, device_id=device.id, release_id=release.release_id
        )
        key = self._keys.open(release.sealed, info)
        now = self.clock.now()
        # The visit's own end comes first: a countdown must not promise time that is not there.
        until = min(now + self.config.visit.reveal_seconds, self.deadline.at)
        reveal = Reveal(device, key, release.release_id, since=now, deadline=Deadline(self.clock, until))
        self._reveals[reveal.release_id] = reveal
        if self._witness:
            self._witness.opened(reveal.release_id)
        return reveal

    @property
    def reveal_deadlines(self) -> list[float]:
        """When the keys that are open now must be gone, on the visit's clock."""
        return [reveal.deadline.at for reveal in list(self._reveals.values())]

    async def close_reveal(self, release_id: str, how: Ending) -> None:
        """Wipe the key of a release and tell the broker how its showing ended; once told, nothing more is said."""
        reveal = self._reveals.pop(release_id, None)
        if reveal is None:
            return
        reveal.key.wipe()
        shown = min(self.clock.now(), reveal.deadline.at) - reveal.since
        # The key is gone already. What the broker is not told now, the supervisor tells it after the visit.
        # (A key that comes after the end of the visit finds the connections closed, which httpx calls a RuntimeError.)
        with contextlib.suppress(KioskError, RuntimeError):
            await self.broker.closed(reveal.release_id, how, shown)
            if self._witness:
                self._witness.closed(reveal.release_id)

    def wipe(self) -> None:
        """Zero what can be zeroed, at once and from any thread."""
        for reveal in list(self._reveals.values()):
            reveal.key.wipe()

    async def end(self, how: Ending) -> None:
        """Close what is open, sign out, close the connections."""
        self.wipe()
        for release_id in list(self._reveals):
            await self.close_reveal(release_id, how)
        self.sign_in.forget()
        await self.broker.aclose()

    def __repr__(self) -> str:
        return "<Visit>"
