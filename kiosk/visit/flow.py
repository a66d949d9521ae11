"""Leads a visit through its steps: welcome, sign-in, confirmation, devices, reveal; and back from errors."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING

from kiosk.config.kiosk import Policy
from kiosk.errors import TerminalWatched
from kiosk.i18n import N_
from kiosk.models import Device, Ending, ReasonRule
from kiosk.process.logging import place_of
from kiosk.visit.answers import AfterCard, AfterCheck, AfterReveal, Identity
from kiosk.visit.guard import VisitGuard
from kiosk.visit.requests import Requests, cancel, log_unexpected
from kiosk.visit.ui import VisitUI
from kiosk.visit.ways_out import OtherReason, SignInAgain, VisitOver, WentBack

if TYPE_CHECKING:
    from kiosk.visit.reveal import Reveal
    from kiosk.visit.visit import Visit

log = logging.getLogger(__name__)


class Flow:
    """Sends the requests of a visit and has the UI show the results. Draws nothing itself."""

    def __init__(self, ui: VisitUI, guard: VisitGuard, *, disturbed: bool = False) -> None:
        """``disturbed`` says that the last visit at this terminal ended with network trouble."""
        self._ui = ui
        self._guard = guard
        self._requests = Requests(ui, guard)
        self._disturbed = disturbed

    async def run(self) -> None:
        """Run one visit. Raises VisitOver at its end."""
        await self._welcome()
        visit = self._guard.begin()
        try:
            while True:
                with contextlib.suppress(SignInAgain):
                    await self._sign_in(visit)
                    await self._choose(visit)
        except WentBack:
            raise VisitOver(Ending.FINISHED) from None

    async def _welcome(self) -> None:
        probing = asyncio.ensure_future(self._probe_network()) if self._disturbed else None
        try:
            await self._ui.welcome()
        finally:
            if probing:
                await cancel(probing)

    async def _probe_network(self) -> None:
        # Imported here: only a kiosk that has lost its network needs it on the first screen.
        from kiosk.visit.network_probe import answers, until_back

        try:
            await until_back(partial(answers, self._guard.config), self._guard.clock, self._ui.network)
        except Exception as error:
            # The visit works without this probe. Log the error now: the next visit may be days away.
            log.error("looking for the network: %s", place_of(error))

    async def _sign_in(self, visit: Visit) -> None:
        # Imported here: a kiosk needs only one of them.
        if visit.phone:
            from kiosk.visit.phone_sign_in import PhoneSteps

            await PhoneSteps(self._requests, self._ui, self._guard, visit.phone).run()
            # The name was on the screen that asked for the digits.
            await self._requests.attempt(N_("Checking your sign-in"), 2, visit.open_session)
        elif visit.device_code:
            from kiosk.visit.device_code_sign_in import DeviceCodeSteps

            await DeviceCodeSteps(self._requests, self._ui, self._guard, visit.device_code).run()
            await self._confirm(visit)

    async def _confirm(self, visit: Visit) -> None:
        session = await self._requests.attempt(N_("Checking your sign-in"), 2, visit.open_session)
        answer = await self._ui.confirm(session.person)
        if answer is not Identity.MINE:
            raise VisitOver(Ending.IDLE if answer is Identity.UNANSWERED else Ending.LOCKED)

    async def _choose(self, visit: Visit) -> None:
        devices = await self._requests.attempt(N_("Looking up your Macs"), 3, visit.broker.devices)
        chosen = ""
        while True:
            device = await self._ui.devices(devices, chosen=chosen)
            if device is None:
                raise WentBack
            chosen = device.id
            await self._reveal_device(visit, device)

    async def _reveal_device(self, visit: Visit, device: Device) -> None:
        """Reveal the key of a device, and fetch it again on request, until the person goes back to the list."""
        answer, reason = AfterReveal.FETCH, None
        while answer is AfterReveal.FETCH:
            try:
                reveal, reason = await self._fetch(visit, device, reason)
            except WentBack:
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
                reveal = await self._requests.attempt(
                    N_("Getting the recovery key"), 4, request, leave=leave, device=device
                )
            except OtherReason:
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
            raise WentBack
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
            log_unexpected(error)
            return
        reveal = task.result()
        reveal.finish(Ending.NOT_SHOWN)
        reveal.wipe()
