"""The order of the screens in one visit: welcome, sign in, confirm, devices, reveal; and the way back from trouble."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from kiosk.config import Policy
from kiosk.errors import KioskError, ReasonRequired, SignInError, SignInExpired, TerminalWatched, TokenRefused
from kiosk.models import Device, Ending, ReasonRule
from kiosk.screens.confirm import ConfirmScreen, Identity
from kiosk.screens.devices import DevicesScreen
from kiosk.screens.reason import ReasonScreen
from kiosk.screens.reveal import AfterReveal, RevealScreen
from kiosk.screens.sign_in import SignInOutcome, SignInScreen
from kiosk.screens.trouble import Choice, TroubleScreen
from kiosk.screens.welcome import WelcomeScreen
from kiosk.screens.working import WorkingScreen

if TYPE_CHECKING:
    from kiosk.app import KioskApp
    from kiosk.visit import Reveal, Visit

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
    """Asks the visit, shows the screens. Knows nothing of drawing."""

    def __init__(self, app: KioskApp) -> None:
        self._app = app
        self._organisation = app.config.organisation

    async def run(self) -> None:
        """One visit. Ends with VisitOver."""
        organisation, demo = self._organisation, bool(self._app.note)
        await self._app.show(WelcomeScreen(organisation.helpdesk, organisation.portal, self._app.notice, demo=demo))
        visit = self._app.begin_visit()
        try:
            while True:
                with contextlib.suppress(_SignInAgain):
                    await self._sign_in(visit)
                    await self._confirm(visit)
                    await self._choose(visit)
        except _TurnedBack:
            raise VisitOver(Ending.FINISHED) from None

    async def _sign_in(self, visit: Visit) -> None:
        while True:
            try:
                code = await self._busy("Asking for a sign-in code", 1, visit.sign_in.begin())
                screen = SignInScreen(code.user_code, code.address, code.deadline, phone=self._app.phone is not None)
                self._app.remember_code(code.user_code)
                await self._await_sign_in(visit, screen)
                return
            except SignInError as error:
                await self._trouble(error, step=1)
            finally:
                self._app.remember_code("")

    async def _await_sign_in(self, visit: Visit, screen: SignInScreen) -> None:
        failure: list[SignInError] = []

        async def poll() -> None:
            try:
                await visit.sign_in.wait()
                screen.answer(SignInOutcome.SIGNED_IN)
            except SignInError as error:
                failure.append(error)
                screen.answer(SignInOutcome.FAILED)

        polling = asyncio.create_task(poll())
        try:
            outcome = await self._app.show(screen)
        finally:
            polling.cancel()
            # Awaited, so that no poll of this code is under way when the next one is asked for.
            with contextlib.suppress(asyncio.CancelledError):
                await polling
        if outcome is SignInOutcome.CANCELLED:
            raise _TurnedBack
        if outcome is SignInOutcome.EXPIRED:
            raise SignInExpired("not used in time")
        if outcome is SignInOutcome.FAILED:
            raise failure[0]

    async def _confirm(self, visit: Visit) -> None:
        session = await self._attempt("Checking your sign-in", 2, visit.open_session)
        answer = await self._app.show(ConfirmScreen(session.person, self._app.clock))
        if answer is not Identity.MINE:
            raise VisitOver(Ending.IDLE if answer is Identity.UNANSWERED else Ending.LOCKED)

    async def _choose(self, visit: Visit) -> None:
        devices = await self._attempt("Looking for your Macs", 3, visit.broker.devices)
        chosen = ""
        while True:
            helpdesk, now = self._organisation.helpdesk, self._app.clock.utc()
            device = await self._app.show(DevicesScreen(devices, helpdesk, now, chosen=chosen))
            if device is None:
                raise _TurnedBack
            chosen = device.id
            await self._read(visit, device)

    async def _read(self, visit: Visit, device: Device) -> None:
        """Reveal, hide, reveal again, until the person goes back to the list. A reason is asked for once."""
        typed = ""

        async def release() -> Reveal:
            if self._app.look().policy is Policy.REFUSE:
                raise TerminalWatched(str(self._app.look()))
            return await self._finished(visit.release(device, reason or None))

        reason: str | None = None
        while True:
            try:
                if reason is None:
                    reason = await self._ask_reason(visit, typed)
                reveal = await self._attempt("Fetching the recovery key", 4, release, leave="Back to the list")
            except _OtherReason:
                typed, reason = reason or "", None
                continue
            except _TurnedBack:
                return
            if await self._app.show(self._reveal_screen(device, reveal)) is AfterReveal.BACK:
                return

    async def _ask_reason(self, visit: Visit, typed: str) -> str:
        session = visit.session
        if session is None or session.reason is ReasonRule.OFF:
            return ""
        required = session.reason is ReasonRule.REQUIRED
        reason = await self._app.show(ReasonScreen(session.reason_prompt, required=required, typed=typed))
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

    def _came_late(self, task: asyncio.Future[Reveal]) -> None:
        if not task.cancelled() and task.exception() is None:
            self._app.never_shown(task.result().release_id)

    def _reveal_screen(self, device: Device, reveal: Reveal) -> RevealScreen:
        watch = self._app.look()
        warning = f"Another program may see or keep this screen: {watch}." if watch.policy is not Policy.ALLOW else ""
        return RevealScreen(
            device,
            reveal.key,
            reveal.deadline,
            release_id=reveal.release_id,
            warning=warning,
            masked=watch.policy in {Policy.MASK, Policy.REFUSE},
        )

    async def _attempt(self, words: str, step: int, ask: Callable[[], Awaitable[Result]], *, leave: str = "") -> Result:
        """Ask until there is an answer; in between the person decides whether to go on. ``leave`` is the way back."""
        while True:
            try:
                return await self._busy(words, step, ask())
            except KioskError as error:
                await self._trouble(error, step=step, leave=leave)
                if isinstance(error, TokenRefused):
                    raise _SignInAgain from None
                if isinstance(error, ReasonRequired):
                    raise _OtherReason from None

    async def _busy(self, words: str, step: int, asking: Awaitable[Result]) -> Result:
        """Wait for an answer; say so when it takes longer than a moment. Esc gives up waiting."""
        task = asyncio.ensure_future(asking)
        try:
            done, _ = await asyncio.wait({task}, timeout=_PATIENCE_SECONDS)
            if not done:
                given_up = asyncio.ensure_future(self._app.show(WorkingScreen(words, step=step)))
                await asyncio.wait({task, given_up}, return_when=asyncio.FIRST_COMPLETED)
                given_up.cancel()
                if not task.done():
                    raise _TurnedBack
            return task.result()
        finally:
            task.cancel()

    async def _trouble(self, error: KioskError, *, step: int, leave: str = "") -> None:
        """Say what went wrong. Returns to try again; raises _TurnedBack when the person does not want to."""
        log.warning("%s %s: %s", error.reference, error.code, error.cause)
        screen = TroubleScreen(error, self._organisation.helpdesk, leave=leave or "Finish", step=step)
        if await self._app.show(screen) is Choice.LEAVE:
            raise _TurnedBack
