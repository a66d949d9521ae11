"""The order of the steps in one visit: welcome, sign in, confirm, devices, reveal; and the way back from trouble."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from kiosk.config.kiosk import Policy
from kiosk.errors import (
    BrokerGarbled,
    BrokerUnreachable,
    KioskError,
    ReasonRequired,
    SignInBusy,
    SignInError,
    SignInExpired,
    SignInUnreachable,
    TerminalWatched,
    TokenRefused,
)
from kiosk.i18n import N_
from kiosk.models import Device, Ending, ReasonRule
from kiosk.process.logging import place_of
from kiosk.visit.answers import AfterCard, AfterCheck, AfterReveal, Choice, Identity, SignInOutcome
from kiosk.visit.guard import VisitGuard
from kiosk.visit.ui import VisitUI

if TYPE_CHECKING:
    from kiosk.identity import DeviceCode
    from kiosk.visit.reveal import Reveal
    from kiosk.visit.visit import Visit

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# A "one moment" that flashes by is worse than none.
_PATIENCE_SECONDS = 0.3


class VisitOver(Exception):
    """The person is done, or was not who they should be."""

    def __init__(self, how: Ending) -> None:
        super().__init__(how)
        self.how = how


class _TurnedBack(Exception):
    """Esc while a question was under way, or after it failed."""


class _OtherReason(Exception):
    """The broker did not take the reason."""


class _SignInAgain(Exception):
    """The broker no longer takes the sign-in; it can be done afresh."""


class Flow:
    """Asks the visit, and has the face show what comes of it. Knows nothing of drawing."""

    def __init__(self, ui: VisitUI, guard: VisitGuard, *, disturbed: bool = False) -> None:
        """``disturbed``: the last visit at this terminal ended with network trouble."""
        self._ui = ui
        self._guard = guard
        self._disturbed = disturbed

    async def run(self) -> None:
        """One visit. Ends with VisitOver."""
        await self._welcome()
        visit = self._guard.begin()
        try:
            while True:
                with contextlib.suppress(_SignInAgain):
                    await self._sign_in(visit)
                    await self._confirm(visit)
                    await self._choose(visit)
        except _TurnedBack:
            raise VisitOver(Ending.FINISHED) from None

    async def _welcome(self) -> None:
        looking = asyncio.ensure_future(self._look_for_network()) if self._disturbed else None
        try:
            await self._ui.welcome()
        finally:
            if looking:
                await _dropped(looking)

    async def _look_for_network(self) -> None:
        # Only a kiosk that has lost its network needs this before somebody begins.
        from kiosk.visit.network_probe import answers, until_back

        try:
            await until_back(partial(answers, self._guard.config), self._guard.clock, self._ui.network)
        except Exception as error:
            # A visit can do without. Logged now, as nobody may begin for days.
            log.error("looking for the network: %s", place_of(error))

    async def _sign_in(self, visit: Visit) -> None:
        renewed = False
        while True:
            try:
                code = await self._busy(N_("Asking for a sign-in code"), 1, visit.sign_in.begin())
                outcome = await self._await_sign_in(visit, code, renewed=renewed)
            except SignInError as error:
                # One that the service calls too old is renewed like one that is too old here, but not twice in a row.
                if isinstance(error, SignInExpired) and not renewed:
                    renewed = True
                    continue
                renewed = False
                await self._trouble(error, step=1)
                continue
            if outcome is SignInOutcome.CANCELLED:
                raise _TurnedBack
            if outcome is None:
                return
            # The limit of the visit ends this where nobody is there.
            renewed = True

    async def _await_sign_in(self, visit: Visit, code: DeviceCode, *, renewed: bool) -> SignInOutcome | None:
        """None once the person has signed in; else what ended the waiting here. Raises SignInError."""
        polling = asyncio.ensure_future(visit.sign_in.wait())
        waiting = asyncio.ensure_future(self._ui.sign_in(code, renewed=renewed))
        try:
            await asyncio.wait({polling, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if polling.done():
                return polling.result()
            if waiting.result() is SignInOutcome.EXPIRED:
                # Who signed in a moment ago is not sent back for another code.
                with contextlib.suppress(SignInExpired):
                    return await self._busy(N_("Checking your sign-in"), 1, polling)
            return waiting.result()
        finally:
            self._guard.disturbed = visit.sign_in.unanswered
            await _dropped(polling, waiting)

    async def _confirm(self, visit: Visit) -> None:
        session = await self._attempt(N_("Checking your sign-in"), 2, visit.open_session)
        answer = await self._ui.confirm(session.person)
        if answer is not Identity.MINE:
            raise VisitOver(Ending.IDLE if answer is Identity.UNANSWERED else Ending.LOCKED)

    async def _choose(self, visit: Visit) -> None:
        devices = await self._attempt(N_("Looking for your Macs"), 3, visit.broker.devices)
        chosen = ""
        while True:
            device = await self._ui.devices(devices, chosen=chosen)
            if device is None:
                raise _TurnedBack
            chosen = device.id
            await self._read(visit, device)

    async def _read(self, visit: Visit, device: Device) -> None:
        """Reveal, and fetch again once the time is over, until the person goes back to the list."""
        answer, reason = AfterReveal.FETCH, None
        while answer is AfterReveal.FETCH:
            try:
                reveal, reason = await self._fetch(visit, device, reason)
            except _TurnedBack:
                return
            answer = await self._use(reveal)
            self._guard.let_go(reveal)

    async def _use(self, reveal: Reveal) -> AfterReveal:
        """One released key, the check of its copy and the card with the way on, until the person is done with it."""
        while True:
            answer = await self._ui.reveal(reveal, self._guard.look())
            if answer not in {AfterReveal.CHECK, AfterReveal.WHAT_NOW}:
                return answer
            reveal.hide()
            if answer is AfterReveal.CHECK and await self._ui.copy_check(reveal) is AfterCheck.BACK:
                continue
            if await self._ui.what_now(reveal.device) is AfterCard.FINISH:
                raise VisitOver(Ending.FINISHED)

    async def _fetch(self, visit: Visit, device: Device, reason: str | None) -> tuple[Reveal, str]:
        """The key of a device, and the reason that was taken for it; a reason is asked for once."""
        typed, demanded = "", False
        while True:
            if reason is None:
                reason = await self._ask_reason(visit, typed, demanded=demanded)
            ask = partial(self._release, visit, device, reason)
            leave = N_("Back to the list")
            try:
                reveal = await self._attempt(N_("Fetching the recovery key"), 4, ask, leave=leave, device=device)
            except _OtherReason:
                typed, reason, demanded = reason, None, True
                continue
            return reveal, reason

    async def _release(self, visit: Visit, device: Device, reason: str) -> Reveal:
        watch = self._guard.look()
        if watch.policy is Policy.REFUSE:
            raise TerminalWatched(str(watch))
        return await self._finished(visit.release(device, reason or None))

    async def _ask_reason(self, visit: Visit, typed: str, *, demanded: bool) -> str:
        """``demanded``: the broker wants one, whatever it said when the visit began."""
        session = visit.session
        if session is None or (session.reason is ReasonRule.OFF and not demanded):
            return ""
        required = demanded or session.reason is ReasonRule.REQUIRED
        reason = await self._ui.reason(session.reason_prompt, required=required, typed=typed)
        if reason is None:
            raise _TurnedBack
        return reason

    async def _finished(self, asking: Awaitable[Reveal]) -> Reveal:
        """Let a release that was begun come to its end: giving up waiting does not undo it, and the record says so."""
        task = asyncio.ensure_future(asking)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._came_late)
            raise

    @staticmethod
    def _came_late(task: asyncio.Future[Reveal]) -> None:
        if task.cancelled():
            return
        if error := task.exception():
            _log_unexpected(error)
            return
        reveal = task.result()
        reveal.finish(Ending.NOT_SHOWN)
        reveal.wipe()

    async def _attempt(
        self,
        words: str,
        step: int,
        ask: Callable[[], Awaitable[Result]],
        *,
        leave: str = N_("Finish"),
        device: Device | None = None,
    ) -> Result:
        """Ask until there is an answer; in between the person decides whether to go on. ``leave`` is the way back."""
        while True:
            try:
                return await self._busy(words, step, ask())
            except KioskError as error:
                await self._trouble(error, step=step, leave=leave, device=device)
                if isinstance(error, TokenRefused):
                    raise _SignInAgain from None
                if isinstance(error, ReasonRequired):
                    raise _OtherReason from None

    async def _busy(self, words: str, step: int, asking: Awaitable[Result]) -> Result:
        """Wait for an answer; say so when it takes longer than a moment. The person may give up waiting."""
        task = asyncio.ensure_future(asking)
        given_up: asyncio.Future[None] | None = None
        try:
            done, _ = await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)
            if not done:
                given_up = asyncio.ensure_future(self._ui.working(words, step))
                await asyncio.wait({task, given_up}, return_when=asyncio.FIRST_COMPLETED)
                if given_up.done():
                    # Raises what broke the screen: that is no person who turned back.
                    given_up.result()
                if not task.done():
                    raise _TurnedBack
            result = task.result()
            self._guard.disturbed = False
            return result
        finally:
            # Also when the visit ends meanwhile: nothing may ask on behind the goodbye.
            task.cancel()
            if given_up:
                await _dropped(given_up)

    async def _trouble(
        self, error: KioskError, *, step: int, leave: str = N_("Finish"), device: Device | None = None
    ) -> None:
        """Say what went wrong. Returns to try again; raises _TurnedBack when the person does not want to."""
        log.warning("%s %s: %s", error.reference, error.code, error.cause)
        self._guard.disturbed = _no_network(error)
        if await self._ui.trouble(error, leave=leave, step=step, device=device) is Choice.LEAVE:
            raise _TurnedBack


async def _dropped(*tasks: asyncio.Future[Any]) -> None:
    """Cancel what nobody waits for any more, and return when it has ended."""
    under_way = [task for task in tasks if not task.done()]
    for task in under_way:
        task.cancel()
    for outcome in await asyncio.gather(*under_way, return_exceptions=True):
        if isinstance(outcome, Exception):
            _log_unexpected(outcome)


def _log_unexpected(error: BaseException) -> None:
    if not isinstance(error, KioskError):
        log.error("while giving up: %s", place_of(error))


def _no_network(error: KioskError) -> bool:
    """Nothing answered, or something else than who was asked. A service that says that it is busy is there."""
    nothing = isinstance(error, SignInUnreachable | BrokerUnreachable | BrokerGarbled)
    return nothing and not isinstance(error, SignInBusy)
