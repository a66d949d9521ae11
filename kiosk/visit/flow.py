"""Leads a visit through its steps: welcome, sign-in, confirmation, devices, reveal; and back from errors."""

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
    BrokerUntrusted,
    KioskError,
    ReasonRequired,
    SignInBusy,
    SignInError,
    SignInExpired,
    SignInUnreachable,
    SignInUntrusted,
    TerminalWatched,
    TokenRefused,
)
from kiosk.i18n import N_
from kiosk.models import Device, Ending, ReasonRule
from kiosk.process.logging import place_of
from kiosk.visit.answers import AfterCard, AfterCheck, AfterReveal, Choice, Identity, Renewal, SignInOutcome
from kiosk.visit.guard import VisitGuard
from kiosk.visit.ui import VisitUI

if TYPE_CHECKING:
    from kiosk.identity import DeviceCode
    from kiosk.visit.reveal import Reveal
    from kiosk.visit.visit import Visit

log = logging.getLogger(__name__)

Result = TypeVar("Result")

# A "one moment" screen that only flashes up is worse than none.
_BUSY_AFTER_SECONDS = 0.3


class VisitOver(Exception):
    """The visit is over: the person is done, has left, or is not the one who signed in."""

    def __init__(self, how: Ending) -> None:
        super().__init__(how)
        self.how = how


class _WentBack(Exception):
    """The person pressed Esc during a request, or after it failed."""


class _OtherReason(Exception):
    """The broker did not accept the reason."""


class _SignInAgain(Exception):
    """The broker no longer accepts the sign-in. The person can sign in again."""


class Flow:
    """Sends the requests of a visit and has the UI show the results. Draws nothing itself."""

    def __init__(self, ui: VisitUI, guard: VisitGuard, *, disturbed: bool = False) -> None:
        """``disturbed`` says that the last visit at this terminal ended with network trouble."""
        self._ui = ui
        self._guard = guard
        self._disturbed = disturbed

    async def run(self) -> None:
        """Run one visit. Raises VisitOver at its end."""
        await self._welcome()
        visit = self._guard.begin()
        try:
            while True:
                with contextlib.suppress(_SignInAgain):
                    await self._sign_in(visit)
                    await self._confirm(visit)
                    await self._choose(visit)
        except _WentBack:
            raise VisitOver(Ending.FINISHED) from None

    async def _welcome(self) -> None:
        probing = asyncio.ensure_future(self._probe_network()) if self._disturbed else None
        try:
            await self._ui.welcome()
        finally:
            if probing:
                await _cancel(probing)

    async def _probe_network(self) -> None:
        # Imported here: only a kiosk that has lost its network needs it on the first screen.
        from kiosk.visit.network_probe import answers, until_back

        try:
            await until_back(partial(answers, self._guard.config), self._guard.clock, self._ui.network)
        except Exception as error:
            # The visit works without this probe. Log the error now: the next visit may be days away.
            log.error("looking for the network: %s", place_of(error))

    async def _sign_in(self, visit: Visit) -> None:
        renewal: Renewal | None = None
        while True:
            try:
                code = await self._busy(N_("Getting a sign-in code"), 1, visit.sign_in.begin())
                outcome = await self._await_sign_in(visit, code, renewal)
            except SignInError as error:
                # Renew a code that the service calls expired, like one that expired here, but not twice in a row.
                if isinstance(error, SignInExpired) and renewal is None:
                    renewal = _renewal(visit)
                    continue
                renewal = None
                await self._trouble(error, step=1)
                continue
            if outcome is SignInOutcome.CANCELLED:
                raise _WentBack
            if outcome is None:
                return
            # The code expired. If the person has left, the time limit of the visit ends this loop.
            renewal = _renewal(visit)

    async def _await_sign_in(self, visit: Visit, code: DeviceCode, renewal: Renewal | None) -> SignInOutcome | None:
        """Return None once the person has signed in, or what ended the wait. Raises SignInError."""
        polling = asyncio.ensure_future(visit.sign_in.wait())
        waiting = asyncio.ensure_future(self._ui.sign_in(code, renewal=renewal))
        try:
            await asyncio.wait({polling, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if polling.done():
                return polling.result()
            if waiting.result() is SignInOutcome.EXPIRED:
                # Someone who signed in a moment ago must not be asked to do it again with a new code.
                with contextlib.suppress(SignInExpired):
                    return await self._busy(N_("Checking your sign-in"), 1, polling)
            return waiting.result()
        finally:
            self._guard.disturbed = visit.sign_in.unanswered
            await _cancel(polling, waiting)

    async def _confirm(self, visit: Visit) -> None:
        session = await self._attempt(N_("Checking your sign-in"), 2, visit.open_session)
        answer = await self._ui.confirm(session.person)
        if answer is not Identity.MINE:
            raise VisitOver(Ending.IDLE if answer is Identity.UNANSWERED else Ending.LOCKED)

    async def _choose(self, visit: Visit) -> None:
        devices = await self._attempt(N_("Looking up your Macs"), 3, visit.broker.devices)
        chosen = ""
        while True:
            device = await self._ui.devices(devices, chosen=chosen)
            if device is None:
                raise _WentBack
            chosen = device.id
            await self._reveal_device(visit, device)

    async def _reveal_device(self, visit: Visit, device: Device) -> None:
        """Reveal the key of a device, and fetch it again on request, until the person goes back to the list."""
        answer, reason = AfterReveal.FETCH, None
        while answer is AfterReveal.FETCH:
            try:
                reveal, reason = await self._fetch(visit, device, reason)
            except _WentBack:
                return
            answer = await self._reveal_until_done(reveal)
            self._guard.let_go(reveal)

    async def _reveal_until_done(self, reveal: Reveal) -> AfterReveal:
        """Show a key, the check of its copy and the next steps. Returns how the person left the key."""
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
        """Return the reveal of a device and the reason that the broker accepted.

        A second fetch passes that reason in, so that nobody is asked for it twice.
        """
        typed, demanded = "", False
        while True:
            if reason is None:
                reason = await self._ask_reason(visit, typed, demanded=demanded)
            request = partial(self._release, visit, device, reason)
            leave = N_("Back to the list")
            try:
                reveal = await self._attempt(N_("Getting the recovery key"), 4, request, leave=leave, device=device)
            except _OtherReason:
                typed, reason, demanded = reason, None, True
                continue
            return reveal, reason

    async def _release(self, visit: Visit, device: Device, reason: str) -> Reveal:
        watch = self._guard.look()
        if watch.policy is Policy.REFUSE:
            raise TerminalWatched(str(watch))
        return await self._run_to_end(visit.release(device, reason or None))

    async def _ask_reason(self, visit: Visit, typed: str, *, demanded: bool) -> str:
        """Return the reason, empty if none is needed.

        ``demanded`` says that the broker requires one, even if it did not when the visit began.
        """
        session = visit.session
        if session is None or (session.reason is ReasonRule.OFF and not demanded):
            return ""
        required = demanded or session.reason is ReasonRule.REQUIRED
        reason = await self._ui.reason(session.reason_prompt, required=required, typed=typed)
        if reason is None:
            raise _WentBack
        return reason

    async def _run_to_end(self, request: Awaitable[Reveal]) -> Reveal:
        """Return the result of a release, which runs to its end even if the person stops waiting.

        The broker records the release either way, and must be told that its key was never shown.
        """
        task = asyncio.ensure_future(request)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._discard_late)
            raise

    @staticmethod
    def _discard_late(task: asyncio.Future[Reveal]) -> None:
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
        request: Callable[[], Awaitable[Result]],
        *,
        leave: str = N_("Finish"),
        device: Device | None = None,
    ) -> Result:
        """Send a request until it succeeds, and return its result. The person decides whether to retry.

        ``leave`` labels the way back.
        """
        while True:
            try:
                return await self._busy(words, step, request())
            except KioskError as error:
                await self._trouble(error, step=step, leave=leave, device=device)
                if isinstance(error, TokenRefused):
                    raise _SignInAgain from None
                if isinstance(error, ReasonRequired):
                    raise _OtherReason from None

    async def _busy(self, words: str, step: int, request: Awaitable[Result]) -> Result:
        """Return the result of a request. If it takes a while, show that it does; the person may stop waiting."""
        task = asyncio.ensure_future(request)
        stopped_waiting: asyncio.Future[None] | None = None
        try:
            done, _ = await asyncio.wait({task}, timeout=_BUSY_AFTER_SECONDS)
            if not done:
                stopped_waiting = asyncio.ensure_future(self._ui.working(words, step))
                await asyncio.wait({task, stopped_waiting}, return_when=asyncio.FIRST_COMPLETED)
                if stopped_waiting.done():
                    # If the screen broke, raise its error: nobody pressed Esc.
                    stopped_waiting.result()
                if not task.done():
                    raise _WentBack
            result = task.result()
            self._guard.disturbed = False
            return result
        finally:
            # Also when the visit ends meanwhile: no request may continue behind the goodbye.
            task.cancel()
            if stopped_waiting:
                await _cancel(stopped_waiting)

    async def _trouble(
        self, error: KioskError, *, step: int, leave: str = N_("Finish"), device: Device | None = None
    ) -> None:
        """Show an error. Returns if the person wants to retry; raises _WentBack if not."""
        log.warning("%s %s: %s", error.reference, error.code, error.cause)
        self._guard.disturbed = _is_network_fault(error)
        if await self._ui.trouble(error, leave=leave, step=step, device=device) is Choice.LEAVE:
            raise _WentBack


def _renewal(visit: Visit) -> Renewal:
    """Return why the code that has just ended is renewed."""
    return Renewal.EXPIRED if visit.sign_in.answers() else Renewal.UNANSWERED


async def _cancel(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks that are no longer needed, and wait until they have ended."""
    under_way = [task for task in tasks if not task.done()]
    for task in under_way:
        task.cancel()
    for outcome in await asyncio.gather(*under_way, return_exceptions=True):
        if isinstance(outcome, Exception):
            _log_unexpected(outcome)


def _log_unexpected(error: BaseException) -> None:
    if not isinstance(error, KioskError):
        log.error("while giving up: %s", place_of(error))


def _is_network_fault(error: KioskError) -> bool:
    """Whether nothing answered, or something other than the service.

    A service that says it is busy was reached. A certificate that is not accepted is no matter of the network.
    """
    nothing = isinstance(error, SignInUnreachable | BrokerUnreachable | BrokerGarbled)
    return nothing and not isinstance(error, SignInBusy | SignInUntrusted | BrokerUntrusted)
