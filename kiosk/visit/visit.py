"""Holds the secrets and connections of one visit, and wipes them at its end. One person, one process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from kiosk.api import Broker
from kiosk.clock import Clock, Deadline
from kiosk.config.kiosk import KioskConfig
from kiosk.errors import KioskError, SealBroken
from kiosk.identity.sign_in import SignIn
from kiosk.models import CheckOutcome, Device, Ending, Person, ReleaseChecked, Session, SignInMethod
from kiosk.proof import Prover
from kiosk.recovery_key.copy_check import Outcome
from kiosk.secret import VisitKeys, release_info
from kiosk.visit.open_reveals import OpenReveals
from kiosk.visit.reveal import Reveal, Times

if TYPE_CHECKING:
    from kiosk.identity.device_code import DeviceCodeSignIn
    from kiosk.identity.phone import PhoneSignIn


class Visit:
    """One visit, from "Press Enter to begin" until it is locked."""

    def __init__(
        self,
        config: KioskConfig,
        clock: Clock,
        terminal: str = "",
        open_reveals: OpenReveals | None = None,
        *,
        ended: Callable[[Reveal, Ending], None] = lambda _reveal, _how: None,
    ) -> None:
        """Start the time limit of the visit. Raises ConfigError.

        ``ended`` is called for each reveal whose key can no longer be shown.
        """
        self._open_reveals = open_reveals
        self._ended = ended
        self.config = config
        self.clock = clock
        self.deadline = Deadline.after(clock, config.visit.visit_seconds)
        self._keys = VisitKeys()
        self.broker = Broker(config.broker, self._authorization, terminal, Prover(self._keys, clock))
        # The way to sign in that the organisation has chosen.
        self.phone: PhoneSignIn | None = None
        self.device_code: DeviceCodeSignIn | None = None
        self.sign_in: SignIn = self._way_to_sign_in()
        self.session: Session | None = None
        # All reveals of the visit by release id. Each may still have to be wiped or reported.
        self._reveals: dict[str, Reveal] = {}
        self._endings: dict[str, Ending] = {}
        # Release ids whose ending, or copy check, the broker has acknowledged.
        self._ends_told: set[str] = set()
        self._checks_told: set[str] = set()

    @property
    def person(self) -> Person:
        """Return the person who signed in, as validated by the broker."""
        assert self.session is not None, "sign-in comes first"
        return self.session.person

    async def open_session(self) -> Session:
        """Ask the broker who signed in, and return its answer. Raises KioskError."""
        self.session = await self.broker.session()
        return self.session

    async def release(self, device: Device, reason: str | None = None) -> Reveal:
        """Ask the broker for the key of a device, and return its reveal. Raises KioskError."""
        release = await self.broker.release(device.id, self._keys.public_key, reason)
        if release.device_id != device.id or (release.device and release.device.id != device.id):
            raise SealBroken("the broker answered for another device")
        info = release_info(
            tid=self.person.tid, oid=self.person.oid, device_id=device.id, release_id=release.release_id
        )
        settings = self.config.visit
        times = Times(settings.reveal_seconds, settings.longest_reveal_seconds, self.deadline.at)
        reveal = Reveal(
            # The list may be minutes old.
            release.device or device,
            release.release_id,
            lambda: self._keys.open(release.sealed, info),
            times,
            self.clock,
            self._ended,
            warning=release.warning,
        )
        self._reveals[reveal.release_id] = reveal
        if self._open_reveals:
            self._open_reveals.opened(reveal.release_id)
        return reveal

    @property
    def reveal_deadlines(self) -> list[float]:
        """Return the deadlines of all visible keys, on the visit's clock."""
        return [reveal.deadline.at for reveal in list(self._reveals.values()) if reveal.visible]

    def tick(self) -> None:
        """End every reveal whose time is over."""
        for reveal in list(self._reveals.values()):
            reveal.tick()

    def hide(self) -> None:
        """Hide every key. It can be shown again until its time is over."""
        for reveal in list(self._reveals.values()):
            reveal.hide()

    async def tell_end(self, reveal: Reveal, how: Ending) -> None:
        """Tell the broker how a reveal ended. The first ending counts. Call it again to retry.

        The supervisor reports after the visit what the broker could not be told before.
        """
        how = self._endings.setdefault(reveal.release_id, how)
        if reveal.release_id in self._ends_told:
            return
        with contextlib.suppress(KioskError):
            await self.broker.closed(reveal.release_id, how, reveal.shown_seconds)
            self._ends_told.add(reveal.release_id)
            if self._open_reveals:
                self._open_reveals.closed(reveal.release_id)

    async def tell_check(self, reveal: Reveal) -> None:
        """Tell the broker how the check of a copy went, if there was one. Call it again to retry."""
        check = reveal.copy_check
        if check is None or not check.begun or reveal.release_id in self._checks_told:
            return
        with contextlib.suppress(KioskError):
            await self.broker.checked(reveal.release_id, _checked(check.outcome))
            self._checks_told.add(reveal.release_id)

    def wipe(self) -> None:
        """Zero all keys at once. Safe to call from any thread."""
        for reveal in list(self._reveals.values()):
            reveal.wipe()

    async def end(self, how: Ending) -> None:
        """Wipe every key, report to the broker what it was not told yet, sign out and close the connections.

        The broker forgets the token last: it takes no report with a token whose visit has ended.
        """
        self.wipe()
        try:
            for reveal in list(self._reveals.values()):
                await self.tell_end(reveal, how)
                await self.tell_check(reveal)
            await self.sign_in.abandon()
            if self.sign_in.signed_in:
                with contextlib.suppress(KioskError):
                    await self.broker.end_session()
        finally:
            self.sign_in.forget()
            self._keys.forget()
        await self.broker.aclose()

    def _authorization(self) -> str:
        return self.sign_in.authorization()

    def _way_to_sign_in(self) -> SignIn:
        # Imported here: a kiosk needs only one of them, and MSAL is large.
        if self.config.sign_in.method is SignInMethod.WEB:
            from kiosk.identity.phone import PhoneSignIn

            self.phone = PhoneSignIn(self.broker, self._keys, self.clock, self.config.sign_in.place)
            return self.phone
        from kiosk.identity.device_code import DeviceCodeSignIn

        self.device_code = DeviceCodeSignIn(self.config.device_code_settings, self.clock)
        return self.device_code

    def __repr__(self) -> str:
        return "<Visit>"


def _checked(outcome: Outcome) -> ReleaseChecked:
    how = CheckOutcome.OUT_OF_TRIES if outcome.out_of_tries else CheckOutcome.INCOMPLETE
    return ReleaseChecked(how=CheckOutcome.RIGHT if outcome.complete else how, groups_right=outcome.right)
